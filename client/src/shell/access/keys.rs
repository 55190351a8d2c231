//! The lists of keys that let people in: a file, lines of a configuration, lists on the web.
//!
//! At the start, a list here that can't be read, or that lets nobody in, is an error. Later it lets in
//! nobody new until it is mended: who is in stays. Lists on the web are asked for while people join.

use super::fetch::Fetcher;
use crate::core::key_lists::{self, Fetched, KeyLists};
use crate::core::notice::printable;
use crate::core::wishes::Wishes;
use crate::shell::paths::home;
use anyhow::{Context, bail};
use std::collections::HashMap;
use std::fs::Metadata;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tern_bootstrap::authorized_keys::Rules;
use tern_sync::session::{ACCESS_LINES_MAX, ACCESS_SIZE_MAX, Access};
use tokio::task::{self, JoinSet};
use tokio::time::sleep_until;

/// Largest file that is read: with comments, twice what a relay is told.
const FILE_SIZE_MAX: u64 = 2 * ACCESS_SIZE_MAX as u64;
/// Why a list can't be had whose task has panicked.
const DEFECT: &str = "a defect of tern's, please report it";
/// Most lines with mistakes that are told one by one.
const FAULTS_TOLD_MAX: usize = 10;

/// All lists of a sharing.
#[derive(Debug)]
pub(super) struct Keys {
    file: Option<PathBuf>,
    lines: Vec<String>,
    /// The file as it was when it was read.
    seen: Option<Seen>,
    /// Of the file and the lines; `None`: they can't be read, and nobody new is let in.
    local: Option<Rules>,
    lists: KeyLists,
    /// Viewers are kept waiting for the first answers.
    is_waiting: bool,
    fetcher: Arc<Fetcher>,
    /// Lists that are being asked for.
    fetching: JoinSet<Fetched>,
    /// Which ones they are.
    asked: HashMap<task::Id, usize>,
}

/// What tells whether a file has changed: it may be written, or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    modified: (i64, i64),
    changed: (i64, i64),
    size: u64,
    inode: (u64, u64),
}

/// A round of reading.
#[derive(Debug)]
pub(super) struct Reading {
    /// For the relay.
    pub(super) access: Access,
    /// For the person.
    pub(super) notices: Vec<String>,
}

impl Reading {
    /// Nothing can be used.
    pub(super) fn nobody(error: &anyhow::Error) -> Self {
        let text = format!("Nobody new is let in until it is mended: {error:#}");
        Self { access: Access::Keys(Vec::new()), notices: vec![text] }
    }
}

impl Keys {
    /// Of these wishes; `None`: everybody with a token may join.
    pub(super) fn of(wishes: &Wishes) -> anyhow::Result<Option<Self>> {
        let lines = wishes.authorized_keys_lines.clone();
        if wishes.authorized_keys.is_none() && lines.is_empty() && wishes.forges.is_empty() {
            return Ok(None);
        }
        let file = wishes.authorized_keys.as_ref().map(|path| expanded(path)).transpose()?;
        let lists = KeyLists::new(key_lists::places(&wishes.forges)?, Instant::now());
        Ok(Some(Self {
            file,
            lines,
            seen: None,
            local: None,
            is_waiting: !lists.is_empty(),
            lists,
            fetcher: Fetcher::new(),
            fetching: JoinSet::new(),
            asked: HashMap::new(),
        }))
    }

    /// What the person is told first, in tmate's words.
    pub(super) fn announcements(&self) -> Vec<String> {
        let file = self.file.iter().map(|path| path.display().to_string());
        let names = file.chain(self.lists.names().map(|name| format!("the keys of {name}")));
        names.map(|name| format!("Using {name} for access control")).collect()
    }

    /// Reads what is here for the first time.
    pub(super) fn read(&mut self) -> anyhow::Result<Reading> {
        let notices = self.read_local()?;
        let access = self.access(Instant::now())?;
        Ok(Reading { access, notices })
    }

    /// Gives what the person should know.
    fn read_local(&mut self) -> anyhow::Result<Vec<String>> {
        self.local = None;
        let (mut rules, mut notices) = (Rules::default(), Vec::new());
        if let Some(path) = &self.file {
            self.seen = see(path);
            let text = read_file(path).with_context(|| {
                format!(
                    "cannot read {}, which says who may join; mend it or name another with -a",
                    path.display()
                )
            })?;
            rules.extend(judge(&path.display().to_string(), &text, &mut notices));
        }
        rules.extend(judge("authorized_keys", &self.lines.join("\n"), &mut notices));
        if rules.is_empty() && self.lists.is_empty() {
            let faults = if notices.is_empty() {
                String::new()
            } else {
                format!(" ({})", notices.join("; "))
            };
            bail!("nobody could join: {} has no usable key{faults}", self.names());
        }
        self.local = Some(rules);
        Ok(notices)
    }

