//! tmux's control mode: the byte stream of `tmux -C` becomes replies and notifications.
//!
//! ```text
//! %begin 1700000000 264 1      a reply to one command line; flags 1: of this client
//! any text, also %pause        (some notifications come inside the block, tmux 3.2 to 3.7)
//! %end 1700000000 264 1        or %error, with the same three words
//! %layout-change @0 ...        a notification
//! %output %0 text\015\012      bytes below 0x20 and `\` in octal, all others raw
//! ```
//!
//! Lines are bytes: they may hold invalid UTF-8, or half a character.

use std::collections::VecDeque;

/// Longest line that is kept; a longer one loses its rest. tmux's own longest is a layout of some
/// hundred panes (about 20 bytes each) or 8 KiB of output.
pub const LINE_SIZE_MAX: usize = 256 * 1024;
/// Most bytes of one reply that are kept: 500 windows with 500 panes each would not fit, a few
/// thousand panes do.
pub const REPLY_SIZE_MAX: usize = 4 * 1024 * 1024;

/// What came out of control mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<T> {
    /// The answer to the command that was queued with this tag.
    Reply(Reply<T>),
    /// Something happened in the server.
    Notification(Notification),
    /// tmux says that this client ends.
    Exit,
}

/// The answer to one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<T> {
    /// As given to [`ControlMode::expect_reply`].
    pub tag: T,
    /// `%end`, not `%error`.
    pub is_ok: bool,
    /// Without line ends; cut at [`REPLY_SIZE_MAX`].
    pub lines: Vec<Vec<u8>>,
}

impl<T> Reply<T> {
    /// The lines as text, what isn't UTF-8 replaced.
    pub fn texts(&self) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
        self.lines.iter().map(|line| String::from_utf8_lossy(line))
    }
}

/// What tmux tells by itself, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// Windows came, went, changed their name, layout or active pane: the topology is old.
    TopologyChanged,
    /// This client is on another session now.
    SessionChanged {
        /// tmux's `$N`.
        session: String,
    },
    /// A session of the server has another name.
    SessionRenamed,
    /// Sessions came or went.
    SessionsChanged,
    /// Another client is on another session now.
    ClientSessionChanged {
        /// tmux's name of the client: its tty.
        client: String,
        /// tmux's `$N`.
        session: String,
    },
    /// Another client is gone.
    ClientDetached,
    /// What this subscription is about has another value.
    SubscriptionChanged {
        /// As it was given to `refresh-client -B`.
        name: String,
    },
}

/// The machine. `T` tags commands, so that their replies can be told apart.
#[derive(Debug)]
pub struct ControlMode<T> {
    line: Vec<u8>,
    block: Option<Block>,
    awaited: VecDeque<T>,
    events: VecDeque<Event<T>>,
}

#[derive(Debug)]
struct Block {
    /// The words after `%begin`, which `%end` repeats.
    guard: Vec<u8>,
    /// Whether it answers a command of ours (the first block of a client doesn't).
    is_ours: bool,
    lines: Vec<Vec<u8>>,
    size: usize,
}

impl<T> Default for ControlMode<T> {
    fn default() -> Self {
        Self { line: Vec::new(), block: None, awaited: VecDeque::new(), events: VecDeque::new() }
    }
}

impl<T> ControlMode<T> {
    /// One command line was written to tmux; its reply gets this tag.
    pub fn expect_reply(&mut self, tag: T) {
        self.awaited.push_back(tag);
    }

    /// Bytes came from tmux.
    pub fn handle_bytes(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.extend_line(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            self.handle_line(line.strip_suffix(b"\r").unwrap_or(&line));
            // The buffer is used again: under a flood of %output there is no allocation.
            self.line = line;
            self.line.clear();
        }
        self.extend_line(bytes);
    }

    /// The next thing that came.
    pub fn poll_event(&mut self) -> Option<Event<T>> {
        self.events.pop_front()
    }

