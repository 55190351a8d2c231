//! The hello on QUIC's first stream, bound to the connection by the TLS exporter (RFC 8446, section
//! 7.5).

use super::{Binding, Hello, Proven, Welcome, WelcomeMessage, in_time};
use crate::credentials::{Credentials, Kind};
use crate::grant::{Refusal, Secret, SessionId, WireError};
use crate::ticket::Ticket;
use crate::wire;
use std::time::Duration;

/// How long a refused peer has to read why.
const REFUSAL_LINGER: Duration = Duration::from_secs(2);
/// QUIC application error code of a connection that was refused in the hello.
pub const CLOSE_REFUSED: u32 = 1;

const EXPORTER_LABEL: &[u8] = b"EXPORTER-tern-hello";

/// Host, viewer: introduces itself and checks the relay's proof. `epoch` names its endpoint state: a
/// random number, new whenever it begins with state 0.
pub async fn introduce(
    connection: &quinn::Connection,
    who: &Credentials,
    epoch: u64,
) -> Result<Welcome, WireError> {
    let binding = export(connection);
    in_time(async {
        let (mut writer, mut reader) = connection.open_bi().await?;
        wire::write_question(&mut writer, &Hello::new(who, epoch, &binding, None)).await?;
        let answer: WelcomeMessage = wire::read_answer(&mut reader).await?;
        answer.check(&who.secret, &binding)
    })
    .await
}

/// A peer whose proof was right, waiting for its answer.
pub struct Introduction {
    /// Its session, or the viewer's place in one.
    pub session: SessionId,
    /// Names the peer's endpoint state.
    pub epoch: u64,
    proven: Proven,
    connection: quinn::Connection,
    writer: quinn::SendStream,
}

impl std::fmt::Debug for Introduction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Introduction").field("session", &self.session).finish_non_exhaustive()
    }
}

