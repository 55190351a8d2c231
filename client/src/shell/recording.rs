//! `tern join --record`: the file that a recording is written to.
//!
//! A thread of its own writes it, so that a slow disk holds up nothing; what it has no time for is
//! skipped, as on a slow terminal. Each line is written as it happens, at once and whole: whatever
//! ends this process, what is lost is the line that was being written.

use crate::core::cast::recorder::Recorder;
use crate::core::cast::{LINE_BYTES_MAX, read_header};
use crate::shell::board::unix_time;
use anyhow::{Context, bail};
use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};
use tern_term::Frame;

/// Things that wait for the disk: two seconds of frames at 60 a second. Beyond, frames are skipped.
const QUEUE_MAX: usize = 120;
/// How long the disk may take what is on its way to it, at the end.
const FINISH_TIME_MAX: Duration = Duration::from_secs(3);
/// Nobody else reads what was on a screen.
const MODE: u32 = 0o600;

/// What to do with a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it alone: nothing is recorded.
    Keep,
    /// Begin it anew.
    Overwrite,
    /// Go on at its end.
    Append,
}

/// A file that is open, and has nothing of this recording in it yet.
#[derive(Debug)]
pub struct Target {
    file: File,
    path: PathBuf,
    /// It has a header.
    has_begun: bool,
    /// It was not there before.
    is_new: bool,
}

/// A recording under way.
pub struct Recording {
    path: PathBuf,
    start: Instant,
    entries: SyncSender<Entry>,
    /// What the queue had no room for.
    skipped: Option<(Duration, Frame)>,
    /// Says how the thread ended.
    ended: Receiver<std::io::Error>,
    /// Why it failed, once that is known.
    failure: Option<String>,
}

