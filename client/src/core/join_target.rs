//! What somebody wants to join, however they were given it: `TOKEN@HOST`, a whole `ssh` line, or a
//! web link.

use tern_bootstrap::client::RelayAddress;
use tern_bootstrap::grant::PORT_DEFAULT;
use tern_bootstrap::token::is_well_formed;

/// Of SSH, which join lines leave out.
pub const SSH_PORT: u16 = 22;
/// Longest host name (RFC 1035, section 2.3.4).
const HOST_SIZE_MAX: usize = 255;

/// A session, by its token, and the relays where it may be: the first that is one is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinTarget {
    /// From the join line.
    pub token: String,
    /// At least one.
    pub relays: Vec<RelayAddress>,
}

/// Why a text is no join line, for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    /// There is no `@`.
    #[error(
        "'{0}' is no join line: it is TOKEN@HOST, the whole line `ssh TOKEN@HOST`, or a link \
         https://HOST/t/TOKEN"
    )]
    NotALine(String),
    /// The host can't be one.
    #[error("'{0}' is no name or address of a relay")]
    Host(String),
    /// The port can't be one.
    #[error("'{0}' is no port (1 to 65535)")]
    Port(String),
    /// What stands before the `@` was cut, or is something else.
    #[error("what stands before the @ is no token (it is cut, or mistyped): copy the whole line")]
    Token,
}

/// Reads what was pasted or typed, cut into words anywhere. `port` was named apart.
pub fn parse(words: &[String], port: Option<u16>) -> Result<JoinTarget, NoTarget> {
    let text = words.join(" ");
    // As chats and mails put around a link or a line.
    let bare = text.trim().trim_matches(['<', '>', '`', '"', '\'']);
    let words: Vec<&str> = bare.split_whitespace().collect();
    // Perhaps behind a shell's prompt, or what Tern says before it.
    let is_ssh_line = words.contains(&"ssh");
    let mut port = port;
    let mut line = None;
    let mut others = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.strip_prefix("-p") {
            Some("") => port = Some(read_port(words.next().unwrap_or_default())?),
            Some(number) => port = Some(read_port(number)?),
            // ssh's switches say nothing about where.
            None if word.starts_with('-') && is_ssh_line => {}
            None if line.is_none() && split(word).is_some() => line = Some(word),
            None => others.push(word),
        }
    }
    let line = line.filter(|_| is_ssh_line || others.is_empty());
    let line = line.ok_or_else(|| NoTarget::NotALine(text.clone()))?;
    let (token, place) = split(line).ok_or_else(|| NoTarget::NotALine(line.to_owned()))?;
    if !is_well_formed(token) {
        return Err(NoTarget::Token);
    }
    let (host, own_port) = split_port(place)?;
    let ports = match port.or(own_port) {
        Some(port) => vec![port],
        None if is_ssh_line => vec![SSH_PORT],
        None => vec![PORT_DEFAULT, SSH_PORT],
    };
    let relay = |port| RelayAddress { host: host.to_owned(), port };
    Ok(JoinTarget { token: token.to_owned(), relays: ports.into_iter().map(relay).collect() })
}

/// Token and place of `[ssh://]TOKEN@HOST` or `https://HOST[:PORT]/t/TOKEN`, a pasted web link.
fn split(line: &str) -> Option<(&str, &str)> {
    for scheme in ["https://", "http://"] {
        if let Some(rest) = line.strip_prefix(scheme) {
            let (place, token) = rest.split_once("/t/")?;
            let token = token.split(['/', '?', '#']).next().unwrap_or_default();
            // The web's port is not SSH's.
            let host_end = place.rfind(']').map_or(0, |bracket| bracket + 1);
            let port = place[host_end..].find(':').map(|colon| host_end + colon);
            return Some((token, &place[..port.unwrap_or(place.len())]));
        }
    }
    let line = line.strip_prefix("ssh://").unwrap_or(line);
    line.trim_end_matches('/').split_once('@')
}

