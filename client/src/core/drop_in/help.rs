//! What `tern COMMAND --help` tells of tmux's commands, which are called as if they were ours.

use super::options::NAMES;
use std::ffi::OsString;

/// The command about which these words ask (`set --help`, `help set`), by its whole name. tmux itself
/// has no such flag, and takes `-h` for another.
pub fn asked_about(
    words: &[OsString],
    meaning: impl Fn(&str) -> Option<&'static str>,
) -> Option<&'static str> {
    match words.iter().map(|word| word.to_str()).collect::<Option<Vec<_>>>()?.as_slice() {
        [name, "--help"] | ["help", name] => meaning(name),
        _ => None,
    }
}

/// Of tmux's command `name`, for who calls us by `program`.
pub fn text(program: &str, name: &str) -> String {
    let rest = format!(
        "`{program} {name}` is tmux's own command, run in the tmux that is shared. Where several are, -S\n\
         SOCKET before the command says which. Its flags: `man tmux`, or `{program} list-commands`.\n"
    );
    let text = match name {
        "wait-for" => format!(
            "Usage: {program} [-S SOCKET] wait [--timeout SECONDS] {program}-ready\n\
             \n\
             Waits until the session can be joined: then its join lines are there. It returns at once if it\n\
             can be already, and with status 1 when SECONDS are over or nobody will ever be able to join.\n\
             Without --timeout it is $TERN_WAIT_TIMEOUT or the option {program}-wait-timeout that counts; without\n\
             these it waits for ever. Other channels than {program}-ready are tmux's.\n\
             \n\
             Example:\n  \
             {program} -S /tmp/s new-session -d && {program} -S /tmp/s wait --timeout 30 {program}-ready &&\n    \
             {program} -S /tmp/s display -p '#{{{program}_ssh}}'\n"
        ),
        "set-option" | "set-window-option" | "show-options" | "show-window-options" => format!(
            "Usage: {program} [-S SOCKET] set -g OPTION VALUE\n       \
             {program} [-S SOCKET] set -gu OPTION           takes it back\n       \
             {program} [-S SOCKET] show -gv OPTION          prints it\n\
             \n\
             Sets an option, of tmux or of ours, in the tmux that is shared. Ours, in configuration files, too:\n\
             {}\n\
             Who may join, how long notices stay and webhooks count at once, others when the sharing begins\n\
             anew.\n\
             \n\
             Example:\n  \
             {program} set -g {program}-approve on\n",
            columns(program)
        ),
        "new-session" => format!(
            "Usage: {program} [-S SOCKET] new-session [-d] [CMD...]\n\
             \n\
             Starts a session of tmux's and shares it; with -d in the background: `{program} -S SOCKET wait\n\
             {program}-ready` tells when it can be joined.\n"
        ),
        "show-messages" => format!(
            "Usage: {program} [-S SOCKET] show-messages\n\
             \n\
             Prints the log of the sharing, with the join lines.\n"
        ),
        _ => return rest,
    };
    format!("{text}\n{rest}")
}

/// All options, as many in a line as fit.
fn columns(program: &str) -> String {
    let mut lines = vec![String::new()];
    for name in NAMES {
        let word = format!("  {program}-{name}");
        match lines.last_mut() {
            Some(line) if line.len() + word.len() <= 100 => line.push_str(&word),
            _ => lines.push(word),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::drop_in::commands::{Meaning, meaning};

    fn asked(words: &[&str]) -> Option<&'static str> {
        let words: Vec<OsString> = words.iter().map(Into::into).collect();
        asked_about(&words, |word| match meaning(word) {
            Meaning::Command(name) => Some(name),
            Meaning::Several | Meaning::None => None,
        })
    }

    #[test]
    fn help_is_asked_for_behind_a_command_or_before_it() {
        assert_eq!(asked(&["set", "--help"]), Some("set-option"));
        assert_eq!(asked(&["help", "wait"]), Some("wait-for"));
        for words in
            [&["split-window", "-h"][..], &["send-keys", "x", "--help"], &["htop", "--help"]]
        {
            assert_eq!(asked(words), None, "{words:?}");
        }
    }

    #[test]
    fn texts_name_the_program_and_fit_a_terminal() {
        for name in ["wait-for", "set-option", "new-session", "show-messages", "kill-server"] {
            for program in ["tern", "tmate"] {
                let text = text(program, name);
                assert!(text.contains(program) && text.lines().all(|it| it.len() <= 105), "{text}");
            }
        }
        let all = text("tern", "set-option");
        assert!(NAMES.iter().all(|name| all.contains(&format!("tern-{name}"))), "{all}");
    }
}
