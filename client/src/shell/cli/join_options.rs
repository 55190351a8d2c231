//! What can be said about joining.

use crate::core::prediction::display::Mode;
use crate::shell::completing;
use crate::shell::join::JoinArgs;
use crate::shell::recording::Existing;
use crate::shell::relay_options::TrustOptions;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use tern_help::completions::ArgValueCompleter;

/// What can be said about joining.
#[derive(Debug, Args)]
pub(super) struct JoinOptions {
    /// What to join: TOKEN@HOST, TOKEN@HOST:PORT, the whole `ssh TOKEN@HOST` line, or a web link
    /// (https://HOST/t/TOKEN).
    #[arg(required = true, value_name = "TOKEN@HOST",
          add = ArgValueCompleter::new(completing::join_line))]
    line: Vec<String>,
    /// The relay's SSH port, as for ssh; without one, 2200 is tried, then 22.
    #[arg(short, long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    #[command(flatten)]
    trust: TrustOptions,
    /// When to show what you type before the host has: where that takes some milliseconds, always, or
    /// never. It is underlined while it is a guess and the link is slow.
    #[arg(long, env = "TERN_PREDICT", value_name = "WHEN", value_enum, default_value_t)]
    predict: Predict,
    /// Let what is copied in the session come into the clipboard here.
    #[arg(long)]
    clipboard: bool,
    /// Record what the host shows, to be played by `tern play` or asciinema (asciicast v3). What you
    /// type is not in it, unless the session shows it.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Begin the recording's file anew, if there is one.
    #[arg(long, requires = "record", conflicts_with = "append")]
    overwrite: bool,
    /// Go on at the end of the recording's file, if there is one.
    #[arg(long, requires = "record")]
    append: bool,
    /// Leave the mouse to the terminal while the session doesn't want it: the wheel doesn't scroll
    /// then, and text is selected without Shift.
    #[arg(long)]
    no_wheel: bool,
    /// Log more (to files in ~/.local/state/tern/log). May be repeated; TERN_LOG has a filter.
    #[arg(short, action = clap::ArgAction::Count)]
    verbosity: u8,
}

/// When keys are shown before the host has echoed them.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Predict {
    /// Where the echo takes some milliseconds.
    #[default]
    Adaptive,
    /// On any link.
    Always,
    /// On none.
    Never,
}

impl From<Predict> for Mode {
    fn from(predict: Predict) -> Self {
        match predict {
            Predict::Adaptive => Self::Adaptive,
            Predict::Always => Self::Always,
            Predict::Never => Self::Never,
        }
    }
}

impl JoinOptions {
    /// For [`crate::shell::join`].
    pub(super) fn args(self) -> JoinArgs {
        let existing = match (self.overwrite, self.append) {
            (true, _) => Existing::Overwrite,
            (false, true) => Existing::Append,
            (false, false) => Existing::Keep,
        };
        JoinArgs {
            words: self.line,
            port: self.port,
            relay: self.trust.args(),
            is_clipboard_allowed: self.clipboard,
            predict: self.predict.into(),
            record: self.record.map(|path| (path, existing)),
            has_wheel: !self.no_wheel,
            verbosity: self.verbosity,
        }
    }
}
