//! What comes from the person's terminal: keys, sizes, signals.

use rustix::process::Signal;
use std::future::poll_fn;
use std::os::fd::BorrowedFd;
use std::task::Poll;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};

/// Bytes of one read of the terminal.
const READ_SIZE: usize = 16 * 1024;

/// The terminal's side.
pub struct Terminal {
    keys: AsyncFd<BorrowedFd<'static>>,
    resized: SignalStream,
    stopped: SignalStream,
    /// Those that end a process, as far as they can be caught.
    endings: Vec<(Signal, SignalStream)>,
}

/// Signals that end a process which doesn't know them.
const ENDINGS: [Signal; 8] = [
    Signal::TERM,
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::ABORT,
];

/// What it brought.
#[derive(Debug)]
pub enum Local {
    /// Typed, pasted, pointed at.
    Keys(Vec<u8>),
    /// It has another size.
    Resized,
    /// This process should stop, until it's continued.
    Stopped,
    /// The terminal is gone, or somebody ends this process: by this signal.
    Ended(Signal),
}

/// The exit status of who was ended by a signal, as shells give it.
pub fn exit_status_of(signal: Signal) -> u8 {
    u8::try_from(128 + signal.as_raw()).expect("signals are small numbers")
}

impl Terminal {
    /// Standard input, and the signals of this process.
    #[allow(unsafe_code)]
    pub fn open() -> anyhow::Result<Self> {
        // SAFETY: standard input is open as long as the process lives, and always the same.
        let keys =
            unsafe { AsyncFd::register_with_interest(rustix::stdio::stdin(), Interest::READABLE) };
        let keys = keys.map_err(std::io::Error::from)?;
        Ok(Self {
            keys,
            resized: signal(SignalKind::window_change())?,
            stopped: caught(Signal::TSTP)?.1,
            endings: ENDINGS.into_iter().map(caught).collect::<std::io::Result<_>>()?,
        })
    }

    /// What happens next; keys stay where they are while `is_deaf`. Cancel-safe: what is read is
    /// given at once.
    pub async fn next(&mut self, is_deaf: bool) -> Local {
        loop {
            tokio::select! {
                ready = self.keys.readable(), if !is_deaf => {
                    let Ok(mut guard) = ready else { return Local::Ended(Signal::HUP) };
                    // Cleared first: what comes from here on wakes us again. The terminal isn't
                    // set to non-blocking, for its other users' sake; ready, it gives what it has.
                    guard.clear_ready();
                    let mut bytes = vec![0; READ_SIZE];
                    match rustix::io::read(self.keys.get_ref(), &mut bytes) {
                        Ok(0) => return Local::Ended(Signal::HUP),
                        Ok(size) => {
                            bytes.truncate(size);
                            return Local::Keys(bytes);
                        }
                        Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                        Err(_) => return Local::Ended(Signal::HUP),
                    }
                }
                _ = self.resized.recv() => return Local::Resized,
                _ = self.stopped.recv() => return Local::Stopped,
                signal = next_ending(&mut self.endings) => return Local::Ended(signal),
            }
        }
    }
}

fn caught(number: Signal) -> std::io::Result<(Signal, SignalStream)> {
    Ok((number, signal(SignalKind::from_raw(number.as_raw()))?))
}

async fn next_ending(endings: &mut [(Signal, SignalStream)]) -> Signal {
    poll_fn(|context| {
        let mut came = endings
            .iter_mut()
            .filter_map(|(signal, stream)| stream.poll_recv(context).is_ready().then_some(*signal));
        came.next().map_or(Poll::Pending, Poll::Ready)
    })
    .await
}
