//! The user's terminal: only here is its mode changed, and it is always changed back.

use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{self, Write};
use std::sync::Mutex;
use tern_term::Size;

/// What has to be undone: the terminal's former mode, and whether it shows our screen. Behind a
/// lock, since a panic in any thread undoes it.
static UNDO: Mutex<Option<Undo>> = Mutex::new(None);

#[derive(Debug)]
struct Undo {
    mode: Termios,
    /// Escape sequences to write first.
    leave: Vec<u8>,
}

/// Whether a person sits at standard input and output.
pub fn is_terminal() -> bool {
    isatty(rustix::stdio::stdin()) && isatty(rustix::stdio::stdout())
}

/// Size of the terminal, 80x24 if it doesn't know.
pub fn size() -> Size {
    match tcgetwinsize(rustix::stdio::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            Size::clamped(size.ws_col.into(), size.ws_row.into())
        }
        Ok(_) | Err(_) => Size { cols: 80, rows: 24 },
    }
}

/// The terminal in raw mode, until this is dropped; also a panic undoes it.
#[derive(Debug)]
pub struct RawMode(());

impl RawMode {
    /// Enters it. `leave` is written when it ends.
    pub fn enter(leave: &[u8]) -> io::Result<Self> {
        static HOOK: std::sync::Once = std::sync::Once::new();
        HOOK.call_once(|| {
            let next = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                undo();
                next(panic);
            }));
        });
        let mode = tcgetattr(rustix::stdio::stdin())?;
        let mut raw = mode.clone();
        raw.make_raw();
        let mut undo = UNDO.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &raw)?;
        *undo = Some(Undo { mode, leave: leave.to_vec() });
        Ok(Self(()))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        undo();
    }
}

/// Gives the terminal back as it was; at once, from wherever.
pub fn undo() {
    let undo = UNDO.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    if let Some(undo) = undo {
        // The terminal may be gone: then there is nothing to give back.
        let _ = write(&undo.leave);
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &undo.mode);
    }
}

/// Writes to the terminal, all of it.
pub fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}
