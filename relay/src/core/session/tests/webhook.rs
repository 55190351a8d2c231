//! What a webhook would be told.

use super::super::host::LOSS_SHOWN_AFTER;
use super::super::{Output, Session};
use super::world::{World, open_doors, visitor};
use std::time::Duration;
use tern_sync::session::{HostEvent, Role, ViewerEvent, WEBHOOK_REPORT, Webhook, WebhookReport};
use tern_web::core::herald::Happening;

fn webhook() -> Option<Webhook> {
    Some(Webhook { url: "https://a.example".into(), ..Webhook::default() })
}

fn drained(session: &mut Session, world_now: std::time::Instant) -> Vec<Happening> {
    let mut happened = Vec::new();
    while let Some(output) = session.poll_output(world_now, None) {
        if let Output::Happened(happening) = output {
            happened.push(*happening);
        }
    }
    happened
}

#[test]
fn webhook_that_is_wanted_later_is_told_who_is_there() {
    let mut world = World::connected();
    world.host_wants(open_doors(false));
    world.run();
    let viewer = world.join(Role::ReadOnly);
    world.run();
    world.happened.clear();
    world.host_wants_webhook(webhook());
    world.run();
    let joined = Happening::Joined(viewer, visitor(Role::ReadOnly));
    assert_eq!(world.happened, [Happening::Wanted(webhook()), joined]);
    world.host_wants_webhook(None);
    world.run();
    assert!(world.happened.contains(&Happening::Wanted(None)));
}

#[test]
fn viewer_is_told_when_it_is_in_and_not_before() {
    let mut world = World::connected();
    world.host_wants(open_doors(true));
    world.run();
    let (viewer, is_in) = world.join_as(visitor(Role::ReadWrite));
    world.run();
    assert!(!is_in && world.happened.is_empty(), "{:?}", world.happened);
    let asks = world.told.iter().find_map(|event| match event {
        ViewerEvent::Asks { viewer, .. } => Some(*viewer),
        _ => None,
    });
    world.host_says(HostEvent::Admit { viewer: asks.expect("the host is asked") });
    world.run();
    assert_eq!(world.happened, [Happening::Joined(viewer, visitor(Role::ReadWrite))]);
    world.session.handle_leave(viewer, world.now);
    world.run();
    assert_eq!(world.happened[1..], [Happening::Left(viewer)]);
}

#[test]
fn host_that_goes_comes_back_and_ends_is_told_so() {
    let mut world = World::connected();
    world.host_wants(open_doors(false));
    world.run();
    world.lose_link();
    world.run_for(LOSS_SHOWN_AFTER + Duration::from_millis(1));
    assert_eq!(world.happened, [Happening::Lost]);
    world.connect(1);
    world.run();
    assert_eq!(world.happened[1..], [Happening::Present]);
    world.host_says(HostEvent::Ended { text: "over".into() });
    world.run();
    assert_eq!(world.happened[2..], [Happening::Over]);
}

#[test]
fn relay_that_stops_is_not_the_sessions_end() {
    let mut world = World::connected();
    world.session.handle_stop(world.now);
    let now = world.now;
    assert_eq!(drained(&mut world.session, now).first(), Some(&Happening::Stopping));
}

#[test]
fn host_hears_how_it_goes_also_after_it_began_anew() {
    let mut world = World::connected();
    let report = WebhookReport { trouble: "it answers 404".into(), dropped_count: 1 };
    world.session.handle_webhook_report(report.clone(), world.now);
    world.run();
    assert_eq!(world.host.received(WEBHOOK_REPORT).0, report);
    world.connect(2);
    world.run();
    assert_eq!(world.host.received(WEBHOOK_REPORT).0, report);
}
