//! What happens to a pair, for one seed; each scene gives times in milliseconds.

use super::pair::{HOST, Pair, RELAY, echo};
use crate::glyphs::glyph;
use crate::screens;
use netsim::link::loss::Loss;
use netsim::link::settings::Change;
use netsim::{Action, Description, Link, Nat, Probability};
use std::path::Path;
use std::time::Duration;
use tern_term::Size;
use tokio::time::Instant;

/// There and back.
pub(crate) const RTT: Duration = Duration::from_millis(100);
/// Times of one seed; `None`: never.
pub(crate) type Times = Vec<Option<f64>>;

const LINE: &str = "line";
const NAT: &str = "home";
/// Between two keys: 5 keys per second.
const KEY_INTERVAL: Duration = Duration::from_millis(200);
/// Keys per seed under loss.
const KEYS: u32 = 50;
/// Screens per seed.
const SCREENS: u32 = 5;
/// Rebindings per seed.
const REBINDINGS: u32 = 4;
/// Typing before anything happens: both sides learn the path.
const WARM_UP_KEYS: u32 = 15;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Keys that are typed in an outage, however long: people stop.
const OUTAGE_KEYS: u32 = 20;

/// One run of a scene.
pub(crate) struct Case<'a> {
    /// Every chance of network, TLS, QUIC and sync is drawn from it.
    pub seed: u64,
    /// Gets a line for each datagram that is sent or arrives, and for each event.
    pub trace: Option<&'a Path>,
}

/// Echoes at 29 % loss each way.
pub(crate) fn loss(case: &Case<'_>) -> anyhow::Result<Times> {
    play(case, async |stage: &mut Stage| {
        stage.warm_up().await?;
        stage.pair.network.handle_event(lose(29.0))?;
        let mut typed = Vec::new();
        let mut times = vec![None; KEYS as usize];
        for _ in 0..KEYS {
            typed.push((stage.type_key(), Instant::now()));
            stage.watch(KEY_INTERVAL, &typed, &mut times).await?;
        }
        stage.watch(PATIENCE, &typed, &mut times).await?;
        Ok(times)
    })
}

/// Full new screens, from the key that asks for one.
pub(crate) fn screens(case: &Case<'_>, percent: f64) -> anyhow::Result<Times> {
    let (cols, rows) = screens::SIZE;
    let size = Size::clamped(cols.into(), rows.into());
    let paint = |number: u32, _: &[u8]| screens::screen(number).into_bytes();
    play_on(case, size, paint, async |stage: &mut Stage| {
        stage.pair.run_for(Duration::from_secs(2)).await?;
        stage.pair.network.handle_event(lose(percent))?;
        let mut times = Vec::new();
        for number in 0..SCREENS {
            stage.pair.run_for(stage.pause(1000, number)).await?;
            let (start, range) = (Instant::now(), screens::GLYPHS * number..);
            let wanted: Vec<char> = range.take(screens::GLYPHS as usize).map(glyph).collect();
            stage.pair.type_text(" ");
            let is_complete = |pair: &Pair| wanted.iter().all(|glyph| pair.has_shown(*glyph));
            stage.pair.run(start + PATIENCE, is_complete).await?;
            times.push(is_complete(&stage.pair).then(|| ms(start.elapsed())));
        }
        Ok(times)
    })
}

/// The NAT forgets its mappings while somebody types at the relay's side; from then to the first
/// echo of a key typed after it.
pub(crate) fn rebind(case: &Case<'_>) -> anyhow::Result<Times> {
    play(case, async |stage: &mut Stage| {
        let mut times = Vec::new();
        for number in 0..REBINDINGS {
            stage.warm_up().await?;
            stage.pair.run_for(stage.pause(200, number)).await?;
            stage.pair.network.handle_event(Action::rebind(NAT))?;
            times.push(stage.time_to_echo().await?);
        }
        Ok(times)
    })
}

/// Nothing passes for `seconds` (and a part of two more), while somebody types; from the moment when
/// it passes again to the first echo of a key typed then.
pub(crate) fn outage(case: &Case<'_>, seconds: u64) -> anyhow::Result<Times> {
    play(case, async |stage: &mut Stage| {
        stage.warm_up().await?;
        let length = Duration::from_secs(seconds) + stage.pause(2000, 0);
        stage.pair.network.handle_event(Action::down(LINE))?;
        let end = Instant::now() + length;
        for _ in 0..OUTAGE_KEYS {
            stage.type_key();
            stage.pair.run_for(length / (OUTAGE_KEYS + 1)).await?;
        }
        stage.pair.run(end, |_| false).await?;
        stage.pair.network.handle_event(Action::up(LINE))?;
        Ok(vec![stage.time_to_echo().await?])
    })
}

