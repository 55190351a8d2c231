//! A relay of our own making, which gives everybody who wants to join one answer: a refusal, words of
//! another version of the protocol, or a place to which no link leads.

use crate::host::JoinLine;
use crate::ports;
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, run_stream};
use russh::{Channel, ChannelId, Error};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tern_bootstrap::grant::{PROTOCOL_VERSION, Refusal, SessionId};
use tern_bootstrap::identity::Identity;
use tern_bootstrap::ticket::Ticket;
use tern_bootstrap::view::{VIEW_SUBSYSTEM, ViewGrant, write_answer};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Listens at 127.0.0.1 as long as it lives.
pub struct Answering {
    /// Of SSH.
    pub port: u16,
    runtime: Runtime,
}

impl Answering {
    /// Refuses, as a relay of this version does.
    pub fn with_refusal(version: u16, code: u8, text: &str) -> Self {
        Self::start(framed(version, &[&[1, code], text.as_bytes()].concat()))
    }

    /// Grants a place as only this version can read it.
    pub fn of_version(version: u16) -> Self {
        Self::start(framed(version, &[0, 0xc0]))
    }

    /// Grants a place, and that is the last that is heard of it.
    pub fn without_link() -> Self {
        let grant = ViewGrant {
            viewer: SessionId([1; 16]),
            secret: tern_bootstrap::grant::Secret([2; 32]),
            may_type: true,
            quic_port: ports::free(Ipv4Addr::LOCALHOST),
            certificate: Identity::ephemeral().certificate_pin(),
            ticket: Ticket(Vec::new()),
        };
        let mut answer = std::io::Cursor::new(Vec::new());
        let granted: Result<ViewGrant, Refusal> = Ok(grant);
        let written = write_answer(&mut answer, &granted);
        Runtime::new().expect("threads can be started").block_on(written).expect("to memory");
        Self::start(answer.into_inner())
    }

    fn start(answer: Vec<u8>) -> Self {
        let key = Identity::ephemeral().ssh_key.clone();
        let config = Arc::new(Config { keys: vec![key], ..Config::default() });
        let port = ports::free(Ipv4Addr::LOCALHOST);
        let runtime = Runtime::new().expect("threads can be started");
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = runtime.block_on(TcpListener::bind(at)).expect("the port is free");
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let caller = Caller { answer: answer.clone(), channel: None };
                let config = config.clone();
                tokio::spawn(async move {
                    if let Ok(session) = run_stream(config, socket, caller).await {
                        // Whoever goes without a farewell has had the answer.
                        let _ = session.await;
                    }
                });
            }
        });
        Self { port, runtime }
    }

    /// A line that leads here.
    pub fn line(&self) -> JoinLine {
        JoinLine {
            port: self.port,
            token: "abcdefghjkmnpqrstuvwxyz234".into(),
            is_shown_as_read_only: false,
            host: Ipv4Addr::LOCALHOST.to_string(),
        }
    }

    /// Stops at once, whoever is connected.
    pub fn stop(self) {
        self.runtime.shutdown_background();
    }
}

/// A message as `bootstrap/src/wire.rs` frames it.
pub fn framed(version: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a few words").to_be_bytes();
    [b"TERN".as_slice(), &version.to_be_bytes(), &length, body].concat()
}

/// The version that the programs under test speak.
pub const OURS: u16 = PROTOCOL_VERSION;

struct Caller {
    answer: Vec<u8>,
    /// Kept, or the channel would be closed.
    channel: Option<Channel<Msg>>,
}

impl Handler for Caller {
    type Error = Error;

    async fn auth_none(&mut self, _user: &str) -> Result<Auth, Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Error> {
        self.channel = Some(channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Error> {
        session.channel_success(id)?;
        if name == VIEW_SUBSYSTEM { session.data(id, self.answer.clone()) } else { Ok(()) }
    }
}
