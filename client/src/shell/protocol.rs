//! What `tern status`, `tern stop`, `tern approve` and the start view ask an agent over its unix socket: frames of
//! a length (32 bits, big-endian) and MessagePack, with a version in each.

use crate::core::decisions::Deciding;
use crate::core::menus::Choice;
use crate::core::messages::{JoinLines, Message};
use crate::core::person::Person;
use crate::core::viewers::Viewer;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// Version of these messages; agent and asker usually are the same program.
pub const VERSION: u16 = 1;
/// Longest frame: a status with [`VIEWERS_LISTED_MAX`] viewers, all who wait
/// ([`WAITING_MAX`](crate::core::viewers::WAITING_MAX)) and all who are kept out.
pub const FRAME_SIZE_MAX: usize = 2 * 1024 * 1024;
/// Most viewers in a [`Status`]; each takes less than 600 bytes, with a key and a comment.
pub const VIEWERS_LISTED_MAX: usize = 1000;

/// What an agent is asked; one request a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// One [`Answer::Status`].
    Status,
    /// [`Answer::Stopped`] when the sharing has ended.
    Stop,
    /// The messages up to now, then [`Answer::End`].
    Messages,
    /// The messages up to now and all that come; for the start view.
    Follow,
    /// [`Answer::Ready`] once scripts find the join lines in tmux, or [`Answer::Refused`] when
    /// sharing has failed for good.
    AwaitReady,
    /// A program has ended whose pane is still there; [`Answer::End`].
    PaneDied,
    /// The options in tmux may have changed; [`Answer::End`].
    ReadOptions,
    /// The host's person has decided about somebody; [`Answer::Done`] or [`Answer::Undone`].
    Decide(Deciding),
    /// Something was chosen from a menu; [`Answer::End`].
    Chosen(Chosen),
}

/// What an agent answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Everything at once.
    Status(Box<Status>),
    /// A line of the log.
    Message(Message),
    /// The sharing has ended.
    Stopped,
    /// See [`Request::AwaitReady`].
    Ready,
    /// Nothing follows.
    End,
    /// What was done, for people; a line each.
    Done(Vec<String>),
    /// It can't be done, for this reason.
    Undone(String),
    /// The request is not understood.
    Refused(String),
}

/// A choice from the menu at a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// Of the person that the menu is about.
    pub number: u32,
    /// What.
    pub choice: Choice,
    /// Where.
    pub tty: String,
}

/// How the host is connected to its relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Connection {
    /// For the first time.
    Connecting,
    /// Since then, in seconds since 1970.
    Connected(u64),
    /// Lost since then; tried again and again.
    Reconnecting(u64),
    /// Given up, for this reason.
    Failed(String),
}

/// What an agent knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// e.g. `tern 0.1.0`.
    pub software: String,
    /// The agent's process.
    pub pid: u32,
    /// What is shared, e.g. `session 0 of tmux`.
    pub shared: String,
    /// Socket of the tmux in which it is, if it is in one.
    #[serde(default)]
    pub tmux_socket: Option<String>,
    /// How to come back to it, if it is a tmux of tern's own.
    pub attach: Option<String>,
    /// The relay.
    pub relay: String,
    /// The way there.
    pub connection: Connection,
    /// What carries it.
    #[serde(default)]
    pub over: Option<String>,
    /// How long the relay takes to answer, in milliseconds.
    #[serde(default)]
    pub round_trip_ms: Option<u64>,
    /// What hindered the sharing, as long as nobody could ever join.
    pub trouble: Option<String>,
    /// How people join, once that is known.
    pub lines: Option<JoinLines>,
    /// Scripts find the lines in tmux.
    #[serde(default)]
    pub is_ready: bool,
    /// Who watches, at most [`VIEWERS_LISTED_MAX`], and since when.
    pub viewers: Vec<Since<Viewer>>,
    /// Of whom nothing is heard for now, at most [`VIEWERS_LISTED_MAX`], and since when.
    #[serde(default)]
    pub away: Vec<Since<Viewer>>,
    /// Who waits to be let in.
    #[serde(default)]
    pub waiting: Vec<Since<Person>>,
    /// Who is kept out.
    #[serde(default)]
    pub banned: Vec<Person>,
    /// Whether the host is asked before somebody joins.
    #[serde(default)]
    pub is_asking: bool,
    /// Terminal of the hidden client, which is nobody's.
    pub hidden_tty: Option<String>,
}

/// Somebody who is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since<T> {
    /// Who.
    pub who: T,
    /// In seconds since 1970.
    pub since: u64,
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    version: u16,
    body: T,
}

