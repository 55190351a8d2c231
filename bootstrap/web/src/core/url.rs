//! Where a request goes: `http://` or `https://`, as people write it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::uri::{Scheme, Uri};
use std::fmt;

/// Longest URL, in bytes: what browsers and servers agree on.
pub const URL_SIZE_MAX: usize = 2048;

/// A URL that can be asked. Its `Debug` and `Display` show nothing but the server: paths of webhooks
/// are often secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct WebUrl {
    /// Whether it is asked by TLS.
    pub is_https: bool,
    /// Name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path and query, from its slash on.
    pub path: String,
    /// `Authorization` by the name and password in it.
    pub authorization: Option<String>,
    /// What the header `Host` says.
    pub host_header: String,
}

/// Why a text is no URL that can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Too long.
    #[error("it is longer than {URL_SIZE_MAX} bytes")]
    TooLong,
    /// No URL, or a letter that must be encoded.
    #[error("it is no URL (letters that aren't ASCII must be encoded)")]
    Malformed,
    /// Another scheme.
    #[error("it must begin with https:// or http://")]
    Scheme,
    /// No host.
    #[error("it names no server")]
    NoHost,
    /// Port 0, or none that fits.
    #[error("its port is none")]
    Port,
}

impl WebUrl {
    /// Reads it.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.len() > URL_SIZE_MAX {
            return Err(UrlError::TooLong);
        }
        let uri: Uri = text.parse().map_err(|_| UrlError::Malformed)?;
        let is_https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(_) | None => return Err(UrlError::Scheme),
        };
        let authority = uri.authority().ok_or(UrlError::NoHost)?;
        let (user, place) = match authority.as_str().rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority.as_str()),
        };
        let bracketed = authority.host();
        let host = bracketed.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(UrlError::NoHost);
        }
        let port = match place.strip_prefix(bracketed).ok_or(UrlError::Malformed)? {
            "" => {
                if is_https {
                    443
                } else {
                    80
                }
            }
            rest => {
                let port = rest.strip_prefix(':').and_then(|port| port.parse().ok());
                port.filter(|port| *port != 0).ok_or(UrlError::Port)?
            }
        };
        let authorization =
            user.map(|user| format!("Basic {}", BASE64_STANDARD.encode(decoded(user))));
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            is_https,
            host: host.to_owned(),
            port,
            path: format!("{slash}{path}"),
            authorization,
            host_header: place.to_owned(),
        })
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_https { "https://" } else { "http://" })?;
        f.write_str(&self.host_header)
    }
}

impl fmt::Debug for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebUrl({self})")
    }
}

/// `%20` and the like, in a name or password.
fn decoded(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, behind)) = rest.split_first() {
        let digit = |at: usize| {
            let digit = behind.get(at).and_then(|byte| char::from(*byte).to_digit(16));
            digit.and_then(|digit| u8::try_from(digit).ok())
        };
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(high * 16 + low);
                rest = &behind[2..];
            }
            (byte, _, _) => {
                bytes.push(byte);
                rest = behind;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(text: &str) -> (bool, String, u16, String) {
        let url = WebUrl::parse(text).expect("a URL");
        (url.is_https, url.host, url.port, url.path)
    }

    #[test]
    fn urls_are_taken_apart() {
        let is = |is_https, host: &str, port, path: &str| {
            (is_https, host.to_owned(), port, path.to_owned())
        };
        assert_eq!(parts("https://a.example"), is(true, "a.example", 443, "/"));
        assert_eq!(parts("http://[::1]:81/x?y=%20#z"), is(false, "::1", 81, "/x?y=%20"));
        assert_eq!(parts("HTTP://u:p@a.example/"), is(false, "a.example", 80, "/"));
        assert_eq!(parts("https://a.example?q"), is(true, "a.example", 443, "/?q"));
    }

    #[test]
    fn name_and_password_become_a_header_and_are_not_shown() {
        let url = WebUrl::parse("https://me:a%40b@a.example/secret").expect("a URL");
        assert_eq!(url.authorization.as_deref(), Some("Basic bWU6YUBi"));
        assert_eq!(url.host_header, "a.example");
        let shown = format!("{url:?} {url}");
        assert!(!shown.contains("secret") && !shown.contains("me:"), "{shown}");
    }

    #[test]
    fn what_is_no_url_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", UrlError::Malformed),
            ("a.example/x", UrlError::Malformed),
            ("/x", UrlError::Scheme),
            ("ftp://a.example", UrlError::Scheme),
            ("https://a b", UrlError::Malformed),
            ("https://a\r\nx: y", UrlError::Malformed),
            ("https://a.example:0/", UrlError::Port),
            ("https://a.example:/", UrlError::Port),
        ] {
            assert_eq!(WebUrl::parse(text), Err(reason), "{text}");
        }
        assert!(WebUrl::parse("https://").is_err() && WebUrl::parse("https://@/").is_err());
        let long = format!("https://a.example/{}", "x".repeat(URL_SIZE_MAX));
        assert_eq!(WebUrl::parse(&long), Err(UrlError::TooLong));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(https?://)?.{0,60}") {
            if let Ok(url) = WebUrl::parse(&text) {
                prop_assert!(url.path.starts_with('/') && !url.host.is_empty());
            }
        }
    }
}
