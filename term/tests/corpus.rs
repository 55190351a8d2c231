//! What the fuzzer found, replayed, so that it stays mended; no nightly compiler needed.

#[allow(dead_code, reason = "shared with other tests and the fuzz targets")]
#[path = "../fuzz/checks.rs"]
mod checks;

use std::fs;
use std::path::Path;

#[test]
fn diffs_of_the_corpus_are_refused_or_harmless() {
    replay("apply", checks::check_apply);
}

#[test]
fn output_of_the_corpus_reaches_every_viewer() {
    replay("output", checks::check_output);
}

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is in the repository") {
        let path = entry.expect("the corpus can be read").path();
        println!("{}", path.display());
        check(&fs::read(&path).expect("the corpus can be read"));
        count += 1;
    }
    assert!(count > 0, "no corpus in {}", folder.display());
}
