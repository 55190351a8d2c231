//! The command line of `tern-relay`.

use crate::manage::Manage;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tern_accounts::Place;
use tern_bootstrap::grant::PORT_DEFAULT;
use tern_help::completions::Shell;
use tern_relay::Limits;
use tern_web::core::address::Reach;

/// Where terminals are shared: people who run `tern --relay THIS-MACHINE` get a line to hand out,
/// and others join with plain ssh.
///
/// It needs no root, no database server and no set-up: one port, TCP for ssh and UDP for the hosts'
/// screens. At its first start it makes its keys in the data folder; at every start it prints
/// their fingerprint and the command that its users need. It runs no program for anybody, and
/// opens nothing but shared terminals.
///
/// SIGTERM or Ctrl-C stops it: everybody is told first; a second one stops it at once. Started
/// again with the same data folder, also after a crash, it has its sessions back as soon as their
/// hosts come, with the same lines.
#[derive(Debug, Parser)]
#[command(name = "tern-relay", version, max_term_width = 100,
          after_help = format!("Examples:\n{EXAMPLES}"))]
pub(crate) struct Arguments {
    /// Without one, the relay runs
    #[command(subcommand)]
    pub(crate) command: Option<Sub>,

    /// Address and TCP port of ssh; [::] is IPv4, too
    #[arg(long, env = "TERN_RELAY_LISTEN", value_name = "ADDRESS:PORT",
          default_value_t = SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT_DEFAULT)))]
    listen: SocketAddr,

    /// Port of ssh and of QUIC, on all addresses: short for --listen [::]:PORT
    #[arg(long, env = "TERN_RELAY_PORT", value_name = "PORT", conflicts_with = "listen",
          value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,

    /// Address and UDP port of QUIC, by which hosts bring their screens [default: those of
    /// --listen]
    #[arg(long, env = "TERN_RELAY_QUIC_LISTEN", value_name = "ADDRESS:PORT")]
    pub(crate) quic_listen: Option<SocketAddr>,

    /// This relay's name in the lines that are handed out [default: the name by which each host
    /// reached it]
    #[arg(long, env = "TERN_RELAY_HOST", value_name = "NAME")]
    pub(crate) host: Option<String>,

    /// Port in the lines that are handed out, if ssh comes in through another one (22, by a
    /// redirection)
    #[arg(long, env = "TERN_RELAY_SSH_PORT_ADVERTISED", value_name = "PORT",
          value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) ssh_port_advertised: Option<u16>,

    #[command(flatten)]
    pub(crate) places: Places,

    /// Only owners of these keys may share their terminals: an OpenSSH authorized_keys file, read
    /// anew each time. Who joins needs a token only
    #[arg(long, env = "TERN_RELAY_AUTHORIZED_HOSTS", value_name = "FILE")]
    pub(crate) authorized_hosts: Option<PathBuf>,

    /// Where webhooks that hosts wish may go: to the public internet (ports 80, 443 and 1024 and
    /// above), anywhere, which lets hosts reach this machine and its network, or nowhere
    #[arg(long, env = "TERN_RELAY_WEBHOOKS", value_name = "WHERE", default_value = "public")]
    pub(crate) webhooks: Webhooks,

    /// What is logged to standard error: error, warn, info, debug, trace, or per part, as in
    /// info,tern_relay=debug. Tokens, keys and typed text never are [default: $TERN_LOG, $RUST_LOG
    /// or info]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,

    /// How log lines are written
    #[arg(long, env = "TERN_RELAY_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,

    #[command(flatten)]
    pub(crate) registration: RegistrationArguments,

    #[command(flatten)]
    pub(crate) limits: LimitArguments,
}

