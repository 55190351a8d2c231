//! Logs go to files in the state folder. No token, key or typed byte is ever logged.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use tracing_subscriber::EnvFilter;

/// Newest log files that are kept.
const LOGS_KEPT: usize = 10;

/// Makes a log file for this process, and removes the oldest ones.
pub fn create_file(state_folder: &Path) -> anyhow::Result<(PathBuf, File)> {
    use std::os::unix::fs::OpenOptionsExt;
    let folder = state_folder.join("log");
    std::fs::create_dir_all(&folder)?;
    remove_oldest(&folder);
    let name = format!("{}-{}.log", crate::shell::board::unix_time(), std::process::id());
    let path = folder.join(name);
    let file = File::options().append(true).create(true).mode(0o600).open(&path)?;
    Ok((path, file))
}

/// Logs to `file`, or to standard error (which is the log file, in an agent). `TERN_LOG` has the filter's
/// syntax; `-v` is repeated for more.
pub fn start(verbosity: u8, file: Option<File>) {
    let default = match verbosity {
        0 => "warn,tern_client=info,tern_relay=info",
        1 => "info,tern_client=debug,tern_relay=debug,tern_sync=debug",
        _ => "debug,tern_client=trace,tern_relay=trace,tern_sync=trace",
    };
    let filter = EnvFilter::try_from_env("TERN_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let filter = tern_relay::without_secrets(filter);
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    // Fails only if there is a subscriber already, which then goes on.
    let _ = match file {
        Some(file) => subscriber.with_writer(Mutex::new(file)).try_init(),
        None => subscriber.with_writer(std::io::stderr).try_init(),
    };
}

/// Names begin with the time, so they sort by age.
fn remove_oldest(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut logs: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    logs.sort();
    let surplus = (logs.len() + 1).saturating_sub(LOGS_KEPT);
    for path in &logs[..surplus] {
        let _ = std::fs::remove_file(path);
    }
}
