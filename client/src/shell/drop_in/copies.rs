//! What tmux reads in place of the user's files: copies in which only the names of our options are
//! others, line by line the same, so that what tmux says of a line can be said of the user's own.

use super::sourced_path::SourcedPath;
use super::sources::Sources;
use crate::core::drop_in::config_text::{self, Sourced};
use crate::shell::agents;
use crate::shell::paths::runtime_folder;
use crate::shell::tmux::shell_quoted;
use anyhow::Context;
use rustix::process::{Pid, test_kill_process};
use std::collections::BTreeMap;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// The copies, and what each is one of.
#[derive(Debug, Default)]
pub struct Copies {
    /// By the path of the user's file.
    by_original: BTreeMap<PathBuf, PathBuf>,
    /// Links to copies in folders that stand for a pattern, and the user's file.
    links: Vec<(PathBuf, PathBuf)>,
}

impl Copies {
    /// Writes those that are needed, if any, for the server at this socket.
    pub fn write(sources: &Sources, socket: &Path) -> anyhow::Result<Self> {
        let needing = sources.needing_copies();
        if !needing.contains(&true) {
            return Ok(Self::default());
        }
        let folder = folder_for(socket)?;
        let mut copies = Self::default();
        for (at, source) in sources.files.iter().enumerate().filter(|(at, _)| needing[*at]) {
            copies.by_original.insert(source.path.clone(), folder.join(format!("{at}.conf")));
        }
        let mut writer = Writer { sources, socket, folder, copies, patterns: BTreeMap::new() };
        for source in &sources.files {
            let Some(copy) = writer.copies.by_original.get(&source.path).cloned() else { continue };
            writer.write_again(&copy, &source.path)?;
            let mut failed = None;
            let text = config_text::rewritten(&source.text, |sourced| {
                let replaced = writer.in_place_of(sourced).unwrap_or_else(|error| {
                    failed = Some(error);
                    None
                });
                Some(replaced?.display().to_string())
            });
            if let Some(error) = failed {
                return Err(error);
            }
            write(&copy, &text, 0o600)?;
        }
        Ok(writer.copies)
    }

    /// Whether tmux can read the user's files themselves.
    pub fn is_empty(&self) -> bool {
        self.by_original.is_empty()
    }

    /// What tmux reads for this file of the user's.
    pub fn in_place_of<'a>(&'a self, file: &'a Path) -> &'a Path {
        self.by_original.get(file).map_or(file, PathBuf::as_path)
    }

    /// A line that begins with a copy's path, with that of the user's file.
    pub fn in_users_words(&self, line: &str) -> String {
        let copies = self.by_original.iter().map(|(original, copy)| (copy, original));
        let links = self.links.iter().map(|(link, original)| (link, original));
        let said = copies.chain(links).find_map(|(copy, original)| {
            let rest = line.strip_prefix(copy.to_str()?)?;
            Some(format!("{}{rest}", original.display()))
        });
        said.unwrap_or_else(|| line.to_owned())
    }
}

struct Writer<'a> {
    sources: &'a Sources,
    socket: &'a Path,
    folder: PathBuf,
    copies: Copies,
    /// The pattern that stands for one of the user's.
    patterns: BTreeMap<PathBuf, PathBuf>,
}

impl Writer<'_> {
    /// What is sourced in place of this; `None`: the same. A key sources the files as they are by
    /// then, by a program that makes the copies anew.
    fn in_place_of(&mut self, sourced: &Sourced) -> anyhow::Result<Option<PathBuf>> {
        let replaced = match self.sources.meant_by(&sourced.path) {
            SourcedPath::Unknown => None,
            SourcedPath::File(path) => self.copies.by_original.get(&path).cloned(),
            SourcedPath::Files { pattern, files } => self.pattern(&pattern, &files)?,
        };
        Ok(replaced.map(|path| if sourced.is_bound { again(&path) } else { path }))
    }

    /// A pattern that finds the copies of the files that the user's finds, in the same order.
    fn pattern(&mut self, pattern: &Path, files: &[PathBuf]) -> anyhow::Result<Option<PathBuf>> {
        if let Some(known) = self.patterns.get(pattern) {
            return Ok(Some(known.clone()));
        }
        let copies = files.iter().map(|file| Some((file, self.copies.by_original.get(file)?)));
        let copies = copies.collect::<Option<Vec<_>>>().filter(|copies| !copies.is_empty());
        let Some(copies) = copies else { return Ok(None) };
        let name = format!("{}.files", self.patterns.len());
        let folder = self.folder.join(name);
        let context = || format!("cannot make the folder {}", folder.display());
        // Those of before may be more.
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(context);
            }
            Ok(()) | Err(_) => {}
        }
        std::fs::create_dir(&folder).with_context(context)?;
        let mut links = Vec::new();
        for (at, (original, copy)) in copies.into_iter().enumerate() {
            let link = folder.join(format!("{at:04}"));
            symlink(copy, &link).with_context(context)?;
            links.push((link, original.clone()));
        }
        self.copies.links.append(&mut links);
        let replaced = folder.join("*");
        self.write_again(&replaced, pattern)?;
        self.patterns.insert(pattern.to_owned(), replaced.clone());
        Ok(Some(replaced))
    }

    fn write_again(&self, copy: &Path, original: &Path) -> anyhow::Result<()> {
        let program = std::env::current_exe().context("cannot find tern's own program file")?;
        let (program, socket) = (shell_quoted(&program), shell_quoted(self.socket));
        let original = shell_quoted(original);
        let script = format!("#!/bin/sh\nexec {program} -S {socket} source-file {original}\n");
        write(&again(copy), &script, 0o700)
    }
}

/// The program that sources it, as it is by then.
fn again(copy: &Path) -> PathBuf {
    match copy.parent() {
        Some(folder) if copy.ends_with("*") => folder.with_extension("again-files"),
        Some(_) | None => copy.with_extension("again"),
    }
}

/// A folder for the copies that this process makes for the server at this socket. (Each process has
/// one: what it numbers would be another's else.)
fn folder_for(socket: &Path) -> anyhow::Result<PathBuf> {
    let name = format!("{}{}", agents::config_prefix(socket), std::process::id());
    let folder = runtime_folder()?.join(name);
    let context = || format!("cannot make the folder {}", folder.display());
    // Of an earlier process with this number.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir(&folder).with_context(context)?;
    Ok(folder)
}

/// Removes all copies that were made for the server at this socket, which has ended; but not those of
/// another process that runs, for it may be about to start the next.
pub fn remove(socket: &Path) {
    let Ok(folder) = runtime_folder() else { return };
    let prefix = agents::config_prefix(socket);
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(&prefix)?.parse().ok());
        let is_needed = |maker: i32| {
            let is_ours = u32::try_from(maker) == Ok(std::process::id());
            let process = Pid::from_raw(maker);
            !is_ours && process.is_some_and(|process| test_kill_process(process).is_ok())
        };
        if maker.is_some_and(|maker| !is_needed(maker)) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
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
