//! Where the accounts are kept: a file of SQLite, or a server of PostgreSQL.

use std::fmt;
use std::path::{Path, PathBuf};

/// Name of SQLite's file in the relay's data folder.
const FILE: &str = "accounts.sqlite";
/// How the URL of a PostgreSQL server may begin.
const SERVER_SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Where the accounts are kept. Its `Display` and `Debug` show no password.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// A file of SQLite.
    File(PathBuf),
    /// A server's connection URL.
    Server(String),
}

impl Place {
    /// In the relay's data folder.
    pub fn in_folder(data: &Path) -> Self {
        Self::File(data.join(FILE))
    }

    /// As an operator writes it: `postgres://USER:PASSWORD@HOST/DATABASE`, or `sqlite:FILE`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if SERVER_SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
            return Ok(Self::Server(text.to_owned()));
        }
        match text.strip_prefix("sqlite:") {
            Some(path) if !path.trim_start_matches('/').is_empty() => {
                let path = path.strip_prefix("//").unwrap_or(path);
                Ok(Self::File(path.into()))
            }
            Some(_) | None => {
                Err("a database is postgres://USER:PASSWORD@HOST/DATABASE or sqlite:FILE".into())
            }
        }
    }

    /// For the driver.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Server(url) => url.clone(),
            Self::File(path) => {
                let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
                let path = path.as_os_str().as_encoded_bytes();
                let escaped = path.iter().map(|byte| match byte {
                    plain if is_plain(plain) => char::from(*plain).to_string(),
                    other => format!("%{other:02X}"),
                });
                format!("sqlite://{}", escaped.collect::<String>())
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Server(url) => {
                let rest = url.split_once("://").map_or("", |(_, rest)| rest);
                let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
                let host = match authority.rsplit_once('@') {
                    Some((_, host)) => host,
                    // A password with a slash or a question mark in it, which is no URL.
                    None if path.contains('@') => return f.write_str("postgres://..."),
                    None => authority,
                };
                // What follows the question mark may hold a password, too.
                write!(f, "postgres://{host}{}", path.split('?').next().unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_operators_write_them() {
        for (text, path) in [("sqlite:a.db", "a.db"), ("sqlite:///var/a", "/var/a")] {
            assert_eq!(Place::parse(text), Ok(Place::File(path.into())), "{text}");
        }
        for url in ["postgres://db/tern", "postgresql://u:p@db/tern"] {
            assert_eq!(Place::parse(url), Ok(Place::Server(url.into())));
        }
        for text in ["", "sqlite:", "sqlite://", "mysql://db/tern", "/var/a"] {
            assert!(Place::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn password_is_not_shown() {
        for (url, shown) in [
            ("postgres://u:secret@db:5432/tern", "postgres://db:5432/tern"),
            ("postgres://u:se@cret@db/tern?sslmode=require", "postgres://db/tern"),
            ("postgres://db?user=u&password=secret", "postgres://db"),
            ("postgresql://db/tern?password=secret@x", "postgres://..."),
            ("postgres://u:sec?ret@db/tern", "postgres://..."),
            ("postgres://u:sec/ret@db/tern", "postgres://..."),
        ] {
            let place = Place::parse(url).expect("a place");
            assert_eq!(format!("{place} {place:?}"), format!("{shown} Place({shown})"));
        }
    }

    #[test]
    fn any_path_is_one_for_the_driver() {
        let place = Place::File("/a b/ä?x#%.db".into());
        assert_eq!(place.url(), "sqlite:///a%20b/%C3%A4%3Fx%23%25.db");
    }
}
