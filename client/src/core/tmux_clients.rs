//! The clients of the shared tmux session, from `list-clients`.

use crate::core::tmux_version::TmuxVersion;
use tern_term::Size;

/// Format of one line for `list-clients`.
pub const CLIENT_FORMAT: &str = "c\t#{client_pid}\t#{client_width}\t#{client_height}\t\
                                 #{client_control_mode}\t#{client_readonly}\t#{client_activity}\t\
                                 #{client_flags}\t#{client_tty}";
/// Format of the line about the session itself, for `display-message`.
pub const SESSION_FORMAT: &str = "s\t#{window_width}\t#{window_height}\t#{status}\t#{session_name}";
/// Most clients that are looked at.
pub const CLIENTS_MAX: usize = 1000;

/// A client of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TmuxClient {
    /// Its process.
    pub pid: u32,
    /// Its terminal's size.
    pub size: Size,
    /// It speaks control mode, so it has no terminal.
    pub is_control_mode: bool,
    /// It can't type.
    pub is_read_only: bool,
    /// It said that it doesn't count for the size (tmux >= 3.2).
    pub ignores_size: bool,
    /// When somebody last typed there, in seconds since 1970.
    pub active_at: u64,
    /// Its terminal, by which tmux knows it; empty in control mode.
    pub tty: String,
}

impl TmuxClient {
    /// Whether it is somebody's terminal.
    pub fn is_terminal(&self) -> bool {
        !self.is_control_mode && !self.tty.is_empty()
    }

    /// Whether the window's size depends on it.
    pub fn counts_for_size(&self, version: TmuxVersion) -> bool {
        let is_excused = self.is_read_only && version.read_only_ignores_size();
        self.is_terminal() && !self.ignores_size && !is_excused
    }
}

/// Reads the lines of the list; others are passed over.
pub fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<TmuxClient> {
    lines.filter_map(client).take(CLIENTS_MAX).collect()
}

/// The session's name, and the size of its current window with the status lines.
pub fn parse_session(line: &str) -> Option<(String, Option<Size>)> {
    let mut fields = line.strip_prefix("s\t")?.splitn(4, '\t');
    let cols = fields.next()?.parse::<u32>().ok();
    let rows = fields.next()?.parse::<u32>().ok();
    let status_rows = match fields.next()? {
        "off" => 0,
        "on" => 1,
        rows => rows.parse().unwrap_or(1).min(STATUS_ROWS_MAX),
    };
    let window =
        cols.zip(rows).map(|(cols, rows)| Size::clamped(cols, rows.saturating_add(status_rows)));
    Some((fields.next()?.to_owned(), window))
}

/// tmux's own limit of `status`.
const STATUS_ROWS_MAX: u32 = 5;

fn client(line: &str) -> Option<TmuxClient> {
    let mut fields = line.strip_prefix("c\t")?.splitn(8, '\t');
    let mut field = || fields.next();
    let pid = field()?.parse().ok()?;
    // A client that is just arriving has no size yet.
    let (cols, rows) = (field()?.parse().unwrap_or(0), field()?.parse().unwrap_or(0));
    Some(TmuxClient {
        pid,
        size: Size::clamped(cols, rows),
        is_control_mode: field()? == "1",
        is_read_only: field()? == "1",
        active_at: field()?.parse().unwrap_or(0),
        ignores_size: field()?.split(',').any(|flag| flag == "ignore-size"),
        tty: field()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(text: &str) -> TmuxVersion {
        TmuxVersion::parse(text).expect("a version")
    }

    #[test]
    fn clients_are_told_apart() {
        let lines = [
            "c\t14990\t80\t\t1\t0\t1700\tattached,control-mode,ignore-size,no-output,UTF-8\t",
            "c\t10\t100\t30\t0\t0\t1800\tattached,focused,UTF-8\t/dev/pts/3",
            "c\t11\t60\t20\t0\t1\t1700\tattached,read-only\t/dev/pts/4",
            "c\t12\t60\t20\t0\t0\t1700\tattached,ignore-size\t/dev/pts/5",
            "%client-detached /dev/pts/9",
        ];
        let clients = parse(lines.into_iter());
        assert_eq!(clients.len(), 4);
        assert!(!clients[0].is_terminal());
        assert_eq!(clients[1].size, Size { cols: 100, rows: 30 });
        assert_eq!(clients[1].tty, "/dev/pts/3");
        let counting = |text| {
            let counts = |client: &TmuxClient| client.counts_for_size(version(text));
            clients.iter().map(counts).collect::<Vec<_>>()
        };
        assert_eq!(counting("3.3a"), [false, true, false, false]);
        assert_eq!(counting("2.6"), [false, true, true, false]);
    }

    #[test]
    fn session_line_gives_name_and_size_with_status_lines() {
        let window = |cols, rows| Some(Size { cols, rows });
        let read = |line| parse_session(line).expect("a session");
        assert_eq!(read("s\t100\t29\ton\twork"), ("work".into(), window(100, 30)));
        assert_eq!(read("s\t100\t30\toff\t0"), ("0".into(), window(100, 30)));
        assert_eq!(read("s\t100\t28\t2\tmy\tname"), ("my\tname".into(), window(100, 30)));
        assert_eq!(read("s\t\t\t\tx"), ("x".into(), None));
        assert_eq!(parse_session("%message s\t1"), None);
    }

    #[test]
    fn old_tmux_without_client_flags_is_understood() {
        let clients = parse(["c\t10\t100\t30\t0\t0\t1800\t\t/dev/pts/3"].into_iter());
        assert!(clients[0].counts_for_size(version("2.6")));
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_a_panic(line in "c\t.{0,60}") {
            let _ = parse([line.as_str()].into_iter());
        }
    }
}
