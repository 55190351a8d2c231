//! `cat` of a large file: in a shared session with a viewer, and in the same tmux unshared.

use crate::pty::{Pty, wait_until};
use crate::report::{Report, quantile};
use crate::sharing::{Sharing, plain_tmux};
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use tern_tests::{Relay, World};

/// Cats a file of `megabytes` in each, `rounds` times in turn, and reports MB/s.
pub(crate) fn measure(report: &mut Report, megabytes: usize, rounds: usize) -> anyhow::Result<()> {
    let world = World::new();
    let relay = Relay::start(&world);
    let file = world.folder().join("large.txt");
    write_text(&file, megabytes * 1_000_000)?;

    let (mut plain, _, home) = plain_tmux(&world)?;
    plain.wait_for("$ ")?;
    let mut sharing = Sharing::over(&world, &relay, &[])?;
    sharing.terminal.wait_for("$ ")?;
    let viewer = sharing.join()?;
    viewer.wait_for("$")?;

    let size = megabytes as f64;
    let (mut alone, mut shared) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let done = home.join(format!("work/done{round}"));
        alone.push(size / time_of_cat(&mut plain, &file, &done)?);
        let done = sharing.folder().join(format!("done{round}"));
        shared.push(size / time_of_cat(&mut sharing.terminal, &file, &done)?);
    }
    // The machine's speed changes from second to second, so each is compared with its neighbour.
    let ratios: Vec<f64> =
        shared.iter().zip(&alone).map(|(shared, alone)| shared / alone).collect();
    let line = |name: &str, rates: &[f64], ratio: f64| {
        let columns = vec![
            ("median MB/s", quantile(rates, 0.5)),
            ("least MB/s", quantile(rates, 0.0)),
            ("most MB/s", quantile(rates, 1.0)),
            ("ratio", ratio),
        ];
        (name.to_owned(), columns)
    };
    let lines = [
        line("tmux alone", &alone, 1.0),
        line("tern with a viewer", &shared, quantile(&ratios, 0.5)),
    ];
    let title = format!("cat of {megabytes} MB (target: ratio 0.95)");
    report.add("throughput", &title, &lines);
    Ok(())
}

/// Seconds that `cat` takes by the shell's own clock.
fn time_of_cat(pty: &mut Pty, file: &Path, done: &Path) -> anyhow::Result<f64> {
    let (file, done) = (file.display(), done.display());
    let line = format!(
        "s=$EPOCHREALTIME; cat {file}; e=$EPOCHREALTIME; echo $s $e >{done}.new; mv {done}.new {done}\n"
    );
    pty.write(line.as_bytes())?;
    let done = done.to_string();
    wait_until("cat is done", || Path::new(&done).exists())?;
    let text = fs::read_to_string(&done)?;
    let times: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    match times.as_slice() {
        [start, end] => Ok(end - start),
        _ => anyhow::bail!("the shell's clock says {text:?}"),
    }
}

/// Lines as a log has them: 20 to 100 characters, none like the one before.
fn write_text(path: &Path, size: usize) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let (mut written, mut number) = (0, 0_u64);
    while written < size {
        number += 1;
        let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let filler =
            "the quick brown fox jumps over the lazy dog and does it again, all night long";
        let line = format!("{number:08} {hash:016x} {}\n", &filler[..(hash >> 58) as usize]);
        file.write_all(line.as_bytes())?;
        written += line.len();
    }
    Ok(file.flush()?)
}