/// What goes wrong with a message.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side is another version of tern.
    #[error("the agent and this tern are of different versions: restart the sharing")]
    Version,
    /// It isn't a message of ours.
    #[error("not a message of tern's: {0}")]
    Malformed(&'static str),
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A message with its length.
pub fn encode<T: Serialize>(body: &T) -> Result<Vec<u8>, FrameError> {
    let envelope = Envelope { version: VERSION, body };
    let bytes = rmp_serde::to_vec_named(&envelope)
        .map_err(|_| FrameError::Malformed("it can't be encoded"))?;
    let size = u32::try_from(bytes.len()).ok().filter(|&size| size as usize <= FRAME_SIZE_MAX);
    let size = size.ok_or(FrameError::Malformed("it is too long"))?;
    Ok([&size.to_be_bytes(), bytes.as_slice()].concat())
}

/// The length that a frame's first four bytes tell.
pub fn frame_size(head: [u8; 4]) -> Result<usize, FrameError> {
    let size = u32::from_be_bytes(head) as usize;
    if size > FRAME_SIZE_MAX {
        return Err(FrameError::Malformed("it is too long"));
    }
    Ok(size)
}

/// A message from a frame's bytes, without the length.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    #[derive(Deserialize)]
    struct Head {
        version: u16,
    }
    let malformed = |_| FrameError::Malformed("it can't be decoded");
    // The body of another version need not be readable.
    let head: Head = rmp_serde::from_slice(bytes).map_err(malformed)?;
    if head.version != VERSION {
        return Err(FrameError::Version);
    }
    let envelope: Envelope<T> = rmp_serde::from_slice(bytes).map_err(malformed)?;
    Ok(envelope.body)
}

/// Writes a message to a blocking stream.
pub fn write<T: Serialize>(stream: &mut impl Write, body: &T) -> Result<(), FrameError> {
    Ok(stream.write_all(&encode(body)?)?)
}

/// Reads a message from a blocking stream; `None` at its end.
pub fn read<T: DeserializeOwned>(stream: &mut impl Read) -> Result<Option<T>, FrameError> {
    let mut head = [0; 4];
    match stream.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut bytes = vec![0; frame_size(head)?];
    stream.read_exact(&mut bytes)?;
    decode(&bytes).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::person::{Key, ViewerRole};
    use crate::core::viewers::WAITING_MAX;
    use proptest::prelude::*;
    use tern_sync::session::{COMMENT_SIZE_MAX, REFUSED_MAX};

    #[test]
    fn messages_come_through() {
        let mut pipe = Vec::new();
        write(&mut pipe, &Request::Follow).expect("it fits");
        let message = Message { number: 3, at: 4, text: "text".into() };
        write(&mut pipe, &Answer::Message(message.clone())).expect("it fits");
        let mut pipe = pipe.as_slice();
        assert_eq!(read::<Request>(&mut pipe).expect("a request"), Some(Request::Follow));
        let answer = read::<Answer>(&mut pipe).expect("an answer");
        assert_eq!(answer, Some(Answer::Message(message)));
        assert_eq!(read::<Answer>(&mut pipe).expect("the end"), None);
    }

    #[test]
    fn another_version_is_told_as_such() {
        let body = "who knows what";
        let bytes = rmp_serde::to_vec_named(&Envelope { version: VERSION + 1, body });
        let bytes = bytes.expect("it can be encoded");
        assert!(matches!(decode::<Request>(&bytes), Err(FrameError::Version)));
    }

    #[test]
    fn full_status_fits_a_frame() {
        let key = Key { fingerprint: "x".repeat(60), comment: "x".repeat(COMMENT_SIZE_MAX) };
        let person = Person {
            number: u32::MAX,
            role: ViewerRole::ReadWrite,
            address: "2001:0db8:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa".into(),
            key: Some(key),
            is_by_tern: false,
        };
        let who = Viewer { person: person.clone(), cols: u16::MAX, rows: u16::MAX };
        let viewer = Since { who, since: u64::MAX };
        let waiting = Since { who: person.clone(), since: u64::MAX };
        let status = Status {
            software: "tern".into(),
            pid: 1,
            shared: "x".repeat(1000),
            tmux_socket: None,
            attach: None,
            relay: "x".repeat(300),
            connection: Connection::Connecting,
            over: None,
            round_trip_ms: None,
            trouble: None,
            lines: None,
            is_ready: false,
            viewers: vec![viewer.clone(); VIEWERS_LISTED_MAX],
            away: vec![viewer; VIEWERS_LISTED_MAX],
            waiting: vec![waiting; WAITING_MAX],
            banned: vec![person; REFUSED_MAX],
            is_asking: true,
            hidden_tty: None,
        };
        assert!(encode(&Answer::Status(Box::new(status))).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read::<Answer>(&mut bytes.as_slice());
            let _ = decode::<Request>(&bytes);
        }
    }
}
