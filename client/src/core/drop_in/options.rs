//! The options that are ours in a configuration of tmux's: `tmate-NAME` and, the same, `tern-NAME`.
//! tmux keeps their values as its user options `@tmate-NAME`, so that it is tmux that evaluates
//! conditions and quotes.

use crate::core::wishes::{Forges, Wishes, webhook_secret, webhook_url, webhook_userdata};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// All of them, without their prefix; most are tmate's.
pub const NAMES: [&str; 24] = [
    "api-key",
    "approve",
    "authorized-keys",
    "display-time",
    "foreground-restart",
    "github-user",
    "gitlab-user",
    "identity",
    "keys-url",
    "keys-user",
    "server-dsa-fingerprint",
    "server-ecdsa-fingerprint",
    "server-ed25519-fingerprint",
    "server-host",
    "server-port",
    "server-rsa-fingerprint",
    "session-name",
    "session-name-ro",
    "set",
    "wait-timeout",
    "webhook-from-host",
    "webhook-secret",
    "webhook-url",
    "webhook-userdata",
];

/// Those of [`NAMES`] that hold a key's fingerprint. tmate ignores its DSA one.
const FINGERPRINTS: [&str; 3] =
    ["server-ecdsa-fingerprint", "server-ed25519-fingerprint", "server-rsa-fingerprint"];

/// The keys of the public service, which is no more; old configurations still have them.
const PUBLIC_FINGERPRINTS: [&str; 3] = [
    "SHA256:Hthk2T/M/Ivqfk1YYUn5ijC2Att3+UPzD7Rn72P5VWs",
    "SHA256:8GmKHYHEJ6n0TEdciHeEGkKOigQfCFuBULdt6vZIhDc",
    "SHA256:jfttvoypkHiQYUqUCwKeqd9d1fJj/ZiQlFOHVl6E9sI",
];
/// Where it was.
const PUBLIC_DOMAIN: &str = "tmate.io";

/// Longest time that a notice may stay, or that may be waited: an hour and a day.
const DISPLAY_TIME_MAX: u64 = 3_600_000;
const WAIT_TIMEOUT_MAX: u64 = 86_400;

/// Most relays that one configuration names.
pub const RELAYS_MAX: usize = 16;

/// The option's name without prefix, if this is one of ours.
pub fn known(name: &str) -> Option<&'static str> {
    let name = stem(name)?;
    NAMES.into_iter().find(|known| *known == name)
}

/// What follows the prefix, whether or not there is such an option.
pub fn stem(name: &str) -> Option<&str> {
    name.strip_prefix("tmate-").or_else(|| name.strip_prefix("tern-"))
}

/// The prefix that this name of one of ours has.
pub fn prefix(name: &str) -> &'static str {
    if name.starts_with("tern-") { "tern-" } else { "tmate-" }
}

/// What tmux keeps it as.
pub fn user_option(name: &str) -> String {
    format!("@tmate-{name}")
}

/// For `display-message -p`: everything at once. [`parse`] reads the answer.
pub fn format() -> String {
    let lines = NAMES.map(|name| format!("{0}=#{{{0}}}", user_option(name)));
    lines.join("\n")
}

/// Values by name; an empty one is as good as none.
pub type Values = BTreeMap<&'static str, String>;

/// What tmux made of [`format()`]. Its `Debug` shows nothing, since keys are among it.
#[derive(Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OptionsText(pub String);

impl std::fmt::Debug for OptionsText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OptionsText").finish_non_exhaustive()
    }
}

/// Reads what tmux made of [`format()`]. A value may have several lines.
pub fn parse(text: &str) -> Values {
    let mut values = Values::new();
    let mut current = None;
    for line in text.lines() {
        let begun = line.strip_prefix("@tmate-").and_then(|rest| {
            let (name, value) = rest.split_once('=')?;
            Some((NAMES.into_iter().find(|known| *known == name)?, value))
        });
        match (begun, current) {
            (Some((name, value)), _) => {
                current = Some(name);
                values.insert(name, value.to_owned());
            }
            (None, Some(name)) => {
                let value = values.entry(name).or_default();
                value.push('\n');
                value.push_str(line);
            }
            (None, None) => {}
        }
    }
    values.retain(|_, value| !value.is_empty());
    values
}

