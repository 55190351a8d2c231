//! Text from elsewhere, made fit to be shown: on terminals, and by tmux, which would run commands
//! that a format in it names.

use std::net::IpAddr;

/// Longest notice, in bytes.
pub const NOTICE_SIZE_MAX: usize = 1000;

/// An IP address as the relay told it, or words that say that it isn't one.
pub fn address(text: &str) -> String {
    match text.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => "unknown address".into(),
    }
}

/// Text without control characters, of bounded length: safe to write to a terminal.
pub fn printable(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        let character = if character.is_control() { ' ' } else { character };
        if shown.len() + character.len_utf8() > NOTICE_SIZE_MAX {
            break;
        }
        shown.push(character);
    }
    shown
}

/// Text for `display-message`, which expands `#{}`, `#()`, `#[]` and the `%` of strftime: without
/// those two signs there is nothing to expand.
pub fn for_tmux(text: &str) -> String {
    printable(text).replace(['#', '%'], "?")
}

/// At most so many characters, with dots where the rest was: a status line doesn't wrap.
pub fn cut_to(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(3)).collect();
    kept + "..."
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_addresses_pass_as_addresses() {
        assert_eq!(address("192.0.2.1"), "192.0.2.1");
        assert_eq!(address("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(address("2001:db8::1"), "2001:db8::1");
        assert_eq!(address("#(touch /tmp/x)"), "unknown address");
    }

    #[test]
    fn tmux_finds_no_command_in_a_notice() {
        assert_eq!(for_tmux("#(reboot) 100%H\x1b]0;x\x07"), "?(reboot) 100?H ]0;x ");
    }

    proptest! {
        #[test]
        fn notices_are_printable_and_bounded(text in any::<String>()) {
            let shown = printable(&text);
            prop_assert!(shown.len() <= NOTICE_SIZE_MAX);
            prop_assert!(!shown.chars().any(char::is_control));
        }
    }

    #[test]
    fn long_notice_is_cut_where_the_status_line_ends() {
        assert_eq!(cut_to("short", 5), "short");
        assert_eq!(cut_to("longer", 5), "lo...");
        assert_eq!(cut_to("äöüß", 3), "...");
        assert_eq!(cut_to("any", 0), "...");
    }
}
