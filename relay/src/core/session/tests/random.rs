//! Random lives of a session: whatever happens, what the host and the shell are told makes sense.

use super::super::{CloseCode, EXIT_ENDED};
use super::world::World;
use proptest::prelude::*;
use std::time::Duration;
use tern_sync::session::{Role, ViewerId};
use tern_term::Size;

#[derive(Debug, Clone)]
enum Step {
    Join(bool),
    Leave(usize),
    Input(usize, Vec<u8>),
    Resize(usize, u16, u16),
    Silence(usize, bool),
    Cut,
    Connect { is_new: bool },
    Show(String),
    Wait(u64),
    Garbage(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let keys = prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..20),
        Just(b"\x1b[200~".to_vec()),
        Just(b"\x1b[201~".to_vec()),
        "[a-z]{1,30}".prop_map(String::into_bytes),
    ];
    prop_oneof![
        2 => any::<bool>().prop_map(Step::Join),
        1 => (0usize..8).prop_map(Step::Leave),
        6 => ((0usize..8), keys).prop_map(|(who, bytes)| Step::Input(who, bytes)),
        2 => ((0usize..8), 1u16..200, 1u16..100).prop_map(|(w, c, r)| Step::Resize(w, c, r)),
        1 => ((0usize..8), any::<bool>()).prop_map(|(who, silent)| Step::Silence(who, silent)),
        1 => Just(Step::Cut),
        2 => any::<bool>().prop_map(|is_new| Step::Connect { is_new }),
        2 => "[a-z ]{0,40}".prop_map(Step::Show),
        4 => (0u64..20_000).prop_map(Step::Wait),
        1 => proptest::collection::vec(any::<u8>(), 0..60).prop_map(Step::Garbage),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_life_of_a_session_makes_sense_to_host_and_viewers(
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        live(steps)?;
    }
}

#[test]
fn garbage_that_is_a_message_by_chance_is_its_hosts_word() {
    let steps = vec![Step::Garbage(vec![0, 0, 5, 53, 9, 0]), Step::Wait(20)];
    live(steps).expect("it makes sense");
}

fn live(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut world = World::connected();
    let mut epoch = 1;
    let mut viewers: Vec<(ViewerId, Role)> = Vec::new();
    for step in steps {
        let pick = |who: usize| viewers.get(who % viewers.len().max(1)).copied();
        match step {
            Step::Join(is_writer) => {
                let role = if is_writer { Role::ReadWrite } else { Role::ReadOnly };
                viewers.push((world.join(role), role));
            }
            Step::Leave(who) => {
                if let Some((viewer, _)) = pick(who) {
                    world.session.handle_leave(viewer, world.now);
                    viewers.retain(|(id, _)| *id != viewer);
                }
            }
            Step::Input(who, bytes) => {
                if let Some((viewer, _)) = pick(who) {
                    world.input(viewer, &bytes);
                }
            }
            Step::Resize(who, cols, rows) => {
                if let Some((viewer, _)) = pick(who) {
                    world.session.handle_resize(viewer, Size { cols, rows }, world.now);
                }
            }
            Step::Silence(who, is_silent) => {
                if let Some((viewer, _)) = pick(who) {
                    world.session.handle_silence(viewer, is_silent, world.now);
                }
            }
            Step::Cut => world.lose_link(),
            Step::Connect { is_new } => {
                epoch += u64::from(is_new);
                if !world.connect(epoch) {
                    // A host that begins anew knows nobody.
                    world.told.clear();
                }
            }
            Step::Show(text) => world.show(&text),
            Step::Wait(millis) => world.run_for(Duration::from_millis(millis)),
            Step::Garbage(bytes) if world.is_link_up => {
                world.session.handle_datagram(&bytes, world.now);
                // Only a host can have sent it: what makes sense by chance has been said, and the
                // host that doesn't know of it has to begin anew.
                world.lose_link();
                epoch += 1;
                prop_assert!(!world.connect(epoch));
                world.told.clear();
            }
            Step::Garbage(_) => {}
        }
        // Checks that only present viewers type, resize and leave.
        world.present();
        for (gone, _, status) in world.released.drain(..) {
            prop_assert_eq!(status, EXIT_ENDED);
            prop_assert!(viewers.iter().any(|(id, _)| *id == gone));
            viewers.retain(|(id, _)| *id != gone);
        }
    }

    // When all is well again, host and relay agree on everything.
    world.closed.retain(|code| *code != CloseCode::Protocol);
    prop_assert!(world.closed.is_empty(), "{:?}", world.closed);
    world.lose_link();
    world.told.clear();
    prop_assert!(!world.connect(epoch + 1));
    for (viewer, _) in &viewers {
        world.session.handle_silence(*viewer, false, world.now);
    }
    world.show("the end");
    world.run_for(Duration::from_secs(5));
    prop_assert!(world.view.frame.to_text().starts_with("the end"));
    prop_assert_eq!(world.notice(), None);
    prop_assert_eq!(world.present().len(), viewers.len());
    Ok(())
}
