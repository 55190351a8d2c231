//! Logs of single packets, one file per link and direction, in Mahimahi's format.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::description::Direction;
use crate::stats::LogLine;

/// Writes `LINK-up.log` and `LINK-down.log` in a folder.
pub(crate) struct Writer {
    folder: PathBuf,
    files: BTreeMap<(String, Direction), BufWriter<File>>,
}

impl Writer {
    pub(crate) fn create(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned(), files: BTreeMap::new() })
    }

    pub(crate) fn write(
        &mut self,
        link: &str,
        direction: Direction,
        lines: &[LogLine],
    ) -> io::Result<()> {
        let key = (link.to_owned(), direction);
        if !self.files.contains_key(&key) {
            let way = match direction {
                Direction::Up => "up",
                Direction::Down => "down",
            };
            let file = File::create(self.folder.join(format!("{link}-{way}.log")))?;
            let mut file = BufWriter::new(file);
            // Mahimahi's scripts want these; times are from the start of the network.
            writeln!(file, "# netsim link {link} ({way}) > this file")?;
            writeln!(file, "# queue: droptail")?;
            writeln!(file, "# init timestamp: 0\n# base timestamp: 0")?;
            self.files.insert(key.clone(), file);
        }
        let file = self.files.get_mut(&key).expect("inserted above where it was missing");
        lines.iter().try_for_each(|line| writeln!(file, "{line}"))
    }
}
