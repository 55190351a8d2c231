//! Where in tmux keys go: to which pane's terminal, or to tmux itself.

use tern_term::{PREFIX_SIZE_MAX, PREFIXES_MAX};

/// Format of the line for `display-message`: the active pane's terminal, whether it is in a mode
/// (copy mode and the like), where the status lines are, and the prefix keys.
pub const PLACE_FORMAT: &str = "k\t#{pane_tty}\t#{pane_in_mode}\t#{status}\t#{status-position}\t\
                                #{prefix}\t#{prefix2}";
/// tmux's own limit of `status`.
const STATUS_ROWS_MAX: u16 = 5;
/// What a prefix is where tmux doesn't tell (an old one whose formats know no options).
const PREFIX_USUAL: u8 = 0x02;

/// The place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeysPlace {
    /// Path of the active pane's terminal; empty if there is none.
    pub tty: String,
    /// The pane shows something of tmux's (copy mode, a tree).
    pub is_in_mode: bool,
    /// Rows of status lines at the top of the screen, and at its bottom. A prompt has the cursor there.
    pub status_rows: (u16, u16),
    /// Keys after which the next one is tmux's.
    pub prefixes: Vec<Vec<u8>>,
}

/// Reads the line.
pub fn parse(line: &str) -> Option<KeysPlace> {
    let mut fields = line.strip_prefix("k\t")?.split('\t');
    let mut field = || fields.next();
    let tty = field()?;
    let is_in_mode = field()?.parse::<u32>().is_ok_and(|depth| depth > 0);
    let status_rows = status_rows(field()?, field()?);
    let names = [field()?, field()?];
    let mut prefixes: Vec<_> = names.into_iter().filter_map(key).collect();
    prefixes.truncate(PREFIXES_MAX);
    if names.iter().all(|name| name.is_empty()) {
        prefixes.push(vec![PREFIX_USUAL]);
    }
    // Only a terminal's: this path is opened.
    let is_device = tty.starts_with("/dev/") && !tty.contains("..");
    let tty = if is_device { tty.to_owned() } else { String::new() };
    Some(KeysPlace { tty, is_in_mode, status_rows, prefixes })
}

/// Rows of status lines at the top and at the bottom, by tmux's options `status` and
/// `status-position`.
pub fn status_rows(status: &str, position: &str) -> (u16, u16) {
    let rows = match status {
        "off" => 0,
        "on" => 1,
        rows => rows.parse().unwrap_or(1).min(STATUS_ROWS_MAX),
    };
    if position == "top" { (rows, 0) } else { (0, rows) }
}

/// What a terminal sends for a key of tmux's name; `None` if that depends on the terminal.
fn key(name: &str) -> Option<Vec<u8>> {
    if let Some(rest) = name.strip_prefix("M-") {
        return Some([vec![0x1b], key(rest)?].concat()).filter(|key| key.len() <= PREFIX_SIZE_MAX);
    }
    if let Some(rest) = name.strip_prefix("C-") {
        return match rest.as_bytes() {
            b"Space" => Some(vec![0]),
            [byte @ (b'@'..=b'_' | b'a'..=b'z')] => Some(vec![byte & 0x1f]),
            _ => None,
        };
    }
    match name {
        "Space" => Some(vec![b' ']),
        _ if name.chars().count() == 1 => Some(name.as_bytes().to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn line_says_where_keys_go() {
        let place = parse("k\t/dev/pts/3\t0\ton\tbottom\tC-b\tNone").expect("a place");
        assert_eq!(place.tty, "/dev/pts/3");
        assert!(!place.is_in_mode);
        assert_eq!((place.status_rows, place.prefixes), ((0, 1), vec![vec![2]]));
        let place = parse("k\t/dev/pts/3\t1\t2\ttop\t`\tM-a").expect("a place");
        assert!(place.is_in_mode);
        assert_eq!(place.status_rows, (2, 0));
        assert_eq!(place.prefixes, [b"`".to_vec(), b"\x1ba".to_vec()]);
    }

    #[test]
    fn tmux_that_does_not_tell_has_the_usual_prefix() {
        let place = parse("k\t\t\toff\t\t\t").expect("a place");
        assert_eq!((place.tty.as_str(), place.prefixes), ("", vec![vec![2]]));
        let place = parse("k\t/dev/pts/3\t0\toff\tbottom\tC-Space\tF12").expect("a place");
        assert_eq!(place.prefixes, [vec![0]]);
        assert!(parse("k\t/etc/passwd\t0\toff\t\tC-b\t").expect("a place").tty.is_empty());
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_a_panic(line in "k\t.{0,60}") {
            if let Some(place) = parse(&line) {
                prop_assert!(place.prefixes.len() <= PREFIXES_MAX);
                prop_assert!(place.prefixes.iter().all(|key| key.len() <= PREFIX_SIZE_MAX));
            }
        }
    }
}
