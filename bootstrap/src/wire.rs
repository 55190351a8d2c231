//! Framing of the messages that set a session up, on the SSH subsystem and on QUIC's first stream.
//! It is the same in every version of the protocol, so that any two ends can tell each other why
//! they don't fit:
//!
//! ```text
//! "TERN"  version (u16, big endian)  length (u32, big endian)  body (length bytes)
//!
//! body of a question:  MessagePack map, as its version defines it
//! body of an answer:   0x00  MessagePack map            (yes)
//!                      0x01  code (u8)  UTF-8 text      (no; the same in every version)
//! ```

use crate::grant::{PROTOCOL_VERSION, Refusal, RefusalCode, WireError};
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const MAGIC: [u8; 4] = *b"TERN";
const HEADER_SIZE: usize = 10;
/// Longest body. A grant is under 3000 bytes (its ticket is 512 at most, its notices are 1600), a
/// refusal under [`REFUSAL_TEXT_SIZE_MAX`] + 2.
pub(crate) const BODY_SIZE_MAX: u32 = 4096;
/// Longest text of a refusal, in bytes.
pub(crate) const REFUSAL_TEXT_SIZE_MAX: usize = 1024;

const ANSWER_YES: u8 = 0;
const ANSWER_NO: u8 = 1;

const _: () = assert!(REFUSAL_TEXT_SIZE_MAX + 2 <= BODY_SIZE_MAX as usize);

/// Reads a question. An asker of another version is answered with a refusal first.
pub(crate) async fn read_question<T: DeserializeOwned>(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
) -> Result<T, WireError> {
    let (version, body) = read_frame(reader).await?;
    if version != PROTOCOL_VERSION {
        let what = if version < PROTOCOL_VERSION {
            "your tern is older than this relay: update it"
        } else {
            "this relay is older than your tern: ask its operator to update it"
        };
        let text = format!(
            "{what} (the relay speaks protocol version {PROTOCOL_VERSION}, your tern {version})"
        );
        write_no(writer, &Refusal { code: RefusalCode::Version, text }).await?;
        return Err(WireError::Version { theirs: version });
    }
    decode(&body)
}

/// Writes a question.
pub(crate) async fn write_question(
    writer: &mut (impl AsyncWrite + Unpin),
    question: &impl Serialize,
) -> Result<(), WireError> {
    write_frame(writer, &encode(question)).await
}

/// Reads the answer to a question; a refusal is an error.
pub(crate) async fn read_answer<T: DeserializeOwned>(
    reader: &mut (impl AsyncRead + Unpin),
) -> Result<T, WireError> {
    let (version, body) = read_frame(reader).await?;
    match body.split_first() {
        // A refusal reads the same in every version; anything else needs ours.
        Some((&ANSWER_NO, no)) => Err(WireError::Refused(decode_refusal(no)?)),
        Some(_) if version != PROTOCOL_VERSION => Err(WireError::Version { theirs: version }),
        Some((&ANSWER_YES, yes)) => decode(yes),
        Some(_) => Err(WireError::Malformed("an answer that is neither yes nor no")),
        None => Err(WireError::Malformed("an empty answer")),
    }
}

/// Writes an answer that says yes.
pub(crate) async fn write_yes(
    writer: &mut (impl AsyncWrite + Unpin),
    answer: &impl Serialize,
) -> Result<(), WireError> {
    let mut body = vec![ANSWER_YES];
    body.extend(encode(answer));
    write_frame(writer, &body).await
}

/// Writes an answer that says no, and why.
pub(crate) async fn write_no(
    writer: &mut (impl AsyncWrite + Unpin),
    refusal: &Refusal,
) -> Result<(), WireError> {
    let mut body = vec![ANSWER_NO, refusal.code.number()];
    let end = refusal.text.floor_char_boundary(REFUSAL_TEXT_SIZE_MAX);
    body.extend(&refusal.text.as_bytes()[..end]);
    write_frame(writer, &body).await
}

fn decode_refusal(no: &[u8]) -> Result<Refusal, WireError> {
    let Some((&code, text)) = no.split_first() else {
        return Err(WireError::Malformed("a refusal without a code"));
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return Err(WireError::Malformed("a refusal that is not UTF-8"));
    };
    if text.len() > REFUSAL_TEXT_SIZE_MAX {
        return Err(WireError::Malformed("a refusal that is too long"));
    }
    let text = match printable(text) {
        said if said.trim().is_empty() => "it is refused, and the relay gives no reason".into(),
        said => said,
    };
    Ok(Refusal { code: RefusalCode::from_number(code), text })
}