/// Registration by mail on the command line: off unless there is an SMTP server.
#[derive(Debug, Args)]
#[command(next_help_heading = "Registration by mail")]
pub(crate) struct RegistrationArguments {
    /// Server by which mails are sent: smtps://USER:PASSWORD@HOST, smtp://HOST?tls=required, or
    /// smtp://localhost. With it, people get accounts by `tern register NAME EMAIL`
    #[arg(
        long,
        env = "TERN_RELAY_SMTP_URL",
        value_name = "URL",
        hide_env_values = true,
        requires = "mail_from"
    )]
    pub(crate) smtp_url: Option<String>,

    /// Sender of these mails
    #[arg(long, env = "TERN_RELAY_MAIL_FROM", value_name = "ADDRESS", requires = "smtp_url")]
    pub(crate) mail_from: Option<String>,

    /// Address and TCP port of a small web server to which the links in mails lead; without it, mails
    /// have a code for `tern register --code`. It speaks HTTP: put what speaks TLS before it
    #[arg(long, env = "TERN_RELAY_HTTP_LISTEN", value_name = "ADDRESS:PORT",
          requires_all = ["smtp_url", "web_url"])]
    pub(crate) http_listen: Option<SocketAddr>,

    /// What links in mails begin with, such as https://relay.example
    #[arg(long, env = "TERN_RELAY_WEB_URL", value_name = "URL", value_parser = web_url,
          requires = "http_listen")]
    pub(crate) web_url: Option<String>,
}

/// `http://...` or `https://...`, without the slash at its end.
fn web_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_of_url = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/[]%".contains(&byte);
    match rest {
        Some(rest) if !rest.is_empty() && rest.bytes().all(is_of_url) => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        Some(_) | None => Err("it is https://HOST or https://HOST/PATH".into()),
    }
}

/// What can be done instead.
#[derive(Debug, Subcommand)]
pub(crate) enum Sub {
    #[command(flatten)]
    Manage(Manage),
    /// Print completions for a shell, which asks tern-relay for users and keys
    ///
    /// In ~/.bashrc: `source <(tern-relay completions bash)`; in ~/.zshrc: `source <(tern-relay
    /// completions zsh)`; in ~/.config/fish/config.fish: `tern-relay completions fish | source`
    Completions {
        /// For this shell
        shell: Shell,
    },
    /// Print the manual page (`tern-relay man | man -l -`)
    Man,
}

impl Arguments {
    /// Where ssh comes in.
    pub(crate) fn listen(&self) -> SocketAddr {
        let port = self.port.map(|port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
        port.unwrap_or(self.listen)
    }
}

pub(crate) const EXAMPLES: &str = "  \
  tern-relay                                   on port 2200, for everybody who reaches it
  tern-relay --port 22                         on another port, where no sshd has it
  tern-relay --host relay.example              with this name in join lines
  tern-relay --authorized-hosts ~/team.keys    only your team may share, anybody may join
  tern-relay user add alice                    alice may name her sessions: prints her API key";

/// What the relay and those who manage its accounts look for in the same places.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Places {
    /// Folder of the relay's keys [default: /var/lib/tern-relay for root, else
    /// $XDG_STATE_HOME/tern-relay or ~/.local/state/tern-relay]
    #[arg(long, env = "TERN_RELAY_DATA", value_name = "FOLDER", global = true)]
    data: Option<PathBuf>,

    /// Where users and API keys are kept: postgres://USER:PASSWORD@HOST/DATABASE, or sqlite:FILE
    /// [default: accounts.sqlite in the data folder, as soon as there is a user]
    #[arg(long, env = "TERN_RELAY_DATABASE", value_name = "URL", value_parser = Place::parse,
          hide_env_values = true, global = true)]
    pub(crate) database: Option<Place>,
}

impl Places {
    /// Folder of the relay's keys.
    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(default_data)
    }

    /// Where users and API keys are.
    pub(crate) fn accounts(&self) -> Place {
        self.database.clone().unwrap_or_else(|| Place::in_folder(&self.data()))
    }
}

fn default_data() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return "/var/lib/tern-relay".into();
    }
    // A relative path in this variable is to be ignored (XDG base directory specification).
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".local/state");
    state.filter(|folder| folder.is_absolute()).unwrap_or_else(home).join("tern-relay")
}