    fn extend_line(&mut self, bytes: &[u8]) {
        let room = LINE_SIZE_MAX.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn handle_line(&mut self, line: &[u8]) {
        match &mut self.block {
            Some(block) => {
                let verdict = verdict(line, &block.guard);
                match verdict {
                    Some(is_ok) => self.end_block(is_ok),
                    None if block.size + line.len() <= REPLY_SIZE_MAX => {
                        block.size += line.len() + 1;
                        block.lines.push(line.to_vec());
                    }
                    None => {}
                }
            }
            None => self.handle_outside(line),
        }
    }

    fn end_block(&mut self, is_ok: bool) {
        let Some(block) = self.block.take() else { return };
        if !block.is_ours {
            return;
        }
        if let Some(tag) = self.awaited.pop_front() {
            self.events.push_back(Event::Reply(Reply { tag, is_ok, lines: block.lines }));
        }
    }

    fn handle_outside(&mut self, line: &[u8]) {
        // `-CC` would begin with this device control string.
        let line = line.strip_prefix(b"\x1bP1000p").unwrap_or(line);
        if let Some(guard) = line.strip_prefix(b"%begin ") {
            let is_ours = guard.rsplit(|&byte| byte == b' ').next() == Some(b"1");
            let guard = guard.to_vec();
            self.block = Some(Block { guard, is_ours, lines: Vec::new(), size: 0 });
            return;
        }
        if line.starts_with(b"%output ") || line.starts_with(b"%extended-output ") {
            return;
        }
        let line = String::from_utf8_lossy(line);
        let mut words = line.split(' ');
        match words.next() {
            Some("%exit") => self.events.push_back(Event::Exit),
            // Without the sign: output of `run-shell`, which comes as bare lines from some versions.
            Some(name) if name.starts_with('%') => {
                if let Some(notification) = notification(name, words) {
                    self.events.push_back(Event::Notification(notification));
                }
            }
            Some(_) | None => {}
        }
    }
}

/// `Some(is_ok)` if the line ends the block with this guard.
fn verdict(line: &[u8], guard: &[u8]) -> Option<bool> {
    if line.strip_prefix(b"%end ") == Some(guard) {
        Some(true)
    } else if line.strip_prefix(b"%error ") == Some(guard) {
        Some(false)
    } else {
        None
    }
}

/// `None` for what is of no interest: modes, buffers, what newer versions invent.
fn notification<'a>(name: &str, mut words: impl Iterator<Item = &'a str>) -> Option<Notification> {
    let mut word = || words.next().unwrap_or_default().to_owned();
    let notification = match name {
        "%window-add"
        | "%window-close"
        | "%window-renamed"
        | "%layout-change"
        | "%window-pane-changed"
        | "%session-window-changed"
        | "%pane-mode-changed"
        | "%unlinked-window-close" => Notification::TopologyChanged,
        "%session-changed" => Notification::SessionChanged { session: word() },
        "%session-renamed" => Notification::SessionRenamed,
        "%sessions-changed" => Notification::SessionsChanged,
        "%client-session-changed" => {
            Notification::ClientSessionChanged { client: word(), session: word() }
        }
        "%client-detached" => Notification::ClientDetached,
        "%subscription-changed" => Notification::SubscriptionChanged { name: word() },
        _ => return None,
    };
    Some(notification)
}

