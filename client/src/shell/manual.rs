//! The manual page, `tern man`.

use crate::shell::join::Reason;
use clap::Command;
use std::io::Write;
use tern_help::manual::Page;

/// Variables that are read besides those that stand for an option.
const VARIABLES: [(&str, &str); 6] = [
    ("TERN_LOG", "What is logged, as a filter of the Rust crate tracing-subscriber; before -v."),
    ("TERM, COLORTERM", "What the terminal of a viewer can show: truecolor, 256 colours, 16 or 8."),
    ("NO_COLOR", "If it is set and not empty, a viewer's terminal gets no colours."),
    ("SHELL", "What is shared with --no-tmux if no program is given."),
    ("XDG_RUNTIME_DIR", "Sockets are in its folder tern; without it, in /tmp/tern-UID."),
    (
        "XDG_STATE_HOME",
        "Logs, learnt host keys and the keys of this machine's relay are in its folder tern; \
         without it, in ~/.local/state/tern.",
    ),
];
const EXIT_STATUS: &str = "That of the program that was shared with `--`, or 128 and the number \
    of the signal that killed it; 127 if there is no such program, 126 if it can't be run. Else 0, \
    1 if something failed or nobody could ever join, 2 if the command line is wrong.";
const JOIN_EXIT_STATUS: &str = "Of tern join: 0 after leaving, and when the session has ended; 1 \
    also after its host has removed its viewer, or was gone for too long; 128 and the number of the \
    signal that ended it, 129 if its terminal went away; and";

/// Writes the page. `examples` are lines of a command, two blanks or more, and what it is for.
pub fn write(command: Command, examples: &str, to: &mut dyn Write) -> std::io::Result<()> {
    let page = Page {
        command,
        usages: &["tern [OPTIONS] [-- CMD ...]", "tern COMMAND [OPTIONS]"],
        variables: &VARIABLES,
        exit_status: &[EXIT_STATUS, JOIN_EXIT_STATUS],
        exit_numbers: &Reason::ALL.map(|reason| (reason.exit_status(), reason.meaning())),
        examples,
        see_also: &["tmux(1)", "ssh(1)", "tern-relay(1)"],
    };
    page.write(to)
}
