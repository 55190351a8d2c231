//! How large a screen is.

/// Size of a screen in cells; never zero, at most [`COLS_MAX`] x [`ROWS_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Size {
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
}

/// Widest screen. Three 4K monitors side by side at 8-pixel cells are 1440; a window beyond 1000 is
/// an error far more often than a wish.
pub const COLS_MAX: u16 = 1000;
/// Highest screen.
pub const ROWS_MAX: u16 = 500;

impl Size {
    /// Clamps to what a screen may be.
    pub fn clamped(cols: u32, rows: u32) -> Self {
        Self {
            cols: cols.clamp(1, COLS_MAX.into()) as u16,
            rows: rows.clamp(1, ROWS_MAX.into()) as u16,
        }
    }

    /// Columns and rows that fit in both.
    pub fn min(self, other: Self) -> Self {
        Self { cols: self.cols.min(other.cols), rows: self.rows.min(other.rows) }
    }
}
