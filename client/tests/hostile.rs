//! The fuzz targets' corpus, replayed; and the same checks with random bytes.

#[path = "../fuzz/checks.rs"]
mod checks;

use proptest::prelude::*;
use std::path::Path;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is there") {
        let path = entry.expect("the folder is readable").path();
        check(&std::fs::read(path).expect("the file is readable"));
        count += 1;
    }
    assert!(count > 0, "the corpus is empty");
}

#[test]
fn corpus_of_control_mode_does_no_harm() {
    replay("control_mode", checks::check_control_mode);
}

#[test]
fn corpus_of_the_local_socket_does_no_harm() {
    replay("local_socket", checks::check_local_socket);
}

/// What tmux might say, in any order.
fn control_line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"%begin 1 2 1".to_vec()),
        Just(b"%end 1 2 1".to_vec()),
        Just(b"%error 1 2 1".to_vec()),
        Just(b"%exit".to_vec()),
        Just(b"%session-changed $1 x".to_vec()),
        Just(b"%client-session-changed /dev/pts/3 $2 other".to_vec()),
        Just(b"%layout-change @0 x".to_vec()),
        Just(b"s\t80\t24\ton\t#(x)'$(y)".to_vec()),
        Just(b"c\t1\t0\t0\t0\t0\t0\t\t/dev/pts/'#(x)".to_vec()),
        Just(b"w\t@0\t0\t1\tl\tname".to_vec()),
        Just(b"p\t@0\t%0\t1\t65535\t65535\t0\t0\tt".to_vec()),
        prop::collection::vec(any::<u8>(), 0..30),
    ]
}

proptest! {
    #[test]
    fn whatever_control_mode_says_does_no_harm(
        lines in prop::collection::vec(control_line(), 0..60),
    ) {
        checks::check_control_mode(&lines.join(&b'\n'));
    }

    #[test]
    fn whatever_comes_to_the_local_socket_does_no_harm(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        checks::check_local_socket(&bytes);
    }
}
