//! Somebody was let in who had to wait: what they typed before their terminal showed them the session
//! is not for it.
//!
//! That can't be told by time: keys wait in terminals, in programs and in networks. But a terminal
//! answers what it is asked in the order in which it is told things, and the answer comes behind all
//! keys that were typed before.

use std::time::{Duration, Instant};

/// Asks a terminal how it is (DSR, ECMA-48 section 8.3.35), which all do that are in use.
const QUESTION: &[u8] = b"\x1b[5n";
/// It is well.
const ANSWER: &[u8] = b"\x1b[0n";
/// How long the answer is waited for; a terminal that gives none loses what was typed meanwhile. A
/// round trip of a satellite path, with one loss.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);

/// Between a viewer's terminal and the session.
#[derive(Debug, Default)]
pub struct FirstSight {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// The terminal is to be asked.
    #[default]
    Unasked,
    /// It was asked; `end` is the end of what it has sent, shorter than the answer.
    Asked { until: Instant, end: Vec<u8> },
    /// It has taken too long; its answer is nobody's key, if it comes.
    Late,
    /// Everything is for the session.
    Seen,
}

impl FirstSight {
    /// What the terminal is to be told `now`, before it is shown the session. Once.
    pub fn poll_question(&mut self, now: Instant) -> Option<&'static [u8]> {
        let State::Unasked = self.state else { return None };
        self.state = State::Asked { until: now + ANSWER_TIME_MAX, end: Vec::new() };
        Some(QUESTION)
    }

    /// The terminal sent bytes; gives those that are for the session.
    pub fn pass(&mut self, mut bytes: Vec<u8>, now: Instant) -> Vec<u8> {
        match &mut self.state {
            State::Unasked => Vec::new(),
            State::Seen => bytes,
            State::Asked { until, end } => {
                end.extend_from_slice(&bytes);
                if let Some(at) = find_answer(end) {
                    let behind = end.split_off(at + ANSWER.len());
                    self.state = State::Seen;
                    return behind;
                }
                if *until <= now {
                    self.state = State::Late;
                    return bytes;
                }
                end.drain(..end.len().saturating_sub(ANSWER.len() - 1));
                Vec::new()
            }
            State::Late => {
                if let Some(at) = find_answer(&bytes) {
                    bytes.drain(at..at + ANSWER.len());
                    self.state = State::Seen;
                }
                bytes
            }
        }
    }
}

fn find_answer(bytes: &[u8]) -> Option<usize> {
    bytes.windows(ANSWER.len()).position(|window| window == ANSWER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is for the session of these pieces, each so many milliseconds after the question.
    fn passed(pieces: &[(u64, &[u8])]) -> Vec<u8> {
        let (mut sight, now) = (FirstSight::default(), Instant::now());
        assert_eq!(sight.pass(b"early".to_vec(), now), b"");
        assert_eq!(sight.poll_question(now), Some(QUESTION));
        assert_eq!(sight.poll_question(now), None, "it is asked once");
        let pass = |(millis, bytes): &(u64, &[u8])| {
            sight.pass(bytes.to_vec(), now + Duration::from_millis(*millis))
        };
        pieces.iter().flat_map(pass).collect()
    }

    #[test]
    fn keys_before_the_answer_are_for_nobody() {
        assert_eq!(
            passed(&[(0, b"rm\r"), (900, b"y\r\x1b[0nls"), (901, b"\r\x1b[0n")]),
            b"ls\r\x1b[0n"
        );
    }

    #[test]
    fn who_never_answers_is_heard_after_a_while() {
        assert_eq!(
            passed(&[(1999, b"rm"), (2000, b"ls\r"), (9000, b"a\x1b[0nb"), (9001, b"c")]),
            b"ls\rabc"
        );
    }

    proptest! {
        #[test]
        fn answer_is_found_in_whatever_pieces_it_comes(
            before in "[a-z\\x1b\\[0n]{0,9}",
            after in "[a-z]{0,9}",
            cuts in proptest::collection::vec(1usize..6, 1..20),
        ) {
            prop_assume!(find_answer(before.as_bytes()).is_none());
            let all = [before.as_bytes(), ANSWER, after.as_bytes()].concat();
            // The end of what is before and the beginning of the answer may make one earlier.
            let at = find_answer(&all).expect("it is there") + ANSWER.len();
            let (mut pieces, mut rest) = (Vec::new(), all.as_slice());
            for cut in cuts.iter().cycle() {
                let (piece, more) = rest.split_at((*cut).min(rest.len()));
                pieces.push((1, piece));
                rest = more;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(passed(&pieces), &all[at..]);
        }
    }
}
