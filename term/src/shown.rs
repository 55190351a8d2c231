//! What viewers are shown: a [`Frame`], and what the host knows of the keys that led to it.

use crate::frame::Frame;
use crate::wire::{Reader, put_number};
use std::sync::Arc;
use tern_sync::session::ViewerId;
use tern_sync::{BadDiff, State};

/// Most viewers whose keys a [`KeyReport`] confirms.
pub const MARKS_MAX: usize = 256;
/// Most prefix keys in a [`KeyReport`].
pub const PREFIXES_MAX: usize = 2;
/// Most bytes of a prefix key.
pub const PREFIX_SIZE_MAX: usize = 16;

/// First byte of a diff that changes the report; no frame's diff begins with it.
const REPORT: u8 = 1 << 5;
/// Bits of the report's mask; the others must be 0.
const TARGET: u8 = 1;
const PREFIXES: u8 = 1 << 1;
const MARKS: u8 = 1 << 2;

/// Where typed keys go, by the settings of the terminal that they reach (termios(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyTarget {
    /// The host doesn't know.
    #[default]
    Unknown,
    /// A program that reads lines; the kernel echoes them (ICANON, ECHO).
    Echoed,
    /// A program that reads lines nobody may see: a password (ICANON without ECHO).
    Hidden,
    /// A program that reads single keys and draws what it likes (no ICANON): editors, shells with
    /// line editing.
    Raw,
    /// Not a program: the multiplexer's prompt, menu, copy mode or the like.
    Multiplexer,
}

/// What the host knows of keys at the moment of a frame.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyReport {
    /// Where keys go.
    pub target: KeyTarget,
    /// Keys after which the next one is the multiplexer's; at most [`PREFIXES_MAX`], each of at most
    /// [`PREFIX_SIZE_MAX`] bytes as a terminal sends them.
    pub prefixes: Vec<Vec<u8>>,
    /// For each viewer that asked for it, in the order of their numbers: the mark of its newest
    /// input whose effect the frame shows. At most [`MARKS_MAX`].
    pub marks: Vec<(ViewerId, u32)>,
}

impl KeyReport {
    /// The mark of a viewer.
    pub fn mark(&self, viewer: ViewerId) -> Option<u32> {
        let found = self.marks.binary_search_by_key(&viewer, |(id, _)| *id);
        found.ok().map(|place| self.marks[place].1)
    }
}

/// A frame with its report; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// What the screen looks like.
    pub frame: Frame,
    /// Which keys led to it, and where the next ones go.
    pub keys: Arc<KeyReport>,
}

impl From<Frame> for Shown {
    fn from(frame: Frame) -> Self {
        Self { frame, keys: Arc::default() }
    }
}

impl State for Shown {
    fn diff(&self, base: &Self) -> Vec<u8> {
        let frame = self.frame.diff(&base.frame);
        if self.keys == base.keys {
            return frame;
        }
        let mut diff = vec![REPORT];
        put_report(&mut diff, &self.keys, &base.keys);
        diff.extend(frame);
        diff
    }

    fn apply(&self, diff: &[u8]) -> Result<Self, BadDiff> {
        let mut reader = Reader::new(diff);
        if diff.first() != Some(&REPORT) {
            return Ok(Self { frame: self.frame.apply(diff)?, keys: Arc::clone(&self.keys) });
        }
        reader.byte()?;
        let keys = Arc::new(read_report(&mut reader, &self.keys)?);
        let frame = match reader.rest() {
            [] => self.frame.clone(),
            rest => self.frame.apply(rest)?,
        };
        Ok(Self { frame, keys })
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }

    fn size(&self) -> usize {
        let prefixes = self.keys.prefixes.iter().map(|prefix| size_of::<Vec<u8>>() + prefix.len());
        let marks = self.keys.marks.len() * size_of::<(ViewerId, u32)>();
        self.frame.size_held() + size_of::<KeyReport>() + prefixes.sum::<usize>() + marks
    }

    fn share(&self) -> usize {
        self.size() - self.frame.size_held() + self.frame.share_held()
    }

    fn work(&self) -> usize {
        self.frame.work()
    }
}

fn put_report(out: &mut Vec<u8>, report: &KeyReport, base: &KeyReport) {
    let mut mask = 0;
    for (bit, is_new) in [
        (TARGET, report.target != base.target),
        (PREFIXES, report.prefixes != base.prefixes),
        (MARKS, report.marks != base.marks),
    ] {
        if is_new {
            mask |= bit;
        }
    }
    out.push(mask);
    if mask & TARGET != 0 {
        out.push(report.target as u8);
    }
    if mask & PREFIXES != 0 {
        put_number(out, report.prefixes.len() as u32);
        for prefix in &report.prefixes {
            put_number(out, prefix.len() as u32);
            out.extend(prefix);
        }
    }
    if mask & MARKS != 0 {
        put_marks(out, report, base);
    }
}

