use super::*;
use serde_json::Value;
use std::collections::BTreeSet;
use tern_sync::log::Entry as _;
use tern_sync::session::{About, Role};

/// A herald in virtual time, and the server that it tells.
struct World {
    herald: Herald,
    now: Instant,
    start: Instant,
    /// What the server took.
    taken: Vec<Value>,
    notes: Vec<Note>,
}

impl World {
    fn new() -> Self {
        Self::with(Herald::new(Uuid::of([9; 16]), Sender::Relay, false, [1; 32]))
    }

    fn with(herald: Herald) -> Self {
        let now = Instant::now();
        Self { herald, now, start: now, taken: Vec::new(), notes: Vec::new() }
    }

    fn clock(&self) -> Clock {
        let micros = (self.now - self.start).as_micros();
        let micros = i64::try_from(micros).expect("a test is short");
        Clock { now: self.now, unix_micros: 1_700_000_000_000_000 + micros }
    }

    fn happens(&mut self, happening: Happening) {
        self.herald.handle(happening, self.clock());
    }

    /// Lets time pass; the server answers each request so.
    fn run_for(&mut self, time: Duration, mut answer: impl FnMut(&Delivery) -> Result<(), String>) {
        let until = self.now + time;
        loop {
            self.herald.handle_timeout(self.now);
            while let Some(delivery) = self.herald.poll_delivery(self.clock()) {
                let result = answer(&delivery);
                if result.is_ok() {
                    self.taken.push(serde_json::from_slice(&delivery.body).expect("JSON"));
                }
                self.herald.handle_result(result, self.now);
            }
            self.notes.extend(std::iter::from_fn(|| self.herald.poll_note()));
            match self.herald.poll_timeout(self.now) {
                Some(next) if next <= until => self.now = self.now.max(next),
                Some(_) | None => break,
            }
        }
        self.now = until;
    }

    fn run(&mut self) {
        self.run_for(Duration::from_secs(60), |_| Ok(()));
    }

    fn types(&self) -> Vec<&str> {
        self.taken.iter().map(|event| event["type"].as_str().expect("a type")).collect()
    }
}

fn wanted(url: &str) -> Happening {
    Happening::Wanted(Some(webhook(url)))
}

fn webhook(url: &str) -> Webhook {
    let about = About { token: "T".into(), ..About::default() };
    Webhook { url: url.into(), generation: 1, about, ..Webhook::default() }
}

fn joined(viewer: u32) -> Happening {
    let (role, address) = (Role::ReadWrite, "192.0.2.7".into());
    Happening::Joined(ViewerId(viewer), Visitor { role, address, key: None, place: None })
}

const A: &str = "https://a.example/hook";

#[test]
fn life_of_a_session_is_told_in_order() {
    let mut world = World::new();
    world.happens(wanted(A));
    world.happens(joined(1));
    world.happens(joined(2));
    world.happens(Happening::Left(ViewerId(1)));
    world.happens(Happening::Left(ViewerId(1)));
    world.happens(Happening::Lost);
    world.happens(Happening::Present);
    world.happens(Happening::Over);
    world.run();
    let types = [
        "session_register",
        "session_join",
        "session_join",
        "session_left",
        "session_disconnect",
        "session_register",
        "session_left",
        "session_close",
    ];
    assert_eq!(world.types(), types);
    let of = |at: usize, field: &str| world.taken[at][field].clone();
    assert_eq!(of(3, "params")["id"], of(1, "params")["id"]);
    assert_eq!(of(6, "params")["id"], of(2, "params")["id"]);
    assert_ne!(of(1, "params")["id"], of(2, "params")["id"]);
    assert_eq!(
        (of(0, "params")["reconnected"].clone(), of(0, "generation")),
        (false.into(), 1.into())
    );
    assert_eq!(
        (of(5, "params")["reconnected"].clone(), of(5, "generation")),
        (true.into(), 2.into())
    );
    let entities: BTreeSet<_> = world.taken.iter().map(|e| e["entity_id"].to_string()).collect();
    let events: BTreeSet<_> =
        world.taken.iter().map(|event| event["tern"]["event_id"].to_string()).collect();
    assert_eq!((entities.len(), events.len()), (1, types.len()));
    assert!(world.herald.is_finished());
}

#[test]
fn session_that_a_relay_has_back_is_told_as_reconnected() {
    let mut world = World::with(Herald::new(Uuid::of([9; 16]), Sender::Relay, true, [1; 32]));
    world.happens(Happening::Wanted(Some(Webhook { generation: 4, ..webhook(A) })));
    world.run();
    assert_eq!(world.taken[0]["params"]["reconnected"], true);
    assert_eq!(world.taken[0]["generation"], 4);
}

#[test]
fn relay_that_stops_says_that_the_host_is_away_not_that_it_is_over() {
    let mut world = World::new();
    world.happens(wanted(A));
    world.happens(joined(1));
    world.happens(Happening::Stopping);
    world.run();
    let types = ["session_register", "session_join", "session_left", "session_disconnect"];
    assert_eq!(world.types(), types);
    assert!(world.herald.is_finished());
}