/// Where webhooks may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Webhooks {
    /// To the internet.
    Public,
    /// Anywhere.
    Any,
    /// None are sent.
    Off,
}

impl Webhooks {
    /// Whom they reach, if they are sent.
    pub(crate) fn reach(self) -> Option<Reach> {
        match self {
            Self::Public => Some(Reach::Public),
            Self::Any => Some(Reach::Any),
            Self::Off => None,
        }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For programs: an object a line.
    Json,
}

/// [`Limits`] on the command line. What is not given keeps its default.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArguments {
    /// Sessions at once [default: 2000]; an idle one takes under 300 kB
    #[arg(long, env = "TERN_RELAY_SESSIONS", value_name = "N")]
    sessions: Option<usize>,

    /// Sessions at once that one address asked for [default: 100]
    #[arg(long, env = "TERN_RELAY_SESSIONS_PER_ADDRESS", value_name = "N")]
    sessions_per_address: Option<usize>,

    /// Viewers at once, of all sessions [default: 5000]
    #[arg(long, env = "TERN_RELAY_VIEWERS", value_name = "N")]
    viewers: Option<usize>,

    /// Viewers at once of one session [default: 100]
    #[arg(long, env = "TERN_RELAY_VIEWERS_PER_SESSION", value_name = "N")]
    viewers_per_session: Option<usize>,

    /// Connections at once from one address, or IPv6 /64 [default: 250]
    #[arg(long, env = "TERN_RELAY_CONNECTIONS_PER_ADDRESS", value_name = "N")]
    connections_per_address: Option<usize>,

    /// Connections at once that have not said yet what they want, an eighth of them from one address
    /// [default: 1000]
    #[arg(long, env = "TERN_RELAY_CONNECTIONS_PENDING", value_name = "N")]
    connections_pending: Option<usize>,

    /// Wrong tokens and requests for a session per minute and address [default: 30]
    #[arg(long, env = "TERN_RELAY_TRIES_PER_MINUTE", value_name = "N")]
    tries_per_minute: Option<u32>,

    /// Time for a connection to say what it wants [default: 20s]
    #[arg(long, env = "TERN_RELAY_AUTH_TIME", value_name = "TIME", value_parser = duration)]
    auth_time: Option<Duration>,

    /// Cells of the largest screen, columns times rows [default: 200000]
    #[arg(long, env = "TERN_RELAY_SCREEN_CELLS", value_name = "N")]
    screen_cells: Option<usize>,

    /// Bytes of a host's longest message [default: 4194432, which is the protocol's limit]
    #[arg(long, env = "TERN_RELAY_MESSAGE_SIZE", value_name = "BYTES")]
    message_size: Option<usize>,

    /// Bytes that a session may hold [default: 67108864]
    #[arg(long, env = "TERN_RELAY_SESSION_MEMORY", value_name = "BYTES")]
    session_memory: Option<usize>,

    /// Bytes that all sessions may hold together beyond the first 256 KiB of each; those of one
    /// address may hold a quarter [default: 536870912]
    #[arg(long, env = "TERN_RELAY_MEMORY", value_name = "BYTES")]
    memory: Option<usize>,

    /// How long a session waits for its host to come back [default: 24h]
    #[arg(long, env = "TERN_RELAY_HOST_AWAY", value_name = "TIME", value_parser = duration)]
    host_away: Option<Duration>,

    /// How long a session's join lines outlive restarts of the relay, from when they were made
    /// [default: 30d]
    #[arg(long, env = "TERN_RELAY_TICKET_TIME", value_name = "TIME", value_parser = duration)]
    ticket_time: Option<Duration>,

    /// How long viewers who join are shown how to leave [default: 5s]
    #[arg(long, env = "TERN_RELAY_HINT_TIME", value_name = "TIME", value_parser = duration)]
    hint_time: Option<Duration>,
}

