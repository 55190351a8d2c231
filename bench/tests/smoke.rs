//! The benchmark itself works: figures come out, for a row with real packets and one in virtual time.

#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

#[test]
fn a_row_with_real_packets_gives_figures() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: network namespaces can only be made by root");
        return;
    }
    let json = figures(&["networks", "--quick", "--rows", "echo", "--systems", "tern"]);
    let rows = json["table"]["rows"].as_array().expect("a table");
    // An echo needs the path's round trip: what is above it can't be below zero.
    assert!(rows.iter().all(|row| row["figures"]["Tern"].as_f64() > Some(0.0)), "{rows:#?}");
    assert!(json["samples"]["echo"]["Tern"].as_array().is_some_and(|all| all.len() > 10));
}

#[test]
fn a_row_in_virtual_time_gives_the_same_figures_again() {
    let run = || figures(&["virtual", "--seeds", "3", "--only", "loss"])["samples"].clone();
    let (first, second) = (run(), run());
    assert_eq!(first["loss"]["times_ms"].as_array().map(Vec::len), Some(150));
    assert_eq!(first, second);
}

/// Runs the benchmark with `args`; gives what it wrote.
fn figures(args: &[&str]) -> serde_json::Value {
    let folder = tempfile::tempdir().expect("a folder");
    let json = folder.path().join("figures.json");
    let bench = Path::new(env!("CARGO_BIN_EXE_tern-bench"));
    let output = Command::new(bench).arg("--json").arg(&json).args(args).output();
    let output = output.expect("the benchmark starts");
    assert!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(&json).expect("figures are written");
    serde_json::from_str(&text).expect("JSON")
}