fn split_port(place: &str) -> Result<(&str, Option<u16>), NoTarget> {
    let bracketed = place.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match bracketed {
        Some((host, "")) => (host, None),
        Some((host, rest)) => {
            let port = rest.strip_prefix(':').ok_or_else(|| NoTarget::Host(place.to_owned()))?;
            (host, Some(port))
        }
        None if place.matches(':').count() > 1 => (place, None),
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let is_of_host =
        |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte) || byte >= 0x80;
    let is_host = !host.is_empty()
        && host.len() <= HOST_SIZE_MAX
        && !host.starts_with('-')
        && host.bytes().all(is_of_host);
    if !is_host {
        return Err(NoTarget::Host(host.to_owned()));
    }
    Ok((host, port.map(read_port).transpose()?))
}

fn read_port(text: &str) -> Result<u16, NoTarget> {
    match text.parse() {
        Ok(0) | Err(_) => Err(NoTarget::Port(text.to_owned())),
        Ok(port) => Ok(port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: &str = "abcdefghjkmnpqrstuvwxyz234";

    fn read(text: &str) -> Result<(String, Vec<u16>), NoTarget> {
        let target = parse(&[text.replace("TOKEN", TOKEN)], None)?;
        assert!(target.token.ends_with(TOKEN));
        let host = target.relays[0].host.clone();
        Ok((host, target.relays.iter().map(|relay| relay.port).collect()))
    }

    #[test]
    fn join_lines_are_read_as_they_are_pasted() {
        for (text, host, ports) in [
            ("TOKEN@relay.example", "relay.example", &[2200, 22][..]),
            ("TOKEN@relay.example:2022", "relay.example", &[2022]),
            ("ssh TOKEN@relay.example", "relay.example", &[22]),
            ("ssh -p2200 TOKEN@10.0.0.1", "10.0.0.1", &[2200]),
            ("  ssh -t -p 2200 ro-TOKEN@10.0.0.1\n", "10.0.0.1", &[2200]),
            ("ssh -o Compression=no TOKEN@relay.example", "relay.example", &[22]),
            ("$ ssh -p2200 TOKEN@relay.example", "relay.example", &[2200]),
            ("ssh session read only: ssh -p2200 ro-TOKEN@10.0.0.1", "10.0.0.1", &[2200]),
            ("ssh://TOKEN@relay.example:2200/", "relay.example", &[2200]),
            ("TOKEN@[2001:db8::1]:2200", "2001:db8::1", &[2200]),
            ("TOKEN@2001:db8::1", "2001:db8::1", &[2200, 22]),
            ("https://relay.example/t/TOKEN", "relay.example", &[2200, 22]),
            ("https://relay.example:8443/t/ro-TOKEN/", "relay.example", &[2200, 22]),
            ("https://relay.example/t/TOKEN?from=mail#top", "relay.example", &[2200, 22]),
            ("https://[2001:db8::1]/t/TOKEN", "2001:db8::1", &[2200, 22]),
            ("https://[2001:db8::1]:8443/t/TOKEN", "2001:db8::1", &[2200, 22]),
            ("http://10.0.0.1:80/t/TOKEN", "10.0.0.1", &[2200, 22]),
            ("<https://relay.example/t/TOKEN>", "relay.example", &[2200, 22]),
        ] {
            assert_eq!(read(text), Ok((host.to_owned(), ports.to_vec())), "{text}");
        }
        let words = ["ssh", "-p2200", &format!("{TOKEN}@r")].map(str::to_owned);
        assert_eq!(parse(&words, None).expect("a line").relays[0].port, 2200);
        let words = [format!("{TOKEN}@r")];
        assert_eq!(parse(&words, Some(7)).expect("a line").relays.len(), 1);
    }

    #[test]
    fn other_texts_are_refused_in_words() {
        for text in ["", "ssh", "relay.example", "https://relay.example/", "TOKEN@a b"] {
            assert!(matches!(read(text), Err(NoTarget::NotALine(_))), "{text}");
        }
        for text in ["short@relay", "root@relay", "@relay"] {
            assert_eq!(read(text), Err(NoTarget::Token), "{text}");
        }
        for text in ["TOKEN@", "TOKEN@-oProxyCommand=x", "TOKEN@a/b", "TOKEN@[::1]x"] {
            assert!(matches!(read(text), Err(NoTarget::Host(_))), "{text}");
        }
        for text in ["TOKEN@r:0", "TOKEN@r:x", "ssh -p TOKEN@r", "ssh -p70000 TOKEN@r"] {
            assert!(matches!(read(text), Err(NoTarget::Port(_))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in any::<String>(), port in any::<Option<u16>>()) {
            let _ = parse(&[text], port);
        }
    }
}
