//! The manual page, `tern-relay man`.

use crate::args::{Arguments, EXAMPLES};
use clap::CommandFactory as _;
use std::io::Write;
use tern_help::manual::Page;

/// Variables that are read besides those that stand for an option.
const VARIABLES: [(&str, &str); 4] = [
    ("TERN_LOG, RUST_LOG", "As --log-level, where that is not given; the first counts."),
    ("NO_COLOR", "If it is set and not empty, log lines on a terminal have no colours."),
    ("XDG_STATE_HOME", "The data folder is in it, where --data is not given; not for root."),
    (
        "SSL_CERT_FILE",
        "Certificates by which the mail server and PostgreSQL are known over TLS, \
     in place of the system's.",
    ),
];
const EXIT_STATUS: &str = "0 after SIGTERM or Ctrl-C, when everybody was told, and after a command \
    that was carried out; 130 after a second signal, when not everybody was; 1 if something failed, \
    2 if the command line is wrong.";

/// Writes the page.
pub(crate) fn write(to: &mut dyn Write) -> std::io::Result<()> {
    let page = Page {
        command: Arguments::command(),
        usages: &["tern-relay [OPTIONS]", "tern-relay COMMAND [OPTIONS]"],
        variables: &VARIABLES,
        exit_status: &[EXIT_STATUS],
        exit_numbers: &[],
        examples: EXAMPLES,
        see_also: &["tern(1)", "ssh(1)", "sshd(8)"],
    };
    page.write(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_has_every_option_and_command() {
        let mut page = Vec::new();
        write(&mut page).expect("memory takes it");
        let page = String::from_utf8_lossy(&page).replace("\\-", "-");
        let command = Arguments::command();
        for long in command.get_arguments().filter_map(|argument| argument.get_long()) {
            assert!(page.contains(&format!("--{long}")), "{long}");
        }
        for part in [
            "tern-relay user add",
            "tern-relay key revoke",
            "tern-relay completions",
            "TERN_RELAY_DATABASE",
            "EXIT STATUS",
            "prints her API key",
            "tern\\fR(1)",
        ] {
            assert!(page.contains(part), "{part}");
        }
    }
}
