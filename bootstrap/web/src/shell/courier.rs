//! The task of one session's webhook: owns its machine, and makes the requests that it wants. It may
//! outlive the session by a minute; what others have to wait for is nothing.

use super::client::{Ask, Client};
use super::shares::{Share, Shares};
use crate::core::address::Reach;
use crate::core::event::{Sender, Uuid};
use crate::core::herald::{Clock, Delivery, Happening, Herald, Note};
use crate::core::rate::Rate;
use bytes::Bytes;
use std::future::{Future, pending};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tern_bootstrap::grant::SessionId;
use tern_bootstrap::token::random;
use tern_sync::session::WebhookReport;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::sleep_until;

/// Happenings that wait for the task, which never waits for anybody: a burst of a session with the
/// most viewers.
const HAPPENINGS_MAX: usize = 512;
/// Requests of all sessions at once. A receiver that is silent has one for 40 s at
/// most.
pub(super) const REQUESTS_MAX: usize = 256;
/// All sessions together make a request so often, in the long run.
const REQUEST_INTERVAL: Duration = Duration::from_millis(10);
/// And so often at once: all sessions of a relay that was started again.
const REQUEST_BURST: u32 = 500;
/// Webhooks of sessions at once, with those whose session is over and that have not told all: two for
/// each of a relay's 2000 sessions. Some 25 kB each.
const COURIERS_MAX: usize = 4000;
/// What goes wrong is logged so often, in the long run: a host decides how much does.
const LOG_INTERVAL: Duration = Duration::from_secs(10);
/// And so often at once.
const LOG_BURST: u32 = 10;
/// How long last events are tried when the process ends.
const STOP_TIME_MAX: Duration = Duration::from_secs(3);

/// What all webhooks of a relay share, or the one of a host.
#[derive(Debug)]
pub struct Post {
    client: Client,
    requests: Semaphore,
    shares: Shares,
    couriers: Arc<Semaphore>,
    /// A lock, as every webhook asks it; held for a look.
    rate: Mutex<Rate>,
}

impl Post {
    /// For webhooks to these servers.
    pub fn new(reach: Reach) -> Self {
        Self {
            client: Client::new(reach),
            requests: Semaphore::new(REQUESTS_MAX),
            shares: Shares::default(),
            couriers: Arc::new(Semaphore::new(COURIERS_MAX)),
            rate: Mutex::new(Rate::new(REQUEST_INTERVAL, REQUEST_BURST)),
        }
    }

    /// Starts a session's courier, for the host at `address`, if it shares with others: what it may have of
    /// all goes by that. `None`: there are too many already. `stop` comes when the process ends; `alive`
    /// is held until the last event is told or given up. Dropped, the [`Courier`] means that the session
    /// is over.
    pub fn courier<T: Send + 'static>(
        self: &Arc<Self>,
        (session, address): (SessionId, Option<IpAddr>),
        sender: Sender,
        is_restored: bool,
        stop: impl Future<Output = ()> + Send + 'static,
        alive: T,
    ) -> Option<Courier> {
        let place = self.couriers.clone().try_acquire_owned().ok()?;
        let (happenings, on_happening) = mpsc::channel(HAPPENINGS_MAX);
        let (report, on_report) = watch::channel(WebhookReport::default());
        let herald = Herald::new(Uuid::of(session.0), sender, is_restored, random());
        let share = address.map(|address| self.shares.of(address)).unwrap_or_default();
        let task = Task {
            post: Arc::clone(self),
            share,
            herald,
            happenings: on_happening,
            report,
            log_rate: Rate::new(LOG_INTERVAL, LOG_BURST),
        };
        let running = tracing::Instrument::in_current_span(async move {
            task.run(stop).await;
            drop((place, alive));
        });
        tokio::spawn(running);
        let log_rate = Rate::new(LOG_INTERVAL, LOG_BURST);
        Some(Courier { happenings, owed: None, report: on_report, log_rate })
    }

    async fn deliver(&self, delivery: Delivery, share: &Share) -> Result<(), String> {
        // First: whose own places are taken keeps nobody else waiting.
        let _own_place = share.requests.acquire().await.expect("it is never closed");
        let _place = self.requests.acquire().await.expect("it is never closed");
        while let Some(ready_at) = self.spend() {
            sleep_until(ready_at.into()).await;
        }
        let mut headers = delivery.headers;
        headers.push(("content-type", "application/json".into()));
        headers.push(("accept", "application/json".into()));
        let ask = Ask {
            url: &delivery.url,
            body: Some(Bytes::from(delivery.body)),
            headers: &headers,
            answer_size_max: 0,
            share: Some(share),
        };
        match self.client.ask(ask).await {
            Ok(answer) if answer.status.is_success() => Ok(()),
            Ok(answer) if answer.status.is_redirection() => Err(format!(
                "{} answers {}, and redirections are not followed",
                delivery.url, answer.status
            )),
            Ok(answer) => Err(format!("{} answers {}", delivery.url, answer.status)),
            Err(error) => {
                // For the operator: the host may be told less.
                tracing::debug!(%error, "a webhook's server was not told");
                Err(self.client.told(&error))
            }
        }
    }

    /// Counts a request, or says when it may be made.
    fn spend(&self) -> Option<Instant> {
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let ready_at = rate.ready_at(now);
        if ready_at.is_none() {
            rate.spend(now);
        }
        ready_at
    }
}

