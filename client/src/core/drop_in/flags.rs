//! tmate's flags, which are tmux's and a few more. As with POSIX `getopt`, they end at the first
//! word that is none.

use std::ffi::{OsStr, OsString};

/// Flags that stand alone.
const ALONE: &[u8] = b"2CdFhlquUvV";
/// Flags with a value, glued or as the next word.
const WITH_VALUE: &[u8] = b"cfLSknrai";

/// What stands before the tmux command, and that command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `-S`.
    pub socket: Option<OsString>,
    /// `-L`.
    pub label: Option<OsString>,
    /// `-f`; the last one counts.
    pub config: Option<OsString>,
    /// `-n`.
    pub name: Option<OsString>,
    /// `-r`.
    pub name_ro: Option<OsString>,
    /// `-k`.
    pub api_key: Option<OsString>,
    /// `-a`.
    pub authorized_keys: Option<OsString>,
    /// `-c`: a command for tmux's shell, in place of a tmux command.
    pub shell_command: Option<OsString>,
    /// How often `-C` was given.
    pub control_count: u8,
    /// How often `-v` was given.
    pub verbosity: u8,
    /// `-F`.
    pub is_foreground: bool,
    /// `-l`.
    pub is_login: bool,
    /// `-V`.
    pub is_version: bool,
    /// `-h`, `-d` or `-U`, which tmate answers with its usage.
    pub is_usage: bool,
    /// Long options, with their values, as they were typed; `-i` is `--identity`.
    pub long: Vec<OsString>,
    /// Two dashes stood before the command.
    pub is_separated: bool,
    /// The tmux command with all that follows it.
    pub command: Vec<OsString>,
}

/// What is wrong with the flags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// There is no such flag.
    #[error("unknown option -- '{0}'")]
    Unknown(char),
    /// Its value is missing.
    #[error("option requires an argument -- '{0}'")]
    NoValue(char),
}

/// Reads the words after the program's name. `takes_value` tells whether a long option (without
/// its dashes) has a value in the next word.
pub fn parse(words: &[OsString], takes_value: impl Fn(&str) -> bool) -> Result<Flags, FlagError> {
    let mut flags = Flags::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let bytes = word.as_encoded_bytes();
        if bytes == b"--" {
            flags.is_separated = true;
            break;
        }
        if let Some(name) = bytes.strip_prefix(b"--") {
            flags.long.push(word.clone());
            if std::str::from_utf8(name).is_ok_and(&takes_value) {
                flags.long.extend(words.next().cloned());
            }
            continue;
        }
        let Some(cluster) = bytes.strip_prefix(b"-").filter(|cluster| !cluster.is_empty()) else {
            flags.command.push(word.clone());
            break;
        };
        for (at, &letter) in cluster.iter().enumerate() {
            if ALONE.contains(&letter) {
                flags.handle_alone(letter);
                continue;
            }
            let name = char::from(letter);
            if !WITH_VALUE.contains(&letter) {
                return Err(FlagError::Unknown(name));
            }
            let value = match &cluster[at + 1..] {
                [] => words.next().cloned().ok_or(FlagError::NoValue(name))?,
                glued => from_bytes(glued),
            };
            flags.handle_value(letter, value);
            break;
        }
    }
    flags.command.extend(words.cloned());
    Ok(flags)
}

impl Flags {
    fn handle_alone(&mut self, letter: u8) {
        match letter {
            b'C' => self.control_count = self.control_count.saturating_add(1),
            b'F' => self.is_foreground = true,
            b'l' => self.is_login = true,
            b'v' => self.verbosity = self.verbosity.saturating_add(1),
            b'V' => self.is_version = true,
            b'h' | b'd' | b'U' => self.is_usage = true,
            // Colours and UTF-8 are always on.
            _ => {}
        }
    }

    fn handle_value(&mut self, letter: u8, value: OsString) {
        match letter {
            b'S' => self.socket = Some(value),
            b'L' => self.label = Some(value),
            b'f' => self.config = Some(value),
            b'n' => self.name = Some(value),
            b'r' => self.name_ro = Some(value),
            b'k' => self.api_key = Some(value),
            b'a' => self.authorized_keys = Some(value),
            b'c' => self.shell_command = Some(value),
            _ => self.long.extend(["--identity".into(), value]),
        }
    }
}

/// Part of a word that was split at an ASCII letter.
fn from_bytes(bytes: &[u8]) -> OsString {
    use std::os::unix::ffi::OsStrExt;
    OsStr::from_bytes(bytes).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(words: &[&str]) -> Result<Flags, FlagError> {
        let words: Vec<OsString> = words.iter().map(Into::into).collect();
        parse(&words, |name| name == "relay")
    }

    #[test]
    fn flags_end_at_the_command_whose_own_are_left_alone() {
        let flags = parsed(&["-S", "/tmp/s", "-F", "new-session", "-d", "-n", "x"]);
        let flags = flags.expect("it is right");
        assert_eq!(flags.socket, Some("/tmp/s".into()));
        assert!(flags.is_foreground && flags.name.is_none());
        assert_eq!(flags.command, ["new-session", "-d", "-n", "x"]);
    }

    #[test]
    fn flags_may_be_glued_to_each_other_and_to_their_value() {
        let flags = parsed(&["-2uCCvvS/tmp/s", "-nweb", "attach"]).expect("it is right");
        assert_eq!((flags.control_count, flags.verbosity), (2, 2));
        assert_eq!((flags.socket, flags.name), (Some("/tmp/s".into()), Some("web".into())));
    }

    #[test]
    fn two_dashes_end_the_flags() {
        let flags = parsed(&["-F", "--", "-x"]).expect("it is right");
        assert!(flags.is_separated);
        assert_eq!(flags.command, ["-x"]);
    }

    #[test]
    fn long_options_keep_their_values() {
        let flags = parsed(&["--relay", "r", "--approve", "--x=y", "-ikey", "ls"]);
        let flags = flags.expect("it is right");
        assert_eq!(flags.long, ["--relay", "r", "--approve", "--x=y", "--identity", "key"]);
        assert_eq!(flags.command, ["ls"]);
    }

    #[test]
    fn wrong_flags_are_named() {
        assert_eq!(parsed(&["-Fx"]), Err(FlagError::Unknown('x')));
        assert_eq!(parsed(&["-S"]), Err(FlagError::NoValue('S')));
        assert!(parsed(&["-U"]).expect("tmate knows it").is_usage);
    }

    proptest! {
        #[test]
        fn any_words_are_read_without_a_panic(words in prop::collection::vec(".{0,8}", 0..6)) {
            let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
            let _ = parse(&words, |name| name.len() % 2 == 0);
        }
    }
}
