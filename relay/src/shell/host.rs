//! A host asks for a session on the subsystem: it is granted, or told why not.

use super::admission::{SessionGuard, Shared};
use super::line::{Line, Stage};
use super::session::SessionTask;
use crate::core::address::AddressKey;
use crate::core::registry::NewSession;
use crate::core::text;
use crate::core::token::TokenHash;
use russh::Channel;
use russh::server::Msg;
use std::net::IpAddr;
use std::sync::Arc;
use tern_bootstrap::grant::{
    self, Refusal, RefusalCode, Secret, SessionGrant, SessionId, WireError,
};
use tern_bootstrap::token;
use tokio::time::timeout;
use tracing::Instrument;

/// A host's channel, on which the subsystem was started.
pub(super) struct NewHostTask {
    pub(super) address: IpAddr,
    pub(super) channel: Channel<Msg>,
    pub(super) line: Arc<Line>,
    pub(super) shared: Arc<Shared>,
}

impl NewHostTask {
    /// Until it is answered. The connection's time to authenticate bounds it, too.
    pub(super) async fn run(self) {
        let (mut reader, writer) = self.channel.split();
        let time_max = self.shared.limits.auth_time;
        let served = timeout(time_max, async {
            let mut io = tokio::io::join(reader.make_reader(), writer.make_writer());
            let request = grant::read_request(&mut io).await?;
            let answer = create(&self.shared, self.address);
            match &answer {
                Ok(grant) => tracing::info!(
                    session = %short(grant.session),
                    address = %self.address,
                    software = %text::from_host(&request.software),
                    "session granted"
                ),
                Err(refusal) => {
                    tracing::info!(address = %self.address, %refusal, "session refused");
                }
            }
            grant::write_answer(&mut io, &answer).await?;
            Ok::<_, WireError>(answer.is_err())
        })
        .await;
        let exit_status = match served {
            Ok(Ok(is_refused)) => u32::from(is_refused),
            Ok(Err(error)) => {
                tracing::info!(address = %self.address, %error, "bad request for a session");
                1
            }
            Err(_) => 1,
        };
        super::channel::finish(&writer, Vec::new(), exit_status).await;
        self.line.set_stage(Stage::Closing);
    }
}

/// A session with its task running, or why there is none.
fn create(shared: &Arc<Shared>, address: IpAddr) -> Result<SessionGrant, Refusal> {
    let stopping = || Refusal { code: RefusalCode::Stopping, text: text::STOPPING.into() };
    let alive = shared.keep_alive().ok_or_else(stopping)?;
    if shared.is_for_this_machine && !address.to_canonical().is_loopback() {
        let text = text::THIS_MACHINE_ONLY.to_owned();
        return Err(Refusal { code: RefusalCode::Unauthorized, text });
    }
    let grant = SessionGrant {
        session: SessionId(token::random()),
        secret: Secret(token::random()),
        token: token::generate(),
        token_ro: token::generate_read_only(),
        ssh_host: shared.advertised.host.clone(),
        ssh_port: shared.advertised.ssh_port,
        quic_port: shared.advertised.quic_port,
        certificate: shared.certificate,
    };
    let (task, handle) = SessionTask::new(shared);
    let guard = SessionGuard::insert(
        shared,
        NewSession {
            id: grant.session,
            secret: grant.secret.clone(),
            token: TokenHash::of(&grant.token),
            token_ro: TokenHash::of(&grant.token_ro),
            address: AddressKey::from(address),
            handle,
        },
    )?;
    let span = tracing::info_span!("session", id = %short(grant.session));
    tokio::spawn(task.run(guard, alive).instrument(span));
    Ok(grant)
}

/// Enough of a session's id to tell sessions apart in a log. It opens nothing.
fn short(session: SessionId) -> String {
    session.0.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}