/// Relay: reads a hello, within [`HELLO_TIME_MAX`](super::HELLO_TIME_MAX). `secret_of` finds the
/// session's secret, by its id or in the ticket that the host shows, whatever that is worth. On a
/// version mismatch, an unknown session or a wrong proof it refuses by itself (with the same answer
/// for the last two, so that nobody learns which sessions there are) and returns the error.
pub async fn accept(
    connection: &quinn::Connection,
    secret_of: impl FnOnce(SessionId, &Ticket) -> Option<(Kind, Secret)>,
) -> Result<Introduction, WireError> {
    let (mut writer, hello) = in_time(async {
        let (mut writer, mut reader) = connection.accept_bi().await?;
        let hello = wire::read_question::<Hello>(&mut reader, &mut writer).await;
        Ok((writer, hello))
    })
    .await?;
    let hello = match hello {
        Ok(hello) => hello,
        Err(error @ WireError::Version { .. }) => {
            finish_refusal(connection, writer).await;
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    match hello.check(export(connection), secret_of) {
        Ok(proven) => {
            let (session, epoch) = (proven.session, proven.epoch);
            Ok(Introduction { session, epoch, proven, connection: connection.clone(), writer })
        }
        Err(refusal) => {
            wire::write_no(&mut writer, &refusal).await?;
            finish_refusal(connection, writer).await;
            Err(WireError::Refused(refusal))
        }
    }
}

impl Introduction {
    /// Says welcome, with the relay's proof.
    pub async fn welcome(mut self, is_resumed: bool) -> Result<(), WireError> {
        wire::write_yes(&mut self.writer, &self.proven.welcome(is_resumed)).await?;
        // Only fails if it is finished already, which is what it's for.
        let _ = self.writer.finish();
        Ok(())
    }

    /// Says no, and why; closes the connection once the peer has read it.
    pub async fn refuse(mut self, refusal: Refusal) -> Result<(), WireError> {
        wire::write_no(&mut self.writer, &refusal).await?;
        finish_refusal(&self.connection, self.writer).await;
        Ok(())
    }
}

/// Lets the peer read the refusal that was written, then closes.
async fn finish_refusal(connection: &quinn::Connection, mut writer: quinn::SendStream) {
    let _ = writer.finish();
    let _ = tokio::time::timeout(REFUSAL_LINGER, writer.stopped()).await;
    connection.close(CLOSE_REFUSED.into(), b"refused");
}

fn export(connection: &quinn::Connection) -> Binding {
    let mut binding = Binding::default();
    connection
        .export_keying_material(&mut binding, EXPORTER_LABEL, b"")
        .expect("32 bytes are within what TLS 1.3 exports");
    binding
}

#[cfg(test)]
mod tests {
    use super::super::{SERVER_NAME, is_wrong_certificate, quic_client_config};
    use super::*;
    use crate::grant::tests::grant;
    use crate::grant::{RefusalCode, SessionGrant};
    use crate::identity::Identity;
    use std::net::{Ipv4Addr, SocketAddr};

    #[tokio::test]
    async fn host_with_the_secret_is_welcome() {
        let relay = Identity::ephemeral();
        let grant = SessionGrant { certificate: relay.certificate_pin(), ..grant() };
        let known = grant.clone();
        let (welcome, epoch) = meet(&relay, &grant, move |session, ticket| {
            assert_eq!(*ticket, known.ticket);
            (session == known.session).then_some((Kind::Host, known.secret))
        })
        .await;
        assert_eq!(welcome.expect("welcome"), Welcome { is_resumed: true });
        assert_eq!(epoch.expect("introduced"), 42);
    }

    #[tokio::test]
    async fn wrong_secret_and_unknown_session_get_the_same_answer() {
        let relay = Identity::ephemeral();
        let grant = SessionGrant { certificate: relay.certificate_pin(), ..grant() };
        let mut answers = Vec::new();
        for secret in [None, Some(Secret([3; 32]))] {
            let known = secret.map(|secret| (Kind::Host, secret));
            let (welcome, _) = meet(&relay, &grant, move |_, _| known).await;
            match welcome {
                Err(WireError::Refused(refusal)) => answers.push(refusal),
                other => panic!("expected a refusal, got {other:?}"),
            }
        }
        assert_eq!(answers[0], answers[1]);
        assert_eq!(answers[0].code, RefusalCode::Unauthorized);
    }

    #[tokio::test]
    async fn viewer_can_not_pass_for_a_host_nor_a_host_for_a_viewer() {
        let relay = Identity::ephemeral();
        let grant = SessionGrant { certificate: relay.certificate_pin(), ..grant() };
        let secret = grant.secret.clone();
        let (welcome, _) = meet(&relay, &grant, move |_, _| Some((Kind::Viewer, secret))).await;
        assert!(matches!(welcome, Err(WireError::Refused(_))), "{welcome:?}");
    }

    #[tokio::test]
    async fn relay_that_does_not_hold_the_secret_is_an_impostor() {
        let relay = Identity::ephemeral();
        let grant = SessionGrant { certificate: relay.certificate_pin(), ..grant() };
        let (server, connection) = connect(&relay, &grant).await.expect("connected");
        let answer = tokio::spawn(async move {
            let (mut writer, mut reader) = server.accept_bi().await.expect("a stream");
            let _: Hello = wire::read_question(&mut reader, &mut Vec::new()).await.expect("hello");
            let answer = WelcomeMessage { is_resumed: false, proof: [0; 32] };
            wire::write_yes(&mut writer, &answer).await.expect("written");
            server.closed().await;
        });
        let welcome = introduce(&connection, &grant.credentials(), 1).await;
        assert!(matches!(welcome, Err(WireError::Impostor)), "{welcome:?}");
        connection.close(0u32.into(), b"");
        answer.await.expect("no panic");
    }

    #[tokio::test]
    async fn other_certificate_is_not_trusted() {
        let relay = Identity::ephemeral();
        let grant =
            SessionGrant { certificate: Identity::ephemeral().certificate_pin(), ..grant() };
        let error = connect(&relay, &grant).await.expect_err("not trusted");
        assert!(is_wrong_certificate(&error), "{error:?}");
    }

    /// Relay and host meet on loopback.
    async fn meet(
        relay: &Identity,
        grant: &SessionGrant,
        secret_of: impl FnOnce(SessionId, &Ticket) -> Option<(Kind, Secret)> + Send + 'static,
    ) -> (Result<Welcome, WireError>, Result<u64, WireError>) {
        let (server, connection) = connect(relay, grant).await.expect("connected");
        let accepted = tokio::spawn(async move {
            let introduction = accept(&server, secret_of).await?;
            let epoch = introduction.epoch;
            introduction.welcome(true).await?;
            server.closed().await;
            Ok(epoch)
        });
        let welcome = introduce(&connection, &grant.credentials(), 42).await;
        connection.close(0u32.into(), b"");
        (welcome, accepted.await.expect("no panic"))
    }

    /// The relay's and the host's end of a connection.
    async fn connect(
        relay: &Identity,
        grant: &SessionGrant,
    ) -> Result<(quinn::Connection, quinn::Connection), quinn::ConnectionError> {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = relay.quic_server_config(Default::default()).expect("they fit");
        let server = quinn::Endpoint::server(config, loopback).expect("bound");
        let address = server.local_addr().expect("bound");
        let client = quinn::Endpoint::client(loopback).expect("bound");
        let config = quic_client_config(grant.certificate, Default::default());
        let connecting = client.connect_with(config, address, SERVER_NAME).expect("configured");
        let accepting = async { server.accept().await.expect("the endpoint is open").await };
        let (client, server) = tokio::join!(connecting, accepting);
        let client = client?;
        Ok((server?, client))
    }
}
