//! A viewer: an SSH client with a terminal that is looked at.

use super::gate::{Gate, Gated};
use super::{COMMANDS_MAX, SIZE, must};
use russh::client::{self, Handle};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelMsg};
use std::sync::Arc;
use std::time::Instant;
use tern_relay::Relay;
use tern_term::{Frame, Screen, Size};
use tokio::net::TcpSocket;
use tokio::sync::{mpsc, watch};

/// Trusts any relay: what is tested here is the relay.
pub(crate) struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

/// An SSH connection with nothing asked yet.
pub(crate) async fn connect(relay: &Relay, gate: Gate) -> Handle<Trusting> {
    connect_with(relay, gate, client::Config::default()).await
}

async fn connect_with(relay: &Relay, gate: Gate, config: client::Config) -> Handle<Trusting> {
    let socket = TcpSocket::new_v4().expect("a socket");
    // Small, so that a viewer that doesn't read is noticed soon.
    socket.set_recv_buffer_size(16 * 1024).expect("a small buffer");
    let socket = must("TCP connects", socket.connect(relay.ssh_address())).await;
    let socket = socket.expect("connected");
    gate.keep(&socket);
    let stream = Gated { socket, gate };
    let connected = must("SSH", client::connect_stream(Arc::new(config), stream, Trusting)).await;
    connected.expect("SSH works")
}

/// One that is authenticated as `user`.
pub(crate) async fn log_in(relay: &Relay, user: &str) -> Handle<Trusting> {
    let mut ssh = connect(relay, Gate::default()).await;
    let result = must("authentication", ssh.authenticate_none(user)).await;
    assert!(result.expect("an answer").success(), "none is accepted");
    ssh
}

/// What is known of a viewer from outside.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) frame: Frame,
    /// All that came, as text, for what is gone from the screen.
    pub(crate) output: String,
    pub(crate) errors: String,
    pub(crate) exit_status: Option<u32>,
    pub(crate) is_closed: bool,
}

enum Command {
    Type(Vec<u8>),
    Resize(Size),
}

/// A viewer with a terminal.
pub(crate) struct Viewer {
    pub(crate) gate: Gate,
    _ssh: Handle<Trusting>,
    commands: mpsc::Sender<Command>,
    seen: watch::Receiver<Seen>,
}

impl Viewer {
    /// `ssh TOKEN@relay` in a terminal.
    pub(crate) async fn open(relay: &Relay, token: &str) -> Self {
        Self::open_with(relay, token, client::Config::default()).await
    }

    /// With SSH's settings.
    pub(crate) async fn open_with(relay: &Relay, token: &str, config: client::Config) -> Self {
        let gate = Gate::default();
        let mut ssh = connect_with(relay, gate.clone(), config).await;
        let result = must("authentication", ssh.authenticate_none(token)).await;
        assert!(result.expect("an answer").success());
        let channel = must("a channel", ssh.channel_open_session()).await.expect("a channel");
        let (cols, rows) = (u32::from(SIZE.cols), u32::from(SIZE.rows));
        let pty = channel.request_pty(true, "xterm-256color", cols, rows, 0, 0, &[]);
        must("a pty", pty).await.expect("asked");
        must("a shell", channel.request_shell(true)).await.expect("asked");
        Self::of(ssh, channel, gate)
    }

    /// Looks at whatever comes through `channel`.
    pub(crate) fn of(ssh: Handle<Trusting>, channel: Channel<client::Msg>, gate: Gate) -> Self {
        let (commands, on_command) = mpsc::channel(COMMANDS_MAX);
        let (seen, on_seen) = watch::channel(Seen {
            frame: Frame::blank(SIZE),
            output: String::new(),
            errors: String::new(),
            exit_status: None,
            is_closed: false,
        });
        tokio::spawn(drive(channel, on_command, seen));
        Self { gate, _ssh: ssh, commands, seen: on_seen }
    }

    pub(crate) fn enter(&self, keys: impl AsRef<[u8]>) {
        self.send(Command::Type(keys.as_ref().to_vec()));
    }

    /// What is known of it now.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    pub(crate) fn resize(&self, size: Size) {
        self.send(Command::Resize(size));
    }

    fn send(&self, command: Command) {
        assert!(self.commands.try_send(command).is_ok(), "the viewer's task runs");
    }

    #[track_caller]
    pub(crate) fn wait_until<F: Fn(&Seen) -> bool>(
        &self,
        what: &str,
        condition: F,
    ) -> impl Future<Output = Seen> + use<F> {
        let mut seen = self.seen.clone();
        let waiting = async move {
            seen.wait_for(|seen| condition(seen)).await.expect("the viewer's task runs").clone()
        };
        must(what, waiting)
    }

    #[track_caller]
    pub(crate) fn wait_until_shows(&self, text: &str) -> impl Future<Output = Seen> + use<> {
        let text = text.to_owned();
        self.wait_until(&format!("{text:?} is shown"), move |seen| {
            seen.frame.to_text().contains(&text)
        })
    }

    /// Waits until the relay has closed the channel.
    #[track_caller]
    pub(crate) fn wait_until_closed(&self) -> impl Future<Output = Seen> + use<> {
        self.wait_until("the channel is closed", |seen| seen.is_closed)
    }

    /// Vanishes without a word.
    pub(crate) fn vanish(&self) {
        self.gate.close();
    }
}

async fn drive(
    mut channel: Channel<client::Msg>,
    mut commands: mpsc::Receiver<Command>,
    seen: watch::Sender<Seen>,
) {
    let mut screen = Screen::new(SIZE);
    loop {
        tokio::select! {
            message = channel.wait() => match message {
                Some(ChannelMsg::Data { data }) => {
                    screen.handle_output(&data, Instant::now());
                    let frame = screen.frame();
                    seen.send_modify(|seen| {
                        seen.frame = frame;
                        seen.output.push_str(&String::from_utf8_lossy(&data));
                    });
                }
                Some(ChannelMsg::ExtendedData { data, .. }) => seen.send_modify(|seen| {
                    seen.errors.push_str(&String::from_utf8_lossy(&data));
                }),
                Some(ChannelMsg::ExitStatus { exit_status }) => {
                    seen.send_modify(|seen| seen.exit_status = Some(exit_status));
                }
                Some(_) => {}
                None => break,
            },
            command = commands.recv() => match command {
                Some(Command::Type(bytes)) => {
                    // A relay that has let us go takes no keys.
                    let _ = channel.data_bytes(bytes).await;
                }
                Some(Command::Resize(size)) => {
                    screen.resize(size);
                    let (cols, rows) = (u32::from(size.cols), u32::from(size.rows));
                    channel.window_change(cols, rows, 0, 0).await.expect("connected");
                }
                None => return,
            },
        }
    }
    seen.send_modify(|seen| seen.is_closed = true);
    // The test may still want to look.
    while commands.recv().await.is_some() {}
}