/// What the options say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Relays, as `HOST` or `HOST:PORT`.
    pub relays: Vec<String>,
    /// Host keys that are trusted, and no others.
    pub fingerprints: Vec<String>,
    /// The private key to host with.
    pub identity: Option<PathBuf>,
    /// How long notices stay.
    pub display_time_ms: Option<u64>,
    /// Whether a foreground program is run again when it ends.
    pub restarts_foreground: bool,
    /// How long `wait tmate-ready` waits.
    pub wait_timeout: Option<Duration>,
    /// The rest.
    pub wishes: Wishes,
    /// What the person should know.
    pub notices: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            relays: Vec::new(),
            fingerprints: Vec::new(),
            identity: None,
            display_time_ms: None,
            restarts_foreground: true,
            wait_timeout: None,
            wishes: Wishes::default(),
            notices: Vec::new(),
        }
    }
}

/// A value that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the option {name}: {what}")]
pub struct BadValue {
    /// Of the option, without prefix.
    pub name: &'static str,
    /// As it was set.
    pub value: String,
    /// What is allowed.
    pub what: String,
}

impl BadValue {
    /// Under the name that it was given where it was set.
    pub fn called(&self, name: &str) -> String {
        format!("{name}: {}", self.what)
    }
}

impl Settings {
    /// Reads the values; bad ones are left out. `~/` means `home`.
    pub fn read(values: &Values, home: &Path) -> (Self, Vec<BadValue>) {
        let mut reader = Reader { values, bad: Vec::new() };
        let mut settings = Self::default();
        let text = |name| values.get(name).cloned();
        let path = |name| values.get(name).map(|value| expanded(value, home));
        settings.read_relays(&mut reader);
        settings.read_fingerprints(&mut reader);
        settings.identity = values.get("identity").map(|value| match value.contains('/') {
            true => expanded(value, home),
            false => home.join(".ssh").join(value),
        });
        settings.display_time_ms = reader.number("display-time", 1..=DISPLAY_TIME_MAX);
        settings.restarts_foreground = reader.switch("foreground-restart", true);
        let timeout = reader.number("wait-timeout", 1..=WAIT_TIMEOUT_MAX);
        settings.wait_timeout = timeout.map(Duration::from_secs);
        let mut wishes = Wishes {
            name: text("session-name"),
            name_ro: text("session-name-ro"),
            api_key: text("api-key"),
            authorized_keys: path("authorized-keys"),
            forges: reader.forges(),
            asks_before_join: reader.asks(),
            webhook_url: reader.checked("webhook-url", webhook_url),
            webhook_userdata: reader
                .checked("webhook-userdata", webhook_userdata)
                .unwrap_or_default(),
            webhook_secret: reader.checked("webhook-secret", webhook_secret),
            is_webhook_from_host: reader.switch("webhook-from-host", false),
            ..Wishes::default()
        };
        read_set(&mut reader, &mut wishes);
        settings.wishes = wishes;
        (settings, reader.bad)
    }

    fn read_relays(&mut self, reader: &mut Reader) {
        let port = reader.number("server-port", 1..=65535);
        for host in words(reader.values.get("server-host")) {
            if self.relays.len() == RELAYS_MAX {
                reader.complain("server-host", format!("at most {RELAYS_MAX} relays are allowed"));
                return;
            }
            if host == PUBLIC_DOMAIN || host.ends_with(&format!(".{PUBLIC_DOMAIN}")) {
                self.notices.push(format!(
                    "{host} has been switched off: set tmate-server-host to a relay of your own \
                     (tern-relay)"
                ));
                continue;
            }
            self.relays.push(match port {
                Some(port) => with_port(host, port),
                None => host,
            });
        }
    }

    fn read_fingerprints(&mut self, reader: &mut Reader) {
        for name in FINGERPRINTS {
            for fingerprint in words(reader.values.get(name)) {
                if PUBLIC_FINGERPRINTS.contains(&fingerprint.as_str()) {
                    let notice = "the fingerprints of the public tmate service are not used: it \
                                  has been switched off";
                    if !self.notices.iter().any(|told| told == notice) {
                        self.notices.push(notice.into());
                    }
                } else if is_fingerprint(&fingerprint) {
                    self.fingerprints.push(fingerprint);
                } else {
                    reader.complain(name, FINGERPRINT_ALLOWED.into());
                }
            }
        }
    }
}