    /// Reads the file again, if it has changed. Whatever can't be used lets nobody in.
    pub(super) fn read_again(&mut self) -> Option<Reading> {
        let path = self.file.as_ref()?;
        if see(path) == self.seen {
            return None;
        }
        let name = path.display().to_string();
        let read = self.read_local().map(|mut notices| {
            let count = self.local.as_ref().map_or(0, Rules::len);
            notices.push(format!("{name} has changed: it lets in {}", people(count)));
            notices
        });
        Some(self.reading(read))
    }

    /// What lists on the web have answered, when one has; never, if there are none.
    pub(super) async fn fetched(&mut self) -> Reading {
        loop {
            let now = Instant::now();
            let is_waiting = self.lists.is_waiting(now);
            if std::mem::replace(&mut self.is_waiting, is_waiting) && !is_waiting {
                return self.reading(Ok(Vec::new()));
            }
            while let Some((index, url)) = self.lists.poll_fetch(now) {
                let fetcher = Arc::clone(&self.fetcher);
                let task = self.fetching.spawn(async move { fetcher.fetch(&url).await });
                self.asked.insert(task.id(), index);
            }
            let due = self.lists.poll_timeout(now);
            tokio::select! {
                Some(joined) = self.fetching.join_next_with_id() => {
                    let (task, fetched) = match joined {
                        Ok(answered) => answered,
                        // As any other failure: it is asked for again.
                        Err(error) => (error.id(), Fetched::Failed(DEFECT.into())),
                    };
                    let index = self.asked.remove(&task).expect("each is entered when it begins");
                    let notice = self.lists.handle_fetched(index, fetched, Instant::now());
                    return self.reading(Ok(notice.into_iter().collect()));
                }
                () = sleep_until(due.unwrap_or(now).into()), if due.is_some() => {}
                else => std::future::pending().await,
            }
        }
    }

    fn reading(&self, notices: anyhow::Result<Vec<String>>) -> Reading {
        let read = notices.and_then(|notices| Ok((notices, self.access(Instant::now())?)));
        match read {
            Ok((notices, access)) => Reading { access, notices },
            Err(error) => Reading::nobody(&error),
        }
    }

    /// What the relay should be told: nothing yet, while the first answers are awaited.
    fn access(&self, now: Instant) -> anyhow::Result<Access> {
        if self.lists.is_waiting(now) {
            return Ok(Access::Unsaid);
        }
        self.known()
    }

    /// Whom what is known lets in.
    pub(super) fn known(&self) -> anyhow::Result<Access> {
        let Some(local) = &self.local else { return Ok(Access::Keys(Vec::new())) };
        let mut rules = local.clone();
        rules.extend(self.lists.rules());
        Ok(Access::Keys(written(&rules)?))
    }

    fn names(&self) -> String {
        match &self.file {
            Some(path) => path.display().to_string(),
            None => "tmate-set authorized_keys".into(),
        }
    }
}

fn people(count: usize) -> String {
    match count {
        1 => "1 key".into(),
        count => format!("{count} keys"),
    }
}

/// The lines that can be honoured; the others are told.
fn judge(name: &str, text: &str, notices: &mut Vec<String>) -> Rules {
    let (rules, faults) = Rules::parse(text);
    for fault in faults.iter().take(FAULTS_TOLD_MAX) {
        notices.push(printable(&format!("{name}, {fault}: it lets nobody in")));
    }
    if let Some(more) = faults.len().checked_sub(FAULTS_TOLD_MAX).filter(|more| *more > 0) {
        notices.push(format!("{name}: {more} more lines let nobody in"));
    }
    rules
}

/// As the relay takes them.
fn written(rules: &Rules) -> anyhow::Result<Vec<String>> {
    let lines: Vec<_> = rules.to_lines().collect();
    let size: usize = lines.iter().map(String::len).sum();
    if lines.len() > ACCESS_LINES_MAX || size > ACCESS_SIZE_MAX {
        bail!(
            "there are too many keys: {} with {size} bytes; at most {ACCESS_LINES_MAX} with \
             {ACCESS_SIZE_MAX} bytes can be used (a cert-authority line stands for many)",
            lines.len()
        );
    }
    Ok(lines)
}

