//! Hyperlinks (OSC 8).

/// Longest address kept, in bytes; a cell with a longer one is shown without a link. What
/// terminals and browsers agree on handling.
pub const LINK_URI_BYTES_MAX: usize = 2048;
/// Longest id kept, in bytes.
pub const LINK_ID_BYTES_MAX: usize = 128;

/// Where a cell leads to when it is clicked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Link {
    id: Box<str>,
    uri: Box<str>,
}

impl Link {
    /// `None` if the parts are too long, or hold what could end the escape sequence that carries
    /// them. `id` joins the cells of one link; it may be empty, `uri` may not.
    pub fn new(id: &str, uri: &str) -> Option<Self> {
        let is_valid = !uri.is_empty()
            && uri.len() <= LINK_URI_BYTES_MAX
            && id.len() <= LINK_ID_BYTES_MAX
            && !uri.chars().any(char::is_control)
            && !id.chars().any(|c| c.is_control() || c == ':' || c == ';');
        is_valid.then(|| Self { id: id.into(), uri: uri.into() })
    }

    /// What joins cells to one link; may be empty.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The address.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Bytes that it takes in a diff and, nearly, in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.id.len() + self.uri.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_cannot_smuggle_an_escape_sequence() {
        assert!(Link::new("a", "https://example.org/").is_some());
        assert!(Link::new("a", "https://example.org/\x1b\\\x1b[2J").is_none());
        assert!(Link::new("a;b", "x").is_none());
        assert!(Link::new("", "").is_none());
        assert!(Link::new("", &"x".repeat(LINK_URI_BYTES_MAX + 1)).is_none());
    }
}
