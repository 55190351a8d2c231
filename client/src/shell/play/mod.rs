//! `tern play`: a recording on this terminal.

mod lines;

use crate::core::cast::{Events, Header, read_header};
use crate::core::player::{Manner, Player};
use crate::shell::screen_writer::ScreenWriter;
use crate::shell::terminal::{Local, Terminal, exit_status_of};
use crate::shell::tty;
use anyhow::{Context, bail};
use clap::Args;
use lines::{Line, Lines};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tern_term::{Capabilities, still};
use tokio::time::sleep_until;

/// Events that are read at a time, before keys are looked for.
const EVENTS_PER_TURN: usize = 100;
/// Time that events which are due may take, before keys are looked for and the screen is drawn.
const TURN_TIME_MAX: Duration = Duration::from_millis(15);

/// What can be said about playing.
#[derive(Debug, Args)]
pub struct PlayOptions {
    /// The recording: an asciicast of version 2 or 3.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Play so many times as fast.
    #[arg(short, long, value_name = "TIMES", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Longest rest in seconds; without it, what the recording says itself.
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    idle_time_limit: Option<Duration>,
    /// Pause at markers.
    #[arg(short = 'm', long)]
    pause_on_markers: bool,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed| (0.01..=1000.0).contains(speed));
    speed.ok_or_else(|| "it is a number from 0.01 to 1000".into())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let limit = text.parse().ok().and_then(|limit| Duration::try_from_secs_f64(limit).ok());
    limit.ok_or_else(|| "it is a number of seconds, like 1.5".into())
}

/// A recording, open behind its header.
struct Recording {
    name: String,
    lines: Lines<File>,
    events: Events,
}

/// Plays, and gives the exit code.
pub fn run(options: &PlayOptions) -> anyhow::Result<u8> {
    let (recording, header) = Recording::open(&options.file)?;
    if !tty::is_terminal() {
        bail!("a terminal is needed to play: standard input and output must be one");
    }
    let manner = Manner {
        speed: options.speed,
        idle_time_limit: options.idle_time_limit.or(header.idle_time_limit),
        pauses_on_markers: options.pause_on_markers,
    };
    let player = Player::new(manner, header.size, tty::size(), Instant::now());
    // The recording may do nothing here but show.
    let capabilities = tty::capabilities().watch_only();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let mut played = runtime.block_on(play(recording, player, &capabilities))?;
    if played.exit_status != 0 {
        return Ok(played.exit_status);
    }
    // The last picture stays, as if it had been played here.
    tty::write(&still(&played.player.last_frame(), &capabilities)).context("cannot write")?;
    if let Some(notice) = played.notice {
        eprintln!("tern: {notice}");
    }
    Ok(0)
}

/// What is left after the end.
struct Played {
    player: Player,
    /// For the person.
    notice: Option<String>,
    exit_status: u8,
}

impl Recording {
    fn open(path: &Path) -> anyhow::Result<(Self, Header)> {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
        let mut lines = Lines::new(file);
        let first = match lines.next() {
            Ok(Some(Line { text, .. })) => text,
            Ok(None) => bail!("{name} is empty"),
            Err(error) => bail!("{name}: {error}"),
        };
        let header = read_header(&first).with_context(|| name.clone())?;
        let events = Events::new(&header);
        Ok((Self { name, lines, events }, header))
    }

    /// Gives the player what it needs. Tells if the end of the file was cut.
    fn feed(&mut self, player: &mut Player) -> anyhow::Result<Option<String>> {
        for _ in 0..EVENTS_PER_TURN {
            if !player.needs_event() {
                break;
            }
            let line = self.lines.next().with_context(|| self.name.clone())?;
            let Some(Line { text, number, is_whole }) = line else {
                player.handle_end();
                break;
            };
            match self.events.read(&text) {
                Ok(None) => {}
                Ok(Some(event)) => player.handle_event(event, Instant::now()),
                Err(_) if !is_whole => {
                    player.handle_end();
                    let name = &self.name;
                    return Ok(Some(format!("{name} ends in the middle of line {number}")));
                }
                Err(reason) => bail!("{}, line {number}: {reason}", self.name),
            }
        }
        Ok(None)
    }
}

/// Until the recording has ended or the person leaves.
async fn play(
    mut recording: Recording,
    mut player: Player,
    capabilities: &Capabilities,
) -> anyhow::Result<Played> {
    let mut terminal = Terminal::open()?;
    let mut screen = ScreenWriter::start(capabilities.clone())?;
    let (mut notice, mut ended_by) = (None, None);
    loop {
        let turn_end = Instant::now() + TURN_TIME_MAX;
        loop {
            notice = recording.feed(&mut player)?.or(notice);
            let now = Instant::now();
            if player.poll_timeout().is_none_or(|due| due > now) || now >= turn_end {
                break;
            }
            player.handle_timeout(now);
        }
        if screen.is_idle()
            && let Some(frame) = player.poll_frame()
        {
            screen.draw(&frame);
        }
        if player.is_over() {
            break;
        }
        let now = Instant::now();
        let due = if player.needs_event() { Some(now) } else { player.poll_timeout() };
        let on_idle = screen.on_idle();
        tokio::select! {
            biased;
            local = terminal.next(false) => match local {
                Local::Keys(keys) => {
                    // The terminal is raw: its stop key comes as a key.
                    if keys.contains(&CTRL_Z) {
                        stop(&mut screen, &mut player)?;
                    }
                    player.handle_keys(&keys, Instant::now());
                }
                Local::Resized => {
                    screen.forget();
                    player.handle_resize(tty::size());
                }
                Local::Stopped => stop(&mut screen, &mut player)?,
                Local::Ended(signal) => {
                    ended_by = Some(signal);
                    break;
                }
            },
            () = on_idle.notified() => {}
            () = sleep_until(due.unwrap_or(now).into()), if due.is_some() => {
                player.handle_timeout(Instant::now());
            }
        }
    }
    screen.suspend();
    Ok(Played { player, notice, exit_status: ended_by.map_or(0, exit_status_of) })
}

const CTRL_Z: u8 = 0x1a;

fn stop(screen: &mut ScreenWriter, player: &mut Player) -> std::io::Result<()> {
    screen.stop_until_continued()?;
    player.handle_resize(tty::size());
    player.handle_redraw();
    Ok(())
}
