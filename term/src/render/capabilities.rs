//! What a viewer's terminal can do, as far as its names tell.

/// How many colours a terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ColorDepth {
    /// None.
    Mono,
    /// Eight (SGR 30-37).
    Ansi8,
    /// Sixteen (SGR 90-97 too).
    Ansi16,
    /// 256 (SGR 38;5).
    Indexed,
    /// All (SGR 38;2).
    True,
}

/// What a viewer's terminal can show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Colours; others are replaced by the nearest.
    pub colors: ColorDepth,
    /// Underlines of every shape (SGR 4:n) and colour (SGR 58); else all are plain.
    pub has_styled_underline: bool,
    /// Erasing leaves the current background (BCE), not always the default one.
    pub has_bce: bool,
    /// Draws an update as one (mode 2026), or ignores that mode without harm.
    pub has_sync: bool,
    /// Understands OSC: titles, hyperlinks, clipboard; or ignores it without harm.
    pub has_osc: bool,
    /// Knows what came after the VT100: CHA, ECH, SU, SD.
    pub has_ecma: bool,
    /// May be given the text that the program puts in the clipboard.
    pub is_clipboard_allowed: bool,
    /// Takes over the modes that concern input (mouse, focus, paste, keypad). Not for who may only
    /// watch: their mouse then selects text, as ever.
    pub is_input_wanted: bool,
}

/// Terminals that do everything; each goes by a `TERM` that begins so.
const MODERN: [&str; 13] = [
    "alacritty",
    "contour",
    "foot",
    "ghostty",
    "iterm",
    "kitty",
    "mintty",
    "rio",
    "tmux",
    "wezterm",
    "xterm-ghostty",
    "xterm-kitty",
    "vscode",
];
/// Terminals that know colours and little that came after the VT220.
const PLAIN: [&str; 6] = ["ansi", "cons", "cygwin", "linux", "vt220", "screen"];
/// Terminals, or families, that know ECMA-48 well and ignore what they don't know.
const USUAL: [&str; 11] = [
    "Eterm", "eterm", "gnome", "konsole", "mlterm", "nsterm", "putty", "rxvt", "st", "vte", "xterm",
];

impl Capabilities {
    /// From the names that a terminal goes by: `TERM`, and `COLORTERM` if it was sent.
    pub fn from_env(term: &str, colorterm: Option<&str>) -> Self {
        let is_any = |names: &[&str]| {
            names.iter().any(|name| {
                term.strip_prefix(name).is_some_and(|rest| {
                    rest.chars().next().is_none_or(|c| !c.is_ascii_alphabetic())
                })
            })
        };
        let (is_modern, is_usual) = (is_any(&MODERN), is_any(&USUAL));
        let is_known = is_modern || is_usual || is_any(&PLAIN);
        let is_true = is_modern
            || term.ends_with("-direct")
            || matches!(colorterm, Some("truecolor" | "24bit"));
        Self {
            colors: match () {
                () if is_true => ColorDepth::True,
                () if term.contains("256color") => ColorDepth::Indexed,
                () if is_usual => ColorDepth::Ansi16,
                () if is_known || term.contains("color") => ColorDepth::Ansi8,
                () => ColorDepth::Mono,
            },
            has_styled_underline: is_true,
            has_bce: is_known && !is_any(&["screen", "ansi"]),
            has_sync: is_modern || is_usual,
            has_osc: is_modern || is_usual,
            has_ecma: is_modern || is_usual || is_any(&["screen"]),
            is_clipboard_allowed: true,
            is_input_wanted: true,
        }
    }

    /// A terminal that can do everything.
    pub fn full() -> Self {
        Self::from_env("xterm-256color", Some("truecolor"))
    }

    /// For who may only watch; see [`Capabilities::is_input_wanted`]. Their clipboard is their own:
    /// nothing of theirs is changed by what they look at.
    #[must_use]
    pub fn watch_only(self) -> Self {
        Self { is_input_wanted: false, is_clipboard_allowed: false, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_the_names() {
        let colors = |term, colorterm| Capabilities::from_env(term, colorterm).colors;
        assert_eq!(colors("xterm-256color", None), ColorDepth::Indexed);
        assert_eq!(colors("xterm-256color", Some("truecolor")), ColorDepth::True);
        assert_eq!(colors("screen-256color", None), ColorDepth::Indexed);
        assert_eq!(colors("tmux-256color", None), ColorDepth::True);
        assert_eq!(colors("xterm-kitty", None), ColorDepth::True);
        assert_eq!(colors("xterm", None), ColorDepth::Ansi16);
        assert_eq!(colors("linux", None), ColorDepth::Ansi8);
        assert_eq!(colors("vt100", None), ColorDepth::Mono);
        assert_eq!(colors("st-256color", None), ColorDepth::Indexed);
    }

    #[test]
    fn unknown_terminals_are_not_tried() {
        let capabilities = Capabilities::from_env("stupid", None);
        assert!(!capabilities.has_osc && !capabilities.has_ecma && !capabilities.has_sync);
    }
}
