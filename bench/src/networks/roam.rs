//! Roaming: new addresses, forgotten mappings, and outages.
//!
//! A move is measured in two ways. *Key at that moment*: after some quiet, a key is typed in the same
//! millisecond as the address changes; from there to the first new echo. That is the hardest case,
//! and one that nobody meets: who sits beside a relay and types to a host that moved can't have an
//! echo in less than one and a half round trips, half until the relay hears from the new address, and
//! one for key and echo. (With the relay halfway between both, which is the usual place for one, it
//! is one round trip in all.) *While typing*: somebody types five keys a second before, during and after
//! the move, in step with nothing; from the first key typed after the move to its own echo. That is
//! what a person sees.

use super::place::{HOST, LINE, NAT, Place, RTT};
use super::stage::Stage;
use super::system::{Outcome, System, side_by_side};
use super::typist::{Typist, ms};
use super::{Run, Samples};
use crate::latency::ECHO;
use crate::pty::pause;
use crate::report::quantile;
use crate::table::Target;
use netsim::Action;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// When something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// After some quiet, and in that moment a key is typed.
    Quiet,
    /// While somebody types.
    Typing,
}

/// How long an echo may take; what takes longer never comes.
const PATIENCE: Duration = Duration::from_secs(15);
/// The same after an outage: TCP's repetitions back off to two minutes.
const OUTAGE_PATIENCE: Duration = Duration::from_secs(150);
/// Quiet before each event; a part that differs from time to time comes on top.
const QUIET_TIME: Duration = Duration::from_millis(1200);
const QUIET_SPREAD: Duration = Duration::from_millis(900);

/// What happens, how often, and how long it takes until the viewer sees something.
pub(crate) fn measure(run: &mut Run) {
    let times = run.count(50, 4);
    // Whoever moves has a new address each time, and is told by its kernel.
    let told = |mobile: &'static str, time: u32| {
        let last = u8::try_from(10 + time).unwrap_or(u8::MAX);
        Action::address(mobile, &[IpAddr::V4(Ipv4Addr::new(10, 0, 1, last))])
    };
    let untold = |_: &'static str, _: u32| Action::rebind(NAT);
    let beside = |system: System| Place::mobile(system.mobile());
    let halfway = |system: System| match system {
        System::Tern | System::Join => Place::mobile_with_relay_halfway(system.mobile()),
        System::Mosh | System::Ssh => Place::mobile(system.mobile()),
    };
    let outcomes = repeat(run, "roam-halfway", times, Moment::Quiet, halfway, told);
    let what = "address change (told), key at that moment, relay halfway";
    report(run, "address_halfway", what, Target::AtMost, outcomes);
    for (moment, suffix, when) in
        [(Moment::Quiet, "", "key at that moment"), (Moment::Typing, "_typing", "while typing")]
    {
        let outcomes = repeat(run, &format!("roam-told{suffix}"), times, moment, beside, told);
        let what = format!("address change (told), {when}");
        let target = match moment {
            // A host's can't be reached: see above.
            Moment::Quiet => |_| Target::Informative,
            Moment::Typing => Target::AtMost,
        };
        report(run, &format!("address{suffix}"), &what, target, outcomes);
        let outcomes = repeat(run, &format!("roam-rebind{suffix}"), times, moment, beside, untold);
        let what = format!("NAT rebinding (untold), {when}");
        report(run, &format!("rebind{suffix}"), &what, |_| Target::Informative, outcomes);
    }
    let moved = host_types(run, times);
    let what = "NAT rebinding, host types: to the viewer's eyes";
    let of = |share| move |times: &Vec<f64>| quantile(times, share) / ms(RTT);
    let title = format!("{what}, median, RTT");
    run.add("rebind_host_p50", &title, &moved, Target::AtMost(1.3), of(0.5));
    let title = format!("{what}, worst, RTT");
    run.add("rebind_host_max", &title, &moved, Target::AtMost(2.5), of(1.0));
    keep(run, "rebind_host", moved);
}

/// As mosh's client does in the rows above, the side that moved speaks first: somebody types at the
/// shared terminal itself. (A viewer's key can't reach a host that has moved before the host has
/// spoken: half a round trip to tell, one for key and echo, so 1.5 in the rows above at best.)
fn host_types(run: &Run, times: u32) -> Vec<Outcome<Vec<f64>>> {
    let packets = run.packets("roam-host");
    let setting = run.setting(ECHO, packets.as_deref());
    let systems: Vec<System> =
        run.systems.iter().copied().filter(|system| *system == System::Tern).collect();
    side_by_side(
        &systems,
        |_| Place::mobile(HOST),
        &setting,
        |stage| {
            let mut typist = Typist::default();
            let mut found = Vec::new();
            for time in 0..times {
                typist.time_to_echo(&mut stage.viewer, PATIENCE);
                pause(quiet_time(time));
                stage.event(Action::rebind(NAT))?;
                let (host, viewer) = stage.terminals()?;
                found.push(typist.time_to_other(host, viewer, PATIENCE).map_or(f64::INFINITY, ms));
            }
            Ok(found)
        },
    )
}

