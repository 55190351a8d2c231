//! The core: machines that decide what a sharing host and a viewer do. They do no I/O and have no clock;
//! input and the time go in, commands and the next deadline come out. The shell
//! ([`crate::shell`]) does what they say.

pub mod backlog;
pub mod cast;
pub mod control_mode;
pub mod decisions;
pub mod dialling;
pub mod drop_in;
pub mod escape;
pub mod failover;
pub mod findings;
pub mod flood_pictures;
pub mod focus;
pub mod hidden;
pub mod input;
pub mod join_target;
pub mod key_lists;
pub mod keys_place;
pub mod leaving;
pub mod marks;
pub mod matcher;
pub mod menus;
pub mod messages;
pub mod naming;
pub mod notice;
pub mod pace;
pub mod pane_history;
pub mod person;
pub mod plain_history;
pub mod plain_session;
pub mod player;
pub mod prediction;
pub mod refresh;
pub mod respawn;
pub mod said_access;
pub mod scrolling;
pub mod sequence;
pub mod sizes;
pub mod tmux_clients;
pub mod tmux_session;
pub mod tmux_version;
pub mod topology;
pub mod typing;
pub mod variables;
pub mod viewers;
pub mod viewing;
pub mod window_sizes;
pub mod wishes;

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// What the core may name: itself, plain data, and nothing that does I/O or tells the time.
    const ALLOWED: &[&str] = &[
        "crate::core::",
        "serde::",
        "serde_json::",
        "std::collections::BTreeMap",
        "std::collections::BTreeSet",
        "std::collections::VecDeque",
        "std::collections::{BTreeMap",
        "std::collections::{BTreeSet",
        "std::fmt",
        "std::ffi::OsString",
        "std::ffi::{OsStr, OsString}",
        "std::net::IpAddr",
        "std::os::unix::ffi::OsStrExt",
        "std::path::Path",
        "std::path::{Path, PathBuf}",
        "std::sync::Arc",
        "std::time::",
        "tern_bootstrap::authorized_keys::Fingerprint",
        "tern_bootstrap::authorized_keys::Rules",
        "tern_bootstrap::client::RelayAddress",
        "tern_bootstrap::grant::NameClaim",
        "tern_bootstrap::grant::PORT_DEFAULT",
        "tern_bootstrap::name",
        "tern_bootstrap::token::",
        "tern_relay::core::first_sight::",
        "tern_relay::core::input::",
        "tern_relay::core::keys::",
        "tern_relay::core::text",
        "tern_sync::session::",
        "tern_sync::log::",
        "tern_term::Clusters",
        "tern_term::Frame",
        "tern_term::KeyTarget",
        "tern_term::Size",
        "tern_term::{Capabilities,",
        "tern_term::scrollback::",
        "tern_sync::scrollback::",
        "tern_term::{Area,",
        "tern_term::{Frame,",
        "keys::",
        "tern_term::{PREFIX_SIZE_MAX,",
        "tern_term::{Attrs,",
        "tern_term::{Cell,",
        "tern_term::{Cursor,",
        "tern_web::core::url::WebUrl",
        "unicode_width::",
        "super::commands::",
        "super::options",
        "super::key::",
        "super::line::",
        "super::habits::",
        "super::mode_line::",
        "super::motion::",
        "super::Pending",
        "super::{Pending,",
        "commands::",
        "entered::",
        "super::entered::",
        "form_text::",
        "super::margin::",
        "super::{PENDING_MAX,",
        "super::{Place,",
        "super::{Predictor,",
        "display::",
        "habits::",
        "key::",
        "line::",
        "margin::",
        "mode_line::",
        "vi::",
        "motion::",
        "prompts::",
        "statistics::",
    ];

    #[test]
    fn core_names_nothing_that_does_io_or_tells_the_time() {
        let mut paths = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/core")];
        while let Some(path) = paths.pop() {
            if path.ends_with("tests") {
                continue;
            }
            if path.is_dir() {
                let entries = std::fs::read_dir(path).expect("the source is there");
                paths.extend(entries.map(|entry| entry.expect("the folder is readable").path()));
                continue;
            }
            if path.ends_with("tests.rs") {
                continue;
            }
            let source = std::fs::read_to_string(&path).expect("a source file");
            let source = source.split("#[cfg(test)]").next().unwrap_or_default();
            for line in source.lines().map(str::trim) {
                let named = line.strip_prefix("pub ").unwrap_or(line).strip_prefix("use ");
                if let Some(named) = named {
                    let named = named.trim_end_matches(';');
                    let is_allowed = ALLOWED.iter().any(|prefix| named.starts_with(prefix));
                    assert!(is_allowed, "{}: use {named}", path.display());
                }
                for banned in ["Instant::now", "SystemTime", "std::fs::", "std::io", "tokio::"] {
                    assert!(!line.contains(banned), "{}: {line}", path.display());
                }
            }
        }
    }
}
