//! Whatever a stranger writes where a request or a grant is expected is a message or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Cursor;
use tern_bootstrap::credentials::Kind;
use tern_bootstrap::grant::{Secret, SessionId, SessionRequest, ask, read_request};
use tern_bootstrap::hello::accept_over;
use tern_bootstrap::ticket::{KEY_SIZE, Ticket, TicketKey};
use tern_bootstrap::view;

fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        // What we write goes to a sink; what we read is the fuzzer's.
        let mut io = tokio::io::join(Cursor::new(bytes), tokio::io::sink());
        let _ = read_request(&mut io).await;
        let mut io = tokio::io::join(Cursor::new(bytes), tokio::io::sink());
        let _ = ask(&mut io, &SessionRequest { software: "fuzz".into(), ..Default::default() }).await;
        let mut io = tokio::io::join(Cursor::new(bytes), tokio::io::sink());
        let _ = accept_over(&mut io, "SHA256:fuzz", |_: SessionId, _| Some((Kind::Viewer, Secret([0; 32])))).await;
        let mut io = tokio::io::join(Cursor::new(bytes), tokio::io::sink());
        let _ = view::read_request(&mut io).await;
        let mut io = tokio::io::join(Cursor::new(bytes), tokio::io::sink());
        let request = view::ViewRequest { software: "fuzz".into(), token: "fuzz".into() };
        let _ = view::ask(&mut io, &request).await;
    });
    let key = TicketKey::new(&[0; KEY_SIZE]);
    let (ticket, now) = (Ticket(bytes.to_vec()), std::time::SystemTime::now());
    assert!(key.open(&ticket, now, std::time::Duration::MAX).is_err());
    assert!(key.open_view(&ticket, now, std::time::Duration::MAX).is_err());
});
