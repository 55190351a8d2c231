//! A host asks for a session on the subsystem: it is granted, or told why not.

use super::admission::Shared;
use super::grants::{create, short};
use super::line::{Line, Stage};
use crate::core::text;
use russh::Channel;
use russh::server::Msg;
use std::net::IpAddr;
use std::sync::Arc;
use tern_bootstrap::grant::{self, Refusal, SessionGrant, SessionRequest, WireError};
use tokio::time::timeout;

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
            let answer = answer(&self.shared, self.address, &request).await;
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

/// What a host gets, whichever way it asked.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    address: IpAddr,
    request: &SessionRequest,
) -> Result<SessionGrant, Refusal> {
    let answer = create(shared, address, request.claim.as_ref()).await;
    match &answer {
        Ok(grant) => tracing::info!(
            session = %short(grant.session),
            %address,
            software = %text::from_host(&request.software),
            "session granted"
        ),
        Err(refusal) => tracing::info!(%address, %refusal, "session refused"),
    }
    answer
}
