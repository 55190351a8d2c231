//! The first words on a connection: of the same size and in as many round trips as the real ones
//! (`tern_bootstrap::hello`), without proofs, for there are no strangers here.

use quinn::Connection;

/// Bytes of a real hello with its framing, about: session, epoch, proof.
const HELLO_SIZE: usize = 90;
/// Bytes of a real welcome.
const WELCOME_SIZE: usize = 60;

/// What the relay answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Welcome {
    /// It has the endpoint of this epoch: both go on.
    pub(super) is_resumed: bool,
}

/// Host: asks. `None`: the connection broke.
pub(super) async fn introduce(connection: &Connection, epoch: u64) -> Option<Welcome> {
    let (mut writer, mut reader) = connection.open_bi().await.ok()?;
    let mut hello = [0; HELLO_SIZE];
    hello[..8].copy_from_slice(&epoch.to_be_bytes());
    writer.write_all(&hello).await.ok()?;
    let mut welcome = [0; WELCOME_SIZE];
    reader.read_exact(&mut welcome).await.ok()?;
    Some(Welcome { is_resumed: welcome[0] == 1 })
}

/// Relay: hears the epoch.
pub(super) async fn accept(connection: &Connection) -> Option<(u64, quinn::SendStream)> {
    let (writer, mut reader) = connection.accept_bi().await.ok()?;
    let mut hello = [0; HELLO_SIZE];
    reader.read_exact(&mut hello).await.ok()?;
    let epoch = u64::from_be_bytes(hello[..8].try_into().expect("eight bytes"));
    Some((epoch, writer))
}

/// Relay: answers.
pub(super) async fn welcome(mut writer: quinn::SendStream, welcome: Welcome) {
    let mut bytes = [0; WELCOME_SIZE];
    bytes[0] = u8::from(welcome.is_resumed);
    // A host that is gone comes back over another connection.
    if writer.write_all(&bytes).await.is_ok() {
        let _ = writer.finish();
    }
}
