//! What scrolled off the active pane, as tmux keeps it: when tmux is asked, what of the answer is
//! new, and what viewers may have of it.
//!
//! tmux tells how many lines it keeps, not how many scrolled off; at its limit it drops some, and a program
//! may clear them all. So what is new is found by the lines themselves: those that were the last the last
//! time are looked for.
//! A viewer never gets what had scrolled off before the sharing began.

use crate::core::keys_place::status_rows;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tern_sync::scrollback::{LINES_MAX, Place, Scrollback};
use tern_term::Clusters;
use tern_term::scrollback::{Lines, blocks_of};

/// Format of the line for `display-message`: the active pane, how many lines it keeps, how many bytes,
/// where it is, whether a full-screen program has it.
pub const HISTORY_FORMAT: &str = "h\t#{pane_id}\t#{history_size}\t#{history_bytes}\t\
                                  #{pane_width}\t#{pane_height}\t#{pane_left}\t#{pane_top}\t\
                                  #{alternate_on}\t#{status}\t#{status-position}";
/// Format of a line for `list-panes -a`, asked when the sharing begins.
pub const BEFORE_FORMAT: &str = "b\t#{pane_id}\t#{history_size}\t#{pane_width}";
/// Time between two questions, while the screen changes.
pub const INTERVAL: Duration = Duration::from_millis(200);
/// The same in a flood: nobody reads along, and each answer is all that tmux keeps (some 10 ms of its
/// time).
const FLOOD_INTERVAL: Duration = Duration::from_secs(2);
/// How long it is a flood after there was more output than is read, or more scrolled off than could be
/// followed. When it is none any more, tmux is asked.
const FLOOD_TIME: Duration = Duration::from_secs(1);
/// How long what was captured is believed while tmux has as many lines and bytes as then: it may have
/// dropped as many as came, or was cleared and filled again. Then a few are captured in order to see, at
/// most so often: that takes a process.
const DOUBT_INTERVAL: Duration = Duration::from_secs(2);
/// Lines by which the place is found where new ones begin.
const OVERLAP: usize = 32;

/// The machine.
#[derive(Debug)]
pub struct PaneHistory {
    clusters: Clusters,
    is_wanted: bool,
    /// Something was drawn that tmux wasn't asked about.
    is_old: bool,
    /// tmux was asked since, and has as much as before.
    is_doubtful: bool,
    asked: Asked,
    created_at: Instant,
    answered_at: Option<Instant>,
    flooded_until: Instant,
    /// Until then what was captured is believed.
    believed_until: Instant,
    seen: Option<Header>,
    /// The last lines that were seen.
    tail: Lines,
    /// Number of the next line.
    next_line: u64,
    source: u32,
    kept: Scrollback,
    /// `kept` is another one since it was given.
    is_changed: bool,
    /// What the panes kept already when the sharing began.
    before: BTreeMap<u32, Before>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    /// How many lines there are.
    Size,
    /// The lines; `true`: all that may be of use.
    Lines(bool),
}

#[derive(Debug, Clone, Copy)]
struct Before {
    lines_count: usize,
    cols: u16,
}

/// tmux's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    pane: u32,
    lines_count: usize,
    byte_count: u64,
    place: Place,
}

impl Header {
    fn is_same_text(&self, other: &Self) -> bool {
        self.pane == other.pane && self.place.cols == other.place.cols
    }
}

impl PaneHistory {
    /// Of a tmux that puts characters into cells like this.
    pub fn new(clusters: Clusters, now: Instant) -> Self {
        Self {
            clusters,
            is_wanted: false,
            is_old: false,
            is_doubtful: false,
            asked: Asked::Nothing,
            created_at: now,
            answered_at: None,
            flooded_until: now,
            believed_until: now,
            seen: None,
            tail: Lines::default(),
            next_line: 0,
            source: 0,
            kept: Scrollback::default(),
            is_changed: false,
            before: BTreeMap::new(),
        }
    }

    /// What viewers may have.
    pub fn kept(&self) -> &Scrollback {
        &self.kept
    }

    /// The same, if it is another one since this was last asked.
    pub fn poll_change(&mut self) -> Option<Scrollback> {
        std::mem::take(&mut self.is_changed).then(|| self.kept.clone())
    }

