//! The channel of a host or of a program that joins, from its opening to the start of a subsystem.
//!
//! russh puts a copy of everything that comes on a channel into a short queue, and waits for room in
//! it. So somebody must read it from the beginning, whatever a peer sends and never asks for.

use super::admission::Shared;
use super::channel;
use super::host::NewHostTask;
use super::line::{Line, Stage};
use super::register::RegisterTask;
use super::ssh_link::NewLinkTask;
use super::view::NewViewTask;
use russh::server::Msg;
use russh::{Channel, ChannelMsg};
use std::net::IpAddr;
use std::sync::Arc;
use tern_bootstrap::authorized_keys::Credential;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// What becomes of the channel.
pub(super) enum Order {
    /// It asks for a session.
    Grant,
    /// It asks for a place in a session.
    View,
    /// It asks for an account.
    Register,
    /// It brings a host's or a viewer's link.
    Link,
    /// It is told this and closed.
    Refuse(&'static str),
}

/// A channel that was just opened.
pub(super) struct SubsystemChannel {
    pub(super) address: IpAddr,
    /// What the connection's user has shown.
    pub(super) credential: Credential,
    pub(super) channel: Channel<Msg>,
    pub(super) order: oneshot::Receiver<Order>,
    pub(super) line: Arc<Line>,
    pub(super) shared: Arc<Shared>,
}

impl SubsystemChannel {
    /// Until the channel's work is done.
    pub(super) async fn run(self) {
        let Self { address, credential, mut channel, mut order, line, shared } = self;
        let time_max = shared.limits.auth_time;
        let Ok(Some(order)) = timeout(time_max, ordered(&mut channel, &mut order)).await else {
            return line.set_stage(Stage::Closing);
        };
        match order {
            Order::Grant => NewHostTask { address, channel, line, shared }.run().await,
            Order::View => NewViewTask { address, credential, channel, line, shared }.run().await,
            Order::Register => RegisterTask { address, channel, line, shared }.run().await,
            Order::Link => NewLinkTask { address, channel, line, shared }.run().await,
            Order::Refuse(text) => {
                channel::refuse(&channel::writer(channel), text).await;
                line.set_stage(Stage::Closing);
            }
        }
    }
}

/// Reads what comes before the subsystem's own bytes. `None`: the peer went without asking.
async fn ordered(
    channel: &mut Channel<Msg>,
    order: &mut oneshot::Receiver<Order>,
) -> Option<Order> {
    let mut is_asked = false;
    let order = loop {
        tokio::select! {
            order = &mut *order => break order.ok()?,
            // What follows the request is the subsystem's.
            message = channel.wait(), if !is_asked => {
                is_asked = matches!(message?, ChannelMsg::RequestSubsystem { .. });
            }
        }
    };
    while !is_asked && !matches!(order, Order::Refuse(_)) {
        is_asked = matches!(channel.wait().await?, ChannelMsg::RequestSubsystem { .. });
    }
    Some(order)
}
