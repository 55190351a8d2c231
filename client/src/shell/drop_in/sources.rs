//! A configuration's files, as far as they can be found without tmux, and which of them tmux has to
//! read as copies.

use super::sourced_path::{SourcedPath, expanded};
use crate::core::drop_in::config_text::{self, Mention};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Largest file that is looked into; real ones have some ten thousand bytes.
const FILE_SIZE_MAX: u64 = 1024 * 1024;
/// Most files that are looked into, each sourcing another.
const FILES_MAX: usize = 200;

/// A file that was looked into.
#[derive(Debug)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub text: String,
    /// Where our options stand in it.
    pub mentions: Vec<Mention>,
}

/// The files.
#[derive(Debug, Default)]
pub struct Sources {
    /// In the order in which they were found.
    pub files: Vec<Source>,
    /// What the files give variables, by which others are found; `None` if it can't be told.
    variables: BTreeMap<String, Option<String>>,
}

impl Sources {
    /// Looks into a file, and into those that it sources.
    pub fn look_into(&mut self, path: &Path) {
        if self.position(path).is_some() || self.files.len() == FILES_MAX {
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
        self.learn_variables(&text);
        self.files.push(Source { path: path.to_owned(), text, mentions });
        for sourced in sourced {
            for path in self.meant_by(&sourced.path).files() {
                self.look_into(path);
            }
        }
    }

    /// Which one this is.
    pub fn position(&self, path: &Path) -> Option<usize> {
        self.files.iter().position(|source| source.path == path)
    }

    /// What a path means that is sourced.
    pub fn meant_by(&self, text: &str) -> SourcedPath {
        SourcedPath::read(text, |name| self.variable(name))
    }

    /// For each file whether it needs a copy: if our options are in it, if it sources one that needs
    /// one, and if it is sourced together with one, by a pattern, which leads to one folder.
    pub fn needing_copies(&self) -> Vec<bool> {
        let mut needing: Vec<bool> =
            self.files.iter().map(|source| !source.mentions.is_empty()).collect();
        let sourced: Vec<Vec<Vec<usize>>> =
            self.files.iter().map(|source| self.sourced_by(source)).collect();
        loop {
            let mut is_settled = true;
            for (at, groups) in sourced.iter().enumerate() {
                for group in groups {
                    if group.iter().any(|&one| needing[one]) {
                        for one in group.iter().chain([&at]) {
                            is_settled &= std::mem::replace(&mut needing[*one], true);
                        }
                    }
                }
            }
            if is_settled {
                return needing;
            }
        }
    }

    /// Of each command, which other files it leads to.
    fn sourced_by(&self, source: &Source) -> Vec<Vec<usize>> {
        let sourced = config_text::sourced(&source.text);
        let groups = sourced.iter().map(|sourced| {
            let meant = self.meant_by(&sourced.path);
            meant.files().iter().filter_map(|path| self.position(path)).collect()
        });
        groups.collect()
    }

    fn learn_variables(&mut self, text: &str) {
        for (name, value) in config_text::assignments(text) {
            let value = value.and_then(|text| expanded(&text, |name| self.variable(name)));
            // Of several values, conditions may choose.
            let is_clear = self.variables.get(&name).is_none_or(|known| *known == value);
            self.variables.insert(name, value.filter(|_| is_clear));
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        match self.variables.get(name) {
            Some(value) => value.clone(),
            None => std::env::var(name).ok(),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn looked_into(files: &[(&str, &str)]) -> (tempfile::TempDir, Sources) {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it is in a folder")).expect("ours");
            let text = text.replace("HERE", &folder.path().display().to_string());
            std::fs::write(path, text).expect("our own folder");
        }
        let mut sources = Sources::default();
        sources.look_into(&folder.path().join(files[0].0));
        (folder, sources)
    }

    fn needing(sources: &Sources) -> Vec<&str> {
        let needing = sources.needing_copies().into_iter();
        let files = sources.files.iter().zip(needing).filter(|(_, is_needed)| *is_needed);
        files
            .map(|(source, _)| source.path.file_name().and_then(|name| name.to_str()))
            .map(|name| name.expect("a name of ours"))
            .collect()
    }

    #[test]
    fn what_sources_a_file_with_our_options_needs_a_copy_too() {
        let (_folder, sources) = looked_into(&[
            ("a", "source HERE/b\nsource HERE/c\n"),
            ("b", "set -g status on\n"),
            ("c", "source -q HERE/d\n"),
            ("d", "set -g tmate-api-key x\nsource HERE/a\n"),
        ]);
        assert_eq!(needing(&sources), ["a", "c", "d"]);
    }

    #[test]
    fn what_is_sourced_by_one_pattern_is_copied_together() {
        let (_folder, sources) = looked_into(&[
            ("a", "D=HERE/conf.d\nsource \"$D/*.conf\"\n"),
            ("conf.d/1.conf", "set -g status on\n"),
            ("conf.d/2.conf", "set -g tmate-api-key x\n"),
            ("conf.d/3.txt", "set -g tmate-api-key x\n"),
        ]);
        assert_eq!(needing(&sources), ["a", "1.conf", "2.conf"]);
    }

    #[test]
    fn variable_with_two_values_leads_nowhere() {
        let (_folder, sources) = looked_into(&[
            ("a", "%if x\nD=HERE/b\n%else\nD=HERE/c\n%endif\nsource $D\n"),
            ("b", "set -g tmate-api-key x\n"),
            ("c", ""),
        ]);
        assert_eq!(sources.files.len(), 1);
    }
}
