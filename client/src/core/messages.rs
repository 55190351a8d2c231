//! The log that `tern show-messages` prints, and the lines that people join with.

use std::collections::VecDeque;

/// Most messages that are kept; the oldest go first. tmate's `message-limit`.
pub const MESSAGES_MAX: usize = 500;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Message {
    /// Counts from 0; never used twice.
    pub number: u64,
    /// When, in seconds since 1970.
    pub at: u64,
    /// One line, printable.
    pub text: String,
}

impl Message {
    /// As `tern show-messages` prints it.
    pub fn line(&self) -> String {
        format!("{} [tern] {}", utc(self.at), self.text)
    }

    /// When, for programs.
    pub fn rfc3339(&self) -> String {
        utc(self.at).replace(' ', "T")
    }
}

/// The log.
#[derive(Debug, Clone, Default)]
pub struct Messages {
    kept: VecDeque<Message>,
    next: u64,
}

impl Messages {
    /// Adds a line.
    pub fn push(&mut self, text: String, at: u64) {
        if self.kept.len() == MESSAGES_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(Message { number: self.next, at, text });
        self.next += 1;
    }

    /// Those with this number and later ones.
    pub fn since(&self, number: u64) -> impl Iterator<Item = &Message> {
        self.kept.iter().filter(move |message| message.number >= number)
    }
}

/// How people join.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct JoinLines {
    /// e.g. `ssh TOKEN@relay.example`.
    pub read_write: String,
    /// e.g. `ssh -p2200 ro-TOKEN@relay.example`.
    pub read_only: String,
}

impl JoinLines {
    /// For a relay's SSH port at `host`; the port is named where it isn't ssh's own.
    pub fn new(token: &str, token_ro: &str, host: &str, port: u16) -> Self {
        let port = if port == 22 { String::new() } else { format!("-p{port} ") };
        Self {
            read_write: format!("ssh {port}{token}@{host}"),
            read_only: format!("ssh {port}{token_ro}@{host}"),
        }
    }

    /// tmate's three lines.
    pub fn messages(&self) -> [String; 3] {
        [
            "Note: clear your terminal before sharing readonly access".into(),
            format!("ssh session read only: {}", self.read_only),
            format!("ssh session: {}", self.read_write),
        ]
    }
}

/// e.g. `2026-01-31 23:59:59Z`.
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86400, seconds % 86400);
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a count of days since 1970-01-01 (Howard Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms", `civil_from_days`).
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_lines_name_the_port_glued_where_it_is_not_22() {
        let lines = JoinLines::new("tok", "ro-tok", "relay.example", 22);
        assert_eq!(lines.read_write, "ssh tok@relay.example");
        let lines = JoinLines::new("tok", "ro-tok", "192.0.2.1", 2200);
        assert_eq!(lines.read_only, "ssh -p2200 ro-tok@192.0.2.1");
        assert_eq!(lines.messages()[2], "ssh session: ssh -p2200 tok@192.0.2.1");
    }

    #[test]
    fn log_keeps_the_newest_and_its_numbers_go_on() {
        let mut messages = Messages::default();
        for number in 0..=MESSAGES_MAX {
            messages.push(format!("message {number}"), 0);
        }
        assert_eq!(messages.since(0).count(), MESSAGES_MAX);
        assert_eq!(messages.since(0).next().map(|message| message.number), Some(1));
        let last: Vec<_> = messages.since(MESSAGES_MAX as u64).collect();
        assert_eq!(last.len(), 1);
    }

    #[test]
    fn times_are_told_in_utc() {
        assert_eq!(utc(0), "1970-01-01 00:00:00Z");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00:00Z");
        assert_eq!(utc(1_798_761_599), "2026-12-31 23:59:59Z");
        assert_eq!(utc(4_107_542_400), "2100-03-01 00:00:00Z");
    }
}
