//! tmux's commands: their names, as they may be abbreviated, and lists of them on a command line.

use std::ffi::{OsStr, OsString};

/// Names and aliases of all commands from tmux 2.6 to 3.6 (`cmd_table` in its `cmd.c`).
const TABLE: &[(&str, &str)] = &[
    ("attach-session", "attach"),
    ("bind-key", "bind"),
    ("break-pane", "breakp"),
    ("capture-pane", "capturep"),
    ("choose-buffer", ""),
    ("choose-client", ""),
    ("choose-tree", ""),
    ("clear-history", "clearhist"),
    ("clear-prompt-history", "clearphist"),
    ("clock-mode", ""),
    ("command-prompt", ""),
    ("confirm-before", "confirm"),
    ("copy-mode", ""),
    ("customize-mode", ""),
    ("delete-buffer", "deleteb"),
    ("detach-client", "detach"),
    ("display-menu", "menu"),
    ("display-message", "display"),
    ("display-panes", "displayp"),
    ("display-popup", "popup"),
    ("find-window", "findw"),
    ("has-session", "has"),
    ("if-shell", "if"),
    ("join-pane", "joinp"),
    ("kill-pane", "killp"),
    ("kill-server", ""),
    ("kill-session", ""),
    ("kill-window", "killw"),
    ("last-pane", "lastp"),
    ("last-window", "last"),
    ("link-window", "linkw"),
    ("list-buffers", "lsb"),
    ("list-clients", "lsc"),
    ("list-commands", "lscm"),
    ("list-keys", "lsk"),
    ("list-panes", "lsp"),
    ("list-sessions", "ls"),
    ("list-windows", "lsw"),
    ("load-buffer", "loadb"),
    ("lock-client", "lockc"),
    ("lock-server", "lock"),
    ("lock-session", "locks"),
    ("move-pane", "movep"),
    ("move-window", "movew"),
    ("new-session", "new"),
    ("new-window", "neww"),
    ("next-layout", "nextl"),
    ("next-window", "next"),
    ("paste-buffer", "pasteb"),
    ("pipe-pane", "pipep"),
    ("previous-layout", "prevl"),
    ("previous-window", "prev"),
    ("refresh-client", "refresh"),
    ("rename-session", "rename"),
    ("rename-window", "renamew"),
    ("resize-pane", "resizep"),
    ("resize-window", "resizew"),
    ("respawn-pane", "respawnp"),
    ("respawn-window", "respawnw"),
    ("rotate-window", "rotatew"),
    ("run-shell", "run"),
    ("save-buffer", "saveb"),
    ("select-layout", "selectl"),
    ("select-pane", "selectp"),
    ("select-window", "selectw"),
    ("send-keys", "send"),
    ("send-prefix", ""),
    ("server-access", ""),
    ("server-info", "info"),
    ("set-buffer", "setb"),
    ("set-environment", "setenv"),
    ("set-hook", ""),
    ("set-option", "set"),
    ("set-window-option", "setw"),
    ("show-buffer", "showb"),
    ("show-environment", "showenv"),
    ("show-hooks", ""),
    ("show-messages", "showmsgs"),
    ("show-options", "show"),
    ("show-prompt-history", "showphist"),
    ("show-window-options", "showw"),
    ("source-file", "source"),
    ("split-window", "splitw"),
    ("start-server", "start"),
    ("suspend-client", "suspendc"),
    ("swap-pane", "swapp"),
    ("swap-window", "swapw"),
    ("switch-client", "switchc"),
    ("unbind-key", "unbind"),
    ("unlink-window", "unlinkw"),
    ("wait-for", "wait"),
];

/// Whose end tmux doesn't tell apart from the server's.
const ENDING: [&str; 5] =
    ["kill-server", "kill-session", "kill-window", "kill-pane", "unlink-window"];

/// What a word may mean as a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// This one, by its whole name.
    Command(&'static str),
    /// Several begin like this; tmux says so.
    Several,
    /// None of those that we know.
    None,
}

/// Reads a command's name as tmux does: its alias, its name, or what its name alone begins with.
pub fn meaning(word: &str) -> Meaning {
    if word.is_empty() {
        return Meaning::None;
    }
    let exact = TABLE.iter().find(|(name, alias)| *alias == word || *name == word);
    if let Some((name, _)) = exact {
        return Meaning::Command(name);
    }
    let mut found = TABLE.iter().filter(|(name, _)| name.starts_with(word));
    match (found.next(), found.next()) {
        (Some((name, _)), None) => Meaning::Command(name),
        (Some(_), Some(_)) => Meaning::Several,
        (None, _) => Meaning::None,
    }
}

/// One command of a list, with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// As typed.
    pub words: Vec<OsString>,
}

