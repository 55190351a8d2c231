//! In the foreground a program is run again when it ends, sooner or later as it lasted.

use crate::core::control_mode::quoted;
use std::time::{Duration, Instant};

/// How long the first restart waits: tmate's time, of every restart.
pub const DELAY_MIN: Duration = Duration::from_millis(500);
/// How long the last ones do, of a program that can't run: two starts a minute cost nothing, and
/// whoever mends it waits no longer.
pub const DELAY_MAX: Duration = Duration::from_secs(30);
/// A program that lasted as long has run.
pub const STEADY_TIME: Duration = Duration::from_secs(10);

/// For `list-panes -F`; [`Respawner::handle_panes`] reads the answer.
pub const FORMAT: &str = "#{pane_id} #{pane_dead}";

/// The machine. tmux keeps the dead pane (`remain-on-exit`).
#[derive(Debug)]
pub struct Respawner {
    /// tmux's `%N` of the program's pane.
    pane: String,
    delay: Duration,
    started_at: Instant,
    due: Option<Instant>,
}

impl Respawner {
    /// For the program in this pane, started now.
    pub fn new(pane: String, now: Instant) -> Self {
        Self { pane, delay: DELAY_MIN, started_at: now, due: None }
    }

    /// The session's panes, by [`FORMAT`]: dead ones are restarted later or, if they are no
    /// program's, closed by the lines that are given.
    pub fn handle_panes<'a>(
        &mut self,
        lines: impl Iterator<Item = &'a str>,
        now: Instant,
    ) -> Vec<String> {
        let mut commands = Vec::new();
        for line in lines {
            let Some((pane, "1")) = line.split_once(' ') else { continue };
            if pane != self.pane {
                commands.push(format!("kill-pane -t {}", quoted(pane)));
            } else if self.due.is_none() {
                if now.saturating_duration_since(self.started_at) >= STEADY_TIME {
                    self.delay = DELAY_MIN;
                }
                self.due = Some(now + self.delay);
                self.delay = (self.delay * 2).min(DELAY_MAX);
            }
        }
        commands
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// The command that runs the program again, if it is time.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<String> {
        self.due.take_if(|due| *due <= now)?;
        self.started_at = now;
        Some(format!("respawn-pane -t {}", quoted(&self.pane)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(lasting: Duration, count: usize) -> Vec<Duration> {
        let mut now = Instant::now();
        let mut respawner = Respawner::new("%0".into(), now);
        std::iter::repeat_with(|| {
            now += lasting;
            assert!(respawner.handle_panes(["%0 1"].into_iter(), now).is_empty());
            let due = respawner.poll_timeout().expect("it will be run again");
            let delay = due - now;
            assert_eq!(respawner.handle_timeout(due - Duration::from_millis(1)), None);
            now = due;
            assert_eq!(respawner.handle_timeout(now), Some("respawn-pane -t '%0'".into()));
            delay
        })
        .take(count)
        .collect()
    }

    #[test]
    fn program_that_cannot_run_is_tried_less_and_less_often() {
        let delays = delays(Duration::ZERO, 9);
        assert_eq!((delays[0], delays[1], delays[8]), (DELAY_MIN, DELAY_MIN * 2, DELAY_MAX));
    }

    #[test]
    fn program_that_has_run_comes_back_at_once() {
        assert!(delays(STEADY_TIME, 5).iter().all(|delay| *delay == DELAY_MIN));
    }

    #[test]
    fn other_panes_go_when_they_are_dead() {
        let now = Instant::now();
        let mut respawner = Respawner::new("%0".into(), now);
        let lines = ["%0 0", "%1 1", "%2 0", "nonsense"];
        let commands = respawner.handle_panes(lines.into_iter(), now);
        assert_eq!(commands, ["kill-pane -t '%1'"]);
        assert_eq!(respawner.poll_timeout(), None);
    }
}