/// Kilobytes from the host in an hour in which nobody does anything, IP headers and all.
pub(crate) fn idle_hour(case: &Case<'_>) -> anyhow::Result<f64> {
    play(case, async |stage: &mut Stage| {
        stage.warm_up().await?;
        stage.pair.run_for(Duration::from_secs(20)).await?;
        let sent = |stage: &Stage| {
            stage.pair.network.with_world(|world| world.stats().links[0].up.entered_bytes)
        };
        let before = sent(stage);
        stage.pair.run_for(Duration::from_secs(3600)).await?;
        Ok((sent(stage) - before) as f64 / 1000.0)
    })
}

/// A pair, and somebody who types.
struct Stage {
    pair: Pair,
    seed: u64,
    typed_count: u32,
}

impl Stage {
    fn type_key(&mut self) -> char {
        let glyph = glyph(self.typed_count);
        self.typed_count += 1;
        self.pair.type_text(&glyph.to_string());
        glyph
    }

    async fn warm_up(&mut self) -> anyhow::Result<()> {
        for _ in 0..WARM_UP_KEYS {
            self.type_key();
            self.pair.run_for(KEY_INTERVAL).await?;
        }
        Ok(())
    }

    /// Lets at most `time` pass, and notes when keys are echoed; stops when all are.
    async fn watch(
        &mut self,
        time: Duration,
        typed: &[(char, Instant)],
        times: &mut [Option<f64>],
    ) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        let is_last = time > KEY_INTERVAL;
        let look = |pair: &Pair| {
            for ((glyph, at), time) in typed.iter().zip(&mut *times) {
                if time.is_none() && pair.has_shown(*glyph) {
                    *time = Some(ms(at.elapsed()));
                }
            }
            is_last && times.iter().all(Option::is_some)
        };
        self.pair.run(end, look).await
    }

    /// Types a key now and more until one is echoed.
    async fn time_to_echo(&mut self) -> anyhow::Result<Option<f64>> {
        let (start, mut typed) = (Instant::now(), Vec::new());
        while start.elapsed() < PATIENCE {
            typed.push(self.type_key());
            let is_echoed = |pair: &Pair| typed.iter().any(|glyph| pair.has_shown(*glyph));
            self.pair.run(Instant::now() + KEY_INTERVAL, is_echoed).await?;
            if is_echoed(&self.pair) {
                return Ok(Some(ms(start.elapsed())));
            }
        }
        Ok(None)
    }

    /// Some time below `limit_ms`: another one for each seed and each time.
    fn pause(&self, limit_ms: u64, number: u32) -> Duration {
        let mixed = (self.seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ u64::from(number)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Duration::from_millis((mixed >> 40) % limit_ms)
    }
}

/// Plays on the usual terminal with an echo.
fn play<T>(
    case: &Case<'_>,
    scene: impl AsyncFnOnce(&mut Stage) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    play_on(case, Size::clamped(80, 24), echo, scene)
}

fn play_on<T>(
    case: &Case<'_>,
    size: Size,
    program: super::pair::Program,
    scene: impl AsyncFnOnce(&mut Stage) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let pair = Pair::connect(&network(), case.seed, size, program).await?;
        if case.trace.is_some() {
            pair.network.with_world(|world| world.keep_trace_lines());
        }
        let mut stage = Stage { pair, seed: case.seed, typed_count: 0 };
        let found = scene(&mut stage).await;
        if let Some(path) = case.trace {
            let lines = stage.pair.network.with_world(|world| world.trace().lines().to_vec());
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            std::fs::write(path, text)?;
        }
        found
    })
}

/// `h ─line 50 ms─ NAT ─ r`.
fn network() -> Description {
    Description::new()
        .host(HOST)
        .host(RELAY)
        .nat(Nat::new(NAT).timeout(Duration::from_secs(24 * 3600)))
        .link(Link::new(LINE, HOST, NAT).delay(RTT / 2))
        .link(Link::new("data", NAT, RELAY))
}

fn lose(percent: f64) -> Action {
    Action::set(LINE, Change::Loss(Loss::Independent(Probability::percent(percent))))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_times_again() {
        let case = Case { seed: 7, trace: None };
        assert_eq!(outage(&case, 10).expect("played"), outage(&case, 10).expect("played"));
    }

    #[test]
    fn a_screen_comes_complete_over_loss() {
        let times = screens(&Case { seed: 3, trace: None }, 10.0).expect("played");
        assert_eq!(times.len(), SCREENS as usize);
        assert!(times.iter().flatten().all(|time| *time >= ms(RTT)));
        assert!(times.iter().all(Option::is_some), "{times:?}");
    }
}
