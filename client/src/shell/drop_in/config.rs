//! The configuration that a tmux server of ours starts with. Files in which our options stand are
//! read by tmux as copies ([`Copies`]); all else stays where it is, and tmux reads the user's own
//! files.

use super::copies::Copies;
use super::sources::Sources;
use crate::core::drop_in::config_text::Mention;
use crate::core::drop_in::options::{self, BadValue, Settings, Values};
use crate::core::tmux_version::TmuxVersion;
use crate::shell::paths::home;
use anyhow::Context;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// tmux reads it before the user's, whatever `-f` says.
const SYSTEM_FILE: &str = "/etc/tmux.conf";

/// Options without which nobody else gets in and nothing goes elsewhere.
const HARMLESS: [&str; 5] =
    ["display-time", "foreground-restart", "set", "webhook-url", "webhook-userdata"];

/// By which name we were called: it decides about defaults and texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `tern`.
    Tern,
    /// `tmate`: nothing but its grammar.
    Tmate,
}

impl Program {
    /// As it was called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tern => "tern",
            Self::Tmate => "tmate",
        }
    }
}

/// The files, and what tmux is told about them.
#[derive(Debug, Default)]
pub struct Config {
    /// `-f FILE` for the server, or nothing if it finds its files itself.
    pub args: Vec<OsString>,
    sources: Sources,
    copies: Copies,
    /// What tmux reads in any case.
    roots: Vec<PathBuf>,
}

impl Config {
    /// For a server at `socket`. `named` is what `-f` says; without it the usual files are meant.
    pub fn prepare(
        program: Program,
        named: Option<&Path>,
        socket: &Path,
        version: TmuxVersion,
    ) -> anyhow::Result<Self> {
        let mut config = Self::default();
        let (files, is_default) = match named.map(Path::to_owned).or_else(|| own_file(program)) {
            Some(file) => {
                let file = std::path::absolute(file)?;
                std::fs::File::open(&file)
                    .with_context(|| format!("cannot read the configuration {}", file.display()))?;
                (vec![file], false)
            }
            None => (tmux_files(), true),
        };
        for file in &files {
            config.sources.look_into(file);
        }
        config.roots.clone_from(&files);
        config.copies = Copies::write(&config.sources, socket)?;
        if is_default && config.copies.is_empty() {
            return Ok(config);
        }
        let mut files: Vec<_> =
            files.iter().map(|file| config.copies.in_place_of(file).to_owned()).collect();
        if version.has_several_configs() {
            let system = Path::new(SYSTEM_FILE);
            if system.exists() {
                files.insert(0, system.to_owned());
            }
        } else {
            files.truncate(1);
        }
        config.args = files.into_iter().flat_map(|file| ["-f".into(), file.into()]).collect();
        Ok(config)
    }

    /// For files that are sourced in a running server; gives what tmux is to read, if it isn't they.
    pub fn for_source(
        files: &[PathBuf],
        socket: &Path,
    ) -> anyhow::Result<Option<(Self, Vec<PathBuf>)>> {
        let mut config = Self::default();
        files.iter().for_each(|file| config.sources.look_into(file));
        config.copies = Copies::write(&config.sources, socket)?;
        let read = files.iter().map(|file| config.copies.in_place_of(file).to_owned());
        let read: Vec<_> = read.collect();
        Ok((read != files).then_some((config, read)))
    }

    /// The usual files, only to be looked into: the session is in a tmux that is not ours.
    pub fn to_look_into(named: Option<&Path>) -> Self {
        let mut config = Self::default();
        if let Some(file) = named.map(Path::to_owned).or_else(|| own_file(Program::Tern)) {
            config.sources.look_into(&file);
            config.roots.push(file);
        }
        config
    }

    /// The file that everything begins with, if there is one.
    pub fn file(&self) -> Option<&Path> {
        self.sources.files.first().map(|source| source.path.as_path())
    }