impl Command {
    /// Its whole name; `None` if that is tmux's to say.
    pub fn name(&self) -> Option<&'static str> {
        match meaning(self.words.first()?.to_str()?) {
            Meaning::Command(name) => Some(name),
            Meaning::Several | Meaning::None => None,
        }
    }

    /// Whether a pane, and so the session, may end by it.
    pub fn may_end_session(&self) -> bool {
        self.name().is_some_and(|name| ENDING.contains(&name))
    }

    /// The arguments that are no flags, if the flags in `with_value` have one. Values that are
    /// glued to their flag are understood.
    pub fn operands(&self, with_value: &str) -> Vec<&OsStr> {
        self.words[self.operands_at(with_value).min(self.words.len())..]
            .iter()
            .map(OsString::as_os_str)
            .collect()
    }

    /// Where the first argument that is no flag stands, or the end.
    pub fn operands_at(&self, with_value: &str) -> usize {
        let mut at = 1;
        while let Some(word) = self.words.get(at) {
            let bytes = word.as_encoded_bytes();
            if bytes == b"--" {
                return at + 1;
            }
            let Some(cluster) = bytes.strip_prefix(b"-").filter(|cluster| !cluster.is_empty())
            else {
                return at;
            };
            let value = cluster.iter().position(|letter| with_value.as_bytes().contains(letter));
            at += 1 + usize::from(value.is_some_and(|value| value + 1 == cluster.len()));
        }
        at
    }

    /// Whether a flag without a value was given.
    pub fn has_flag(&self, flag: u8, with_value: &str) -> bool {
        let end = self.operands_at(with_value).min(self.words.len());
        let mut is_value = false;
        for word in &self.words[1..end.max(1)] {
            if std::mem::take(&mut is_value) {
                continue;
            }
            let cluster = word.as_encoded_bytes().strip_prefix(b"-").unwrap_or_default();
            for (at, letter) in cluster.iter().enumerate() {
                if *letter == flag {
                    return true;
                }
                if with_value.as_bytes().contains(letter) {
                    is_value = at + 1 == cluster.len();
                    break;
                }
            }
        }
        false
    }
}

/// Splits words into commands: one ends with a word that ends with `;`. What ends with `\;` stays,
/// for tmux to read.
pub fn split(words: &[OsString]) -> Vec<Command> {
    let mut commands = vec![Command { words: Vec::new() }];
    for word in words {
        let bytes = word.as_encoded_bytes();
        let ends = bytes.ends_with(b";") && !bytes.ends_with(br"\;");
        let kept = if ends { &bytes[..bytes.len() - 1] } else { bytes };
        let last = commands.last_mut().expect("there always is one");
        if !kept.is_empty() || !ends {
            use std::os::unix::ffi::OsStrExt;
            last.words.push(OsStr::from_bytes(kept).to_owned());
        }
        if ends {
            commands.push(Command { words: Vec::new() });
        }
    }
    commands.retain(|command| !command.words.is_empty());
    commands
}

/// The words for a command line of tmux.
pub fn join(commands: &[Command]) -> Vec<OsString> {
    let mut words = Vec::new();
    for (at, command) in commands.iter().enumerate() {
        if at > 0 {
            words.push(";".into());
        }
        words.extend(command.words.iter().cloned());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(Into::into).collect()
    }

    #[test]
    fn names_are_abbreviated_as_tmux_allows() {
        assert_eq!(meaning("new"), Meaning::Command("new-session"));
        assert_eq!(meaning("set"), Meaning::Command("set-option"));
        assert_eq!(meaning("show-m"), Meaning::Command("show-messages"));
        assert_eq!(meaning("wait"), Meaning::Command("wait-for"));
        assert_eq!(meaning("kill-ser"), Meaning::Command("kill-server"));
        assert_eq!(meaning("s"), Meaning::Several);
        assert_eq!((meaning("htop"), meaning("")), (Meaning::None, Meaning::None));
    }

    #[test]
    fn lists_are_split_at_semicolons_that_end_a_word() {
        let list = split(&words(r"set -g a b ; bind x display y\; next; new -d"));
        let lines: Vec<_> = list.iter().map(|command| command.words.len()).collect();
        assert_eq!(lines, [4, 5, 2]);
        assert_eq!(list[1].words[4], r"next");
        assert_eq!(list[1].words[3], r"y\;");
        assert_eq!(list[2].name(), Some("new-session"));
    }

    #[test]
    fn operands_and_flags_are_told_from_each_other() {
        let command = |text: &str| split(&words(text)).remove(0);
        let new = command("new -d -s name -x80 -Pc /tmp cmd -d");
        assert_eq!(new.operands("cnstxyFef"), ["cmd", "-d"]);
        assert!(new.has_flag(b'd', "cnstxyFef") && new.has_flag(b'P', "cnstxyFef"));
        assert!(!command("new -s -d").has_flag(b'd', "s"));
        assert!(command("new").operands("s").is_empty());
        assert!(command("new -s").operands("s").is_empty());
    }

    proptest! {
        #[test]
        fn lists_are_as_before_when_joined_again(
            words in prop::collection::vec("[a-z\\\\-]{0,5};?", 0..8)
        ) {
            let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
            let list = split(&words);
            prop_assert_eq!(split(&join(&list)), list);
        }
    }
}