/// How a session reaches its courier.
#[derive(Debug)]
pub struct Courier {
    happenings: mpsc::Sender<Happening>,
    /// A wish that there was no place for: it is told first of all that follows.
    owed: Option<Happening>,
    report: watch::Receiver<WebhookReport>,
    log_rate: Rate,
}

impl Courier {
    /// Something happened. What there is no place for is passed over; but whom the host wants told, or not
    /// any more, is heard in any case.
    pub fn tell(&mut self, happening: Happening) {
        if matches!(happening, Happening::Wanted(_)) {
            self.owed = Some(happening);
            self.settle();
            return;
        }
        let is_told = self.settle() && self.happenings.try_send(happening).is_ok();
        if !is_told && may_log(&mut self.log_rate) {
            tracing::warn!("too much happens at once: a webhook isn't told of all of it");
        }
    }

    /// Tells what is owed, if there is a place. Whether nothing is owed any more.
    fn settle(&mut self) -> bool {
        if self.owed.is_some()
            && let Ok(place) = self.happenings.try_reserve()
            && let Some(owed) = self.owed.take()
        {
            place.send(owed);
        }
        self.owed.is_none()
    }

    /// How it goes, when that has changed; never, when all is told. Cancel-safe.
    pub async fn next_report(&mut self) -> WebhookReport {
        if self.owed.is_some()
            && let Ok(place) = self.happenings.reserve().await
            && let Some(owed) = self.owed.take()
        {
            place.send(owed);
        }
        match self.report.changed().await {
            Ok(()) => self.report.borrow_and_update().clone(),
            Err(_) => pending().await,
        }
    }

    /// When the session is over and all is told, or given up.
    pub async fn finish(mut self) {
        self.tell(Happening::Over);
        while self.report.changed().await.is_ok() {}
    }
}

struct Task {
    post: Arc<Post>,
    share: Arc<Share>,
    herald: Herald,
    happenings: mpsc::Receiver<Happening>,
    report: watch::Sender<WebhookReport>,
    log_rate: Rate,
}

type Delivering = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

