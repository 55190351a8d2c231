//! One request to a web server: a connection of its own, to an address that was checked, no
//! redirects, and a limit for every step.

use super::own::is_this_machines;
use super::shares::Share;
use super::tls::Tls;
use crate::core::address::Reach;
use crate::core::url::WebUrl;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long a name may take to be looked up: two tries of a resolver's.
const RESOLVE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a server may take to accept a connection: a SYN that is sent three times.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long TLS's greeting may take.
const TLS_TIME_MAX: Duration = Duration::from_secs(5);
/// From the first byte of a request to the last of its answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 3;
/// Look-ups at once. The system's resolver can't be told to stop: a name whose servers are silent
/// keeps a thread for up to half a minute, of 512 that tokio has.
pub(super) const LOOKUPS_MAX: usize = 32;
/// Longest head of an answer, in bytes: servers' cookies and policies are some kB.
const HEAD_SIZE_MAX: usize = 32 * 1024;
/// Most lines in it.
const HEAD_LINES_MAX: usize = 100;

/// What is asked.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Whom.
    pub url: &'a WebUrl,
    /// What for: a body is posted, without one a page is got.
    pub body: Option<Bytes>,
    /// More headers.
    pub headers: &'a [(&'static str, String)],
    /// Most bytes of the answer's body; 0: it isn't read.
    pub answer_size_max: usize,
    /// Of what all share, so much is for whoever wishes it; `None`: they share with nobody.
    pub share: Option<&'a Share>,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    /// e.g. 200.
    pub status: StatusCode,
    /// As far as it was wanted.
    pub body: Vec<u8>,
}

/// Why nothing was answered, for the person who named the server.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The name leads nowhere.
    #[error("{host} can't be looked up ({error})")]
    Lookup {
        /// The name.
        host: String,
        /// Why.
        error: io::Error,
    },
    /// It leads where this machine asks nobody on others' behalf.
    #[error("{host} port {port} is not {reach}, so it is not asked")]
    NotAllowed {
        /// The name.
        host: String,
        /// The port.
        port: u16,
        /// Who is asked.
        reach: Reach,
    },
    /// No address accepts connections.
    #[error("{host} can't be reached ({error})")]
    Connect {
        /// The name.
        host: String,
        /// Why the last one didn't.
        error: io::Error,
    },
    /// It isn't who it should be, or speaks no TLS.
    #[error("TLS with {host} fails ({reason})")]
    Tls {
        /// The name.
        host: String,
        /// Why.
        reason: String,
    },
    /// It speaks no HTTP, or goes away in the middle.
    #[error("{host} gives no proper answer ({reason})")]
    Http {
        /// The name.
        host: String,
        /// Why.
        reason: String,
    },
    /// Its answer is too long.
    #[error("{host} answers with more than {size_max} bytes")]
    TooLarge {
        /// The name.
        host: String,
        /// The limit.
        size_max: usize,
    },
    /// It takes too long.
    #[error("{host} takes too long ({step})")]
    Timeout {
        /// The name.
        host: String,
        /// With what.
        step: &'static str,
    },
}

impl AskError {
    /// For whoever wished that this server be asked, though they may be a stranger: which names the
    /// machine that asks knows, and which lead into its own network, is none of their business.
    pub fn for_strangers(&self) -> String {
        match self {
            Self::Lookup { host, .. } | Self::NotAllowed { host, .. } => {
                format!(
                    "{host} leads to nothing on the public internet that may be asked (the relay's \
                     operator may allow it with --webhooks any, or let this host send them: \
                     --webhook-from-host)"
                )
            }
            Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Http { .. }
            | Self::TooLarge { .. }
            | Self::Timeout { .. } => self.to_string(),
        }
    }
}

/// Who asks: a relay for its hosts, or a host.
#[derive(Debug)]
pub struct Client {
    reach: Reach,
    tls: Tls,
    lookups: Arc<Semaphore>,
}

impl Client {
    /// One that asks these.
    pub fn new(reach: Reach) -> Self {
        Self { reach, tls: Tls::default(), lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }

    /// What whoever wished it may be told of an error.
    pub fn told(&self, error: &AskError) -> String {
        match self.reach {
            Reach::Public => error.for_strangers(),
            Reach::ThisMachine | Reach::Any => error.to_string(),
        }
    }

    /// Asks once.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Answer, AskError> {
        let host = &ask.url.host;
        let addresses = self.addresses(&ask).await?;
        let socket = connect(host, &addresses).await?;
        let exchanged = if ask.url.is_https {
            let tls = |reason: String| AskError::Tls { host: host.clone(), reason };
            let config = self.tls.config().await.map_err(tls)?;
            let name =
                ServerName::try_from(host.clone()).map_err(|error| tls(error.to_string()))?;
            let greeting = TlsConnector::from(config).connect(name, socket);
            let stream = within(TLS_TIME_MAX, host, "its TLS", greeting).await?;
            let stream = stream.map_err(|error| tls(error.to_string()))?;
            within(ANSWER_TIME_MAX, host, "an answer", exchange(stream, &ask)).await
        } else {
            within(ANSWER_TIME_MAX, host, "an answer", exchange(socket, &ask)).await
        };
        exchanged?
    }

