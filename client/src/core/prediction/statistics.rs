//! What came of predictions, for those who measure.

/// Counts since the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Characters that were typed.
    pub keys: u64,
    /// Keys whose effect was shown when they were typed.
    pub shown_at_once: u64,
    /// Keys whose shown effect was wrong.
    pub wrong: u64,
    /// Keys whose foretold effect came.
    pub right: u64,
}
