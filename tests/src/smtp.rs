//! A mail server that takes every letter and keeps it (RFC 5321, as far as a client needs it).

use std::io::{BufRead, BufReader, Write};
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
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let mails = Arc::<Mutex<Vec<Mail>>>::default();
        let answer = Arc::new(Mutex::new("250 ok"));
        let (kept, given) = (mails.clone(), answer.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, given) = (kept.clone(), given.clone());
                // A client that goes away in the middle leaves no letter.
                thread::spawn(move || converse(stream, &kept, &given));
            }
        });
        Self { address, mails, answer }
    }

    /// For `--smtp-url`.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
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

fn converse(
    mut stream: TcpStream,
    kept: &Mutex<Vec<Mail>>,
    answer: &Mutex<&'static str>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let mut mail = Mail::default();
    stream.write_all(b"220 test\r\n")?;
    while let Some(line) = lines.next() {
        let line = line?;
        let word = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        let reply = match word.as_str() {
            "RCPT" => {
                let place = line.split(['<', '>']).nth(1).unwrap_or_default();
                mail.to.push(place.to_owned());
                *answer.lock().unwrap_or_else(PoisonError::into_inner)
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n")?;
                let mut text = String::new();
                for line in lines.by_ref() {
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
                stream.write_all(b"221 bye\r\n")?;
                return Ok(());
            }
            _ => "250 ok",
        };
        stream.write_all(format!("{reply}\r\n").as_bytes())?;
    }
    Ok(())
}