/// What [`is_fingerprint`] allows, for people.
pub const FINGERPRINT_ALLOWED: &str =
    "allowed is SHA256: and 43 letters, as tern-relay and ssh-keygen -l print it";

/// A fingerprint as `ssh-keygen -l` prints it: SHA-256 in base64 without padding.
pub fn is_fingerprint(text: &str) -> bool {
    let hash = text.strip_prefix("SHA256:").unwrap_or_default();
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    hash.len() == 43 && hash.bytes().all(is_base64)
}

/// `tmate-set`, which carries `authorized_keys=LINE` and `foreground=true`; several of them stand
/// one behind the other, since each is appended.
fn read_set(reader: &mut Reader, wishes: &mut Wishes) {
    const KEYS: [&str; 2] = ["authorized_keys=", "foreground="];
    let Some(text) = reader.values.get("set") else { return };
    let mut starts: Vec<usize> =
        KEYS.iter().flat_map(|key| text.match_indices(key).map(|(at, _)| at)).collect();
    starts.sort_unstable();
    if starts.first() != Some(&0) {
        reader.complain("set", "allowed is authorized_keys=LINE".into());
    }
    for (at, &start) in starts.iter().enumerate() {
        let end = starts.get(at + 1).copied().unwrap_or(text.len());
        let part = text[start..end].trim();
        if let Some(line) = part.strip_prefix(KEYS[0]) {
            wishes.authorized_keys_lines.push(line.trim().to_owned());
        } else if let Some(value) = part.strip_prefix(KEYS[1]) {
            wishes.is_foreground |= value == "true";
        }
    }
}

struct Reader<'a> {
    values: &'a Values,
    bad: Vec<BadValue>,
}

impl Reader<'_> {
    fn complain(&mut self, name: &'static str, what: String) {
        let value = self.values.get(name).cloned().unwrap_or_default();
        self.bad.push(BadValue { name, value, what });
    }

    /// What `read` makes of the value; an error says what is wrong with it.
    fn checked<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let read = read(self.values.get(name)?);
        read.map_err(|what| self.complain(name, what)).ok()
    }

    fn number(&mut self, name: &'static str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let text = self.values.get(name)?;
        let number = text.trim().parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let what = format!("'{text}' is no number from {} to {}", range.start(), range.end());
            self.complain(name, what);
        }
        number
    }

    /// tmate's flags are numbers; tmux's are words.
    fn switch(&mut self, name: &'static str, default: bool) -> bool {
        let text = self.values.get(name).map(|value| value.trim());
        text.and_then(flag).unwrap_or_else(|| {
            if let Some(text) = text {
                self.complain(name, format!("'{text}' is neither 0 (off) nor 1 (on)"));
            }
            default
        })
    }

    /// A mistake must not open the door: who wanted to say something about it wants to be asked.
    /// One that is set to nothing is wrong, which is told where the keys are asked for: it must not let
    /// everybody in.
    fn forges(&self) -> Forges {
        let named = |name: &str| {
            let words = words(self.values.get(name));
            let is_blank = words.is_empty() && self.values.contains_key(name);
            if is_blank { vec![String::new()] } else { words }
        };
        Forges {
            github_users: named("github-user"),
            gitlab_users: named("gitlab-user"),
            users: named("keys-user"),
            urls: named("keys-url"),
        }
    }

    fn asks(&mut self) -> Option<bool> {
        self.values.contains_key("approve").then(|| self.switch("approve", true))
    }
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "1" | "on" | "yes" | "true" => Some(true),
        "0" | "off" | "no" | "false" => Some(false),
        _ => None,
    }
}

/// The host with a port, if it has none of its own.
fn with_port(host: String, port: u64) -> String {
    match (host.strip_prefix('['), host.matches(':').count()) {
        (Some(_), _) if !host.ends_with(']') => host,
        (None, 1) => host,
        (Some(_), _) | (None, 0) => format!("{host}:{port}"),
        (None, _) => format!("[{host}]:{port}"),
    }
}