impl Task {
    async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let (mut is_open, mut is_stopping) = (true, false);
        let mut under_way: Option<Delivering> = None;
        while !self.herald.is_finished() {
            if under_way.is_none()
                && let Some(delivery) = self.herald.poll_delivery(clock())
            {
                let (post, share) = (Arc::clone(&self.post), Arc::clone(&self.share));
                under_way = Some(Box::pin(async move { post.deliver(delivery, &share).await }));
            }
            let due = match under_way {
                Some(_) => self.herald.until(),
                None => self.herald.poll_timeout(Instant::now()),
            };
            tokio::select! {
                happening = self.happenings.recv(), if is_open => {
                    is_open = happening.is_some();
                    // A session that says nothing more has ended, however it did.
                    self.herald.handle(happening.unwrap_or(Happening::Over), clock());
                }
                result = outcome(&mut under_way) => {
                    under_way = None;
                    self.herald.handle_result(result, Instant::now());
                }
                () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {
                    self.herald.handle_timeout(Instant::now());
                }
                () = &mut stop, if !is_stopping => {
                    is_stopping = true;
                    self.herald.hurry(Instant::now() + STOP_TIME_MAX);
                }
            }
            self.note();
        }
        self.note();
    }

    fn note(&mut self) {
        let report = self.herald.report();
        while let Some(note) = self.herald.poll_note() {
            if !may_log(&mut self.log_rate) {
                continue;
            }
            match note {
                Note::Failing(reason) => tracing::info!(reason, "webhook fails"),
                Note::GivenUp(event) => {
                    let count = report.dropped_count;
                    tracing::warn!(event, count, "webhook's event is given up");
                }
                Note::Recovered => tracing::info!("webhook works again"),
            }
        }
        self.report.send_if_modified(|told| {
            let is_new = *told != report;
            *told = report;
            is_new
        });
    }
}

/// Whether something may be logged, which counts then.
fn may_log(rate: &mut Rate) -> bool {
    let now = Instant::now();
    let may_log = rate.ready_at(now).is_none();
    if may_log {
        rate.spend(now);
    }
    may_log
}

async fn outcome(under_way: &mut Option<Delivering>) -> Result<(), String> {
    match under_way {
        Some(delivering) => delivering.await,
        None => pending().await,
    }
}

fn clock() -> Clock {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let unix_micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    Clock { now: Instant::now(), unix_micros }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::shares;
    use tern_sync::session::Webhook;
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn wish_is_heard_though_there_was_no_place_for_it() {
        let (happenings, mut on_happening) = mpsc::channel(1);
        let (_report, report) = watch::channel(WebhookReport::default());
        let log_rate = Rate::new(LOG_INTERVAL, LOG_BURST);
        let mut courier = Courier { happenings, owed: None, report, log_rate };
        courier.tell(Happening::AllLeft);
        courier.tell(Happening::Wanted(Some(Webhook::default())));
        courier.tell(Happening::Wanted(None));
        courier.tell(Happening::Lost);
        assert_eq!(on_happening.recv().await, Some(Happening::AllLeft));
        let heard = tokio::select! {
            heard = on_happening.recv() => heard,
            report = courier.next_report() => panic!("there is no {report:?}"),
        };
        assert_eq!(heard, Some(Happening::Wanted(None)), "the last one counts");
        courier.tell(Happening::Present);
        assert_eq!(on_happening.recv().await, Some(Happening::Present));
    }

    #[tokio::test]
    async fn one_address_whose_servers_are_silent_keeps_no_other_waiting() {
        let post = Arc::new(Post::new(Reach::Any));
        let (silent, other) = (Server::start().await, Server::start().await);
        let from = |address: &str| Some(address.parse().expect("an address"));
        let mut couriers = Vec::new();
        for _ in 0..=REQUESTS_MAX {
            couriers.push(silent.courier(&post, from("192.0.2.1")));
        }
        let mut held = Vec::new();
        while held.len() < shares::REQUESTS_MAX {
            held.push(silent.accept().await);
        }
        couriers.push(other.courier(&post, from("192.0.2.2")));
        tokio::select! {
            biased;
            more = silent.accept() => panic!("{more:?} is more than its share"),
            _ = other.accept() => {}
        }
    }

    /// It takes connections, and says nothing.
    struct Server(TcpListener);

    impl Server {
        async fn start() -> Self {
            Self(TcpListener::bind("127.0.0.1:0").await.expect("a port"))
        }

        fn courier(&self, post: &Arc<Post>, address: Option<IpAddr>) -> Courier {
            let of = (SessionId(random()), address);
            let courier = post.courier(of, Sender::Relay, false, pending(), ());
            let mut courier = courier.expect("there is room");
            let url = format!("http://{}/", self.0.local_addr().expect("it is bound"));
            courier.tell(Happening::Wanted(Some(Webhook { url, ..Webhook::default() })));
            courier
        }

        async fn accept(&self) -> TcpStream {
            self.0.accept().await.expect("a connection").0
        }
    }
}
