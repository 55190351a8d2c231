//! Recordings of terminals: what the lines of an asciicast file say.
//!
//! The first line is a header, each after it an event: `[seconds, code, data]`. In version 3 the
//! seconds count from the event before, in version 2 from the beginning. [`recorder`] makes such
//! lines of frames. (<https://docs.asciinema.org/manual/asciicast/v3/>, and `v2/`.)

pub mod recorder;

use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use tern_term::Size;

/// Longest line that is read, in bytes. The largest screen (1000 x 500 cells), each cell in colours
/// of its own, takes 25 MB; recordings that people make have lines of a few kilobytes.
pub const LINE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Latest moment of a recording: a year. What is later is a damaged file, not a patient person.
const AT_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// Why a line can't be played.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// The header isn't one.
    #[error("this is no asciicast file: it has to begin with a line like {{\"version\": 3, ...}}")]
    NotACast,
    /// A version that we don't read.
    #[error("this is an asciicast of version {0}; versions 2 and 3 can be played")]
    Version(u64),
    /// The header has no size, or one of another type.
    #[error("the header doesn't say how large the terminal was ({0})")]
    Size(&'static str),
    /// The line was cut, or is no JSON.
    #[error("it is no event, which looks like [1.5, \"o\", \"text\"] (see column {column})")]
    NotAnEvent {
        /// From 1.
        column: usize,
    },
    /// The time is negative, endless, or beyond a year.
    #[error("{0} is no time of a recording")]
    Time(String),
    /// The data don't fit the code.
    #[error("the data of an event {code:?} should be {wanted}")]
    Data {
        /// The event's code.
        code: String,
        /// What they should be.
        wanted: &'static str,
    },
}

/// How the seconds of events count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    /// From the beginning.
    Two,
    /// From the event before.
    Three,
}

/// What is known before the first event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    version: Version,
    /// Of the terminal, at first.
    pub size: Size,
    /// Longest rest that the recording's maker wants to be played.
    pub idle_time_limit: Option<Duration>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The terminal was written to.
    Output(String),
    /// It changed its size.
    Resized(Size),
    /// Somebody marked this moment.
    Marker(String),
    /// Something that doesn't show: keys, the exit status, what later versions know.
    Unseen,
}

/// What happened, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Since the beginning.
    pub at: Duration,
    /// What.
    pub what: What,
}

impl Header {
    /// Whether lines as [`recorder`] makes them may follow.
    pub fn is_appendable(&self) -> bool {
        self.version == Version::Three
    }
}

#[derive(Deserialize)]
struct HeaderLine {
    term: Option<Term>,
    width: Option<u32>,
    height: Option<u32>,
    idle_time_limit: Option<f64>,
}

#[derive(Deserialize)]
struct Term {
    cols: u32,
    rows: u32,
}

/// Reads the first line.
pub fn read_header(line: &str) -> Result<Header, BadLine> {
    let value: Value = serde_json::from_str(line).map_err(|_| BadLine::NotACast)?;
    let version = value.get("version").and_then(Value::as_u64).ok_or(BadLine::NotACast)?;
    let (version, wanted) = match version {
        2 => (Version::Two, "\"width\" and \"height\""),
        3 => (Version::Three, "\"term\" with \"cols\" and \"rows\""),
        other => return Err(BadLine::Version(other)),
    };
    let header: HeaderLine = serde_json::from_value(value).map_err(|_| BadLine::Size(wanted))?;
    let size = match version {
        Version::Two => header.width.zip(header.height),
        Version::Three => header.term.map(|term| (term.cols, term.rows)),
    };
    let (cols, rows) = size.ok_or(BadLine::Size(wanted))?;
    let idle_time_limit = header.idle_time_limit.and_then(|limit| seconds(limit).ok());
    Ok(Header { version, size: Size::clamped(cols, rows), idle_time_limit })
}

/// Reads the lines after the header.
#[derive(Debug)]
pub struct Events {
    version: Version,
    at: Duration,
}

impl Events {
    /// Of a file that begins so.
    pub fn new(header: &Header) -> Self {
        Self { version: header.version, at: Duration::ZERO }
    }

    /// Reads a line; `None` if it is a comment, or empty.
    pub fn read(&mut self, line: &str) -> Result<Option<Event>, BadLine> {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        let (time, code, data): (f64, String, Value) = serde_json::from_str(line)
            .map_err(|error| BadLine::NotAnEvent { column: error.column().max(1) })?;
        let time = seconds(time)?;
        let at = match self.version {
            // Written by several threads, they may be out of order by a little.
            Version::Two => time.max(self.at),
            Version::Three => self.at + time,
        };
        if at > AT_MAX {
            return Err(BadLine::Time(format!("{} s", at.as_secs())));
        }
        self.at = at;
        Ok(Some(Event { at, what: what(code, data)? }))
    }
}

fn seconds(seconds: f64) -> Result<Duration, BadLine> {
    let duration = Duration::try_from_secs_f64(seconds).ok().filter(|time| *time <= AT_MAX);
    duration.ok_or_else(|| BadLine::Time(format!("{seconds} s")))
}