    /// Where the server is, as far as it may be asked there. What is connected to is what was looked
    /// at: the name is not looked up again.
    async fn addresses(&self, ask: &Ask<'_>) -> Result<Vec<SocketAddr>, AskError> {
        let (host, port) = (ask.url.host.clone(), ask.url.port);
        let found = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => {
                // That others keep it waiting is no fault of the name's.
                let place = self.place_to_look_up(ask.share).await;
                within(RESOLVE_TIME_MAX, &host, "its name", look_up(&host, port, place))
                    .await?
                    .map_err(|error| AskError::Lookup { host: host.clone(), error })?
            }
        };
        let may_ask = |at: &SocketAddr| {
            self.reach.allows(at.ip(), port)
                && (self.reach != Reach::Public || !is_this_machines(at.ip()))
        };
        let allowed: Vec<_> = found.into_iter().filter(may_ask).take(ADDRESSES_MAX).collect();
        if allowed.is_empty() {
            return Err(AskError::NotAllowed { host, port, reach: self.reach });
        }
        Ok(allowed)
    }

    /// One's own place before one of all: whose own are taken keeps nobody else waiting.
    async fn place_to_look_up(&self, share: Option<&Share>) -> LookupPlace {
        let one_of = async |places: &Arc<Semaphore>| {
            places.clone().acquire_owned().await.expect("it is never closed")
        };
        let own = match share {
            Some(share) => Some(one_of(&share.lookups).await),
            None => None,
        };
        LookupPlace(own, one_of(&self.lookups).await)
    }
}

/// Held until the system's resolver has given an answer, whether or not somebody still waits for it.
struct LookupPlace(
    #[expect(dead_code, reason = "it is held")] Option<OwnedSemaphorePermit>,
    #[expect(dead_code, reason = "it is held")] OwnedSemaphorePermit,
);

async fn look_up(host: &str, port: u16, place: LookupPlace) -> io::Result<Vec<SocketAddr>> {
    let host = host.to_owned();
    let look_up = move || {
        let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
        drop(place);
        found
    };
    tokio::task::spawn_blocking(look_up).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

async fn connect(host: &str, addresses: &[SocketAddr]) -> Result<TcpStream, AskError> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match timeout(CONNECT_TIME_MAX, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(AskError::Connect { host: host.to_owned(), error: last })
}

async fn within<F: Future>(
    time: Duration,
    host: &str,
    step: &'static str,
    future: F,
) -> Result<F::Output, AskError> {
    let late = |_| AskError::Timeout { host: host.to_owned(), step };
    timeout(time, future).await.map_err(late)
}

async fn exchange<S>(stream: S, ask: &Ask<'_>) -> Result<Answer, AskError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let host = &ask.url.host;
    let http = |reason: String| AskError::Http { host: host.clone(), reason };
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_SIZE_MAX).max_headers(HEAD_LINES_MAX);
    let (mut sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|error| http(error.to_string()))?;
    let request = request(ask).map_err(|error| http(error.to_string()))?;
    let converse = async {
        let answer = sender.send_request(request).await.map_err(|error| http(whole(&error)))?;
        let status = answer.status();
        if ask.answer_size_max == 0 {
            return Ok(Answer { status, body: Vec::new() });
        }
        let body = Limited::new(answer.into_body(), ask.answer_size_max).collect().await;
        match body {
            Ok(body) => Ok(Answer { status, body: body.to_bytes().to_vec() }),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(AskError::TooLarge { host: host.clone(), size_max: ask.answer_size_max })
            }
            Err(error) => Err(http(error.to_string())),
        }
    };
    tokio::pin!(connection, converse);
    tokio::select! {
        answer = &mut converse => answer,
        // Its errors come out of the conversation.
        _ = &mut connection => converse.await,
    }
}

fn request(ask: &Ask<'_>) -> Result<Request<Full<Bytes>>, http::Error> {
    let method = if ask.body.is_some() { Method::POST } else { Method::GET };
    let mut request = Request::builder()
        .method(method)
        .uri(&ask.url.path)
        .header(header::HOST, &ask.url.host_header)
        .header(header::USER_AGENT, concat!("tern/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close");
    if let Some(authorization) = &ask.url.authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    for (name, value) in ask.headers {
        request = request.header(*name, value);
    }
    request.body(Full::new(ask.body.clone().unwrap_or_default()))
}

/// hyper's errors say what went wrong in their source.
fn whole(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stranger_is_told_the_same_of_a_name_that_is_none_and_of_one_that_leads_inside() {
        let client = Client::new(Reach::Public);
        let told = async |host: &str| {
            let url = WebUrl::parse(&format!("http://{host}:8080/")).expect("a URL");
            let ask = Ask { url: &url, body: None, headers: &[], answer_size_max: 0, share: None };
            let error = client.ask(ask).await.expect_err("it isn't asked");
            client.told(&error).replace(host, "HOST")
        };
        // A label of 64 letters is no name: no server is asked for it.
        let no_name = format!("{}.example", "x".repeat(64));
        assert_eq!(told(&no_name).await, told("localhost").await);
        assert_eq!(told("localhost").await, told("192.168.0.1").await);
    }

    #[tokio::test]
    async fn places_for_look_ups_are_taken_of_the_share_first() {
        let client = Client::new(Reach::Any);
        let share = Share::default();
        let mut held = Vec::new();
        while share.lookups.available_permits() > 0 {
            held.push(client.place_to_look_up(Some(&share)).await);
        }
        let waiting = tokio::time::timeout(Duration::ZERO, client.place_to_look_up(Some(&share)));
        assert!(waiting.await.is_err());
        assert_eq!(client.lookups.available_permits(), LOOKUPS_MAX - held.len());
        client.place_to_look_up(None).await;
    }
}
