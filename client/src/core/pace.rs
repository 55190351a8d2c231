//! How fast the hidden client's output is read.
//!
//! What a person does (a key's echo, a redrawn screen) is read at once. Under a flood, reading
//! all of it would cost the tmux server and us a core for frames that nobody sees; so reading
//! follows two token buckets, one for bytes and one for batches (tmux writes many small pieces).
//! While nothing is read, the terminal is stopped and tmux is asked to draw its screen anew: until it
//! can write that, it makes nothing for this client (`tty_client_ready`). Unasked, it would go on
//! making all output for two clients, and throw ours away (`tty_block_maybe`).

use std::time::{Duration, Instant};

/// Bytes that may be read at once after a rest: several full redraws of a large coloured screen
/// (200x60 cells with attributes are about 50 kB).
const BYTES_BURST: u32 = 256 * 1024;
/// Bytes per second in the long run: 20 redraws of such a screen.
const BYTES_RATE: u32 = 1024 * 1024;
/// When there are no bytes left, reading waits until this many may be read: 31 ms.
const BYTES_PORTION: u32 = 32 * 1024;
/// Batches that may be read at once after a rest: a key's echo is one or two, and one types less
/// than 15 keys a second.
const BATCHES_BURST: u32 = 32;
/// Batches per second in the long run. Measured under `cat` of a large file, with one viewer: at
/// 1000 a second, which tmux offers, the agent takes 20 % of a core; and a frame every 10 ms is
/// more than is seen.
const BATCHES_RATE: u32 = 100;
/// When there are no batches left, reading waits until this many may be read: 200 ms. Measured as
/// above, on two cores: shorter rests cost `cat` more of its speed, and 400 ms no less.
const BATCHES_PORTION: u32 = 20;
/// Batches that one costs in a flood: of those that follow a rest all but the first few show nothing
/// that is worth a frame.
const BATCH_COST: u32 = 5;
/// After somebody typed, reading waits for one batch only, 10 ms: what comes may be the answer.
const ATTENTIVE_TIME: Duration = Duration::from_millis(300);

/// Both buckets.
#[derive(Debug)]
pub struct Pace {
    bytes: Bucket,
    batches: Bucket,
    attentive_until: Option<Instant>,
    /// There were no batches left, and the bucket wasn't full since.
    is_flooded: bool,
}

/// Tokens that come at a rate, up to a burst.
#[derive(Debug)]
struct Bucket {
    burst: u32,
    rate: u32,
    /// Tokens that end a rest.
    portion: u32,
    tokens: u32,
    /// There were none left, and there are less than a portion since.
    is_resting: bool,
    filled_at: Instant,
}

impl Pace {
    /// Full buckets.
    pub fn new(now: Instant) -> Self {
        Self {
            bytes: Bucket::new(BYTES_BURST, BYTES_RATE, BYTES_PORTION, now),
            batches: Bucket::new(BATCHES_BURST, BATCHES_RATE, BATCHES_PORTION, now),
            attentive_until: None,
            is_flooded: false,
        }
    }

    /// A batch of so many bytes was read.
    pub fn handle_read(&mut self, size: usize, now: Instant) {
        self.fill(now);
        self.bytes.take(u32::try_from(size).unwrap_or(u32::MAX));
        self.batches.take(if self.is_flooded() { BATCH_COST } else { 1 });
        self.is_flooded |= self.batches.is_resting;
    }

    /// Somebody typed.
    pub fn handle_input(&mut self, now: Instant) {
        self.attentive_until = Some(now + ATTENTIVE_TIME);
        self.fill(now);
    }

    /// Most bytes of a batch that is read now.
    pub fn allowance(&self) -> usize {
        usize::try_from(self.bytes.tokens.max(1)).unwrap_or(usize::MAX)
    }

    /// When reading may go on; `None`: at once.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.bytes.ready_at().max(self.batches.ready_at())
    }

    /// Whether there is more to read than is, and nobody waits for an answer.
    pub fn is_flooded(&self) -> bool {
        self.is_flooded && self.attentive_until.is_none()
    }

    /// Time passed.
    pub fn fill(&mut self, now: Instant) {
        self.attentive_until = self.attentive_until.filter(|until| now < *until);
        self.batches.portion = if self.attentive_until.is_some() { 1 } else { BATCHES_PORTION };
        self.bytes.fill(now);
        self.batches.fill(now);
        self.is_flooded &= self.batches.tokens < self.batches.burst;
    }
}