fn what(code: String, data: Value) -> Result<What, BadLine> {
    let is_known = matches!(&*code, "o" | "r" | "m");
    let Value::String(data) = data else {
        let wanted = "a text";
        return if is_known { Err(BadLine::Data { code, wanted }) } else { Ok(What::Unseen) };
    };
    Ok(match &*code {
        "o" => What::Output(data),
        "m" => What::Marker(data),
        "r" => {
            let wanted = "a size like \"80x24\"";
            What::Resized(read_size(&data).ok_or(BadLine::Data { code, wanted })?)
        }
        _ => What::Unseen,
    })
}

fn read_size(text: &str) -> Option<Size> {
    let (cols, rows) = text.split_once('x')?;
    Some(Size::clamped(cols.parse().ok()?, rows.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const V2: &str = r#"{"version": 2, "width": 90, "height": 20, "idle_time_limit": 1.5}"#;
    const V3: &str = r#"{"version": 3, "term": {"cols": 90, "rows": 20, "theme": {}}, "x": 1}"#;

    fn read(header: &str, lines: &[&str]) -> Result<Vec<(u64, What)>, BadLine> {
        let mut events = Events::new(&read_header(header)?);
        let mut all = Vec::new();
        for line in lines {
            let event = events.read(line)?;
            all.extend(event.map(|Event { at, what }| (at.as_millis() as u64, what)));
        }
        Ok(all)
    }

    #[test]
    fn seconds_count_from_the_beginning_or_from_the_event_before() {
        let lines = [r#"[1.5, "o", "a\u001b[m"]"#, "# a comment", "", r#"[2, "m", "here"]"#];
        let (text, mark) = (What::Output("a\x1b[m".into()), What::Marker("here".into()));
        let of_v2 = vec![(1500, text.clone()), (2000, mark.clone())];
        assert_eq!(read(V2, &lines), Ok(of_v2));
        assert_eq!(read(V3, &lines), Ok(vec![(1500, text), (3500, mark)]));
    }

    #[test]
    fn header_has_size_and_limit() {
        let header = read_header(V2).expect("it is one");
        assert_eq!(header.size, Size { cols: 90, rows: 20 });
        assert_eq!(header.idle_time_limit, Some(Duration::from_millis(1500)));
        assert_eq!(read_header(V3).expect("it is one").size, Size { cols: 90, rows: 20 });
    }

    #[test]
    fn what_is_no_recording_is_told_in_words() {
        for line in ["", "GIF89a", "[]", "{\"width\": 80}", "{\"version\": \"3\"}"] {
            assert_eq!(read_header(line), Err(BadLine::NotACast), "{line}");
        }
        assert_eq!(read_header(r#"{"version": 1}"#), Err(BadLine::Version(1)));
        for line in [r#"{"version": 2}"#, r#"{"version": 2, "width": -1, "height": 2}"#] {
            assert!(matches!(read_header(line), Err(BadLine::Size(_))), "{line}");
        }
        assert!(matches!(read_header(r#"{"version": 3, "term": 1}"#), Err(BadLine::Size(_))));
    }

    #[test]
    fn bad_events_are_told_apart() {
        let bad = |line| read(V3, &[line]).expect_err("it is bad");
        assert_eq!(bad(r#"[1.0, "o", "cut"#), BadLine::NotAnEvent { column: 15 });
        assert!(matches!(bad(r#"{"time": 1}"#), BadLine::NotAnEvent { .. }));
        assert_eq!(bad(r#"[-1, "o", ""]"#), BadLine::Time("-1 s".into()));
        assert!(matches!(bad(r#"[1e300, "o", ""]"#), BadLine::Time(_)));
        assert!(matches!(bad(r#"[1, "o", 5]"#), BadLine::Data { .. }));
        for size in ["80", "x", "80x", "80x-1", "80x24x2"] {
            let line = format!(r#"[1, "r", "{size}"]"#);
            assert!(matches!(read(V3, &[&line]), Err(BadLine::Data { .. })), "{size}");
        }
    }

    #[test]
    fn what_does_not_show_is_passed_over() {
        let lines = [r#"[1, "i", "x"]"#, r#"[1, "x", "0"]"#, r#"[1, "later", {"a": 1}]"#];
        let all = read(V3, &lines).expect("they are good");
        assert_eq!(all.last(), Some(&(3000, What::Unseen)));
        let large = read(V3, &[r#"[1, "r", "4000000x0"]"#]).expect("it is a size");
        assert_eq!(large, [(1000, What::Resized(Size { cols: 1000, rows: 1 }))]);
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_a_panic(line in any::<String>(), time in any::<f64>()) {
            let _ = read_header(&line);
            let text = serde_json::to_string(&line).expect("a text");
            for header in [V2, V3] {
                let _ = read(header, &[&line]);
                let _ = read(header, &[&format!("[{time:?}, \"o\", {text}]"), "[1, \"r\", \"1x1\"]"]);
            }
        }
    }
}
