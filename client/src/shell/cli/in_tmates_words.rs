//! Words in tmate's grammar: which they are, and what they mean in ours.

use super::Cli;
use super::share_args::ShareArgs;
use crate::core::drop_in::flags::{FlagError, Flags};
use crate::core::drop_in::options::Settings;
use crate::shell::drop_in::{self, Program};
use crate::shell::sharing::parse_relay;
use clap::CommandFactory;
use std::ffi::OsString;
use std::path::Path;

/// By the file name that we were called by.
pub(super) fn program_name(arguments: &[OsString]) -> Program {
    let path = arguments.first().map(Path::new);
    let is_tmate = path.and_then(Path::file_name).is_some_and(|name| name == "tmate");
    if is_tmate { Program::Tmate } else { Program::Tern }
}

/// The words in tmate's grammar, if that is what they are in.
pub(super) fn drop_in_flags(
    program: Program,
    arguments: &[OsString],
) -> Option<Result<Flags, FlagError>> {
    let command = Cli::command();
    let words = arguments.get(1..)?;
    // What tern starts by itself, by whatever name.
    let first = words.first().and_then(|word| word.to_str());
    let own = first.and_then(|word| command.find_subcommand(word));
    if own.is_some_and(clap::Command::is_hide_set) {
        return None;
    }
    let takes_value = |name: &str| {
        let argument = command.get_arguments().find(|arg| arg.get_long() == Some(name));
        argument.is_some_and(|argument| argument.get_action().takes_values())
    };
    let is_ours = |word: &str| command.find_subcommand(word).is_some() || word == "help";
    drop_in::recognise(program, words, takes_value, is_ours)
}

/// Flags that both grammars have, and long options, mean the same in both.
pub(super) fn run_drop_in(program: Program, flags: &Flags) -> anyhow::Result<u8> {
    let mut words: Vec<OsString> = vec!["tern".into()];
    words.extend(flags.long.iter().cloned());
    let values = [
        ("--name", &flags.name),
        ("--name-ro", &flags.name_ro),
        ("--api-key", &flags.api_key),
        ("--authorized-keys", &flags.authorized_keys),
        ("--config", &flags.config),
        ("--socket", &flags.socket),
    ];
    for (name, value) in values {
        if let Some(value) = value {
            words.extend([name.into(), value.clone()]);
        }
    }
    words.extend(std::iter::repeat_n("-v".into(), flags.verbosity.into()));
    let matches = Cli::command().try_get_matches_from(&words).unwrap_or_else(|error| error.exit());
    let share = ShareArgs::read(&matches);
    for relay in &share.relay_args(&Settings::default()).relays {
        parse_relay(relay)?;
    }
    drop_in::run(program, flags, &share)
}
