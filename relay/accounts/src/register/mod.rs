//! Registration by e-mail: whoever shows by a code that a mailbox is theirs gets an account.
//!
//! ```text
//! ask (name, mailbox) ──► quotas ──► queue ──► database: who is it? ──► letter ──► SMTP
//!   └─ always the same answer: what the database says is in the letter alone
//! confirm (code) ──► database: once, within an hour ──► API key
//! ```

pub mod code;
pub mod letter;
pub mod mail;
pub mod page;
pub mod quota;
pub mod web;

use crate::owners::{Answer, Unavailable};
use crate::store::{Confirmed, NotConfirmed, Standing, Store};
use code::Code;
use letter::{Paths, letter};
use lettre::Address;
use mail::Mailer;
use quota::Quota;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tern_bootstrap::name;
use tern_bootstrap::register::{RegisterAnswer, Wish};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep;

/// Letters that may be asked for from one address: a class in one room, one after another.
const PER_NETWORK: u32 = 20;
/// To one mailbox, by whomever: nobody's mailbox is filled by a stranger.
const PER_MAILBOX: u32 = 3;
/// In all. A server that writes more is taken for one that sends spam.
const IN_ALL: u32 = 200;
/// In which each of these comes back.
const PERIOD: Duration = Duration::from_secs(60 * 60);
/// Addresses and mailboxes that are remembered at once: 10,000 take some MB.
const REMEMBERED_MAX: usize = 10_000;
/// Letters that wait to be written.
const QUEUE_SIZE: usize = 64;
/// Letters that are written at once: a slow server holds up few.
const WRITERS_MAX: usize = 4;
/// When a letter that the server did not take is tried again.
const RETRY_DELAYS: [Duration; 3] =
    [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(180)];
/// Longest mailbox (RFC 5321, section 4.5.3.1.3).
const EMAIL_SIZE_MAX: usize = 254;

/// Why nothing is done, for whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No user can have this name.
    #[error(
        "this can't be a user name: it has 1 to 40 letters and digits, with single hyphens between \
         them"
    )]
    Name,
    /// No mailbox can have this name.
    #[error("this can't be an e-mail address: it is NAME@HOST")]
    Email,
    /// Too many from there, or in all.
    #[error("too many registrations: try again in an hour")]
    TooMany,
}

/// What a relay hands on.
pub trait Registrar: Send + Sync + 'static {
    /// Somebody at `network` wishes something. The inner error is for them.
    fn register(&self, wish: Wish, network: IpAddr) -> Answer<'_, Result<RegisterAnswer, String>>;
}

struct Quotas {
    networks: Quota<IpAddr>,
    mailboxes: Quota<String>,
    all: Quota<()>,
}

/// A letter that was asked for.
struct Order {
    name: String,
    email: Address,
}

/// The service.
pub struct Registration {
    store: Store,
    /// A lock, as every request asks it; held for a look-up.
    quotas: Mutex<Quotas>,
    orders: mpsc::Sender<Order>,
    paths: Paths,
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("paths", &self.paths).finish_non_exhaustive()
    }
}

impl Registration {
    /// Writes letters from then on, until it is dropped. Needs a tokio runtime.
    pub fn start(store: Store, mailer: Mailer, paths: Paths) -> Arc<Self> {
        let (orders, queue) = mpsc::channel(QUEUE_SIZE);
        let office = Office { store: store.clone(), mailer, paths: paths.clone() };
        tokio::spawn(work(Arc::new(office), queue));
        let quotas = Quotas {
            networks: Quota::new(PER_NETWORK, PERIOD, REMEMBERED_MAX),
            mailboxes: Quota::new(PER_MAILBOX, PERIOD, REMEMBERED_MAX),
            all: Quota::new(IN_ALL, PERIOD, 1),
        };
        Arc::new(Self { store, quotas: Mutex::new(quotas), orders, paths })
    }

