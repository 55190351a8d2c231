//! A wait that wakes once. tokio keeps far deadlines in coarse slots and wakes a process at a slot's begin
//! as well, in order to put what is in it into finer ones: for a heartbeat, once or twice more than needed.

use std::time::Instant;

pub use platform::Alarm;

#[cfg(target_os = "linux")]
mod platform {
    use super::Instant;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use std::future::pending;
    use std::os::fd::OwnedFd;
    use std::time::Duration;
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    /// A timer of the kernel's (timerfd_create(2)).
    #[derive(Debug)]
    pub struct Alarm {
        timer: AsyncFd<OwnedFd>,
        set_to: Option<Instant>,
    }

    impl Alarm {
        /// Set to no time.
        #[allow(unsafe_code)]
        pub fn new() -> std::io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            // SAFETY: the descriptor is owned by what watches it, and always the same.
            let timer = unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) };
            Ok(Self { timer: timer.map_err(std::io::Error::from)?, set_to: None })
        }

        /// Until that time, or for ever. Cancel-safe.
        pub async fn at(&mut self, time: Option<Instant>) -> std::io::Result<()> {
            let Some(time) = time else { return pending().await };
            loop {
                let left = time.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    // Whoever is always late must let others have their turn.
                    tokio::task::coop::consume_budget().await;
                    return Ok(());
                }
                if self.set_to != Some(time) {
                    timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::empty(), &once(left))?;
                    self.set_to = Some(time);
                }
                self.timer.readable().await?.clear_ready();
                // It has rung, perhaps for a time before: then it's set anew.
                self.set_to = None;
            }
        }
    }

    fn once(left: Duration) -> Itimerspec {
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Longer than a time can be told, it is never.
        Itimerspec { it_interval: never, it_value: Timespec::try_from(left).unwrap_or(never) }
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use super::Instant;
    use std::future::pending;
    use tokio::time::sleep_until;

    /// tokio's.
    #[derive(Debug)]
    pub struct Alarm(());

    impl Alarm {
        /// Set to no time.
        pub fn new() -> std::io::Result<Self> {
            Ok(Self(()))
        }

        /// Until that time, or for ever. Cancel-safe.
        pub async fn at(&mut self, time: Option<Instant>) -> std::io::Result<()> {
            match time {
                Some(time) => sleep_until(time.into()).await,
                None => pending().await,
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn rings_at_its_newest_time_and_not_before() {
        let mut alarm = Alarm::new().expect("a timer");
        let start = Instant::now();
        // Each earlier wait is given up, as a select does.
        for time in [None, Some(start + 3600 * 1000 * MS), Some(start + 5 * MS)] {
            assert!(timeout(Duration::ZERO, alarm.at(time)).await.is_err());
        }
        let due = start + 20 * MS;
        alarm.at(Some(due)).await.expect("rings");
        assert!(Instant::now() >= due);
        alarm.at(Some(start)).await.expect("what is past rings at once");
        let again = Instant::now() + 5 * MS;
        alarm.at(Some(again)).await.expect("rings");
        assert!(Instant::now() >= again);
    }
}
