//! What of a peer's messages a link holds, so that its owner can bound it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Bytes that arrive before the owner is told again. What is smaller needs no telling: it is soon
/// whole, or never more.
const STEP: usize = 64 * 1024;

/// Bytes of messages that are not whole yet, or not given to the owner.
#[derive(Debug, Default)]
pub(super) struct Arriving {
    size: AtomicUsize,
    on_grown: Notify,
}

impl Arriving {
    /// The sum of all messages.
    pub(super) fn size(&self) -> usize {
        self.size.load(Ordering::Relaxed)
    }

    /// When it has grown by about [`STEP`]. Cancel-safe.
    pub(super) async fn grown(&self) {
        self.on_grown.notified().await;
    }
}

/// One message's share, which counts until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    arriving: Arc<Arriving>,
    size: usize,
}

impl Share {
    pub(super) fn new(arriving: &Arc<Arriving>) -> Self {
        Self { arriving: Arc::clone(arriving), size: 0 }
    }

    /// So many bytes more.
    pub(super) fn add(&mut self, size: usize) {
        self.size += size;
        let before = self.arriving.size.fetch_add(size, Ordering::Relaxed);
        if before / STEP != (before + size) / STEP {
            self.arriving.on_grown.notify_one();
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.arriving.size.fetch_sub(self.size, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shares_count_until_they_are_dropped_and_growth_is_told() {
        let arriving = Arc::new(Arriving::default());
        let (mut one, mut other) = (Share::new(&arriving), Share::new(&arriving));
        one.add(STEP - 1);
        other.add(1);
        arriving.grown().await;
        assert_eq!(arriving.size(), STEP);
        drop(one);
        assert_eq!(arriving.size(), 1);
    }
}