/// Whose marks are new, then who is gone; numbers as they go up, marks by how much.
fn put_marks(out: &mut Vec<u8>, report: &KeyReport, base: &KeyReport) {
    let is_changed = |(id, mark): &&(ViewerId, u32)| base.mark(*id) != Some(*mark);
    let changed: Vec<_> = report.marks.iter().filter(is_changed).collect();
    put_number(out, changed.len() as u32);
    let mut last = 0;
    for (id, mark) in changed {
        put_number(out, id.0.wrapping_sub(last));
        put_number(out, mark.wrapping_sub(base.mark(*id).unwrap_or(0)));
        last = id.0;
    }
    let gone: Vec<_> = base.marks.iter().filter(|(id, _)| report.mark(*id).is_none()).collect();
    put_number(out, gone.len() as u32);
    let mut last = 0;
    for (id, _) in gone {
        put_number(out, id.0.wrapping_sub(last));
        last = id.0;
    }
}

fn read_report(reader: &mut Reader<'_>, base: &KeyReport) -> Result<KeyReport, BadDiff> {
    let mut report = base.clone();
    let mask = reader.byte()?;
    if mask & !(TARGET | PREFIXES | MARKS) != 0 {
        return Err(BadDiff("unknown part of a report"));
    }
    if mask & TARGET != 0 {
        report.target = match reader.byte()? {
            0 => KeyTarget::Unknown,
            1 => KeyTarget::Echoed,
            2 => KeyTarget::Hidden,
            3 => KeyTarget::Raw,
            4 => KeyTarget::Multiplexer,
            _ => return Err(BadDiff("unknown target of keys")),
        };
    }
    if mask & PREFIXES != 0 {
        let count = reader.number_up_to(PREFIXES_MAX)?;
        let read_prefix = |_| {
            let size = reader.number_up_to(PREFIX_SIZE_MAX)?;
            (0..size).map(|_| reader.byte()).collect()
        };
        report.prefixes = (0..count).map(read_prefix).collect::<Result<_, _>>()?;
    }
    if mask & MARKS != 0 {
        read_marks(reader, &mut report.marks)?;
    }
    Ok(report)
}

fn read_marks(reader: &mut Reader<'_>, marks: &mut Vec<(ViewerId, u32)>) -> Result<(), BadDiff> {
    let mut last = 0u32;
    for _ in 0..reader.number_up_to(MARKS_MAX)? {
        last = last.checked_add(reader.number()?).ok_or(BadDiff("viewer out of range"))?;
        let increase = reader.number()?;
        match marks.binary_search_by_key(&ViewerId(last), |(id, _)| *id) {
            Ok(place) => marks[place].1 = marks[place].1.wrapping_add(increase),
            Err(place) => marks.insert(place, (ViewerId(last), increase)),
        }
    }
    let mut last = 0u32;
    for _ in 0..reader.number_up_to(MARKS_MAX)? {
        last = last.checked_add(reader.number()?).ok_or(BadDiff("viewer out of range"))?;
        let place = marks.binary_search_by_key(&ViewerId(last), |(id, _)| *id);
        marks.remove(place.map_err(|_| BadDiff("unknown viewer"))?);
    }
    if marks.len() > MARKS_MAX { Err(BadDiff("too many marks")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Size;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    const SIZE: Size = Size { cols: 10, rows: 2 };

    fn report() -> impl Strategy<Value = KeyReport> {
        let target = prop_oneof![
            Just(KeyTarget::Unknown),
            Just(KeyTarget::Echoed),
            Just(KeyTarget::Hidden),
            Just(KeyTarget::Raw),
            Just(KeyTarget::Multiplexer),
        ];
        let prefixes = vec(vec(any::<u8>(), 0..=PREFIX_SIZE_MAX), 0..=PREFIXES_MAX);
        let ids = prop_oneof![0u32..8, any::<u32>()];
        let marks = btree_map(ids.prop_map(ViewerId), any::<u32>(), 0..8);
        (target, prefixes, marks).prop_map(|(target, prefixes, marks)| KeyReport {
            target,
            prefixes,
            marks: marks.into_iter().collect(),
        })
    }

    fn shown() -> impl Strategy<Value = Shown> {
        ("[a-z ]{0,10}", report()).prop_map(|(line, keys)| Shown {
            frame: Frame::from_lines(SIZE, [line.as_str()]),
            keys: Arc::new(keys),
        })
    }

    proptest! {
        #[test]
        fn applied_diff_gives_what_is_shown(old in shown(), new in shown()) {
            prop_assert_eq!(old.apply(&new.diff(&old)), Ok(new));
        }

        #[test]
        fn foreign_bytes_neither_panic_nor_grow_it(base in shown(), bytes: Vec<u8>) {
            let mut diff = vec![REPORT];
            diff.extend(bytes);
            if let Ok(shown) = base.apply(&diff) {
                prop_assert!(shown.keys.marks.len() <= MARKS_MAX);
                prop_assert!(shown.keys.marks.is_sorted_by(|(a, _), (b, _)| a < b));
            }
        }
    }

    #[test]
    fn confirmed_key_costs_six_bytes_over_its_frame() {
        let frame = Frame::from_lines(SIZE, ["k"]);
        let marked = |mark| {
            let keys = KeyReport { marks: vec![(ViewerId(7), mark)], ..KeyReport::default() };
            Shown { frame: frame.clone(), keys: Arc::new(keys) }
        };
        let same = frame.diff(&frame).len();
        assert_eq!(marked(1001).diff(&marked(1000)).len(), 6 + same);
    }
}