/// Quotes a word for a tmux command line.
///
/// Only for words without control characters, which have no place inside of single quotes.
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drain(machine: &mut ControlMode<u32>) -> Vec<Event<u32>> {
        std::iter::from_fn(|| machine.poll_event()).collect()
    }

    #[test]
    fn subscriptions_are_told_by_their_names() {
        let mut machine = ControlMode::default();
        machine.handle_bytes(b"%subscription-changed tern-options $0 - - - : a: b,?%exit\n");
        let name = "tern-options".to_owned();
        let expected = Event::Notification(Notification::SubscriptionChanged { name });
        assert_eq!(drain(&mut machine), [expected]);
    }

    #[test]
    fn replies_are_matched_to_their_commands_in_order() {
        let mut machine = ControlMode::default();
        machine.expect_reply(1);
        machine.expect_reply(2);
        machine.handle_bytes(b"%begin 5 264 0\n%end 5 264 0\n%session-changed $0 work\n");
        machine.handle_bytes(b"%begin 5 265 1\nw\ttext\n%end 5 265 1\n");
        machine.handle_bytes(b"%begin 5 266 1\nno such thing\n%error 5 266 1\n");
        let reply = |tag, is_ok, line: &[u8]| {
            Event::Reply(Reply { tag, is_ok, lines: vec![line.to_vec()] })
        };
        let session = "$0".to_owned();
        assert_eq!(
            drain(&mut machine),
            [
                Event::Notification(Notification::SessionChanged { session }),
                reply(1, true, b"w\ttext"),
                reply(2, false, b"no such thing"),
            ]
        );
    }

    #[test]
    fn text_in_a_reply_that_looks_like_its_end_does_not_end_it() {
        let mut machine = ControlMode::default();
        machine.expect_reply(7);
        machine.handle_bytes(b"%begin 5 9 1\n%end 5 8 1\n%exit\n%pause %1\n%end 5 9 1\n");
        let events = drain(&mut machine);
        let [Event::Reply(reply)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(reply.lines.len(), 3);
    }

    #[test]
    fn notifications_are_told_apart() {
        let mut machine = ControlMode::default();
        machine.handle_bytes(
            b"%layout-change @0 a87d,80x24,0,0,0 a87d,80x24,0,0,0 *\r\n%output %0 a\\015\n\
              %client-session-changed /dev/pts/3 $2 other\n%client-detached /dev/pts/3\n\
              %something-new 1 2\nbare line\n%session-renamed $0 x\n%exit too far behind\n",
        );
        let changed = Notification::ClientSessionChanged {
            client: "/dev/pts/3".into(),
            session: "$2".into(),
        };
        assert_eq!(
            drain(&mut machine),
            [
                Event::Notification(Notification::TopologyChanged),
                Event::Notification(changed),
                Event::Notification(Notification::ClientDetached),
                Event::Notification(Notification::SessionRenamed),
                Event::Exit,
            ]
        );
    }

    #[test]
    fn endless_line_and_endless_reply_are_bounded() {
        let mut machine = ControlMode::default();
        machine.expect_reply(1);
        machine.handle_bytes(b"%begin 1 1 1\n");
        let chunk = vec![b'x'; 64 * 1024];
        for _ in 0..16 {
            machine.handle_bytes(&chunk);
        }
        assert!(machine.line.len() <= LINE_SIZE_MAX);
        for _ in 0..200 {
            machine.handle_bytes(&chunk);
            machine.handle_bytes(b"\n");
        }
        machine.handle_bytes(b"%end 1 1 1\n");
        let events = drain(&mut machine);
        let [Event::Reply(reply)] = events.as_slice() else { panic!("one reply") };
        assert!(reply.lines.iter().map(Vec::len).sum::<usize>() <= REPLY_SIZE_MAX);
    }

    #[test]
    fn words_are_quoted_for_tmux() {
        assert_eq!(quoted("$0"), "'$0'");
        assert_eq!(quoted("it's #{x}"), r"'it'\''s #{x}'");
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same_events(
            lines in prop::collection::vec(
                prop_oneof![
                    Just(b"%begin 1 2 1".to_vec()),
                    Just(b"%end 1 2 1".to_vec()),
                    Just(b"%error 1 2 1".to_vec()),
                    Just(b"%exit".to_vec()),
                    Just(b"%layout-change @1".to_vec()),
                    prop::collection::vec(any::<u8>(), 0..20),
                ],
                0..30,
            ),
            cuts in prop::collection::vec(1usize..40, 1..20),
        ) {
            let bytes = lines.join(&b'\n');
            let mut whole = ControlMode::default();
            let mut pieces = ControlMode::default();
            for tag in 0..5 {
                whole.expect_reply(tag);
                pieces.expect_reply(tag);
            }
            whole.handle_bytes(&bytes);
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                pieces.handle_bytes(piece);
                rest = after;
            }
            prop_assert_eq!(drain(&mut whole), drain(&mut pieces));
        }
    }
}
