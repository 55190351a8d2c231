//! What must hold for any bytes; shared by the fuzz targets and by the tests that replay the corpus.

use std::time::{Duration, Instant};
use tern_client::core::control_mode::{ControlMode, Event, LINE_SIZE_MAX, REPLY_SIZE_MAX};
use tern_client::core::tmux_session::{Command, Query, TmuxSession};
use tern_client::core::tmux_version::TmuxVersion;
use tern_client::shell::protocol::{self, Answer, Request};
use tern_term::Size;

/// Any bytes of a control-mode client: no panic, bounded replies, and a machine that goes on
/// whatever they say.
pub(crate) fn check_control_mode(bytes: &[u8]) {
    let mut parser = ControlMode::default();
    let mut now = Instant::now();
    let (size, time) = (Size { cols: 80, rows: 24 }, Duration::from_secs(15));
    let mut session = TmuxSession::new(TmuxVersion::new(3, 3), "$0".into(), size, time, now);
    for chunk in bytes.chunks(97) {
        parser.handle_bytes(chunk);
        obey(&mut session, &mut parser, now);
        while let Some(event) = parser.poll_event() {
            if let Event::Reply(reply) = &event {
                let size: usize = reply.lines.iter().map(Vec::len).sum();
                assert!(size <= REPLY_SIZE_MAX);
                assert!(reply.lines.iter().all(|line| line.len() <= LINE_SIZE_MAX));
            }
            session.handle_control_event(event, now);
            obey(&mut session, &mut parser, now);
        }
        now += Duration::from_millis(50);
        session.handle_timeout(now);
    }
}

fn obey(session: &mut TmuxSession, parser: &mut ControlMode<Query>, now: Instant) {
    while let Some(command) = session.poll_command() {
        match command {
            Command::AttachControl => session.handle_control_attached(now),
            Command::CheckSession => session.handle_session_checked(true, now),
            Command::Tmux(query, line) => {
                // A second line would be a second command.
                assert!(!line.contains(['\n', '\r']), "{line:?}");
                parser.expect_reply(query);
            }
            _ => {}
        }
    }
}

/// Any bytes at an agent's socket, or from an agent.
pub(crate) fn check_local_socket(bytes: &[u8]) {
    let mut requests = bytes;
    while let Ok(Some(request)) = protocol::read::<Request>(&mut requests) {
        let _ = protocol::encode(&request);
    }
    let mut answers = bytes;
    while let Ok(Some(answer)) = protocol::read::<Answer>(&mut answers) {
        // What was small enough to be read is small enough to be written, but for longer numbers.
        let _ = protocol::encode(&answer);
    }
}