enum Entry {
    Frame(Duration, Frame),
    Marker(Duration, &'static str),
    End(Duration, u8),
}

impl Target {
    /// Opens or makes the file.
    pub fn open(path: &Path, existing: Existing) -> anyhow::Result<Self> {
        let name = path.display();
        let mut options = File::options();
        options.read(true).write(true).mode(MODE);
        let created = options.clone().create_new(true).open(path);
        let (mut file, is_new) = match created {
            Ok(file) => (file, true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                // Something that can only be written to is no place to append to.
                options.read(existing == Existing::Append);
                (options.open(path).with_context(|| format!("cannot write to {name}"))?, false)
            }
            Err(error) => return Err(error).context(format!("cannot make {name}")),
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => bail!("{name} is being recorded to by another tern"),
            // Not every file system can lock.
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        let metadata = file.metadata().with_context(|| format!("cannot use {name}"))?;
        let mut has_begun = false;
        if metadata.is_file() && metadata.len() > 0 {
            match existing {
                Existing::Keep => bail!(
                    "{name} exists already: name another file, or say --overwrite or --append"
                ),
                Existing::Overwrite => {
                    file.set_len(0).context(format!("cannot write to {name}"))?
                }
                Existing::Append => {
                    prepare_to_append(&mut file)
                        .with_context(|| format!("cannot append to {name}"))?;
                    has_begun = true;
                }
            }
        }
        if metadata.is_file() {
            let private = std::fs::Permissions::from_mode(MODE);
            file.set_permissions(private).context(format!("cannot make {name} private"))?;
        }
        Ok(Self { file, path: path.to_owned(), has_begun, is_new })
    }

    /// Begins the recording.
    pub fn start(self, title: &str) -> Recording {
        let (entries, queue) = sync_channel(QUEUE_MAX);
        let (end, ended) = sync_channel(1);
        let (path, start) = (self.path.clone(), Instant::now());
        let recorder = Recorder::new(title, unix_time(), self.has_begun);
        std::thread::spawn(move || {
            if let Err(error) = self.write(recorder, &queue) {
                let _ = end.try_send(error);
            }
        });
        Recording { path, start, entries, skipped: None, ended, failure: None }
    }

    /// Until the recording is dropped.
    fn write(mut self, mut recorder: Recorder, queue: &Receiver<Entry>) -> std::io::Result<()> {
        for entry in queue {
            let lines = match entry {
                Entry::Frame(at, frame) => recorder.handle_frame(&frame, at),
                Entry::Marker(at, text) => recorder.handle_marker(text, at),
                Entry::End(at, exit_status) => recorder.handle_end(exit_status, at),
            };
            self.file.write_all(lines.as_bytes())?;
            self.has_begun |= recorder.has_begun();
        }
        Ok(())
    }
}

impl Drop for Target {
    /// A file that was made for nothing goes.
    fn drop(&mut self) {
        if self.is_new && !self.has_begun {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Goes to the end of a recording: after its last whole line, since one that was cut would make all
/// that follows unreadable.
fn prepare_to_append(file: &mut File) -> anyhow::Result<()> {
    let mut line = String::new();
    let limit = u64::try_from(LINE_BYTES_MAX).expect("it fits");
    // What is no text is no recording either.
    let _ = BufReader::new((&*file).take(limit)).read_line(&mut line);
    match read_header(&line) {
        Ok(header) if !header.is_appendable() => {
            bail!("it is of an older version than the one that is recorded (3): name another file")
        }
        Ok(_) => {}
        Err(reason) => bail!("{reason}"),
    }
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut block = [0; 4096];
    loop {
        let start = end.saturating_sub(block.len() as u64);
        let part = &mut block[..usize::try_from(end - start).expect("a block's size")];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            file.set_len(start + at as u64 + 1)?;
            break;
        }
        // The header has a newline, unless it is all there is.
        if start == 0 {
            file.seek(SeekFrom::End(0))?;
            file.write_all(b"\n")?;
            break;
        }
        end = start;
    }
    file.seek(SeekFrom::End(0))?;
    Ok(())
}

impl Recording {
    /// The shared screen looks like this.
    pub fn handle_frame(&mut self, frame: &Frame) {
        let at = self.start.elapsed();
        // A newer picture takes the place of one that waits.
        self.skipped = None;
        if let Some(Entry::Frame(at, frame)) = self.push(Entry::Frame(at, frame.clone())) {
            self.skipped = Some((at, frame));
        }
    }

    /// Something of note happened.
    pub fn handle_marker(&mut self, text: &'static str) {
        let at = self.start.elapsed();
        self.push_skipped();
        self.push(Entry::Marker(at, text));
    }

    fn push_skipped(&mut self) {
        if let Some((at, frame)) = self.skipped.take()
            && let Some(Entry::Frame(at, frame)) = self.push(Entry::Frame(at, frame))
        {
            self.skipped = Some((at, frame));
        }
    }

    /// Gives back what there was no room for.
    fn push(&mut self, entry: Entry) -> Option<Entry> {
        match self.entries.try_send(entry) {
            Ok(()) => None,
            Err(TrySendError::Full(entry)) => Some(entry),
            Err(TrySendError::Disconnected(_)) => {
                let failure = self.ended.try_recv().ok().map(|error| self.describe(&error));
                self.failure = self.failure.take().or(failure);
                None
            }
        }
    }

    /// For the person, if it failed.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    fn describe(&self, error: &std::io::Error) -> String {
        format!("the recording {} ends too early: {error}", self.path.display())
    }

    /// The session ended. Tells what was wrong, if the recording isn't whole.
    pub fn finish(mut self, exit_status: u8) -> Result<(), String> {
        let at = self.start.elapsed();
        self.push_skipped();
        let unsent = self.push(Entry::End(at, exit_status)).is_some() || self.skipped.is_some();
        let Self { path, entries, ended, failure, .. } = self;
        drop(entries);
        let reason = match ended.recv_timeout(FINISH_TIME_MAX) {
            Err(RecvTimeoutError::Disconnected) if failure.is_none() && !unsent => return Ok(()),
            Err(RecvTimeoutError::Disconnected) if failure.is_none() => "its end is missing".into(),
            Err(RecvTimeoutError::Timeout) => "the disk doesn't answer".into(),
            Err(RecvTimeoutError::Disconnected) => String::new(),
            Ok(error) => error.to_string(),
        };
        let told = format!("the recording {} ends too early: {reason}", path.display());
        Err(failure.unwrap_or(told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_term::Size;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    fn record(path: &Path, existing: Existing, line: &str) -> anyhow::Result<()> {
        let mut recording = Target::open(path, existing)?.start("a title");
        recording.handle_frame(&Frame::from_lines(Size { cols: 20, rows: 2 }, [line]));
        recording.finish(0).expect("it is written");
        Ok(())
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).expect("it is there")
    }

    #[test]
    fn file_is_for_its_owner_only_and_is_not_overwritten_by_accident() {
        let folder = folder();
        let path = folder.path().join("a.cast");
        record(&path, Existing::Keep, "first").expect("there is none yet");
        let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let error = record(&path, Existing::Keep, "second").expect_err("it is there");
        assert!(error.to_string().contains("--overwrite or --append"), "{error}");
        assert!(read(&path).contains("first"));
        record(&path, Existing::Overwrite, "second").expect("it was said");
        assert!(!read(&path).contains("first") && read(&path).contains("second"));
        assert_eq!(read(&path).matches("version").count(), 1);
    }

    #[test]
    fn recording_goes_on_after_the_last_whole_line_of_another() {
        let folder = folder();
        let path = folder.path().join("a.cast");
        record(&path, Existing::Append, "first").expect("there is none yet");
        let whole = read(&path);
        // A crash, in the middle of a line.
        std::fs::write(&path, format!("{whole}[1.0, \"o\", \"cut")).expect("our own");
        record(&path, Existing::Append, "second").expect("it is one");
        let all = read(&path);
        assert!(all.starts_with(&whole) && !all.contains("cut"), "{all}");
        assert!(all.contains("second"), "{all}");
        assert_eq!(all.matches("version").count(), 1);
    }

    #[test]
    fn nothing_is_appended_to_what_is_no_recording() {
        let folder = folder();
        let path = folder.path().join("a.txt");
        for text in ["a letter\n", "{\"version\": 2, \"width\": 80, \"height\": 24}\n", "\0\u{1}"] {
            std::fs::write(&path, text).expect("our own");
            record(&path, Existing::Append, "x").expect_err("it is none");
            assert_eq!(read(&path), text);
        }
    }

    #[test]
    fn recording_of_nothing_leaves_no_file() {
        let folder = folder();
        let path = folder.path().join("a.cast");
        Target::open(&path, Existing::Keep).expect("a new one").start("t").finish(1).expect("good");
        assert!(!path.exists());
        std::fs::write(&path, "").expect("our own");
        record(&path, Existing::Keep, "x").expect("an empty file has nothing to lose");
    }

    #[test]
    fn file_that_is_being_recorded_to_is_not_used_twice() {
        let folder = folder();
        let path = folder.path().join("a.cast");
        let _first = Target::open(&path, Existing::Keep).expect("a new one");
        let error = Target::open(&path, Existing::Append).expect_err("it is in use");
        assert!(error.to_string().contains("another tern"), "{error}");
    }

    #[test]
    fn full_disk_is_told() {
        let mut recording =
            Target::open(Path::new("/dev/full"), Existing::Keep).expect("a device").start("t");
        recording.handle_frame(&Frame::from_lines(Size { cols: 20, rows: 2 }, ["x"]));
        let told = recording.finish(0).expect_err("there is no room");
        assert!(told.contains("/dev/full") && told.contains("space"), "{told}");
    }
}
