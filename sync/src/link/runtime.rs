//! quinn on tokio, with timers that nobody waits for put away.
//!
//! quinn doesn't tell a timer that it has no deadline any more (all is acknowledged), and tokio wakes
//! its process at a deadline that was put off since. So each exchange of packets woke both ends once or
//! twice for nothing: of a viewer's wake-ups under a flood that was a third.

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::time::{Sleep, sleep_until};

/// For [`quinn::Endpoint::new`].
#[derive(Debug)]
pub struct QuicRuntime;

impl Runtime for QuicRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        let alarm = ALARM.try_with(Alarm::clone).unwrap_or_default();
        alarm.begin(at);
        Box::pin(alarm)
    }

    fn spawn(&self, mut driver: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let alarm = Alarm::default();
        tokio::spawn(std::future::poll_fn(move |cx| {
            let polled = ALARM.sync_scope(alarm.clone(), || driver.as_mut().poll(cx));
            alarm.put_away_unless_awaited();
            polled
        }));
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

tokio::task_local! {
    /// The timer of the driver that is polled: a connection makes one at most.
    static ALARM: Alarm;
}

/// A timer, as both its driver and the driver's task hold it.
#[derive(Debug, Clone, Default)]
struct Alarm(Arc<Mutex<Wait>>);

#[derive(Debug, Default)]
struct Wait {
    sleep: Option<Pin<Box<Sleep>>>,
    /// The driver asked for it since it was last looked at.
    is_awaited: bool,
}

impl Alarm {
    fn wait(&self) -> MutexGuard<'_, Wait> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new one each time: one that is put off would still wake us at its former time.
    fn begin(&self, at: Instant) {
        let (mut wait, new) = (self.wait(), sleep_until(at.into()));
        match &mut wait.sleep {
            Some(sleep) => sleep.as_mut().set(new),
            none => *none = Some(Box::pin(new)),
        }
    }

    fn put_away_unless_awaited(&self) {
        let mut wait = self.wait();
        if !std::mem::take(&mut wait.is_awaited) {
            wait.sleep = None;
        }
    }
}

impl AsyncTimer for Alarm {
    fn reset(self: Pin<&mut Self>, at: Instant) {
        self.begin(at);
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut wait = self.wait();
        wait.is_awaited = true;
        match &mut wait.sleep {
            Some(sleep) => Future::poll(sleep.as_mut(), cx),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use tokio::sync::Notify;
    use tokio::time::sleep;

    const MS: Duration = Duration::from_millis(1);

    /// A driver of one timer, as a connection's: `deadlines` in turn, from the start, one for each time
    /// that it is polled; without one it doesn't ask for its timer. Counts how often it is polled.
    fn drive(deadlines: Vec<Option<Duration>>, on_event: &Arc<Notify>) -> Arc<AtomicUsize> {
        let count = Arc::new(AtomicUsize::new(0));
        let (polled, event) = (count.clone(), on_event.clone());
        let start = QuicRuntime.now();
        let mut timer: Option<Pin<Box<dyn AsyncTimer>>> = None;
        let mut event = Box::pin(async move {
            loop {
                event.notified().await;
            }
        });
        let driver = std::future::poll_fn(move |cx| {
            let number = polled.fetch_add(1, Ordering::Relaxed);
            assert!(event.as_mut().poll(cx).is_pending());
            if let Some(deadline) = deadlines.get(number).copied().flatten() {
                let at = start + deadline;
                match &mut timer {
                    Some(timer) => timer.as_mut().reset(at),
                    None => timer = Some(QuicRuntime.new_timer(at)),
                }
                assert!(timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_pending()));
            }
            Poll::Pending
        });
        QuicRuntime.spawn(Box::pin(driver));
        count
    }

    async fn polled_at(count: &AtomicUsize, time: Duration) -> usize {
        sleep(time).await;
        count.load(Ordering::Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn driver_without_a_deadline_sleeps() {
        let on_event = Arc::new(Notify::new());
        let count = drive(vec![Some(20 * MS), None], &on_event);
        assert_eq!(polled_at(&count, 10 * MS).await, 1);
        on_event.notify_one();
        assert_eq!(polled_at(&count, 100 * MS).await, 2, "its timer was of no use any more");
    }

    #[tokio::test(start_paused = true)]
    async fn driver_is_woken_at_its_newest_deadline() {
        let on_event = Arc::new(Notify::new());
        let count = drive(vec![Some(20 * MS), Some(40 * MS)], &on_event);
        assert_eq!(polled_at(&count, 10 * MS).await, 1);
        on_event.notify_one();
        assert_eq!(polled_at(&count, 20 * MS).await, 2);
        assert_eq!(polled_at(&count, 20 * MS).await, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn deadline_after_none_is_kept() {
        let on_event = Arc::new(Notify::new());
        let count = drive(vec![Some(20 * MS), None, Some(50 * MS)], &on_event);
        for expected in [1, 2] {
            assert_eq!(polled_at(&count, 5 * MS).await, expected);
            on_event.notify_one();
        }
        assert_eq!(polled_at(&count, 30 * MS).await, 3);
        assert_eq!(polled_at(&count, 20 * MS).await, 4);
    }
}
