//! The session's link inside an SSH connection.

use super::ssh::{self, KeyCheck};
use super::{BootstrapError, Options};
use crate::credentials::{Credentials, Kind};
use crate::grant::{HOST_USER, LINK_SUBSYSTEM};
use crate::hello::{Welcome, introduce_over};
use crate::view::VIEWER_USER;
use russh::ChannelStream;
use russh::client::{Handle, Msg};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A link that the relay has welcomed.
#[derive(Debug)]
pub struct OpenedLink {
    /// Carries the session from here on.
    pub stream: LinkStream,
    /// What the relay said.
    pub welcome: Welcome,
    /// Things that the person should be told, as in [`Granted`](super::Granted).
    pub notices: Vec<String>,
}

/// A channel of an SSH connection, which lives as long as it.
pub struct LinkStream {
    channel: ChannelStream<Msg>,
    /// The connection ends with its handle.
    _ssh: Handle<KeyCheck>,
}

impl std::fmt::Debug for LinkStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkStream").finish_non_exhaustive()
    }
}

/// Connects, checks and authenticates as [`request_session`](super::request_session) does, then
/// introduces the host or viewer that `who` is. `epoch` is as in
/// [`introduce`](crate::hello::introduce). Split the stream and hand both halves to the sync
/// endpoint's stream link. [`BootstrapError::Link`] with a refusal is the relay's word about the
/// session, as over QUIC.
pub async fn open_link(
    options: &Options,
    who: &Credentials,
    epoch: u64,
) -> Result<OpenedLink, BootstrapError> {
    let user = match who.kind {
        Kind::Host => HOST_USER,
        Kind::Viewer => VIEWER_USER,
    };
    let dialled = ssh::dial(&options.relay).await?;
    ssh::in_time(options, async {
        let ssh = ssh::connect(options, user, dialled).await?;
        let mut channel = ssh.subsystem(options, LINK_SUBSYSTEM).await?.into_stream();
        let welcome = introduce_over(&mut channel, &ssh.fingerprint, who, epoch)
            .await
            .map_err(|error| BootstrapError::Link { relay: options.relay.clone(), error })?;
        let (handle, notices) = ssh.into_parts();
        let stream = LinkStream { channel, _ssh: handle };
        Ok(OpenedLink { stream, welcome, notices })
    })
    .await
}

impl AsyncRead for LinkStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.channel).poll_read(cx, buffer)
    }
}

impl AsyncWrite for LinkStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.channel).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.channel).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.channel).poll_shutdown(cx)
    }
}
