//! What the relay decides, without I/O: input and the time go in, output and the next deadline
//! come out. It knows no socket, no task and no clock; a test below reads its `use` lines.

pub mod address;
pub mod doors;
pub mod first_sight;
pub mod gauge;
pub mod input;
pub mod keys;
pub mod limits;
pub mod mouse;
pub mod naming;
pub mod painter;
pub mod registry;
pub mod replica;
pub mod session;
pub mod text;

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// What would let I/O, a clock or a scheduler into the core.
    const BANNED: [&str; 11] = [
        "tokio",
        "quinn",
        "russh",
        "rustix",
        "socket2",
        "std::fs",
        "std::os",
        "std::thread",
        "TcpStream",
        "UdpSocket",
        "Instant::now(",
    ];

    #[test]
    fn core_uses_no_socket_no_task_and_no_clock() {
        // What webhooks decide is the relay's as well.
        let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = ["src/core", "../bootstrap/web/src/core"]
            .map(|folder| crate_folder.join(folder))
            .to_vec();
        let mut count = 0;
        while let Some(path) = files.pop() {
            if path.ends_with("tests") || path.ends_with("tests.rs") {
                continue;
            }
            if path.is_dir() {
                let entries = std::fs::read_dir(&path).expect("the core's folder is readable");
                files.extend(entries.map(|entry| entry.expect("an entry").path()));
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("source is readable");
            let code = text.split("#[cfg(test)]").next().expect("split gives one part at least");
            for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
                for banned in BANNED {
                    assert!(!line.contains(banned), "{}: {line}", path.display());
                }
            }
            count += 1;
        }
        assert!(count > 25, "the core was not found");
    }
}
