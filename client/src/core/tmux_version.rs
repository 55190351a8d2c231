//! Which tmux this is, and what it can do. Supported: 2.6 and newer.

use tern_term::Clusters;

/// A version as tmux names it: `2.6`, `3.3a`, `next-3.4`, `3.5-rc2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TmuxVersion {
    major: u16,
    minor: u16,
    /// 0 for none, 1 for `a`, ...
    letter: u8,
}

/// The oldest version that works.
pub const OLDEST: TmuxVersion = TmuxVersion::new(2, 6);

/// What builds from the development branch (`master`, `openbsd-7.4`) are taken for.
const NEWEST: TmuxVersion = TmuxVersion::new(u16::MAX, 0);

impl TmuxVersion {
    /// `major.minor` without a letter.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor, letter: 0 }
    }

    /// Reads what `tmux -V` or `#{version}` says; `None` if it isn't a version.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix("tmux ").unwrap_or(text);
        if text == "master" || text.starts_with("openbsd-") {
            return Some(NEWEST);
        }
        let text = text.strip_prefix("next-").unwrap_or(text);
        let text = text.split('-').next().unwrap_or(text);
        let (major, rest) = text.split_once('.')?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (minor, letter) = rest.split_at(digits);
        let letter = match letter.as_bytes() {
            [] => 0,
            [letter @ b'a'..=b'z'] => letter - b'a' + 1,
            _ => return None,
        };
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()?, letter })
    }

    /// Old enough to refuse.
    pub fn is_too_old(self) -> bool {
        self < OLDEST
    }

    /// How it puts characters into cells.
    pub fn clusters(self) -> Clusters {
        Clusters::of_tmux(self.major, self.minor)
    }

    /// `attach -f FLAGS`, `refresh-client -f FLAGS`: `ignore-size`, `no-output`.
    pub fn has_client_flags(self) -> bool {
        self >= Self::new(3, 2)
    }

    /// `refresh-client -F no-output` (before `-f` took its place).
    pub fn has_no_output_by_refresh(self) -> bool {
        self >= Self::new(3, 0) && !self.has_client_flags()
    }

    /// `set-option -p`, and hooks of which there can be several.
    pub fn has_pane_options(self) -> bool {
        self >= Self::new(3, 0)
    }

    /// `tmux -T FEATURES`.
    pub fn has_terminal_features(self) -> bool {
        self >= Self::new(3, 2)
    }

    /// `set-environment -h`: known to formats, not given to programs.
    pub fn has_hidden_environment(self) -> bool {
        self >= Self::new(3, 2)
    }

    /// `refresh-client -B`, which tells of a format's new values.
    pub fn has_subscriptions(self) -> bool {
        self >= Self::new(3, 2)
    }

    /// Several `-f FILE`, which replace the system's file, too.
    pub fn has_several_configs(self) -> bool {
        self >= Self::new(3, 2)
    }

    /// `source-file -n`.
    pub fn can_only_parse(self) -> bool {
        self >= Self::new(3, 0)
    }

    /// `display-menu`.
    pub fn has_menus(self) -> bool {
        self >= Self::new(3, 0)
    }

    /// `display-popup`, whose `-C` takes away a menu, too.
    pub fn has_popup(self) -> bool {
        self >= Self::new(3, 2)
    }

    /// `display-message -d DELAY`.
    pub fn has_message_delay(self) -> bool {
        self >= Self::new(3, 2)
    }

    /// The window option `window-size`; before it, the smallest client always decided.
    pub fn has_window_size(self) -> bool {
        self >= Self::new(2, 9)
    }

    /// A read-only client does not count for the size.
    pub fn read_only_ignores_size(self) -> bool {
        self >= Self::new(3, 1)
    }
}

impl std::fmt::Display for TmuxVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if *self == NEWEST {
            return f.write_str("development version");
        }
        write!(f, "{}.{}", self.major, self.minor)?;
        match self.letter {
            0 => Ok(()),
            letter => write!(f, "{}", char::from(b'a' + letter - 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_are_read_as_tmux_writes_them() {
        let read = |text| TmuxVersion::parse(text).map(|version| version.to_string());
        assert_eq!(read("tmux 2.6\n").as_deref(), Some("2.6"));
        assert_eq!(read("3.3a").as_deref(), Some("3.3a"));
        assert_eq!(read("tmux next-3.7").as_deref(), Some("3.7"));
        assert_eq!(read("tmux 3.5-rc2").as_deref(), Some("3.5"));
        assert_eq!(TmuxVersion::parse("tmux openbsd-7.4"), Some(NEWEST));
        assert_eq!(TmuxVersion::parse("tmux master"), Some(NEWEST));
        for nonsense in ["", "tmux", "three.two", "3", "3.", "3.3ab", "3.99999999"] {
            assert_eq!(TmuxVersion::parse(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn emoji_are_counted_as_the_version_does() {
        let of = |text| TmuxVersion::parse(text).expect("a version").clusters();
        assert_eq!(
            (of("3.4"), of("3.5a"), of("master")),
            (Clusters::Joined, Clusters::Emoji, Clusters::Emoji)
        );
    }

    #[test]
    fn versions_are_ordered_with_their_letters() {
        let of = |text| TmuxVersion::parse(text).expect("a version");
        let order = ["1.9a", "2.6", "2.9", "2.9a", "3.0a", "3.1c", "3.2", "3.2a", "3.10", "master"];
        for pair in order.windows(2) {
            assert!(of(pair[0]) < of(pair[1]), "{pair:?}");
        }
        assert!(of("2.5").is_too_old() && !of("2.6").is_too_old());
    }

    #[test]
    fn abilities_come_with_their_versions() {
        let of = |text| TmuxVersion::parse(text).expect("a version");
        assert!(!of("2.6").has_window_size() && of("2.9a").has_window_size());
        assert!(of("3.0a").has_no_output_by_refresh() && !of("3.2").has_no_output_by_refresh());
        assert!(!of("3.1c").has_client_flags() && of("3.2").has_client_flags());
        assert!(of("3.1").read_only_ignores_size() && !of("3.0a").read_only_ignores_size());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,40}") {
            let _ = TmuxVersion::parse(&text);
        }

        #[test]
        fn what_is_written_is_read_back(major in 1u16..50, minor in 0u16..50, letter in 0u8..26) {
            let version = TmuxVersion { major, minor, letter };
            prop_assert_eq!(TmuxVersion::parse(&version.to_string()), Some(version));
        }
    }
}