impl Bucket {
    fn new(burst: u32, rate: u32, portion: u32, now: Instant) -> Self {
        Self { burst, rate, portion, tokens: burst, is_resting: false, filled_at: now }
    }

    fn take(&mut self, count: u32) {
        self.tokens = self.tokens.saturating_sub(count);
        self.is_resting |= self.tokens == 0;
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled_at);
        let gained = passed.as_nanos() * u128::from(self.rate) / 1_000_000_000;
        let gained = u32::try_from(gained).unwrap_or(u32::MAX);
        if gained >= self.burst - self.tokens {
            (self.tokens, self.filled_at) = (self.burst, now);
        } else {
            self.tokens += gained;
            // Only the time that gave whole tokens is used up.
            self.filled_at += self.time_of(gained);
        }
        self.is_resting &= self.tokens < self.portion;
    }

    /// When its rest ends; `None`: it has none.
    fn ready_at(&self) -> Option<Instant> {
        let missing = self.portion.saturating_sub(self.tokens);
        self.is_resting.then(|| self.filled_at + self.time_of(missing))
    }

    /// How long so many tokens take, rounded up.
    fn time_of(&self, count: u32) -> Duration {
        Duration::from_nanos((u64::from(count) * 1_000_000_000).div_ceil(self.rate.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads batches of `size` bytes whenever it may; how many batches in `time`.
    fn flood(size: usize, time: Duration) -> u32 {
        let start = Instant::now();
        let (mut now, mut pace, mut count) = (start, Pace::new(start), 0);
        while now < start + time {
            match pace.poll_timeout() {
                Some(due) => now = due,
                None => {
                    pace.handle_read(size.min(pace.allowance()), now);
                    count += 1;
                }
            }
            pace.fill(now);
        }
        count
    }

    #[test]
    fn redraws_are_read_at_once() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        pace.handle_read(200 * 1024, now);
        assert_eq!(pace.poll_timeout(), None);
    }

    #[test]
    fn fast_typing_never_waits() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..10_000 {
            now += Duration::from_millis(30);
            pace.fill(now);
            for _ in 0..3 {
                assert_eq!(pace.poll_timeout(), None);
                pace.handle_read(300, now);
            }
        }
    }

    #[test]
    fn flood_of_large_batches_is_read_at_the_byte_rate() {
        let read = flood(usize::MAX, Duration::from_secs(10)) * BYTES_PORTION;
        assert!((9 * BYTES_RATE..11 * BYTES_RATE).contains(&read), "{read}");
    }

    #[test]
    fn flood_of_small_batches_is_read_at_the_batch_rate() {
        let count = flood(100, Duration::from_secs(10));
        let expected = 10 * BATCHES_RATE / BATCH_COST + BATCHES_BURST;
        assert!(
            (expected - BATCHES_PORTION..=expected + BATCHES_PORTION).contains(&count),
            "{count}"
        );
    }

    #[test]
    fn key_ends_the_rest() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..BATCHES_BURST {
            pace.handle_read(100, now);
        }
        assert_eq!(pace.poll_timeout(), Some(now + Duration::from_millis(200)));
        now += Duration::from_millis(10);
        pace.handle_input(now);
        for _ in 0..20 {
            assert_eq!(pace.poll_timeout(), None);
            pace.handle_read(100, now);
            assert_eq!(pace.poll_timeout(), Some(now + Duration::from_millis(10)));
            now += Duration::from_millis(10);
            pace.fill(now);
        }
    }

    #[test]
    fn rest_fills_the_buckets_and_not_more() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        pace.handle_read(10 * 1024 * 1024, now);
        assert!(pace.poll_timeout().is_some());
        pace.fill(now + Duration::from_secs(3600));
        assert_eq!(pace.allowance(), BYTES_BURST as usize);
    }

    proptest! {
        #[test]
        fn waiting_until_the_deadline_is_enough(
            reads in prop::collection::vec((0usize..400_000, 0u64..20_000), 0..200),
        ) {
            let mut now = Instant::now();
            let mut pace = Pace::new(now);
            for (size, wait_us) in reads {
                if let Some(due) = pace.poll_timeout() {
                    now = now.max(due);
                    pace.fill(now);
                    prop_assert_eq!(pace.poll_timeout(), None);
                }
                pace.handle_read(size, now);
                now += Duration::from_micros(wait_us);
                pace.fill(now);
            }
        }
    }
}
