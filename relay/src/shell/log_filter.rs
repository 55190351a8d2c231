//! What may be logged at all.

use tracing_subscriber::EnvFilter;

/// `filter` without what would put secrets into a log, whatever was asked for: russh tells user
/// names, which are our viewers' tokens, and whole packets below this level.
pub fn without_secrets(filter: EnvFilter) -> EnvFilter {
    filter.add_directive("russh=info".parse().expect("a directive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_ask_for_what_holds_tokens() {
        for asked in ["trace", "russh=trace", "info,russh=debug"] {
            let filter = without_secrets(EnvFilter::new(asked)).to_string();
            assert!(filter.contains("russh=info"), "{filter}");
            assert!(!filter.contains("russh=trace") && !filter.contains("russh=debug"), "{filter}");
        }
    }
}
