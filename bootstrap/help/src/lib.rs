//! `help` makes manual pages and shell completions of a program's command line, so that they say
//! what `--help` says. It knows neither of the programs that have them.

pub mod completions;
pub mod manual;

use std::io::{self, ErrorKind, Write};

/// Writes to the standard output. Whoever reads it may have enough of it (`head`): that is no error.
///
/// # Errors
/// Why it can't be written otherwise.
pub fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    quiet_end(write(&mut stdout).and_then(|()| stdout.flush()))
}

fn quiet_end(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reader_that_has_enough_is_no_error_and_a_full_disk_is() {
        assert!(quiet_end(Err(ErrorKind::BrokenPipe.into())).is_ok());
        assert!(quiet_end(Err(ErrorKind::StorageFull.into())).is_err());
        assert!(quiet_end(Ok(())).is_ok());
    }
}