    /// The sharing begins; these are the panes.
    pub fn handle_before<'a>(&mut self, lines: impl Iterator<Item = &'a str>) {
        for line in lines {
            let mut fields = line.split('\t').skip(1);
            let mut field = || fields.next();
            let pane = field().and_then(|id| id.strip_prefix('%')?.parse().ok());
            let (lines_count, cols) = (number(field()), number(field()));
            if let (Some(pane), Some(lines_count), Some(cols)) = (pane, lines_count, cols) {
                self.before.insert(pane, Before { lines_count, cols });
            }
        }
    }

    /// Whether anybody keeps a replica.
    pub fn handle_wanted(&mut self, is_wanted: bool) {
        self.is_wanted = is_wanted;
        self.is_old |= is_wanted;
    }

    /// The screen shows something else.
    pub fn handle_drawn(&mut self) {
        self.is_old = true;
    }

    /// There is more output than is read.
    pub fn handle_flooded(&mut self, now: Instant) {
        self.flooded_until = now + FLOOD_TIME;
    }

    /// When tmux may be asked again.
    fn next_at(&self) -> Instant {
        let Some(at) = self.answered_at else { return self.created_at };
        self.flooded_until.min(at + FLOOD_INTERVAL).max(at + INTERVAL)
    }

    /// Answers that are awaited won't come.
    pub fn handle_answers_lost(&mut self) {
        if self.asked == Asked::Size {
            (self.asked, self.is_old) = (Asked::Nothing, true);
        }
    }

    /// When [`Self::poll_question`] has one.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.is_wanted || self.asked != Asked::Nothing {
            return None;
        }
        let doubt = self.is_doubtful.then(|| self.next_at().max(self.believed_until));
        if self.is_old { Some(self.next_at()) } else { doubt }
    }

    /// Whether tmux is to be asked for [`HISTORY_FORMAT`] now.
    pub fn poll_question(&mut self, now: Instant) -> bool {
        let is_due = self.poll_timeout().is_some_and(|due| due <= now);
        if is_due {
            (self.asked, self.is_old) = (Asked::Size, false);
        }
        is_due
    }

    /// tmux answered; gives how many lines are to be captured, the newest, if any. The place may be
    /// another one then.
    pub fn handle_answer(&mut self, line: Option<&str>, now: Instant) -> Option<usize> {
        self.asked = Asked::Nothing;
        self.answered_at = Some(now);
        let header = line.and_then(parse)?;
        if self.seen.is_some_and(|seen| !seen.is_same_text(&header)) {
            // No longer what stands above, whatever the capture brings.
            self.begin_source();
        }
        self.set_place(header.place);
        let known = self.seen.filter(|seen| seen.is_same_text(&header));
        if let Some(seen) = known {
            let is_as_much =
                (seen.lines_count, seen.byte_count) == (header.lines_count, header.byte_count);
            if is_as_much && now < self.believed_until {
                self.is_doubtful = true;
                return None;
            }
            if let Some(grown) = header.lines_count.checked_sub(seen.lines_count) {
                self.asked = Asked::Lines(false);
                return Some((grown + OVERLAP).min(lines_max()));
            }
        }
        self.asked = Asked::Lines(true);
        // All: more may have scrolled off when it is done.
        Some(lines_max())
    }

    fn set_place(&mut self, place: Place) {
        self.is_changed |= self.kept.place() != place;
        self.kept.set_place(place);
    }

    /// How many of the pane's lines scrolled off since the sharing began, at least. What it had then
    /// goes first when it is cleared or drops some, and takes more lines when it becomes narrower.
    fn allowed_count(&mut self, header: &Header) -> usize {
        let Some(before) = self.before.get_mut(&header.pane) else { return header.lines_count };
        let cols = header.place.cols.max(1);
        if cols < before.cols {
            before.lines_count *= usize::from(before.cols.div_ceil(cols));
            before.cols = cols;
        }
        before.lines_count = before.lines_count.min(header.lines_count);
        header.lines_count - before.lines_count
    }

    /// What was captured: the line of [`HISTORY_FORMAT`], then the pane's lines, all at one moment;
    /// `None` if that failed. Gives how many lines are needed in order to understand it, if it isn't
    /// understood.
    pub fn handle_captured(&mut self, captured: Option<&[u8]>, now: Instant) -> Option<usize> {
        let had_all = self.asked == Asked::Lines(true);
        self.asked = Asked::Nothing;
        self.answered_at = Some(now);
        // Also if it failed: what can't be captured isn't tried over and over.
        (self.is_doubtful, self.believed_until) = (false, now + DOUBT_INTERVAL);
        let (header, lines) = captured.and_then(split)?;
        self.set_place(header.place);
        let cols = header.place.cols;
        // With nothing to give, tmux gives the first line of the screen.
        let surplus = lines.len().saturating_sub(header.lines_count);
        let lines = Lines::parse(lines[surplus..].iter().copied(), cols, self.clusters, now);
        let allowed = self.allowed_count(&header);
        let new_from = match self.seen.filter(|seen| seen.is_same_text(&header)) {
            Some(seen) => self.first_new(&seen, &header, &lines),
            None => None,
        };
        match new_from {
            Some(new_from) => self.append(&lines, new_from, cols),
            None if !had_all && lines.len() < header.lines_count.min(lines_max()) => {
                self.asked = Asked::Lines(true);
                return Some(lines_max());
            }
            None => {
                let was_followed = self.seen.is_some_and(|seen| seen.is_same_text(&header));
                if was_followed {
                    self.handle_flooded(now);
                }
                self.begin_source();
                self.append(&lines, lines.len().saturating_sub(allowed), cols);
            }
        }
        self.seen = Some(header);
        None
    }

    /// The lines are other ones from here on.
    fn begin_source(&mut self) {
        self.source = self.source.wrapping_add(1);
        self.kept.start(self.source);
        (self.next_line, self.tail, self.seen) = (0, Lines::default(), None);
        self.is_changed = true;
    }

    /// Where in `lines` those begin that were not seen, if that can be told.
    fn first_new(&self, seen: &Header, header: &Header, lines: &Lines) -> Option<usize> {
        let grown = header.lines_count.checked_sub(seen.lines_count);
        let expected = grown.and_then(|grown| lines.len().checked_sub(grown));
        if let Some(at) = expected
            && lines.is_preceded_by(at, &self.tail, 1.min(self.tail.len()))
        {
            return Some(at);
        }
        let tail_len = self.tail.len();
        let is_it = |at: &usize| tail_len > 0 && lines.is_preceded_by(*at, &self.tail, tail_len);
        (0..=lines.len()).rev().find(is_it)
    }

    fn append(&mut self, lines: &Lines, from: usize, cols: u16) {
        let new = lines.since(from);
        self.is_changed |= !new.is_empty();
        for block in blocks_of(new, cols, self.next_line) {
            self.kept.add(block);
        }
        self.next_line += new.len() as u64;
        self.tail.extend(lines, OVERLAP);
    }
}

