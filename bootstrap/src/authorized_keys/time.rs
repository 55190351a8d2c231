//! `expiry-time=`: `YYYYMMDD[Z]` or `YYYYMMDDHHMM[SS][Z]`, in this machine's time unless a `Z` says
//! UTC (sshd(8)).

use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, NaiveTime};

/// In seconds since 1970.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let wrong = || {
        let shown = super::printable(text.into());
        format!("expiry-time={shown:?} is no time: YYYYMMDD or YYYYMMDDHHMM[SS], with Z for UTC")
    };
    let (digits, is_utc) = match text.strip_suffix(['Z', 'z']) {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number = |from: usize, to: usize| digits[from..to].parse::<u32>().unwrap_or(u32::MAX);
    let time = match digits.len() {
        8 => NaiveTime::MIN,
        12 => NaiveTime::from_hms_opt(number(8, 10), number(10, 12), 0).ok_or_else(wrong)?,
        14 => NaiveTime::from_hms_opt(number(8, 10), number(10, 12), number(12, 14))
            .ok_or_else(wrong)?,
        _ => return Err(wrong()),
    };
    let year = i32::try_from(number(0, 4)).map_err(|_| wrong())?;
    let day = NaiveDate::from_ymd_opt(year, number(4, 6), number(6, 8)).ok_or_else(wrong)?;
    let at = NaiveDateTime::new(day, time);
    let at = match is_utc {
        true => at.and_utc().timestamp(),
        // An hour that there is twice is over when it is for the first time.
        false => at.and_local_timezone(Local).earliest().ok_or_else(wrong)?.timestamp(),
    };
    u64::try_from(at).map_err(|_| wrong())
}

/// In UTC, as [`parse`] reads it.
pub(super) fn format(at: u64) -> String {
    let at = i64::try_from(at).ok().and_then(|at| DateTime::from_timestamp(at, 0));
    at.unwrap_or_default().format("%Y%m%d%H%M%SZ").to_string()
}
