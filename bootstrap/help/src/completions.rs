//! Completions for shells: the shell's script asks the program itself what may stand there, so that
//! what changes (sessions, relays, users) can be completed, too.
//!
//! Of the script nothing is promised but that it fits the program which wrote it: whoever installs
//! it does so beside that program, or lets the shell ask for it at its start.

use clap::Command;
use clap_complete::env::{CompleteEnv, Shells};
pub use clap_complete::{
    Shell,
    engine::{
        ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
    },
};
use std::ffi::OsString;
use std::io::{Error, Write};

/// The shell's name is in it while a program is asked.
pub const VARIABLE: &str = "TERN_COMPLETE";

/// Writes the script for a shell, which finds `program` on its path.
pub fn write_script(shell: Shell, program: &str, to: &mut dyn Write) -> std::io::Result<()> {
    let shell = shell.to_string();
    let shells = Shells::builtins();
    let known = shells.completer(&shell);
    let known = known.ok_or_else(|| Error::other(format!("{shell} can't ask a program")))?;
    known.write_registration(VARIABLE, program, program, program, to)
}

/// Answers if it is a shell's script that asks; then nothing else is to be done. Before anything is
/// printed and any thread is started.
pub fn answer(command: impl Fn() -> Command, arguments: &[OsString]) -> Result<bool, clap::Error> {
    let here = std::env::current_dir().ok();
    CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .try_complete(arguments.iter().cloned(), here.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_shell_that_can_be_named_has_a_script() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            write_script(*shell, "tern-x", &mut script).expect("memory takes it");
            let script = String::from_utf8_lossy(&script);
            assert!(script.contains("tern-x") && script.contains(VARIABLE), "{shell}: {script}");
        }
    }
}