fn lines_max() -> usize {
    usize::try_from(LINES_MAX).expect("some thousand")
}

/// The header and the lines behind it.
fn split(captured: &[u8]) -> Option<(Header, Vec<&[u8]>)> {
    let text = captured.strip_suffix(b"\n").unwrap_or(captured);
    let mut lines = text.split(|byte| *byte == b'\n');
    let header = parse(std::str::from_utf8(lines.next()?).ok()?)?;
    Some((header, lines.collect()))
}

fn parse(line: &str) -> Option<Header> {
    let mut fields = line.strip_prefix("h\t")?.split('\t');
    let mut field = || fields.next();
    let pane = field()?.strip_prefix('%')?.parse().ok()?;
    let (lines_count, byte_count) = (number(field())?, number(field()).unwrap_or(0));
    let (cols, rows) = (number(field())?, number(field())?);
    let (left, top): (u16, u16) = (number(field())?, number(field())?);
    let is_alternate = field()? == "1";
    let (above, _) = status_rows(field()?, field().unwrap_or_default());
    let place = Place { left, top: top.saturating_add(above), cols, rows, is_alternate };
    Some(Header { pane, lines_count, byte_count, place })
}

fn number<T: std::str::FromStr>(field: Option<&str>) -> Option<T> {
    field?.parse().ok()
}

#[cfg(test)]
mod tests;