#[test]
fn nothing_overtakes_an_event_that_fails_and_each_try_is_the_same_event() {
    let mut world = World::new();
    world.happens(wanted(A));
    world.happens(joined(1));
    let mut bodies = Vec::new();
    world.run_for(Duration::from_secs(30), |delivery| {
        bodies.push(delivery.body.clone());
        if bodies.len() <= 5 { Err("it answered 500".into()) } else { Ok(()) }
    });
    assert_eq!(world.types(), ["session_register", "session_join"]);
    assert!(bodies[..6].iter().all(|body| *body == bodies[0]));
    assert_eq!(world.notes, [Note::Failing("it answered 500".into()), Note::Recovered]);
    assert_eq!(world.herald.report(), WebhookReport::default());
}

#[test]
fn what_nobody_takes_is_given_up_and_reported() {
    let mut world = World::new();
    world.happens(wanted(A));
    world.happens(Happening::Over);
    world.run_for(Duration::from_secs(3), |_| Err("it answered 404".into()));
    assert_eq!(world.herald.report().trouble, "it answered 404");
    world.run_for(LAST_WORDS_TIME_MAX, |_| Err("it answered 404".into()));
    assert!(world.herald.is_finished() && world.taken.is_empty());
    assert_eq!(world.herald.report().dropped_count, 2);
    let given_up = [Note::GivenUp("session_register"), Note::GivenUp("session_close")];
    assert_eq!(world.notes[1..], given_up);
}

#[test]
fn trouble_of_any_length_is_reported() {
    let mut world = World::new();
    world.happens(wanted(A));
    world.run_for(Duration::from_millis(1), |_| Err("ä".repeat(REPORT_SIZE_MAX)));
    let report = world.herald.report();
    assert_eq!(report.trouble.len(), REPORT_SIZE_MAX);
    assert!(report.check().is_ok());
}

#[test]
fn another_server_is_told_from_the_beginning_and_nothing_of_the_first_ones() {
    let mut world = World::new();
    world.happens(joined(1));
    world.happens(wanted(A));
    world.happens(joined(1));
    world.run();
    // An answer to a request of before counts for nothing.
    world.happens(Happening::Left(ViewerId(1)));
    assert!(world.herald.poll_delivery(world.clock()).is_some());
    world.happens(joined(2));
    world.happens(wanted("https://b.example/"));
    world.happens(joined(2));
    world.herald.handle_result(Err("it is gone".into()), world.now);
    world.taken.clear();
    let mut asked = BTreeSet::new();
    world.run_for(Duration::from_secs(10), |delivery| {
        asked.insert(delivery.url.to_string());
        Ok(())
    });
    assert_eq!(world.types(), ["session_register", "session_join"]);
    assert_eq!(world.taken[0]["params"]["reconnected"], false);
    assert_eq!(asked.into_iter().collect::<Vec<_>>(), ["https://b.example"]);
    world.happens(Happening::Wanted(None));
    world.happens(joined(3));
    world.happens(Happening::Over);
    assert!(world.herald.is_finished());
}

#[test]
fn other_userdata_changes_what_is_said_and_tells_nothing_anew() {
    let mut world = World::new();
    world.happens(wanted(A));
    world.happens(Happening::Wanted(Some(Webhook { userdata: "x".into(), ..webhook(A) })));
    world.happens(joined(1));
    world.run();
    assert_eq!(world.types(), ["session_register", "session_join"]);
    assert_eq!(world.taken[1]["userdata"], "x");
}

#[test]
fn url_that_is_none_is_reported() {
    let mut world = World::new();
    world.happens(wanted("nonsense"));
    world.happens(joined(1));
    world.run();
    assert!(world.taken.is_empty());
    assert!(world.herald.report().trouble.contains("can't be used"));
}

#[test]
fn secret_that_is_none_is_reported_and_nothing_goes_out_unsigned() {
    let mut world = World::new();
    world.happens(Happening::Wanted(Some(Webhook { secret: "whsec_".into(), ..webhook(A) })));
    world.happens(joined(1));
    world.run();
    assert!(world.taken.is_empty());
    assert!(world.herald.report().trouble.contains("the secret can't be used"));
}

#[test]
fn signature_names_each_try_by_its_own_time() {
    let mut world = World::new();
    world.happens(Happening::Wanted(Some(Webhook { secret: "s3cret".into(), ..webhook(A) })));
    let mut tries = Vec::new();
    world.run_for(Duration::from_secs(10), |delivery| {
        let header = |name| {
            let header = delivery.headers.iter().find(|(header, _)| *header == name);
            header.expect("it is there").1.clone()
        };
        let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
        let seconds = at.parse().expect("a number");
        let signer = Signer::of("s3cret").expect("a secret").expect("it isn't empty");
        assert_eq!(header("webhook-signature"), signer.sign(&id, seconds, &delivery.body));
        tries.push((id, seconds));
        if tries.len() < 4 { Err("no".into()) } else { Ok(()) }
    });
    assert!(tries.iter().all(|(id, _)| *id == tries[0].0));
    assert_eq!(tries[3].1 - tries[0].1, 2, "{tries:?}");
}