impl From<LimitArguments> for Limits {
    fn from(given: LimitArguments) -> Self {
        let default = Self::default();
        Self {
            sessions: given.sessions.unwrap_or(default.sessions),
            sessions_per_address: given
                .sessions_per_address
                .unwrap_or(default.sessions_per_address),
            viewers: given.viewers.unwrap_or(default.viewers),
            viewers_per_session: given.viewers_per_session.unwrap_or(default.viewers_per_session),
            connections_per_address: given
                .connections_per_address
                .unwrap_or(default.connections_per_address),
            connections_pending: given.connections_pending.unwrap_or(default.connections_pending),
            tries_per_minute: given.tries_per_minute.unwrap_or(default.tries_per_minute),
            auth_time: given.auth_time.unwrap_or(default.auth_time),
            screen_cells: given.screen_cells.unwrap_or(default.screen_cells),
            message_size: given.message_size.unwrap_or(default.message_size),
            session_memory: given.session_memory.unwrap_or(default.session_memory),
            memory: given.memory.unwrap_or(default.memory),
            host_away: given.host_away.unwrap_or(default.host_away),
            ticket_time: given.ticket_time.unwrap_or(default.ticket_time),
            hint_time: given.hint_time.unwrap_or(default.hint_time),
        }
    }
}

/// `90`, `90s`, `15m`, `24h` or `7d`.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3600),
        Some((at, 'd')) => (&text[..at], 86_400),
        Some(_) | None => (text, 1),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "a number of seconds, or a number with s, m, h or d, such as 90s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn command_line_is_consistent_and_its_defaults_are_those_of_the_limits() {
        Arguments::command().debug_assert();
        let arguments = Arguments::parse_from(["tern-relay"]);
        assert_eq!(Limits::from(arguments.limits), Limits::default());
        let default = Limits::default();
        let help = Arguments::command().render_long_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for (about, value) in [
            ("Sessions at once", default.sessions),
            ("Sessions at once that one address asked for", default.sessions_per_address),
            ("Viewers at once, of all sessions", default.viewers),
            ("Viewers at once of one session", default.viewers_per_session),
            ("Cells of the largest screen, columns times rows", default.screen_cells),
            ("Bytes that a session may hold", default.session_memory),
            ("those of one address may hold a quarter", default.memory),
        ] {
            assert!(help.contains(&format!("{about} [default: {value}]")), "{about}: {help}");
        }
        assert!(help.contains(&format!("[default: {}, which", default.message_size)));
    }

    #[test]
    fn port_alone_is_that_of_all_addresses() {
        let listen = |words: &[&str]| {
            let words = ["tern-relay"].iter().chain(words);
            Arguments::try_parse_from(words).map(|arguments| arguments.listen().to_string())
        };
        assert_eq!(listen(&[]).ok(), Some(format!("[::]:{PORT_DEFAULT}")));
        assert_eq!(listen(&["--port", "22"]).ok().as_deref(), Some("[::]:22"));
        assert_eq!(listen(&["--listen", "127.0.0.1:9"]).ok().as_deref(), Some("127.0.0.1:9"));
        assert!(listen(&["--port", "0"]).is_err() && listen(&["--port", "70000"]).is_err());
        assert!(listen(&["--port", "22", "--listen", "127.0.0.1:9"]).is_err());
    }

    #[test]
    fn beginning_of_links_is_a_url_without_a_slash_at_its_end() {
        assert_eq!(web_url("https://relay.example/"), Ok("https://relay.example".into()));
        assert_eq!(web_url("http://[::1]:80/tern"), Ok("http://[::1]:80/tern".into()));
        for wrong in ["", "relay.example", "https://", "https://a b", "https://a\r\nx", "ftp://a"] {
            assert!(web_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_read_with_their_unit() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
        for wrong in ["", "h", "1.5h", "-1s", "99999999999999999999d", "5 weeks"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
