//! A mail server that takes every letter and keeps it (RFC 5321, as far as a client needs it).

use crate::certified::Certified;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// A letter as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mail {
    /// Whoever it goes to.
    pub to: Vec<String>,
    /// Headers and body, soft line breaks of quoted-printable taken out.
    pub text: String,
}

/// The server; it ends with the test's process.
pub struct Smtp {
    address: SocketAddr,
    mails: Arc<Mutex<Vec<Mail>>>,
    /// What is answered to a letter's recipient.
    answer: Arc<Mutex<&'static str>>,
}

impl Smtp {
    /// Listens on a free port of 127.0.0.1.
    pub fn start() -> Self {
        Self::with(None)
    }

    /// The same for those only who ask for TLS first (STARTTLS, RFC 3207), under the name
    /// `localhost`.
    pub fn start_tls(certified: &Certified) -> Self {
        Self::with(Some(certified.server()))
    }

    fn with(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let mails = Arc::<Mutex<Vec<Mail>>>::default();
        let answer = Arc::new(Mutex::new("250 ok"));
        let (kept, given) = (mails.clone(), answer.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, given, tls) = (kept.clone(), given.clone(), tls.clone());
                // A client that goes away in the middle leaves no letter.
                thread::spawn(move || match tls {
                    Some(config) => {
                        await_starttls(&stream)?;
                        let session = ServerConnection::new(config).expect("it is whole");
                        converse(StreamOwned::new(session, stream), false, &kept, &given)
                    }
                    None => converse(stream, true, &kept, &given),
                });
            }
        });
        Self { address, mails, answer }
    }

    /// For `--smtp-url`.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// The same where TLS is asked for.
    pub fn tls_url(&self) -> String {
        format!("smtp://localhost:{}?tls=required", self.address.port())
    }

    /// All letters that came so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on recipients are answered so.
    pub fn answer(&self, words: &'static str) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = words;
    }
}

/// Nothing else is taken before.
fn await_starttls(mut stream: &TcpStream) -> std::io::Result<()> {
    stream.write_all(b"220 test\r\n")?;
    let mut line = String::new();
    // The client says no more before it is answered.
    while BufReader::new(stream).read_line(&mut line)? > 0 {
        match std::mem::take(&mut line).split_whitespace().next() {
            Some("EHLO") => stream.write_all(b"250-test\r\n250 STARTTLS\r\n")?,
            Some("STARTTLS") => return stream.write_all(b"220 go on\r\n"),
            Some(_) | None => stream.write_all(b"530 STARTTLS first\r\n")?,
        }
    }
    Err(std::io::ErrorKind::UnexpectedEof.into())
}

fn converse(
    stream: impl Read + Write,
    greets: bool,
    kept: &Mutex<Vec<Mail>>,
    answer: &Mutex<&'static str>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut mail = Mail::default();
    if greets {
        stream.get_mut().write_all(b"220 test\r\n")?;
    }
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim_end_matches(['\r', '\n']);
        let word = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        let reply = match word.as_str() {
            "RCPT" => {
                let place = line.split(['<', '>']).nth(1).unwrap_or_default();
                mail.to.push(place.to_owned());
                *answer.lock().unwrap_or_else(PoisonError::into_inner)
            }
            "DATA" => {
                stream.get_mut().write_all(b"354 go on\r\n")?;
                let mut text = String::new();
                for line in stream.by_ref().lines() {
                    let line = line?;
                    if line == "." {
                        break;
                    }
                    match line.strip_suffix('=') {
                        Some(broken) => text.push_str(broken),
                        None => text.extend([line.as_str(), "\n"]),
                    }
                }
                mail.text = text;
                let whole = std::mem::take(&mut mail);
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(whole);
                "250 kept"
            }
            "QUIT" => {
                stream.get_mut().write_all(b"221 bye\r\n")?;
                return Ok(());
            }
            _ => "250 ok",
        };
        stream.get_mut().write_all(format!("{reply}\r\n").as_bytes())?;
    }
}
