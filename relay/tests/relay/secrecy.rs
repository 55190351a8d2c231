//! Nothing that must stay secret is in any log line.

use crate::support::host::Host;
use crate::support::viewer::Viewer;
use crate::support::{must, relay};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use tern_sync::session::HostEvent;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Everything that is logged, at every level, by every crate.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<String>>);

impl Visit for Lines {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let mut lines = self.0.lock().expect("not poisoned");
        writeln!(lines, "{field}={value:?}").expect("a string grows");
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        assert!(*event.metadata().level() != Level::ERROR, "an error was logged: {event:?}");
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn tokens_secrets_and_typed_text_are_in_no_log_line() {
    let lines = Lines::default();
    // One thread, so that the subscriber of this thread gets all.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let secrets = tracing::subscriber::with_default(lines.clone(), || {
        runtime.expect("a runtime").block_on(live())
    });
    let lines = lines.0.lock().expect("not poisoned").clone();
    assert!(lines.contains("viewer joined") && lines.contains("session granted"), "{lines}");
    for secret in secrets {
        assert!(!lines.contains(&secret), "{secret:?} was logged");
    }
}

/// The life of a session; gives what must not be told.
async fn live() -> Vec<String> {
    let relay = relay().await;
    let host = Host::share(&relay).await;
    host.show("displayed-secret");
    let writer = Viewer::open(&relay, &host.grant.token).await;
    let reader = Viewer::open(&relay, &host.grant.token_ro).await;
    let guess = tern_bootstrap::token::generate();
    Viewer::open(&relay, &guess).await.wait_until_closed().await;
    writer.wait_until_shows("displayed-secret").await;
    reader.wait_until_shows("displayed-secret").await;
    writer.enter("typed-secret");
    reader.enter("ignored-secret");
    host.wait_until("the keys", |seen| seen.typed() == "typed-secret").await;
    let _ = host.connection.send_datagram(vec![0xff; 50].into());
    host.say(HostEvent::Ended { text: "[exited]".into() });
    must("the end", relay.stop()).await;
    let hex: String = host.grant.secret.0.iter().map(|byte| format!("{byte:02x}")).collect();
    let debug = format!("{:?}", host.grant.secret.0);
    let texts = ["displayed-secret", "typed-secret", "ignored-secret"].map(str::to_owned);
    let tokens = [host.grant.token.clone(), host.grant.token_ro.clone(), guess];
    texts.into_iter().chain(tokens).chain([hex, debug]).collect()
}
