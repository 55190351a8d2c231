//! A program that joins asks for a place in a session on its subsystem: it is granted, or told why
//! not.

use super::admission::Shared;
use super::doors::ANSWER_WAIT_MAX;
use super::grants::{create_view, refusal, returning, short};
use super::line::{Line, Stage};
use super::viewer::delay_refusal;
use super::waiting::AskedToken;
use crate::core::registry::Denied;
use crate::core::text;
use russh::Channel;
use russh::server::Msg;
use std::net::IpAddr;
use std::sync::Arc;
use tern_bootstrap::authorized_keys::Credential;
use tern_bootstrap::grant::{Refusal, WireError};
use tern_bootstrap::view::{self, ViewGrant, ViewRequest};
use tokio::time::timeout;

/// A channel on which the subsystem was started.
pub(super) struct NewViewTask {
    pub(super) address: IpAddr,
    /// What its user has shown.
    pub(super) credential: Credential,
    pub(super) channel: Channel<Msg>,
    pub(super) line: Arc<Line>,
    pub(super) shared: Arc<Shared>,
}

impl NewViewTask {
    /// Until it is answered. The connection's time to authenticate bounds it, too.
    pub(super) async fn run(self) {
        let (mut reader, writer) = self.channel.split();
        let time_max = self.shared.limits.auth_time;
        let address = self.address.to_canonical();
        let served = timeout(time_max, async {
            let mut io = tokio::io::join(reader.make_reader(), writer.make_writer());
            let request = view::read_request(&mut io).await?;
            let answer = answer(&self.shared, &request, address, &self.credential).await;
            match &answer {
                Ok(grant) => tracing::info!(
                    viewer = %short(grant.viewer),
                    %address,
                    software = %text::from_host(&request.software),
                    "place granted"
                ),
                Err(refusal) => tracing::info!(%address, %refusal, "viewer refused"),
            }
            view::write_answer(&mut io, &answer).await?;
            Ok::<_, WireError>(answer.is_err())
        })
        .await;
        let exit_status = match served {
            Ok(Ok(is_refused)) => u32::from(is_refused),
            Ok(Err(error)) => {
                tracing::info!(%address, %error, "bad request for a place in a session");
                1
            }
            Err(_) => 1,
        };
        super::channel::finish(&writer, Vec::new(), exit_status).await;
        self.line.set_stage(Stage::Closing);
    }
}

/// What viewers that come by plain ssh get, too: the same words, as late.
async fn answer(
    shared: &Arc<Shared>,
    request: &ViewRequest,
    address: IpAddr,
    credential: &Credential,
) -> Result<ViewGrant, Refusal> {
    if AskedToken::of(&request.token).may_return(shared, address) {
        return Err(returning());
    }
    let creating = create_view(shared, &request.token, address, credential);
    // Its host has not said yet who may join.
    let granted = timeout(ANSWER_WAIT_MAX, creating).await.map_err(|_| returning())?;
    if let Err(Denied::WrongToken | Denied::TooManyTries) = granted {
        delay_refusal().await;
    }
    granted.map_err(refusal)
}
