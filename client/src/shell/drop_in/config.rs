//! The configuration that a tmux server of ours starts with. Files in which our options stand are
//! read by tmux as copies in which only names are others ([`config_text`]); all else stays where it
//! is, and tmux reads the user's own files.

use crate::core::drop_in::config_text::{self, Mention};
use crate::core::drop_in::options::{self, BadValue, Settings, Values};
use crate::core::tmux_version::TmuxVersion;
use crate::shell::paths::{home, runtime_folder};
use crate::shell::tmux::shell_quoted;
use anyhow::Context;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Largest file that is looked into; real ones have some ten thousand bytes.
const FILE_SIZE_MAX: u64 = 1024 * 1024;
/// Most files that are looked into, each sourcing another.
const FILES_MAX: usize = 200;
/// tmux reads it before the user's, whatever `-f` says.
const SYSTEM_FILE: &str = "/etc/tmux.conf";

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

/// A file that was looked into.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    text: String,
    mentions: Vec<Mention>,
    /// What tmux reads in its place.
    copy: Option<PathBuf>,
}

/// The files, and what tmux is told about them.
#[derive(Debug, Default)]
pub struct Config {
    /// `-f FILE` for the server, or nothing if it finds its files itself.
    pub args: Vec<OsString>,
    sources: Vec<Source>,
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
            config.look_into(file);
        }
        config.write_copies(socket)?;
        if is_default && config.sources.iter().all(|source| source.copy.is_none()) {
            return Ok(config);
        }
        let mut files: Vec<_> =
            files.iter().map(|file| config.read_in_place_of(file).to_owned()).collect();
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

    /// For a file that is sourced in a running server; gives what tmux is to read.
    pub fn for_source(file: &Path, socket: &Path) -> anyhow::Result<(Self, PathBuf)> {
        let mut config = Self::default();
        let file = std::path::absolute(file)?;
        config.look_into(&file);
        config.write_copies(socket)?;
        let path = config.read_in_place_of(&file).to_owned();
        Ok((config, path))
    }

    /// The usual files, only to be looked into: the session is in a tmux that is not ours.
    pub fn to_look_into(named: Option<&Path>) -> Self {
        let mut config = Self::default();
        if let Some(file) = named.map(Path::to_owned).or_else(|| own_file(Program::Tern)) {
            config.look_into(&file);
        }
        config
    }

    /// What the options are set to, as far as that is plain without tmux: by lines that stand under
    /// no condition.
    pub fn plain_values(&self) -> Values {
        let mut values = Values::new();
        for mention in self.sources.iter().flat_map(|source| &source.mentions) {
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

    /// A line in which tmux complains, with the user's own file, and what is allowed.
    pub fn complaint(&self, line: &str) -> String {
        let copied = self.sources.iter().find_map(|source| {
            let copy = source.copy.as_ref()?.to_str()?;
            Some(format!("{}{}", source.path.display(), line.strip_prefix(copy)?))
        });
        let line = copied.unwrap_or_else(|| line.to_owned());
        let wrong = line.rsplit_once("option: ").map(|(_, name)| name.trim());
        match wrong.filter(|name| options::stem(name).is_some()) {
            Some(_) => {
                let allowed = options::NAMES.map(|name| format!("tmate-{name}")).join(", ");
                format!("{line}. Allowed are {allowed}")
            }
            None => line,
        }
    }

    /// The same for a value that makes no sense to us.
    pub fn complaint_about(&self, bad: &BadValue) -> String {
        let place = self.sources.iter().rev().find_map(|source| {
            let is_it = |mention: &&Mention| {
                mention.option == Some(bad.name)
                    && mention.value.as_ref().is_some_and(|value| bad.value.contains(value))
            };
            let mention = source.mentions.iter().rev().find(is_it)?;
            Some(format!("{}:{}: ", source.path.display(), mention.line))
        });
        format!("{}{bad}", place.unwrap_or_default())
    }

    /// Reads values, and says what is wrong with them.
    pub fn settings(&self, values: &Values) -> anyhow::Result<(Settings, Vec<BadValue>)> {
        Ok(Settings::read(values, &home()?))
    }

    fn read_in_place_of<'a>(&'a self, file: &'a Path) -> &'a Path {
        let source = self.sources.iter().find(|source| source.path == file);
        source.and_then(|source| source.copy.as_deref()).unwrap_or(file)
    }

    fn look_into(&mut self, path: &Path) {
        let is_known = self.sources.iter().any(|source| source.path == path);
        if is_known || self.sources.len() == FILES_MAX {
            return;
        }
        let is_small = std::fs::metadata(path).is_ok_and(|status| status.len() <= FILE_SIZE_MAX);
        // What isn't there or isn't text is tmux's to complain about.
        let Some(text) = is_small.then(|| std::fs::read_to_string(path).ok()).flatten() else {
            return;
        };
        let text = with_its_own_folder(&text, path);
        let mentions = config_text::mentions(&text);
        let sourced = config_text::sourced(&text);
        self.sources.push(Source { path: path.to_owned(), text, mentions, copy: None });
        for sourced in sourced {
            if let Some(path) = literal_path(&sourced.path) {
                self.look_into(&path);
            }
        }
    }

    /// A file needs a copy if our options are in it, or if it sources one that does.
    fn write_copies(&mut self, socket: &Path) -> anyhow::Result<()> {
        let mut needing: Vec<bool> =
            self.sources.iter().map(|source| !source.mentions.is_empty()).collect();
        if !needing.contains(&true) {
            return Ok(());
        }
        let sourced: Vec<Vec<usize>> =
            self.sources.iter().map(|source| self.sourced_by(source)).collect();
        while let Some(at) =
            (0..needing.len()).find(|&at| !needing[at] && sourced[at].iter().any(|&s| needing[s]))
        {
            needing[at] = true;
        }
        let folder = folder_for(socket)?;
        for (at, source) in self.sources.iter_mut().enumerate() {
            if needing[at] {
                source.copy = Some(folder.join(format!("{at}.conf")));
            }
        }
        let copies: BTreeMap<PathBuf, (usize, PathBuf)> = self
            .sources
            .iter()
            .enumerate()
            .filter_map(|(at, source)| Some((source.path.clone(), (at, source.copy.clone()?))))
            .collect();
        for source in &self.sources {
            let Some(copy) = &source.copy else { continue };
            let text = config_text::rewritten(&source.text, |sourced| {
                let (at, copy) = copies.get(&literal_path(&sourced.path)?)?;
                let again = folder.join(format!("{at}.again"));
                let path = if sourced.is_bound { &again } else { copy };
                Some(path.display().to_string())
            });
            write(copy, &text, 0o600)?;
        }
        for (path, (at, _)) in &copies {
            // When a key sources a file, it is the file as it is by then.
            let program = std::env::current_exe().context("cannot find tern's own program file")?;
            let (program, socket) = (shell_quoted(&program), shell_quoted(socket));
            let path = shell_quoted(path);
            let script = format!("#!/bin/sh\nexec {program} -S {socket} source-file {path}\n");
            write(&folder.join(format!("{at}.again")), &script, 0o700)?;
        }
        Ok(())
    }

    fn sourced_by(&self, source: &Source) -> Vec<usize> {
        config_text::sourced(&source.text)
            .iter()
            .filter_map(|sourced| {
                let path = literal_path(&sourced.path)?;
                self.sources.iter().position(|source| source.path == path)
            })
            .collect()
    }
}

/// The copies' folder of the server at this socket. Who removes it knows no more than the socket.
pub fn folder_for(socket: &Path) -> anyhow::Result<PathBuf> {
    let folder = runtime_folder()?.join(crate::shell::agents::config_name(socket));
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    Ok(folder)
}

fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    use std::io::Write;
    let context = || format!("cannot write {}", path.display());
    let mut options = std::fs::File::options();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .with_context(context)?;
    file.set_permissions(std::fs::Permissions::from_mode(mode)).with_context(context)?;
    file.write_all(text.as_bytes()).with_context(context)
}

/// A copy stands elsewhere, but means the folder of what it is a copy of.
fn with_its_own_folder(text: &str, path: &Path) -> String {
    if !text.contains("current_file") {
        return text.to_owned();
    }
    let folder = path.parent().unwrap_or(Path::new("/")).display().to_string();
    text.replace("#{d:current_file}", &folder)
        .replace("#{current_file}", &path.display().to_string())
}

/// The path that this means, if no format, pattern or program's output is in it.
fn literal_path(text: &str) -> Option<PathBuf> {
    let home = home().ok()?;
    let home_text = home.to_str()?;
    let text = match text.strip_prefix("~/") {
        Some(rest) => format!("{home_text}/{rest}"),
        None => text.replace("${HOME}", home_text).replace("$HOME", home_text),
    };
    let text = match std::env::var("XDG_CONFIG_HOME") {
        Ok(folder) => {
            text.replace("${XDG_CONFIG_HOME}", &folder).replace("$XDG_CONFIG_HOME", &folder)
        }
        Err(_) => text,
    };
    let is_literal = !text.is_empty() && text != "-" && !text.contains(['$', '*', '?', '[', '#']);
    is_literal.then(|| std::path::absolute(&text).ok()).flatten()
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
