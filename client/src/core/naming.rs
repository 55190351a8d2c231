//! What the person should know about the names that their session has.

use tern_bootstrap::name;

/// A warning if anybody may come upon the session by guessing its name.
pub fn warning(token: &str, token_ro: &str, is_access_limited: bool) -> Option<String> {
    let is_weak = |token| name::split(token).is_some_and(|(_, session)| name::is_weak(session));
    let what = match (is_weak(token), is_weak(token_ro)) {
        _ if is_access_limited => return None,
        (true, _) => "join and type",
        (false, true) => "watch",
        (false, false) => return None,
    };
    Some(format!(
        "Warning: whoever guesses the session's name can {what}: let in only those whose SSH key is \
         in a file with -a FILE, or choose a name of 20 letters and digits that nobody guesses"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_name_without_access_control_is_warned_of() {
        let (random, strong) = ("9fQabcdefghjkmnpqrstuvwxyz", "alice/a7k2m9x4p6q8r3s5t1u0");
        let warned = |token, token_ro| warning(token, token_ro, false).unwrap_or_default();
        assert!(warned("alice/web", "ro-x").contains("join and type"));
        assert!(warned(random, "alice/web").contains("can watch"));
        assert!(warned("alice/web", "alice/look").contains("join and type"));
        assert_eq!(warned(random, "ro-x") + &warned(strong, strong), "");
        assert_eq!(warning("alice/web", "ro-x", true), None);
    }
}
