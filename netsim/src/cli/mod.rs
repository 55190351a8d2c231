//! The command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use netsim::link::cellular::Cellular;
use netsim::units::{parse_duration, parse_rate};
use netsim::{Description, Rate, networks};

#[cfg(target_os = "linux")]
mod control;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod selftest;

/// Exit code for a failure of netsim itself, as of `env` and `nice`: a program's own code is passed
/// through.
const FAILED: u8 = 125;

/// Plays a described network to unmodified programs.
///
/// A network is a text file: hosts, links with delay, rate, loss and so on, NATs, and a timetable of
/// events. Each host becomes a network namespace; its programs see ordinary interfaces, and every
/// packet passes through the simulator. Programs know the hosts by name (/etc/hosts).
///
/// Nothing remains when netsim ends, however it ends. Needs root and /dev/net/tun.
#[derive(Parser)]
#[command(name = "netsim", version, after_long_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  netsim run home-wifi -- ping -c 5 relay
  netsim run lossy --on relay 'iperf3 -s' -- iperf3 -c relay -u -b 1M
  netsim run ./my.net --host viewer --control /tmp/net.sock -- bash
  netsim ctl /tmp/net.sock down wifi           (from another terminal)
  netsim exec /tmp/net.sock relay -- ss -tn
  netsim shell train
  netsim show train > my.net                   (a beginning of your own)

A network in ten lines (all of the language: netsim/README.md):
  host laptop
  host relay
  nat home timeout 30s
  link wifi laptop home      delay 2ms jitter 3ms rate 40Mbit/s queue 256kB loss 1% bursts 4
  link dsl  home   internet  delay 12ms
      up   rate 10Mbit/s queue 128kB
      down rate 50Mbit/s queue 256kB
  link data relay  internet  delay 5ms
  at 10s down wifi
  at 12s up wifi";

#[derive(Subcommand)]
enum Command {
    /// Run a program on a host of a network, and others on other hosts.
    ///
    /// The exit code is the program's (128 + N if signal N ended it; 125 if netsim itself failed).
    /// Without a program the network stays until Ctrl-C or `netsim ctl SOCKET stop`.
    Run(RunArgs),
    /// Run your shell on a host of a network.
    Shell(NetworkArgs),
    /// Run a program on a host of a network that runs already (with --control).
    Exec {
        /// The control socket of the running netsim.
        socket: PathBuf,
        /// The host.
        host: String,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Make an event happen in a running network, or ask it something.
    ///
    /// Events are those of the timetable: down LINK [told], up LINK, address HOST[@LINK] ADDRESS...
    /// [untold], rebind NAT [ADDRESS...], mtu LINK BYTES [silent], block|unblock LINK udp|tcp|icmp,
    /// set LINK [up|down] SETTING..., signal NAME, run HOST COMMAND. Besides: stats, hosts,
    /// namespaces HOST, watch (prints events as they happen), stop.
    Ctl {
        /// The control socket of the running netsim.
        socket: PathBuf,
        /// The event or question.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        request: Vec<String>,
    },
    /// Check a network's description, and list its hosts and addresses.
    Check {
        /// A file, or a ready network's name.
        network: String,
    },
    /// List the ready networks.
    Networks,
    /// Print a ready network's description.
    Show {
        /// Its name.
        network: String,
    },
    /// Print a generated packet-delivery trace in Mahimahi's format.
    ///
    /// One line per opportunity: the millisecond at which 1500 bytes may pass. The model: the
    /// logarithm of the rate is an Ornstein-Uhlenbeck process with standard deviation SPREAD that
    /// forgets within MEMORY; opportunities are a Poisson process of that rate; outages begin after
    /// exponential times of mean OUTAGE-EVERY and last for exponential times of mean OUTAGE. In a
    /// description, `cellular RATE spread X memory D ...` is the same trace without a file.
    Trace(TraceArgs),
    /// Measure the simulator on this machine: precision of delays, and 100 Mbit/s.
    Selftest {
        /// Seconds for each measurement.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
}

#[derive(Args)]
struct NetworkArgs {
    /// A file, or a ready network's name (`netsim networks`).
    network: String,
    /// Every chance is drawn from this number: the same seed, the same network.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the program runs [default: the first host].
    #[arg(long)]
    host: Option<String>,
    /// Start COMMAND (for sh) on HOST first; it is ended with the network. May be repeated.
    #[arg(long, num_args = 2, value_names = ["HOST", "COMMAND"])]
    on: Vec<String>,
    /// Add a line to the description, such as 'at 5s down wifi'. May be repeated.
    #[arg(long, value_name = "LINE")]
    also: Vec<String>,
    /// Leave the description's timetable out.
    #[arg(long)]
    no_timetable: bool,
    /// Run COMMAND (for sh, outside of all hosts) at every `signal NAME` of the timetable. May be
    /// repeated.
    #[arg(long, num_args = 2, value_names = ["NAME", "COMMAND"])]
    on_signal: Vec<String>,
    /// Take events and questions on a Unix socket (see `netsim ctl`, `netsim exec`).
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
    /// Log every packet, a file per link and direction in FOLDER, in Mahimahi's format.
    #[arg(long, value_name = "FOLDER")]
    log: Option<PathBuf>,
    /// Write statistics as JSON to FILE at the end, instead of as text to stderr.
    #[arg(long, value_name = "FILE")]
    stats: Option<PathBuf>,
    /// Print no statistics at the end.
    #[arg(short, long)]
    quiet: bool,
    /// Print events as they happen, to stderr.
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// The program and its arguments.
    #[arg(last = true)]
    command: Vec<String>,
}

#[derive(Args)]
struct TraceArgs {
    /// Mean rate outside of outages.
    #[arg(value_parser = parse_rate)]
    rate: Rate,
    /// Standard deviation of the rate's natural logarithm.
    #[arg(long, default_value_t = 0.5)]
    spread: f64,
    /// Time in which the rate forgets where it was.
    #[arg(long, default_value = "2s", value_parser = parse_duration)]
    memory: Duration,
    /// Mean time between outages [default: no outages].
    #[arg(long, value_parser = parse_duration)]
    outage_every: Option<Duration>,
    /// Mean length of an outage.
    #[arg(long, default_value = "2s", value_parser = parse_duration)]
    outage: Duration,
    /// Length of the trace (at most 1h).
    #[arg(long, default_value = "2m", value_parser = parse_duration)]
    length: Duration,
    /// Where the chances are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What went wrong, in a sentence for the user.
type Failure = String;

pub(crate) fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Check { network } => check(&network),
        Command::Networks => list(),
        Command::Show { network } => show(&network),
        Command::Trace(args) => trace(&args),
        #[cfg(target_os = "linux")]
        Command::Run(args) => run::run(&args.network, &args.command),
        #[cfg(target_os = "linux")]
        Command::Shell(args) => {
            let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned());
            run::run(&args, &[shell])
        }
        #[cfg(target_os = "linux")]
        Command::Exec { socket, host, command } => control::exec(&socket, &host, &command),
        #[cfg(target_os = "linux")]
        Command::Ctl { socket, request } => control::ctl(&socket, &request.join(" ")),
        #[cfg(target_os = "linux")]
        Command::Selftest { seconds } => selftest::run(Duration::from_secs(seconds.clamp(1, 600))),
        #[cfg(not(target_os = "linux"))]
        _ => Err("real packets need Linux: network namespaces and TUN devices".to_owned()),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("netsim: {failure}");
        ExitCode::from(FAILED)
    })
}