fn report(
    run: &mut Run,
    key: &str,
    what: &str,
    target: fn(f64) -> Target,
    outcomes: Vec<Outcome<Vec<f64>>>,
) {
    let of = |share| move |times: &Vec<f64>| quantile(times, share) / ms(RTT);
    let title = format!("{what}: to the echo, median, RTT");
    run.add(&format!("{key}_p50"), &title, &outcomes, target(1.3), of(0.5));
    let title = format!("{what}: to the echo, worst, RTT");
    run.add(&format!("{key}_max"), &title, &outcomes, target(2.5), of(1.0));
    keep(run, key, outcomes);
}

/// Outages while somebody types on.
pub(crate) fn outages(run: &mut Run) {
    for (seconds, full, quick) in [(10, 6, 1), (60, 3, 0)] {
        let times = run.count(full, quick);
        if times == 0 {
            continue;
        }
        let key = format!("outage_{seconds}s");
        let packets = run.packets(&key);
        let setting = run.setting(ECHO, packets.as_deref());
        let outcomes = side_by_side(
            &run.systems,
            |_| Place::line(),
            &setting,
            |stage| {
                let mut typist = Typist::default();
                (0..times)
                    .map(|_| outage(stage, &mut typist, Duration::from_secs(seconds)))
                    .collect()
            },
        );
        let of = |share| move |times: &Vec<f64>| quantile(times, share) / ms(RTT);
        let title = format!("return from an outage of {seconds} s while typing: median, RTT");
        run.add(&format!("{key}_p50"), &title, &outcomes, Target::Informative, of(0.5));
        let title = format!("return from an outage of {seconds} s while typing: worst, RTT");
        run.add(&format!("{key}_max"), &title, &outcomes, Target::AtMost(2.0), of(1.0));
        keep(run, &key, outcomes);
    }
}

fn outage(stage: &mut Stage, typist: &mut Typist, length: Duration) -> anyhow::Result<f64> {
    typist.type_for(&mut stage.viewer, 2 * QUIET_TIME)?;
    stage.event(Action::down(LINE))?;
    typist.type_for(&mut stage.viewer, length)?;
    stage.event(Action::up(LINE))?;
    let echo = typist.time_to_echo(&mut stage.viewer, OUTAGE_PATIENCE);
    Ok(echo.map_or(f64::INFINITY, ms))
}

/// Times in milliseconds, infinite for what never came; after that a system isn't asked again.
fn repeat(
    run: &Run,
    row: &str,
    times: u32,
    moment: Moment,
    place: impl Fn(System) -> Place + Sync,
    event: impl Fn(&'static str, u32) -> Action + Sync,
) -> Vec<Outcome<Vec<f64>>> {
    let packets = run.packets(row);
    let setting = run.setting(ECHO, packets.as_deref());
    side_by_side(&run.systems, place, &setting, |stage| {
        let mut typist = Typist::default();
        let mobile = stage.mobile.unwrap_or(HOST);
        let mut found = Vec::new();
        for time in 0..times {
            typist.time_to_echo(&mut stage.viewer, PATIENCE);
            let echo = match moment {
                Moment::Quiet => {
                    pause(quiet_time(time));
                    stage.event(event(mobile, time))?;
                    typist.time_to_echo(&mut stage.viewer, PATIENCE)
                }
                Moment::Typing => {
                    let keys = typist.type_for(&mut stage.viewer, quiet_time(time))?;
                    stage.event(event(mobile, time))?;
                    typist.next_echo(&mut stage.viewer, keys.last(), PATIENCE)
                }
            };
            found.push(echo.map_or(f64::INFINITY, ms));
            if echo.is_none() {
                break;
            }
        }
        Ok(found)
    })
}

/// Another one each time.
fn quiet_time(time: u32) -> Duration {
    let part = (f64::from(time) * 0.618_033_988_75).fract();
    QUIET_TIME + QUIET_SPREAD.mul_f64(part)
}

fn keep(run: &mut Run, key: &str, outcomes: Vec<Outcome<Vec<f64>>>) {
    for (system, outcome) in outcomes {
        if let Ok(times) = outcome {
            let times = times.into_iter().map(|time| time.is_finite().then_some(time));
            run.keep(key, system, Samples::Times(times.collect()));
        }
    }
}
