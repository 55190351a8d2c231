//! `nat NAME [timeout D] [tcp-timeout D] [mapping M] [filter F]`

use crate::description::{Nat, NatFilter, NatMapping};
use crate::parse::cursor::Cursor;
use crate::units::parse_duration;

const SETTINGS: &str = "timeout, tcp-timeout, mapping, filter";

pub(super) fn nat(cursor: &mut Cursor<'_>) -> Result<Nat, (usize, String)> {
    let mut nat = Nat::new(cursor.next("a NAT's name")?.text);
    while !cursor.is_at_end() {
        let word = cursor.next(SETTINGS)?;
        match word.text {
            "timeout" => nat.timeout = cursor.value("a duration", parse_duration)?,
            "tcp-timeout" => nat.tcp_timeout = cursor.value("a duration", parse_duration)?,
            "mapping" => nat.mapping = cursor.value("independent or symmetric", mapping)?,
            "filter" => nat.filter = cursor.value("open, address or port", filter)?,
            other => {
                let message = format!("a NAT has no setting \"{other}\"; allowed: {SETTINGS}");
                return Err((word.line, message));
            }
        }
    }
    Ok(nat)
}

fn mapping(text: &str) -> Result<NatMapping, String> {
    match text {
        "independent" => Ok(NatMapping::Independent),
        "symmetric" => Ok(NatMapping::Symmetric),
        other => Err(format!("no mapping \"{other}\"; allowed: independent, symmetric")),
    }
}

fn filter(text: &str) -> Result<NatFilter, String> {
    match text {
        "open" => Ok(NatFilter::Open),
        "address" => Ok(NatFilter::Address),
        "port" => Ok(NatFilter::Port),
        other => Err(format!("no filter \"{other}\"; allowed: open, address, port")),
    }
}
