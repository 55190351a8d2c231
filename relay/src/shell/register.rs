//! Somebody asks for an account on the subsystem: the accounts answer, if they may be asked so.

use super::admission::Shared;
use super::line::{Line, Stage};
use crate::core::address::AddressKey;
use crate::core::text;
use russh::Channel;
use russh::server::Msg;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use tern_bootstrap::grant::{Refusal, RefusalCode, WireError};
use tern_bootstrap::register::{self, RegisterAnswer, Wish};
use tokio::time::timeout;

/// A channel on which the subsystem was started.
pub(super) struct RegisterTask {
    pub(super) address: IpAddr,
    pub(super) channel: Channel<Msg>,
    pub(super) line: Arc<Line>,
    pub(super) shared: Arc<Shared>,
}

impl RegisterTask {
    /// Until it is answered. The connection's time to authenticate bounds it, too.
    pub(super) async fn run(self) {
        let (mut reader, writer) = self.channel.split();
        let served = timeout(self.shared.limits.auth_time, async {
            let mut io = tokio::io::join(reader.make_reader(), writer.make_writer());
            let request = register::read_request(&mut io).await?;
            let answer = answer(&self.shared, request.wish, self.address).await;
            tracing::info!(address = %self.address, is_refused = answer.is_err(), "registration");
            register::write_answer(&mut io, &answer).await?;
            Ok::<_, WireError>(answer.is_err())
        })
        .await;
        let is_refused = match served {
            Ok(Ok(is_refused)) => is_refused,
            Ok(Err(error)) => {
                tracing::info!(address = %self.address, %error, "bad request for an account");
                true
            }
            Err(_) => true,
        };
        super::channel::finish(&writer, Vec::new(), u32::from(is_refused)).await;
        self.line.set_stage(Stage::Closing);
    }
}

async fn answer(shared: &Shared, wish: Wish, address: IpAddr) -> Result<RegisterAnswer, Refusal> {
    let no = |code, text: String| Err(Refusal { code, text });
    let Some(registrar) = &shared.registrar else {
        return no(RefusalCode::Unauthorized, text::NO_REGISTRATION.into());
    };
    let address = AddressKey::from(address);
    // A code that is tried counts as a token does.
    if !shared.registry().may_ask(address, Instant::now()) {
        return no(RefusalCode::TooManyTries, text::TOO_MANY_TRIES.into());
    }
    match registrar.register(wish, address.network()).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(reason)) => no(RefusalCode::Malformed, reason),
        Err(_) => no(RefusalCode::Unavailable, text::REGISTRATION_UNAVAILABLE.into()),
    }
}
