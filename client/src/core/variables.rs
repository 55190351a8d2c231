//! What a session's programs and status lines can ask tmux for: `#{tmate_ssh}` and the like. tmux
//! looks up a format that it doesn't know in its environment, so that is where they are kept.

use crate::core::control_mode::quoted;
use crate::core::messages::JoinLines;
use crate::core::tmux_version::TmuxVersion;
use std::collections::{BTreeMap, VecDeque};

/// Each is there under both names.
const PREFIXES: [&str; 2] = ["tmate", "tern"];
/// Channels of `wait-for` that are signalled once people can join.
const CHANNELS: [&str; 2] = ["tmate-ready", "tern-ready"];

/// The variables, and which of them tmux has been told.
#[derive(Debug, Default)]
pub struct Variables {
    wanted: BTreeMap<&'static str, String>,
    told: BTreeMap<&'static str, String>,
    readiness: Readiness,
    lines: VecDeque<Telling>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Readiness {
    /// Nobody can join yet.
    #[default]
    NotYet,
    /// Those who wait are to be told.
    Due,
    /// They were told. A second signal would take the first one away from who comes later.
    Told,
}

/// A command line for tmux.
#[derive(Debug, PartialEq, Eq)]
pub enum Telling {
    /// Nobody waits for its answer.
    Line(String),
    /// When it is answered, all variables are there, and who waited for them is awake.
    Last(String),
}

impl Variables {
    /// How many watch.
    pub fn set_viewers_count(&mut self, count: usize) {
        self.wanted.insert("num_clients", count.to_string());
    }

    /// How people join.
    pub fn set_lines(&mut self, lines: &JoinLines) {
        self.wanted.insert("ssh", lines.read_write.clone());
        self.wanted.insert("ssh_ro", lines.read_only.clone());
        self.wanted.insert("sid", token(&lines.read_write).to_owned());
        self.wanted.insert("sid_ro", token(&lines.read_only).to_owned());
        if self.readiness == Readiness::NotYet {
            self.readiness = Readiness::Due;
        }
    }

    /// What was told may not have arrived.
    pub fn handle_answers_lost(&mut self) {
        self.told.clear();
    }

    /// The next line.
    pub fn poll_telling(&mut self, version: TmuxVersion) -> Option<Telling> {
        let flags = if version.has_hidden_environment() { "-gh" } else { "-g" };
        for (name, value) in &self.wanted {
            if self.told.get(name) != Some(value) {
                let quoted = quoted(value);
                self.lines.extend(PREFIXES.map(|prefix| {
                    Telling::Line(format!("set-environment {flags} {prefix}_{name} {quoted}"))
                }));
                self.told.insert(name, value.clone());
            }
        }
        if self.readiness == Readiness::Due {
            self.readiness = Readiness::Told;
            let [first, last] = CHANNELS.map(|channel| format!("wait-for -S {channel}"));
            self.lines.extend([Telling::Line(first), Telling::Last(last)]);
        }
        self.lines.pop_front()
    }
}

/// Whom `ssh` is to log in as.
fn token(line: &str) -> &str {
    let destination = line.split(' ').next_back().unwrap_or_default();
    destination.rsplit_once('@').map_or(destination, |(token, _)| token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(variables: &mut Variables, version: &str) -> Vec<Telling> {
        let version = TmuxVersion::parse(version).expect("a version");
        std::iter::from_fn(|| variables.poll_telling(version)).collect()
    }

    #[test]
    fn each_value_is_told_once_and_again_when_it_changed_or_was_lost() {
        let mut variables = Variables::default();
        variables.set_viewers_count(1);
        let line = |prefix, flags| {
            Telling::Line(format!("set-environment {flags} {prefix}_num_clients '1'"))
        };
        assert_eq!(drain(&mut variables, "3.3a"), [line("tmate", "-gh"), line("tern", "-gh")]);
        variables.set_viewers_count(1);
        assert_eq!(drain(&mut variables, "3.3a"), []);
        variables.handle_answers_lost();
        assert_eq!(drain(&mut variables, "3.1c"), [line("tmate", "-g"), line("tern", "-g")]);
        variables.set_viewers_count(2);
        assert_eq!(drain(&mut variables, "3.1c").len(), 2);
    }

    #[test]
    fn who_waits_is_woken_once_and_after_the_variables() {
        let mut variables = Variables::default();
        variables.set_lines(&JoinLines::new("tok", "ro-tok", "relay.example", 2200));
        let told = drain(&mut variables, "3.3a");
        let [.., Telling::Line(first), Telling::Last(last)] = told.as_slice() else {
            panic!("{told:?}")
        };
        assert_eq!(
            (first.as_str(), last.as_str()),
            ("wait-for -S tmate-ready", "wait-for -S tern-ready")
        );
        let text = format!("{told:?}");
        assert!(text.contains("tmate_ssh_ro 'ssh -p2200 ro-tok@relay.example'"), "{text}");
        assert!(text.contains("tern_sid 'tok'"), "{text}");
        variables.handle_answers_lost();
        variables.set_lines(&JoinLines::new("new", "ro-new", "relay.example", 22));
        let again = format!("{:?}", drain(&mut variables, "3.3a"));
        assert!(again.contains("tmate_sid 'new'") && !again.contains("wait-for"), "{again}");
    }

    #[test]
    fn named_sessions_have_a_slash_in_their_token() {
        assert_eq!(token("ssh -p2200 user/name@relay.example"), "user/name");
    }
}
