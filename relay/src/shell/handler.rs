//! What an SSH connection may ask for: who it is, one channel, on it a terminal (viewers) or one
//! of the subsystems by which hosts get a session, `tern join` a place in one, and both bring their
//! links. Everything else is refused.

use super::admission::Shared;
use super::authorized::is_authorized;
use super::channel::{self, Writer};

use super::line::{Line, Stage};
use super::subsystem::{Order, SubsystemChannel};
use super::typing::ViewerState;
use super::viewer;
use super::waiting::AskedToken;
use crate::core::text;
use russh::server::{Auth, ChannelOpenHandle, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, MethodKind, MethodSet, Pty};
use std::net::SocketAddr;
use std::sync::Arc;
use tern_bootstrap::grant::{HOST_USER, LINK_SUBSYSTEM, SUBSYSTEM};
use tern_bootstrap::register::REGISTER_SUBSYSTEM;
use tern_bootstrap::view::{VIEW_SUBSYSTEM, VIEWER_USER};
use tern_term::Size;
use tokio::sync::{oneshot, watch};

/// Longest TERM or COLORTERM that is looked at.
const NAME_SIZE_MAX: usize = 64;

/// By its user name. (The token itself is not kept.)
#[derive(Debug, Clone, Copy)]
enum Caller {
    Host,
    /// `tern join`, which says its token later.
    Replica,
    Viewer(AskedToken),
}

impl Caller {
    fn of(user: &str) -> Self {
        match user {
            HOST_USER => Self::Host,
            VIEWER_USER => Self::Replica,
            token => Self::Viewer(AskedToken::of(token)),
        }
    }
}

/// The terminal of a viewer.
#[derive(Debug)]
struct Terminal {
    name: String,
    size: watch::Sender<Size>,
}

/// The one channel of a connection.
enum Slot {
    Free,
    Open(Opened),
    Used,
}

/// By whom. Nobody reads what russh queues for a viewer's channel, so its reading half is dropped at
/// once: what a viewer sends comes through this handler.
enum Opened {
    Viewer(Writer),
    Program(oneshot::Sender<Order>),
}

/// russh calls it for one connection, one call at a time.
pub(super) struct Handler {
    address: SocketAddr,
    line: Arc<Line>,
    shared: Arc<Shared>,
    caller: Option<Caller>,
    slot: Slot,
    terminal: Option<Terminal>,
    color_term: Option<String>,
    viewer: Option<Arc<ViewerState>>,
}

impl Handler {
    pub(super) fn new(address: SocketAddr, line: Arc<Line>, shared: Arc<Shared>) -> Self {
        Self {
            address,
            line,
            shared,
            caller: None,
            slot: Slot::Free,
            terminal: None,
            color_term: None,
            viewer: None,
        }
    }

    /// Viewers are known by their token, which is looked up later, whatever key they have; hosts
    /// by the operator's list, if there is one.
    fn admit(&mut self, user: &str) -> Auth {
        if user == HOST_USER && self.shared.authorized_hosts.is_some() {
            return Auth::Reject {
                proceed_with_methods: Some(MethodSet::from([MethodKind::PublicKey].as_slice())),
                partial_success: false,
            };
        }
        self.caller = Some(Caller::of(user));
        Auth::Accept
    }

    /// Whether somebody with this key may go on; who it is stays open, as an offer proves nothing.
    async fn accepts(&self, user: &str, key: &russh::keys::PublicKey) -> bool {
        match &self.shared.authorized_hosts {
            Some(path) if user == HOST_USER => is_authorized(path, key).await,
            Some(_) | None => true,
        }
    }

    /// The channel, if it has not been used.
    fn take_channel(&mut self) -> Option<Opened> {
        match std::mem::replace(&mut self.slot, Slot::Used) {
            Slot::Open(opened) => Some(opened),
            Slot::Free | Slot::Used => None,
        }
    }

    /// Accepts a request only to say why it isn't served; ssh shows it.
    fn refuse(
        &mut self,
        id: ChannelId,
        session: &mut Session,
        text: &'static str,
    ) -> Result<(), russh::Error> {
        let Some(opened) = self.take_channel() else { return session.channel_failure(id) };
        session.channel_success(id)?;
        match opened {
            Opened::Viewer(writer) => self.say(writer, text),
            // Its task ends only with the connection.
            Opened::Program(order) => drop(order.send(Order::Refuse(text))),
        }
        Ok(())
    }

    fn say(&self, writer: Writer, text: &'static str) {
        let line = Arc::clone(&self.line);
        tokio::spawn(async move {
            channel::refuse(&writer, text).await;
            line.set_stage(Stage::Closing);
        });
    }