/// Reads a file, or a ready network where there is no such file.
fn load(name: &str, also: &[String]) -> Result<Description, Failure> {
    let path = Path::new(name);
    let mut text = if path.exists() {
        std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?
    } else if let Some(text) = networks::text(name) {
        text.to_owned()
    } else {
        let ready: Vec<_> = networks::ALL.iter().map(|(name, _)| *name).collect();
        return Err(format!("no file \"{name}\"; ready networks: {}", ready.join(", ")));
    };
    for line in also {
        text.push('\n');
        text.push_str(line);
    }
    Description::parse(&text, name).map_err(|error| error.to_string())
}

fn check(name: &str) -> Result<ExitCode, Failure> {
    let description = load(name, &[])?;
    for (host, link, addresses) in netsim::address::of_hosts(&description) {
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        println!("{host}  on {link}: {}", addresses.join(" "));
    }
    let (nats, events) = (description.nats.len(), description.timetable.len());
    println!("{} links, {nats} NATs, {events} events", description.links.len());
    Ok(ExitCode::SUCCESS)
}

fn list() -> Result<ExitCode, Failure> {
    for (name, text) in networks::ALL {
        // The first sentence of the comment at the top.
        let comment = text.lines().map_while(|line| line.strip_prefix('#')).collect::<String>();
        let sentence = comment.split_once(". ").map_or(comment.as_str(), |(first, _)| first);
        println!("{name:16}{}", sentence.trim().trim_end_matches('.'));
    }
    Ok(ExitCode::SUCCESS)
}

fn show(name: &str) -> Result<ExitCode, Failure> {
    let text = networks::text(name);
    print!("{}", text.ok_or_else(|| format!("no ready network \"{name}\"; see netsim networks"))?);
    Ok(ExitCode::SUCCESS)
}

fn trace(args: &TraceArgs) -> Result<ExitCode, Failure> {
    use std::io::Write;
    let TraceArgs { rate, spread, memory, outage_every, outage, length, seed } = *args;
    let model = Cellular { mean: rate, spread, memory, outage_every, outage, length, seed };
    let trace = model.trace();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let written = trace.opportunities_ms().iter().try_for_each(|ms| writeln!(out, "{ms}"));
    written.and_then(|()| out.flush()).map_err(|error| format!("writing the trace: {error}"))?;
    let mean = trace.mean_bits_per_second() / 1e6;
    eprintln!("netsim: {mean:.2} Mbit/s on average, longest gap {:?}", trace.gap_max());
    Ok(ExitCode::SUCCESS)
}
