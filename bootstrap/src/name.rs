//! Names of users and sessions: what may be in them. They end on command lines, in `ssh USER/NAME@RELAY`,
//! so nothing in them means anything to a shell. The rules and the words are tmate's.

/// Most characters of a user's name.
pub const USER_NAME_LENGTH_MAX: usize = 40;
/// Most characters of a session's name.
pub const SESSION_NAME_LENGTH_MAX: usize = 50;
/// Between the user's and the session's name in a token.
pub const SEPARATOR: char = '/';

/// A name with fewer characters than this may be guessed by who tries: a relay lets one address try
/// 30 a minute, and dictionaries have all words of everyday length.
const STRONG_LENGTH_MIN: usize = 20;

/// Why a name can't be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// More characters than it may have.
    #[error("The session name length too long (max {SESSION_NAME_LENGTH_MAX} chars)")]
    TooLong,
    /// Other characters, or none.
    #[error(
        "The session name may only contain alphanumeric characters or single hyphens, and cannot \
         begin or end with a hyphen"
    )]
    Characters,
    /// Read-write and read-only name are one.
    #[error(
        "The same session name for write and read-only access were provided. Try again with \
         different names"
    )]
    Same,
}

/// Whether a session may have this name.
pub fn check_session(name: &str) -> Result<(), NameError> {
    if name.len() > SESSION_NAME_LENGTH_MAX {
        return Err(NameError::TooLong);
    }
    if is_name(name) { Ok(()) } else { Err(NameError::Characters) }
}

/// Whether a user may have this name.
pub fn is_user(name: &str) -> bool {
    name.len() <= USER_NAME_LENGTH_MAX && is_name(name)
}

/// Two names that differ in nothing but this are one: nobody may pass for somebody else by a capital
/// letter, and who types a line by hand need not heed it.
pub fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// The token of a named session.
pub fn token(user: &str, session: &str) -> String {
    format!("{user}{SEPARATOR}{session}")
}

/// User and session of a named session's token.
pub fn split(token: &str) -> Option<(&str, &str)> {
    let (user, session) = token.split_once(SEPARATOR)?;
    (is_user(user) && check_session(session).is_ok()).then_some((user, session))
}

/// Whether strangers may come upon a session of this name by guessing.
pub fn is_weak(session: &str) -> bool {
    let has = |is_of: fn(&u8) -> bool| session.as_bytes().iter().any(is_of);
    session.len() < STRONG_LENGTH_MIN || !has(u8::is_ascii_digit) || !has(u8::is_ascii_alphabetic)
}

/// Letters and digits of ASCII, with single hyphens between them.
fn is_name(text: &str) -> bool {
    text.split('-').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_letters_and_digits_with_single_hyphens_between() {
        for name in ["a", "web", "Web-2", "a-b-c", "0", &"x".repeat(50)] {
            assert_eq!(check_session(name), Ok(()), "{name}");
        }
        for name in ["", "-", "-a", "a-", "a--b", "a b", "a/b", "a.b", "ä", "a\n", "$(x)", "a@b"] {
            assert_eq!(check_session(name), Err(NameError::Characters), "{name:?}");
        }
        assert_eq!(check_session(&"x".repeat(51)), Err(NameError::TooLong));
        assert!(is_user(&"x".repeat(40)) && !is_user(&"x".repeat(41)) && !is_user("a/b"));
    }

    #[test]
    fn token_of_a_named_session_is_taken_apart_again() {
        assert_eq!(split(&token("alice", "web-1")), Some(("alice", "web-1")));
        for text in ["alice", "alice/", "/web", "alice/web/x", "-a/web", "alice/-w", "a b/c"] {
            assert_eq!(split(text), None, "{text}");
        }
    }

    #[test]
    fn short_and_plain_names_are_weak() {
        for name in ["web", "production-server", "my-very-long-session-name"] {
            assert!(is_weak(name), "{name}");
        }
        assert!(!is_weak("build-7f3k9q2m8x4c6v1z"));
    }

    proptest! {
        #[test]
        fn what_passes_means_nothing_to_a_shell(text in "\\PC{0,60}") {
            if check_session(&text).is_ok() {
                prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
                prop_assert!(!text.starts_with('-'));
            }
        }
    }
}
