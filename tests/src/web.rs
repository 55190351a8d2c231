//! A web server that keeps what it is asked and answers as a test wants, well or badly.

use crate::certified::Certified;
use crate::world::World;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// How a request is answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// With this status and page.
    Page(u16, String),
    /// With a redirection to there.
    Redirect(String),
    /// With nothing, until the one who asked goes away.
    Silence,
    /// The connection is closed.
    Close,
    /// With what is no HTTP.
    Garbage,
    /// With headers that never end.
    EndlessHead,
    /// With a page that never ends.
    EndlessPage,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// e.g. `POST`.
    pub method: String,
    /// With its query.
    pub path: String,
    /// By names in small letters.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Vec<u8>,
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    /// For the next ones.
    script: VecDeque<Answer>,
    pages: BTreeMap<String, Answer>,
    connections: usize,
}

/// The server; it ends with the test's process.
pub struct Web {
    /// Where it listens.
    pub address: SocketAddr,
    /// Certificate of the authority that vouches for it, if it speaks TLS.
    pub authority: Option<PathBuf>,
    state: Arc<Mutex<State>>,
}

impl Web {
    /// Listens on a free port of 127.0.0.1, and speaks HTTP.
    pub fn start() -> Self {
        Self::with(None, None)
    }

    /// The same with TLS, under the name `localhost`, by an authority of its own.
    pub fn start_tls(world: &World) -> Self {
        let certified = Certified::new(world);
        Self::with(Some(certified.server()), Some(certified.authority))
    }

    fn with(tls: Option<Arc<ServerConfig>>, authority: Option<PathBuf>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::<Mutex<State>>::default();
        let kept = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, tls) = (kept.clone(), tls.clone());
                thread::spawn(move || match tls {
                    Some(config) => {
                        let session = ServerConnection::new(config).expect("it is whole");
                        converse(StreamOwned::new(session, stream), &state)
                    }
                    None => converse(stream, &state),
                });
            }
        });
        Self { address, authority, state }
    }

    /// Where `path` is on it.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://localhost:{}{path}", self.address.port())
    }

    /// The next requests are answered so, one each; those that follow with 200.
    pub fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state().script = answers.into_iter().collect();
    }

    /// Requests for `path` are answered so, if the script says nothing.
    pub fn set_page(&self, path: &str, answer: Answer) {
        self.state().pages.insert(path.to_owned(), answer);
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// Connections that were made, whether or not something was asked.
    pub fn connections(&self) -> usize {
        self.state().connections
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request. Whoever goes away in the middle is forgotten.
fn converse(stream: impl Read + Write, state: &Mutex<State>) -> io::Result<()> {
    lock(state).connections += 1;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let answer = {
        let mut state = lock(state);
        let page = state.pages.get(&path).cloned();
        let answer = state.script.pop_front().or(page);
        state.requests.push(Request { method, path, headers, body });
        answer.unwrap_or_else(|| Answer::Page(200, "ok".into()))
    };
    answer_with(&answer, reader.get_mut())?;
    if !matches!(answer, Answer::Close) {
        // The other side closes: what it hasn't read would be lost.
        let _ = io::copy(&mut reader, &mut io::sink());
    }
    Ok(())
}

fn answer_with(answer: &Answer, stream: &mut impl Write) -> io::Result<()> {
    match answer {
        Answer::Page(status, page) => {
            let length = page.len();
            write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n\r\n{page}")?;
        }
        Answer::Redirect(to) => {
            write!(stream, "HTTP/1.1 307 x\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")?;
        }
        Answer::Silence | Answer::Close => {}
        Answer::Garbage => stream.write_all(b"SSH-2.0-nonsense\r\n\r\n")?,
        Answer::EndlessHead => {
            stream.write_all(b"HTTP/1.1 200 x\r\n")?;
            loop {
                stream.write_all(b"x-more: and more\r\n")?;
            }
        }
        Answer::EndlessPage => {
            stream.write_all(b"HTTP/1.1 200 x\r\n\r\n")?;
            loop {
                stream.write_all(&[b'x'; 1024])?;
            }
        }
    }
    stream.flush()
}