    /// All files that were found.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.sources.files.iter().map(|source| source.path.as_path())
    }

    /// Complaints about options whose names begin as ours do and that there aren't.
    pub fn unknown_options(&self) -> Vec<String> {
        let unknown = self.sources.files.iter().flat_map(|source| {
            let is_comment = |line: usize| {
                let line = source.text.lines().nth(line.saturating_sub(1));
                line.is_some_and(|line| line.trim_start().starts_with('#'))
            };
            let mentions = source.mentions.iter().filter(|mention| mention.option.is_none());
            let mentions = mentions.filter(|mention| !is_comment(mention.line));
            let of_tmux = mentions.map(|mention| {
                let (path, line) = (source.path.display(), mention.line);
                format!("{path}:{line}: invalid option: {}", mention.name(&source.text))
            });
            of_tmux.collect::<Vec<_>>()
        });
        unknown.map(|line| self.complaint(&line)).collect()
    }

    /// What the options are set to, as far as that is plain without tmux: by lines that stand under
    /// no condition.
    pub fn plain_values(&self) -> Values {
        let mut values = Values::new();
        for mention in self.sources.files.iter().flat_map(|source| &source.mentions) {
            let (Some(option), Some(value)) = (mention.option, &mention.value) else { continue };
            if !mention.is_plain || mention.flags.contains(&b'u') {
                continue;
            }
            let known = values.entry(option).or_default();
            if !mention.flags.contains(&b'a') && option != "set" {
                known.clear();
            }
            known.push_str(value);
        }
        values
    }

    /// A line in which one of our options is set, under no condition, and hasn't a value in tmux: it has not
    /// read the file, or not to its end. (Of a file with an unknown command or a syntax error it carries
    /// out nothing, and of one with quotes that are never closed nothing behind them, without a word.)
    /// Who may join could stand there.
    pub fn unread(&self, values: &Values, complaints: &[String]) -> Option<String> {
        let sources = self.sources.files.iter().filter(|source| {
            let begin = format!("{}:", source.path.display());
            self.roots.contains(&source.path) || complaints.iter().any(|c| c.starts_with(&begin))
        });
        let mentions = sources.flat_map(|source| source.mentions.iter().map(move |m| (source, m)));
        let is_removed = |option: &str| {
            let all = self.sources.files.iter().flat_map(|source| &source.mentions);
            all.filter(|m| m.option == Some(option)).any(|m| m.flags.contains(&b'u'))
        };
        mentions
            .filter(|(_, mention)| mention.is_plain)
            .filter(|(_, mention)| mention.value.as_ref().is_some_and(|value| !value.is_empty()))
            .find(|(_, mention)| {
                let is_missed = |it| !HARMLESS.contains(&it) && !values.contains_key(it);
                mention.option.is_some_and(|it| is_missed(it) && !is_removed(it))
            })
            .map(|(source, mention)| {
                format!(
                    "{}:{}: tmux has not carried out this line. Mend what stands before it: an \
                     unknown command, or quotes that are never closed",
                    source.path.display(),
                    mention.line
                )
            })
    }

    /// A line in which tmux complains, with the user's own file, and what is allowed.
    pub fn complaint(&self, line: &str) -> String {
        let line = self.copies.in_users_words(line);
        let wrong = line.rsplit_once("option: ").map(|(_, name)| name.trim());
        match wrong.filter(|name| options::stem(name).is_some()) {
            // Nobody has given it the name that tmux knows it by.
            Some(name) if options::known(name).is_some() => format!(
                "{line}. It can't be set there: only tmux knows by what way it came to this file. \
                 Source the file by its path, or by a pattern"
            ),
            Some(name) => {
                let prefix = options::prefix(name);
                let allowed = options::NAMES.map(|name| format!("{prefix}{name}")).join(", ");
                format!("{line}. Allowed are {allowed}")
            }
            None => line,
        }
    }

    /// The same for a value that makes no sense to us.
    pub fn complaint_about(&self, bad: &BadValue) -> String {
        let place = self.sources.files.iter().rev().find_map(|source| {
            let is_it = |mention: &&Mention| {
                mention.option == Some(bad.name)
                    && mention.value.as_ref().is_some_and(|value| bad.value.contains(value))
            };
            let mention = source.mentions.iter().rev().find(is_it)?;
            let told = bad.called(mention.name(&source.text));
            Some(format!("{}:{}: {told}", source.path.display(), mention.line))
        });
        place.unwrap_or_else(|| bad.to_string())
    }

    /// Reads values, and says what is wrong with them.
    pub fn settings(&self, values: &Values) -> anyhow::Result<(Settings, Vec<BadValue>)> {
        Ok(Settings::read(values, &home()?))
    }
}

/// Our own configuration, if there is one.
fn own_file(program: Program) -> Option<PathBuf> {
    let home = home().ok()?;
    let names: &[&str] = match program {
        Program::Tern => &[".tern.conf", ".tmate.conf"],
        Program::Tmate => &[".tmate.conf"],
    };
    names.iter().map(|name| home.join(name)).find(|path| path.exists())
}

/// Where tmux looks for the user's configuration (`TMUX_CONF` in its `configure.ac`).
fn tmux_files() -> Vec<PathBuf> {
    let Ok(home) = home() else { return Vec::new() };
    let xdg = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let xdg = xdg.unwrap_or_else(|| home.join(".config")).join("tmux/tmux.conf");
    let files = [home.join(".tmux.conf"), xdg];
    files.into_iter().filter(|path| path.exists()).collect()
}
