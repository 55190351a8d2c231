//! What an operator does with a relay's accounts: `tern-relay user` and `tern-relay key`.

use crate::process::{binary, run, text};
use crate::relay::Relay;
use crate::world::World;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

/// The operator of a relay's accounts.
pub struct Operator {
    world: World,
    data: PathBuf,
    database: Option<String>,
}

impl Operator {
    /// Of this relay, on its machine.
    pub fn of(world: &World, relay: &Relay) -> Self {
        Self::of_folder(world, &relay.folder())
    }

    /// Of the relay with this home.
    pub fn of_folder(world: &World, folder: &Path) -> Self {
        Self { world: world.clone(), data: folder.join("data"), database: None }
    }

    /// With a database somewhere else.
    pub fn with_database(self, url: &str) -> Self {
        Self { database: Some(url.to_owned()), ..self }
    }

    /// Runs `tern-relay ARGS`, with nobody to ask.
    pub fn run(&self, args: &[&str]) -> Output {
        let home = self.world.home("operator");
        let mut command = self.world.command(binary("tern-relay"), &home);
        command.args(args).env("TERN_RELAY_DATA", &self.data).stdin(Stdio::null());
        if let Some(url) = &self.database {
            command.env("TERN_RELAY_DATABASE", url);
        }
        run(&mut command)
    }

    /// The same; it must succeed. Gives what programs read.
    #[track_caller]
    pub fn must(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned()
    }

    /// Adds a user; gives their key.
    #[track_caller]
    pub fn add(&self, user: &str) -> String {
        self.must(&["user", "add", user])
    }
}