    /// Somebody wants an account. What they are told says nothing about accounts that there are, nor
    /// does the time that it takes: all of that is looked up when the letter is written.
    pub fn ask(
        &self,
        wanted: &str,
        email: &str,
        network: IpAddr,
        now: Instant,
    ) -> Result<String, Refused> {
        if !name::is_user(wanted) {
            return Err(Refused::Name);
        }
        let email = email.to_lowercase();
        let address = Some(&email).filter(|email| email.len() <= EMAIL_SIZE_MAX);
        let address: Address =
            address.and_then(|email| email.parse().ok()).ok_or(Refused::Email)?;
        let mut quotas = self.quotas.lock().unwrap_or_else(PoisonError::into_inner);
        if !quotas.networks.take(network, now) {
            return Err(Refused::TooMany);
        }
        // How often others asked for this mailbox is nobody's business.
        let is_written = quotas.mailboxes.take(email.clone(), now);
        if is_written && !quotas.all.take((), now) {
            return Err(Refused::TooMany);
        }
        drop(quotas);
        let order = Order { name: wanted.to_owned(), email: address };
        if is_written && self.orders.try_send(order).is_err() {
            return Err(Refused::TooMany);
        }
        Ok(format!(
            "A mail to {email} is on its way (if nothing comes within some minutes, look among the \
             spam): what it says is good once, and for an hour"
        ))
    }

    /// Whoever has the code gets a key.
    pub async fn confirm(&self, code: &str) -> Result<Confirmed, NotConfirmed> {
        let code = Code::parse(code).ok_or(NotConfirmed::Unknown)?;
        self.store.confirm(&code, SystemTime::now()).await
    }
}

impl Registrar for Registration {
    fn register(&self, wish: Wish, network: IpAddr) -> Answer<'_, Result<RegisterAnswer, String>> {
        Box::pin(async move {
            match wish {
                Wish::Account { name, email } => {
                    let told = self.ask(&name, &email, network, Instant::now());
                    Ok(told
                        .map(|text| RegisterAnswer { text, api_key: None })
                        .map_err(|refused| refused.to_string()))
                }
                Wish::Key { code } => match self.confirm(&code).await {
                    Ok(Confirmed { name, key }) => Ok(Ok(RegisterAnswer {
                        text: format!("You are {name}. Your API key, which is shown only now:"),
                        api_key: Some(key.reveal().to_owned()),
                    })),
                    Err(NotConfirmed::Store(error)) => {
                        tracing::warn!(%error, "a registration can't be confirmed");
                        Err(Unavailable)
                    }
                    Err(other) => Ok(Err(other.to_string())),
                },
            }
        })
    }
}

/// What it takes to write a letter.
struct Office {
    store: Store,
    mailer: Mailer,
    paths: Paths,
}

async fn work(office: Arc<Office>, mut queue: mpsc::Receiver<Order>) {
    let writers = Arc::new(Semaphore::new(WRITERS_MAX));
    while let Some(order) = queue.recv().await {
        let permit = writers.clone().acquire_owned().await.expect("it is never closed");
        let office = office.clone();
        tokio::spawn(async move {
            office.write(&order).await;
            drop(permit);
        });
    }
}

impl Office {
    /// No log line names a mailbox.
    async fn write(&self, order: &Order) {
        let mut delays = RETRY_DELAYS.into_iter();
        loop {
            let (reason, is_final) = match self.try_write(order).await {
                Ok(()) => return tracing::info!("a letter about an account was sent"),
                Err(failed) => failed,
            };
            let delay = delays.next().filter(|_| !is_final);
            tracing::warn!(reason, again_in = ?delay, "a letter about an account was not sent");
            match delay {
                Some(delay) => sleep(delay).await,
                None => return,
            }
        }
    }

    async fn try_write(&self, order: &Order) -> Result<(), (String, bool)> {
        let failed = |error: crate::StoreError| (error.to_string(), false);
        let email: &str = order.email.as_ref();
        let standing = self.store.standing(&order.name, email).await.map_err(failed)?;
        let code = match standing {
            Standing::NameTaken => None,
            Standing::New | Standing::Known(_) => {
                let code = self.store.register(&order.name, email, SystemTime::now()).await;
                Some(code.map_err(failed)?)
            }
        };
        let letter = letter(&standing, &order.name, code.as_ref(), &self.paths);
        let sent = self.mailer.send(&order.email, &letter).await;
        // Servers repeat the mailbox in their answers.
        sent.map_err(|error| (error.reason.replace(email, "<mailbox>"), error.is_final))
    }
}
