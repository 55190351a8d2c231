//! Keys on their way to a program on a plain terminal: what is typed here, and what viewers type.

use crate::core::backlog::{Admission, BACKLOG_SIZE_MAX, Backlog};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc};
use std::time::{Duration, Instant};
use tern_relay::core::keys::is_paste_open;
use tokio::sync::mpsc;

/// How long a viewer's paste may keep the keys typed here waiting.
const PASTE_TIME_MAX: Duration = Duration::from_millis(500);
/// A piece of input counts as so many bytes at least, so that its queue is bounded, too.
const PIECE_SIZE_MIN: usize = 512;
/// Pieces that wait: as many as the backlog admits, and the end of a paste that was cut.
const PIECES_MAX: usize = BACKLOG_SIZE_MAX / PIECE_SIZE_MIN + 1;

/// Threads that write to the program: one what is typed here, one what viewers type. The first
/// tells when the terminal has gone.
pub fn start(master: &Arc<OwnedFd>) -> (mpsc::Receiver<()>, ProgramInput) {
    // Held by the thread that writes: a key typed here must not get into a viewer's paste.
    let turn = Arc::new(Mutex::new(()));
    let turn_here = Arc::clone(&turn);
    let (ended, local_end) = mpsc::channel(1);
    let to = master.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(size) =
            rustix::io::retry_on_intr(|| rustix::io::read(rustix::stdio::stdin(), &mut buffer))
        {
            let _turn = turn_here.lock().unwrap_or_else(PoisonError::into_inner);
            if size == 0 || write_all(&to, &buffer[..size]).is_err() {
                break;
            }
        }
        let _ = ended.blocking_send(());
    });
    let (input, typed) = std_mpsc::sync_channel::<Vec<u8>>(PIECES_MAX);
    let program = ProgramInput { input, waiting: Arc::default(), backlog: Backlog::default() };
    let (to, waiting) = (master.clone(), program.waiting.clone());
    std::thread::spawn(move || {
        while let Ok(bytes) = typed.recv() {
            let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            if write_with_paste(&to, bytes, &typed, &waiting).is_err() {
                return;
            }
        }
    });
    (local_end, program)
}

/// What viewers type, on its way to the thread that writes it.
#[derive(Debug)]
pub struct ProgramInput {
    /// Bounded by `backlog`.
    input: std_mpsc::SyncSender<Vec<u8>>,
    /// Bytes that the program hasn't read, as [`counted`]. Both threads count, and wait for nothing.
    waiting: Arc<AtomicUsize>,
    backlog: Backlog,
}

impl ProgramInput {
    /// Passes it on. Whether some of it was dropped just now, and none before.
    pub fn pass(&mut self, bytes: Vec<u8>) -> bool {
        let admission = self.backlog.admit(&bytes, self.waiting.load(Ordering::Relaxed));
        let bytes = match admission {
            Admission::Waits => bytes,
            Admission::DroppedFirst(instead) => instead.to_vec(),
            Admission::Dropped => return false,
        };
        self.waiting.fetch_add(counted(&bytes), Ordering::Relaxed);
        // There is room; or the thread has gone, with the program.
        let _ = self.input.try_send(bytes);
        admission != Admission::Waits
    }
}

fn counted(bytes: &[u8]) -> usize {
    bytes.len().max(PIECE_SIZE_MIN)
}

/// Writes what a viewer typed, and the rest of a paste that it begins, as far as that comes in time.
fn write_with_paste(
    to: &OwnedFd,
    bytes: Vec<u8>,
    typed: &std_mpsc::Receiver<Vec<u8>>,
    waiting: &AtomicUsize,
) -> rustix::io::Result<()> {
    let until = Instant::now() + PASTE_TIME_MAX;
    let write = |bytes: &[u8]| {
        write_all(to, bytes)?;
        waiting.fetch_sub(counted(bytes), Ordering::Relaxed);
        Ok(())
    };
    write(&bytes)?;
    let mut is_open = is_paste_open(&bytes, false);
    while is_open
        && let Ok(bytes) = typed.recv_timeout(until.saturating_duration_since(Instant::now()))
    {
        write(&bytes)?;
        is_open = is_paste_open(&bytes, true);
    }
    Ok(())
}

fn write_all(to: &OwnedFd, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        let size = rustix::io::retry_on_intr(|| rustix::io::write(to, bytes))?;
        bytes = &bytes[size..];
    }
    Ok(())
}
