//! Last words on an SSH channel.

use bytes::Bytes;
use russh::server::Msg;
use russh::{Channel, ChannelWriteHalf};
use std::time::Duration;
use tokio::time::timeout;

/// How long last words may take; a viewer without room for them goes without.
const LAST_WORDS_TIME_MAX: Duration = Duration::from_secs(2);

/// The writing half of a session channel.
pub(super) type Writer = ChannelWriteHalf<Msg>;

/// Drops the reading half: what the other side sends comes through the handler.
pub(super) fn writer(channel: Channel<Msg>) -> Writer {
    channel.split().1
}

/// Sends `bytes`, the exit status, and closes.
pub(super) async fn finish(writer: &Writer, bytes: impl Into<Bytes>, exit_status: u32) {
    let words = async {
        writer.data_bytes(bytes).await?;
        close(writer, exit_status).await
    };
    // Who has no room, or is gone, needs no last words; the connection is ended in any case.
    let _ = timeout(LAST_WORDS_TIME_MAX, words).await;
}

/// Sends a line to standard error, the exit status, and closes.
pub(super) async fn refuse(writer: &Writer, text: &str) {
    const STDERR: u32 = 1;
    let words = async {
        writer.extended_data_bytes(STDERR, format!("{text}\r\n")).await?;
        close(writer, 1).await
    };
    let _ = timeout(LAST_WORDS_TIME_MAX, words).await;
}

async fn close(writer: &Writer, exit_status: u32) -> Result<(), russh::Error> {
    writer.exit_status(exit_status).await?;
    writer.eof().await?;
    writer.close().await
}