/// What is separated by blanks or commas.
fn words(value: Option<&String>) -> Vec<String> {
    let text = value.map_or("", String::as_str);
    let words = text.split(|character: char| character.is_whitespace() || character == ',');
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn expanded(path: &str, home: &Path) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(values: &[(&'static str, &str)]) -> (Settings, Vec<BadValue>) {
        let values = values.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Settings::read(&values, Path::new("/home/u"))
    }

    #[test]
    fn options_have_two_prefixes() {
        assert_eq!(known("tmate-server-host"), Some("server-host"));
        assert_eq!(known("tern-server-host"), Some("server-host"));
        assert_eq!((known("tmate-nonsense"), known("server-host")), (None, None));
    }

    #[test]
    fn what_tmux_prints_is_read_back_with_lines_in_values() {
        let text = "@tmate-api-key=\n@tmate-webhook-userdata=a\nb=c\n@tmate-set=x";
        let values = parse(text);
        assert_eq!(values.get("webhook-userdata").map(String::as_str), Some("a\nb=c"));
        assert_eq!((values.get("api-key"), values.len()), (None, 2));
    }

    #[test]
    fn relays_are_a_list_that_shares_a_port() {
        let (settings, bad) =
            read(&[("server-host", "a, b:22 2001:db8::1"), ("server-port", "443")]);
        assert_eq!(settings.relays, ["a:443", "b:22", "[2001:db8::1]:443"]);
        assert!(bad.is_empty());
        assert_eq!(read(&[("server-host", "a ::1")]).0.relays, ["a", "::1"]);
        assert_eq!(
            read(&[("server-host", "[::1]:5 [::2]"), ("server-port", "9")]).0.relays.len(),
            2
        );
    }

    #[test]
    fn public_service_is_told_to_be_gone() {
        let (settings, bad) = read(&[
            ("server-host", "ssh.tmate.io"),
            ("server-rsa-fingerprint", PUBLIC_FINGERPRINTS[0]),
            ("server-ecdsa-fingerprint", PUBLIC_FINGERPRINTS[1]),
        ]);
        assert!(settings.relays.is_empty() && settings.fingerprints.is_empty() && bad.is_empty());
        assert_eq!(settings.notices.len(), 2, "{:?}", settings.notices);
    }

    #[test]
    fn bad_values_are_named_and_left_out() {
        let (settings, bad) = read(&[
            ("server-port", "70000"),
            ("display-time", "0"),
            ("server-ed25519-fingerprint", "SHA256:short"),
            ("foreground-restart", "maybe"),
        ]);
        let names: Vec<_> = bad.iter().map(|bad| bad.name).collect();
        let expected = ["server-port", "server-ed25519-fingerprint", "display-time"];
        assert_eq!(names[..3], expected);
        assert!(settings.fingerprints.is_empty() && settings.restarts_foreground);
    }

    #[test]
    fn host_is_asked_if_it_is_wished_or_can_not_be_read() {
        let asks = |value| read(&[("approve", value)]).0.wishes.asks_before_join;
        assert_eq!((asks("on"), asks("0"), asks("perhaps")), (Some(true), Some(false), Some(true)));
        assert_eq!(read(&[("approve", "perhaps")]).1.len(), 1);
        assert_eq!(read(&[]).0.wishes.asks_before_join, None);
    }

    #[test]
    fn keys_that_are_set_one_by_one_are_all_there() {
        let (settings, bad) = read(&[(
            "set",
            "authorized_keys=ssh-ed25519 AAAA a foreground=trueauthorized_keys=ssh-rsa BBBB b",
        )]);
        let wishes = settings.wishes;
        assert_eq!(wishes.authorized_keys_lines, ["ssh-ed25519 AAAA a", "ssh-rsa BBBB b"]);
        assert!(wishes.is_foreground && bad.is_empty());
        assert_eq!(read(&[("set", "nonsense")]).1.len(), 1);
    }

    #[test]
    fn paths_begin_at_home() {
        let (settings, _) = read(&[("authorized-keys", "~/keys"), ("identity", "id_x")]);
        assert_eq!(settings.wishes.authorized_keys, Some("/home/u/keys".into()));
        assert_eq!(settings.identity, Some("/home/u/.ssh/id_x".into()));
    }

    proptest! {
        #[test]
        fn any_values_are_read_without_a_panic(
            values in prop::collection::vec((0..NAMES.len(), ".{0,20}"), 0..8),
            text in any::<String>(),
        ) {
            let values = values.into_iter().map(|(at, value)| (NAMES[at], value)).collect();
            let _ = Settings::read(&values, Path::new("/"));
            let _ = parse(&text);
        }
    }
}
