//! What people read: every text that the relay shows on a viewer's terminal.

use tern_sync::session::HostStanding;

/// Longest text that a host may show on its viewers' terminals at their end, in characters.
const HOST_TEXT_CHARS_MAX: usize = 200;

/// A wrong, malformed or dead token: always the same, so that it tells nothing.
pub const WRONG_TOKEN: &str = "Invalid or expired session token";
/// Too many wrong tokens from one address.
pub const TOO_MANY_TRIES: &str = "Too many tries from your address: wait a minute, then try again";
/// A session, or the relay, has all the viewers that it may.
pub const VIEWERS_FULL: &str = "There is no room for another viewer here: try again later";
/// A viewer showed no key that the session's host has listed.
pub const KEY_WANTED: &str = "This session lets in only people whose SSH keys its host has listed: \
    connect again, and your ssh shows yours";
/// A viewer came back whom the session's host has shown the door.
pub const REFUSED: &str = "The host of this session does not let you in any more";
/// A viewer has to go, and may not come back.
pub const REMOVED: &str = "[removed from the session by its host]";
/// A viewer whom the host is asked about.
pub const ASKED_NOTICE: &str = "waiting for the host to let you in";
/// Nobody said whether a viewer may come in.
pub const NOBODY_ANSWERED: &str = "[nobody at the host let you in in time; you may ask again]";
/// Who may join has changed between a viewer's coming and its joining.
pub const DOORS_CHANGED: &str = "[who may join has just been changed by the host: connect again, \
    and your ssh shows your key]";
/// A viewer came without a terminal.
pub const NEEDS_TERMINAL: &str = "A terminal is needed: ssh -t ...";
/// Somebody asked for a command or a subsystem.
pub const ONLY_TERMINALS: &str = "This relay runs no commands, transfers no files and forwards nothing: it only shares terminals";
/// A person connected with the hosts' user name.
pub const HOST_HELP: &str = "This is a tern relay: it shares terminals.\r\n\
    To share yours:           tern --relay HOST[:PORT]\r\n\
    To join somebody else's:  ssh TOKEN@HOST, the line that their tern shows";
/// A host asked a relay that somebody runs for themselves alone.
pub const THIS_MACHINE_ONLY: &str = "this relay serves only the machine that it runs on: name another with --relay, or start one: tern-relay";
/// A host wants a name, and there is nobody whose it could be.
pub const NAMES_UNSUPPORTED: &str = "Named sessions are not supported by this relay (it has no accounts): the session has random tokens";
/// A host wants a name, and doesn't say whose it is.
pub const NAMES_NEED_KEY: &str = "To name sessions, specify your api key with -k (or in TERN_API_KEY). Get an api key from the operator of the relay, or by: tern register NAME EMAIL --relay RELAY";
/// A host's key is nobody's.
pub const KEY_INVALID: &str = "The provided api key is invalid or revoked. Please fix. You may reach out for help to the operator of the relay";
/// Somebody wants an account.
pub const NO_REGISTRATION: &str =
    "this relay offers no registration: ask its operator for an API key";
/// The accounts don't answer.
pub const REGISTRATION_UNAVAILABLE: &str = "the relay can't do that now: try again in a minute";
/// It can't be found out whose a key is.
pub const ACCOUNTS_UNAVAILABLE: &str =
    "temporary server error: the relay can't look up API keys now; tern tries again";
/// A host comes back with the ticket of a session whose owner was removed.
pub const OWNER_GONE: &str = "the account that this session's name belongs to was removed";
/// A host comes back to a session whose name a newer one of the same owner has.
pub const SUPERSEDED: &str = "a newer tern with the same API key has taken over this session's name; to have it back, start tern anew with that name";
/// The viewers of that session.
pub const SUPERSEDED_FOR_VIEWERS: &str =
    "[the host shares another session under this name now: the same line joins it]";
/// The relay stops; also for viewers who come while it does. It may not come back; if it does, it
/// has its keys, and the host its ticket.
pub const STOPPING: &str =
    "The relay is restarting or stopping; the same line works again when it is back";
/// A host asks for a session while the relay stops.
pub const STOPPING_FOR_HOSTS: &str =
    "the relay is restarting or stopping: try again when it is back";
/// A host comes back to a session that is over.
pub const JUST_ENDED: &str = "the session has ended: a new one is needed";
/// A viewer comes back to a session that is over.
pub const JUST_ENDED_FOR_VIEWERS: &str = "[the session has ended]";
/// A viewer comes to a relay that was just started, and its session's host isn't back yet.
pub const RETURNING: &str = "The relay has just been started: waiting for the host of this session";
/// Before a session's host came for the first time.
pub const WAITING_NOTICE: &str = "waiting for the host to connect";
/// Shown to read-only viewers when they join.
pub const READ_ONLY_HINT: &str = "read only - press q to leave";
/// Shown to viewers who may type when they join, until their first key: ssh's own escape, since
/// every key of theirs is the session's.
pub const READ_WRITE_HINT: &str = "joined - to leave: Enter ~ . (the session goes on)";
/// A read-only viewer left on its own wish.
pub const LEFT: &str = "[left the session]";
/// The host stayed away longer than it may. With its ticket it may still come back.
pub const HOST_GONE: &str = "[the host did not come back; if it does, the same line works again]";
/// The relay failed; its host may bring the session back.
pub const INTERNAL: &str =
    "[connection lost by a defect of the relay, please report it; the same line may work again]";

/// What viewers are told about the host, if anything.
pub fn standing(standing: HostStanding) -> Option<String> {
    match standing {
        HostStanding::Awaited => Some(WAITING_NOTICE.into()),
        HostStanding::Asked => Some(ASKED_NOTICE.into()),
        HostStanding::Present => None,
        HostStanding::Silent { seconds } => Some(host_silent(seconds.into())),
    }
}

/// While nothing is heard from the host.
fn host_silent(seconds: u64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match (hours, minutes) {
        (0, 0) => format!("host last heard {seconds} s ago"),
        (0, _) => format!("host last heard {minutes} min {} s ago", seconds % 60),
        (_, _) => format!("host last heard {hours} h {} min ago", minutes % 60),
    }
}

/// A host's text as it may go to a terminal: no control characters, of bounded length.
pub fn from_host(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(HOST_TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_told_in_fitting_units() {
        assert_eq!(host_silent(12), "host last heard 12 s ago");
        assert_eq!(host_silent(75), "host last heard 1 min 15 s ago");
        assert_eq!(host_silent(7300), "host last heard 2 h 1 min ago");
    }

    #[test]
    fn host_cannot_send_escape_sequences_as_text() {
        assert_eq!(from_host("[ended]\x1b]52;c;AAAA\x07\r\n\u{9b}31m"), "[ended]]52;c;AAAA31m");
        assert_eq!(from_host(&"x".repeat(1000)).len(), HOST_TEXT_CHARS_MAX);
    }
}
