//! Whatever a stranger writes where a request or a grant is expected is a message or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Cursor;
use tern_bootstrap::grant::{Secret, SessionRequest, ask, read_request};
use tern_bootstrap::hello::accept_over;

fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        // What we write goes to a sink; what we read is the fuzzer's.
        let mut io = tokio::io::join(Cursor::new(bytes), tokio::io::sink());
        let _ = read_request(&mut io).await;
        let mut io = tokio::io::join(Cursor::new(bytes), tokio::io::sink());
        let _ = ask(&mut io, &SessionRequest { software: "fuzz".into() }).await;
        let mut io = tokio::io::join(Cursor::new(bytes), tokio::io::sink());
        let _ = accept_over(&mut io, "SHA256:fuzz", |_, _| Some(Secret([0; 32]))).await;
    });
});
