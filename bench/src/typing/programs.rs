//! What is typed into: three programs that everybody has, and two small ones of our own, one like a
//! mail program's form and one like a chat. Each waits for a key before it begins, so that whoever
//! measures sees all that it shows.

use super::chat::Chat;
use super::form::Form;
use anyhow::Context as _;
use clap::ValueEnum;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use tern_relay::core::keys::{Cut, cut};

/// Columns and rows that a program has.
pub(crate) const SIZE: (u16, u16) = (80, 23);
/// Lines of the text that is paged through.
const TEXT_LINES: u32 = 400;

/// A program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Program {
    /// bash with readline.
    Shell,
    /// vim.
    Editor,
    /// less.
    Pager,
    /// A form like a mail program's.
    Form,
    /// A conversation with an input line.
    Chat,
}

impl Program {
    /// In tables, and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Editor => "editor",
            Self::Pager => "pager",
            Self::Form => "form",
            Self::Chat => "chat",
        }
    }

    /// A command for `sh` that runs it in `folder`, which is made anew.
    pub(crate) fn command(self, folder: &Path) -> anyhow::Result<String> {
        let bench = std::env::current_exe()?;
        Ok(format!("exec {} program {} {}", bench.display(), self.name(), folder.display()))
    }

    /// Runs it here; it takes this process over.
    pub(crate) fn run(self, folder: &Path) -> anyhow::Result<()> {
        write_files(folder)?;
        std::env::set_current_dir(folder)?;
        let mut output = std::io::stdout();
        output.write_all(b"ready-")?;
        output.flush()?;
        // Enter, by itself: nothing of what is typed at the program may be read here.
        std::io::stdin().lock().read_exact(&mut [0])?;
        output.write_all(b"\x1b[H\x1b[2J")?;
        output.flush()?;
        match self {
            Self::Shell => exec("bash", &["--noprofile", "--norc", "-i"]),
            Self::Editor => {
                // As vim has it where no file of the user's says otherwise (defaults.vim).
                let set = "set ruler showmode nobackup noswapfile ttimeout ttimeoutlen=100";
                exec("vim", &["-u", "NONE", "-i", "NONE", "-N", "-n", "-c", set, "notes.txt"])
            }
            Self::Pager => exec("less", &["long.txt"]),
            Self::Form => interact(Form::default()),
            Self::Chat => interact(Chat::default()),
        }
    }
}

fn exec(program: &str, args: &[&str]) -> anyhow::Result<()> {
    let error = Command::new(program)
        .args(args)
        .envs([("PS1", "tester@host:~$ "), ("HISTFILE", "/dev/null"), ("INPUTRC", "/dev/null")])
        .env_remove("LESS")
        .exec();
    Err(error).with_context(|| format!("cannot run {program}"))
}

/// The same files in every run.
fn write_files(folder: &Path) -> anyhow::Result<()> {
    drop(fs::remove_dir_all(folder));
    fs::create_dir_all(folder.join("src"))?;
    let line = |number: u32| match number % 4 {
        0 => format!("{number}: the line that says what the timer does\n"),
        1 => format!("{number}: a queue, and an error in it\n"),
        2 => "\n".to_owned(),
        _ => format!("{number}: nothing of note\n"),
    };
    let text = |lines: u32| -> String { (1..=lines).map(line).collect() };
    fs::write(folder.join("notes.txt"), text(12))?;
    fs::write(folder.join("readme.md"), "# A project\n\nIt does things.\n")?;
    fs::write(folder.join("src/main.c"), "int main(void) { return 0; }\n")?;
    fs::write(folder.join("long.txt"), text(TEXT_LINES))?;
    Ok(())
}

/// A program of our own: keys in, what it draws out.
pub(crate) trait Interactive {
    /// What it shows first.
    fn begin(&mut self) -> String;
    /// What it writes at a key.
    fn handle_key(&mut self, key: &[u8]) -> String;
}

/// Runs it until its terminal is gone.
fn interact(mut program: impl Interactive) -> anyhow::Result<()> {
    let stdin = std::io::stdin();
    let mut settings = tcgetattr(&stdin)?;
    settings.make_raw();
    tcsetattr(&stdin, OptionalActions::Now, &settings)?;
    let (mut input, mut output) = (stdin.lock(), std::io::stdout().lock());
    output.write_all(program.begin().as_bytes())?;
    output.flush()?;
    let (mut waiting, mut buffer) = (Vec::new(), [0; 256]);
    loop {
        let read = input.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        waiting.extend_from_slice(&buffer[..read]);
        while !waiting.is_empty()
            && let Cut::Whole(size) = cut(&waiting)
        {
            let key: Vec<u8> = waiting.drain(..size.clamp(1, waiting.len())).collect();
            output.write_all(program.handle_key(&key).as_bytes())?;
        }
        output.flush()?;
    }
}