/// What goes to a person's terminal: no escape sequences from a stranger.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

async fn read_frame(reader: &mut (impl AsyncRead + Unpin)) -> Result<(u16, Vec<u8>), WireError> {
    let mut header = [0; HEADER_SIZE];
    reader.read_exact(&mut header).await?;
    let [m0, m1, m2, m3, v0, v1, l0, l1, l2, l3] = header;
    if [m0, m1, m2, m3] != MAGIC {
        return Err(WireError::Malformed("it doesn't begin with TERN"));
    }
    let length = u32::from_be_bytes([l0, l1, l2, l3]);
    if length > BODY_SIZE_MAX {
        return Err(WireError::Malformed("it is too long"));
    }
    let mut body = vec![0; length as usize];
    reader.read_exact(&mut body).await?;
    Ok((u16::from_be_bytes([v0, v1]), body))
}

async fn write_frame(writer: &mut (impl AsyncWrite + Unpin), body: &[u8]) -> Result<(), WireError> {
    let length = u32::try_from(body.len()).expect("bodies of ours are far below 4 GiB");
    assert!(length <= BODY_SIZE_MAX, "a body of ours is bounded by its type");
    let mut frame = Vec::with_capacity(HEADER_SIZE + body.len());
    frame.extend(MAGIC);
    frame.extend(PROTOCOL_VERSION.to_be_bytes());
    frame.extend(length.to_be_bytes());
    frame.extend(body);
    writer.write_all(&frame).await?;
    writer.flush().await?;
    Ok(())
}

fn encode(message: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(message).expect("our messages are plain data, which always encodes")
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, WireError> {
    rmp_serde::from_slice(body).map_err(|_| WireError::Malformed("its fields are wrong"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::SessionRequest;
    use proptest::prelude::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
    }

    fn request() -> SessionRequest {
        SessionRequest { software: "tern 0.1.0".into(), ..SessionRequest::default() }
    }

    #[test]
    fn question_arrives_as_it_was_asked() {
        let mut wire = Vec::new();
        run(write_question(&mut wire, &request())).expect("written");
        let read: SessionRequest =
            run(read_question(&mut wire.as_slice(), &mut Vec::new())).expect("read");
        assert_eq!(read, request());
    }

    #[test]
    fn asker_of_another_version_reads_why_it_is_refused() {
        let mut wire = Vec::new();
        run(write_question(&mut wire, &request())).expect("written");
        wire[5] = 77;
        let mut reply = Vec::new();
        let asked = run(read_question::<SessionRequest>(&mut wire.as_slice(), &mut reply));
        assert!(matches!(asked, Err(WireError::Version { theirs: 77 })));

        reply[5] = 42; // whatever version the answer bears, a refusal is readable
        match run(read_answer::<SessionRequest>(&mut reply.as_slice())) {
            Err(WireError::Refused(refusal)) => {
                assert_eq!(refusal.code, RefusalCode::Version);
                assert!(refusal.text.contains("older than your tern"), "{}", refusal.text);
            }
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[test]
    fn refusal_brings_no_escape_sequences_to_the_terminal() {
        let mut wire = Vec::new();
        let text = "no\x1b]0;owned\x07\n".to_string();
        run(write_no(&mut wire, &Refusal { code: RefusalCode::Full, text })).expect("written");
        match run(read_answer::<SessionRequest>(&mut wire.as_slice())) {
            Err(WireError::Refused(refusal)) => assert_eq!(refusal.text, "no]0;owned"),
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[test]
    fn long_body_is_refused_before_it_is_read() {
        let mut wire = b"TERN\x00\x01".to_vec();
        wire.extend(u32::MAX.to_be_bytes());
        let read = run(read_answer::<SessionRequest>(&mut wire.as_slice()));
        assert!(matches!(read, Err(WireError::Malformed("it is too long"))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_error_or_a_message(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut framed = b"TERN\x00\x01".to_vec();
            framed.extend((bytes.len() as u32).to_be_bytes());
            framed.extend(&bytes);
            for wire in [bytes, framed] {
                let _ = run(read_answer::<SessionRequest>(&mut wire.as_slice()));
                let _ = run(read_question::<SessionRequest>(&mut wire.as_slice(), &mut Vec::new()));
            }
        }
    }
}