fn see(path: &Path) -> Option<Seen> {
    let seen = |file: Metadata| Seen {
        modified: (file.mtime(), file.mtime_nsec()),
        changed: (file.ctime(), file.ctime_nsec()),
        size: file.len(),
        inode: (file.dev(), file.ino()),
    };
    std::fs::metadata(path).ok().map(seen)
}

fn read_file(path: &Path) -> anyhow::Result<String> {
    // A pipe or a device would never end, or be read once only.
    if !std::fs::metadata(path)?.is_file() {
        bail!("it is no file");
    }
    let mut text = String::new();
    std::fs::File::open(path)?.take(FILE_SIZE_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_SIZE_MAX {
        bail!("it is larger than {FILE_SIZE_MAX} bytes");
    }
    Ok(text)
}

/// `~/` is the home, as in tmate.
fn expanded(path: &Path) -> anyhow::Result<PathBuf> {
    match path.strip_prefix("~") {
        Ok(rest) => Ok(home()?.join(rest)),
        Err(_) => Ok(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wishes::Forges;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINxDM8/pSr4hsikr7eiRmkR4ip0mzY+/S2hTh6+Es397 alice";

    fn keys(path: &Path) -> Keys {
        let wishes = Wishes { authorized_keys: Some(path.to_owned()), ..Wishes::default() };
        Keys::of(&wishes).expect("a home").expect("a list")
    }

    fn lines(reading: &Reading) -> Vec<String> {
        match &reading.access {
            Access::Keys(lines) => lines.clone(),
            Access::Unsaid | Access::Everybody => panic!("{reading:?}"),
        }
    }

    #[test]
    fn change_counts_and_a_file_that_goes_lets_nobody_new_in() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys");
        std::fs::write(&path, format!("{KEY}\nnonsense\n")).expect("written");
        let mut keys = keys(&path);
        let read = keys.read().expect("a key");
        assert_eq!(lines(&read), [KEY]);
        assert!(read.notices[0].contains("line 2"), "{:?}", read.notices);
        assert!(keys.read_again().is_none(), "nothing is new");
        std::fs::write(&path, format!("read-only {KEY}\n")).expect("written");
        let read = keys.read_again().expect("it is new");
        assert_eq!(lines(&read), [format!("read-only {KEY}")]);
        std::fs::remove_file(&path).expect("it was there");
        let read = keys.read_again().expect("it is gone");
        assert!(lines(&read).is_empty());
        assert!(read.notices[0].contains("Nobody new"), "{:?}", read.notices);
        assert!(keys.read_again().is_none(), "told once");
        std::fs::write(&path, KEY).expect("written");
        assert_eq!(lines(&keys.read_again().expect("it is back")), [KEY]);
    }

    #[test]
    fn list_that_lets_nobody_in_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys");
        let error = keys(&path).read().expect_err("no file");
        assert!(format!("{error:#}").contains("cannot read"), "{error:#}");
        std::fs::write(&path, "# nobody\ncommand=\"x\" ssh-ed25519\n").expect("written");
        let error = keys(&path).read().expect_err("no key").to_string();
        assert!(error.contains("no usable key") && error.contains("line 2"), "{error}");
        let error = keys(folder.path()).read().expect_err("no file");
        assert!(format!("{error:#}").contains("no file"), "{error:#}");
    }

    #[tokio::test]
    async fn list_whose_task_has_panicked_is_asked_for_again() {
        let forges = Forges { github_users: vec!["alice".into()], ..Forges::default() };
        let wishes = Wishes { forges, ..Wishes::default() };
        let mut keys = Keys::of(&wishes).expect("a user").expect("a list");
        let (index, _) = keys.lists.poll_fetch(Instant::now()).expect("it is due");
        let task = keys.fetching.spawn(async { panic!("as a defect would") });
        keys.asked.insert(task.id(), index);
        let reading = keys.fetched().await;
        assert!(reading.notices[0].contains("trying again"), "{:?}", reading.notices);
        let later = Instant::now() + key_lists::FIRST_TIME_MAX;
        assert!(keys.lists.poll_timeout(later).is_some() && keys.asked.is_empty());
        assert!(keys.lists.poll_fetch(later).is_some());
    }
}