    fn start_viewer(&mut self, token: AskedToken, writer: Writer, session: &Session) {
        let Some(terminal) = &self.terminal else {
            return self.say(writer, text::NEEDS_TERMINAL);
        };
        self.line.start_window(session.remote_sshid());
        let state = Arc::new(ViewerState::default());
        self.viewer = Some(state.clone());
        let capabilities =
            tern_term::Capabilities::from_env(&terminal.name, self.color_term.as_deref());
        let viewer = viewer::NewViewerTask {
            token,
            address: self.address.ip().to_canonical(),
            capabilities,
            size: terminal.size.subscribe(),
            writer,
            state,
            line: Arc::clone(&self.line),
            shared: Arc::clone(&self.shared),
        };
        tokio::spawn(viewer.run());
    }

    fn size(&self, cols: u32, rows: u32) -> Size {
        self.shared.limits.viewer_size(cols, rows)
    }
}

impl russh::server::Handler for Handler {
    type Error = russh::Error;

    async fn auth_none(&mut self, user: &str) -> Result<Auth, Self::Error> {
        Ok(self.admit(user))
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        let is_accepted = self.accepts(user, offer.public_key).await;
        Ok(if is_accepted { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        if !self.accepts(user, key.public_key).await {
            return Ok(Auth::reject());
        }
        self.caller = Some(Caller::of(user));
        Ok(Auth::Accept)
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        _response: Option<russh::server::Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.admit(user))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if !matches!(self.slot, Slot::Free) {
            tracing::debug!(address = %self.address, "a second channel is refused");
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        }
        self.slot = Slot::Open(match self.caller {
            Some(Caller::Host | Caller::Replica) => {
                let (sender, order) = oneshot::channel();
                let (line, shared) = (Arc::clone(&self.line), Arc::clone(&self.shared));
                let address = self.address.ip();
                tokio::spawn(SubsystemChannel { address, channel, order, line, shared }.run());
                Opened::Program(sender)
            }
            Some(Caller::Viewer(_)) | None => Opened::Viewer(channel::writer(channel)),
        });
        reply.accept().await;
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        term: &str,
        cols: u32,
        rows: u32,
        _pix_width: u32,
        _pix_height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.terminal.is_some() || !matches!(self.slot, Slot::Open(_)) {
            return session.channel_failure(channel);
        }
        let name = if term.len() <= NAME_SIZE_MAX { term.to_owned() } else { String::new() };
        let size = watch::Sender::new(self.size(cols, rows));
        self.terminal = Some(Terminal { name, size });
        session.channel_success(channel)
    }

    async fn window_change_request(
        &mut self,
        _channel: ChannelId,
        cols: u32,
        rows: u32,
        _pix_width: u32,
        _pix_height: u32,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Some(terminal) = &self.terminal {
            terminal.size.send_replace(self.size(cols, rows));
        }
        Ok(())
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match name {
            "COLORTERM" if value.len() <= NAME_SIZE_MAX => {
                self.color_term = Some(value.to_owned());
                session.channel_success(channel)
            }
            "LANG" => session.channel_success(channel),
            _ => session.channel_failure(channel),
        }
    }

    async fn shell_request(
        &mut self,
        id: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(Caller::Viewer(token)) = self.caller else {
            return self.refuse(id, session, text::HOST_HELP);
        };
        let Some(Opened::Viewer(writer)) = self.take_channel() else {
            return session.channel_failure(id);
        };
        session.channel_success(id)?;
        self.start_viewer(token, writer, session);
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let wanted = match (self.caller, name) {
            (Some(Caller::Host), SUBSYSTEM) => Order::Grant,
            (Some(Caller::Host), REGISTER_SUBSYSTEM) => Order::Register,
            (Some(Caller::Replica), VIEW_SUBSYSTEM) => Order::View,
            (Some(Caller::Host | Caller::Replica), LINK_SUBSYSTEM) => Order::Link,
            _ => return self.refuse(id, session, text::ONLY_TERMINALS),
        };
        let Some(Opened::Program(order)) = self.take_channel() else {
            return session.channel_failure(id);
        };
        session.channel_success(id)?;
        // Its task is gone if it waited for too long; then so is the connection, soon.
        let _ = order.send(wanted);
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        _command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.refuse(id, session, text::ONLY_TERMINALS)
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _single_connection: bool,
        _protocol: &str,
        _cookie: &str,
        _screen: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn data(
        &mut self,
        _channel: ChannelId,
        data: &[u8],
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(state) = &self.viewer else { return Ok(()) };
        state.on_typed(data, &self.line);
        Ok(())
    }

    async fn window_adjusted(
        &mut self,
        _channel: ChannelId,
        size: u32,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.line.on_adjusted(size);
        Ok(())
    }

    async fn channel_close(
        &mut self,
        _channel: ChannelId,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        // Without the size's sender the viewer's task knows that nobody is there.
        self.terminal = None;
        self.line.set_stage(Stage::Closing);
        Ok(())
    }
}
