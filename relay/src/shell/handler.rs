//! What an SSH connection may ask for: who it is, one channel, on it a terminal (viewers) or one
//! of the subsystems by which hosts get a session, `tern join` a place in one, and both bring their
//! links. Everything else is refused.

use super::admission::Shared;
use super::authorized::{is_authorized, may_accept};
use super::channel::{self, Writer};
use super::doors::{self, unix_time};

use super::line::{Line, Stage};
use super::subsystem::{Order, SubsystemChannel};
use super::typing::ViewerState;
use super::viewer;
use super::waiting::AskedToken;
use crate::core::doors::Doors;
use crate::core::text;
use russh::keys::{Certificate, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, MethodKind, MethodSet, Pty};
use std::net::SocketAddr;
use std::sync::Arc;
use tern_bootstrap::authorized_keys::Credential;
use tern_bootstrap::grant::{HOST_USER, LINK_SUBSYSTEM, SUBSYSTEM};
use tern_bootstrap::register::REGISTER_SUBSYSTEM;
use tern_bootstrap::view::{VIEW_SUBSYSTEM, VIEWER_USER, asked_token};
use tern_term::Size;
use tokio::sync::{oneshot, watch};

/// Longest TERM or COLORTERM that is looked at.
const NAME_SIZE_MAX: usize = 64;

/// By its user name. (The token itself is not kept.)
#[derive(Debug, Clone, Copy)]
enum Caller {
    Host,
    /// `tern join`, which brings a link, or asks for a place with the token that it has named.
    Replica(Option<AskedToken>),
    Viewer(AskedToken),
}

impl Caller {
    fn of(user: &str) -> Self {
        match user {
            HOST_USER => Self::Host,
            VIEWER_USER => Self::Replica(None),
            user => match asked_token(user) {
                Some(token) => Self::Replica(Some(AskedToken::of(token))),
                None => Self::Viewer(AskedToken::of(user)),
            },
        }
    }

    fn token(self) -> Option<AskedToken> {
        match self {
            Self::Host => None,
            Self::Replica(token) => token,
            Self::Viewer(token) => Some(token),
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
    /// What it has shown to be its own.
    credential: Credential,
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
            credential: Credential::Nothing,
            slot: Slot::Free,
            terminal: None,
            color_term: None,
            viewer: None,
        }
    }

    /// Viewers are known by their token, and by their key where their session's host asks for one;
    /// hosts by the operator's list, if there is one. What can't be known yet is looked at when the
    /// viewer joins.
    async fn admit(&mut self, user: &str) -> Auth {
        let wants_key = match Caller::of(user) {
            Caller::Host => self.shared.authorized_hosts.is_some(),
            caller => self.doors(caller).await.is_some_and(|doors| doors.want_key()),
        };
        if wants_key {
            return Auth::Reject {
                proceed_with_methods: Some(MethodSet::from([MethodKind::PublicKey].as_slice())),
                partial_success: false,
            };
        }
        self.caller = Some(Caller::of(user));
        Auth::Accept
    }

    /// The doors of the session that a viewer wants to join, as far as they are known.
    async fn doors(&self, caller: Caller) -> Option<Arc<Doors>> {
        doors::at_authentication(&self.shared, caller.token()?, self.address.ip()).await
    }

    /// Whether somebody with this key may go on; who it is stays open, as an offer proves nothing.
    async fn accepts(&self, user: &str, key: &PublicKey) -> bool {
        match (Caller::of(user), &self.shared.authorized_hosts) {
            (Caller::Host, Some(path)) => may_accept(path, key).await,
            (Caller::Host, None) => true,
            (caller, _) => self.doors(caller).await.is_none_or(|doors| doors.may_accept(key)),
        }
    }

    /// Somebody has shown what is theirs.
    async fn authenticate(&mut self, user: &str, credential: Credential) -> Auth {
        let address = self.address.ip().to_canonical();
        let caller = Caller::of(user);
        let is_right = match (caller, &self.shared.authorized_hosts) {
            (Caller::Host, Some(path)) => is_authorized(path, &credential, address).await,
            (Caller::Host, None) => true,
            (caller, _) => match self.doors(caller).await {
                Some(doors) => doors.has_key_of(&credential, address, unix_time()),
                None => true,
            },
        };
        if !is_right {
            return Auth::reject();
        }
        (self.caller, self.credential) = (Some(caller), credential);
        Auth::Accept
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
            credential: self.credential.clone(),
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
        Ok(self.admit(user).await)
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
        Ok(self.authenticate(user, Credential::Key(key.public_key.clone())).await)
    }

    async fn auth_openssh_certificate(
        &mut self,
        user: &str,
        certificate: &Certificate,
    ) -> Result<Auth, Self::Error> {
        let credential = Credential::Certificate(Box::new(certificate.clone()));
        Ok(self.authenticate(user, credential).await)
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        _response: Option<russh::server::Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.admit(user).await)
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
            Some(Caller::Host | Caller::Replica(_)) => {
                let (sender, order) = oneshot::channel();
                let (line, shared) = (Arc::clone(&self.line), Arc::clone(&self.shared));
                let (address, credential) = (self.address.ip(), self.credential.clone());
                let channel =
                    SubsystemChannel { address, credential, channel, order, line, shared };
                tokio::spawn(channel.run());
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
            (Some(Caller::Replica(_)), VIEW_SUBSYSTEM) => Order::View,
            (Some(Caller::Host | Caller::Replica(_)), LINK_SUBSYSTEM) => Order::Link,
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
