//! Viewers' seats in sessions: how many there are, who may have one, and whose is given away.
//!
//! Who comes by `tern join` keeps a seat while away, for a night if need be. So that nobody fills a
//! session with people who aren't there, a newcomer to a full one takes the seat of whoever has been
//! silent for longest.

use super::{Denied, Registry};
use crate::core::address::AddressKey;
use crate::core::limits::VIEWER_MEMORY_OWN;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tern_bootstrap::grant::SessionId;
use tern_bootstrap::token::TokenHash;
use tern_sync::session::Role;

/// Silence after which a viewer's seat may be given to a newcomer: longer than a tunnel, a lift or a
/// change of trains' Wi-Fi.
pub const YIELD_AFTER: Duration = Duration::from_secs(60);
/// One address may not have this part of a session's seats: whoever has the read-only line could else
/// keep all others out. (With the usual 100, a class of 75 behind one address fits.)
const OTHERS_SHARES: usize = 4;

/// A viewer's seat. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seat {
    /// In which session.
    pub session: SessionId,
    /// Which.
    pub number: u64,
}

/// A viewer that was let in.
#[derive(Debug, PartialEq, Eq)]
pub struct Seated<H> {
    /// Where it sits until [`Registry::leave`].
    pub seat: Seat,
    /// What its token allows.
    pub role: Role,
    /// How its session is reached.
    pub handle: H,
    /// Whose seat was given to it.
    pub yielded: Option<Seat>,
}

struct Taken {
    address: AddressKey,
    /// Since when nothing is heard from the viewer, if so.
    silent_since: Option<Instant>,
    /// Bytes that it holds beyond [`VIEWER_MEMORY_OWN`].
    memory: usize,
}

/// The seats of one session, by number.
#[derive(Default)]
pub(super) struct Seats(BTreeMap<u64, Taken>);

impl Seats {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn count_of(&self, address: AddressKey) -> usize {
        self.0.values().filter(|taken| taken.address == address).count()
    }

    /// Who has been silent for longest, if for long enough; of this address only, if one is given.
    fn most_silent(&self, of: Option<AddressKey>, now: Instant) -> Option<(Instant, u64)> {
        let all = self.0.iter().filter(|(_, taken)| of.is_none_or(|of| taken.address == of));
        let silent = all.filter_map(|(number, taken)| Some((taken.silent_since?, *number)));
        silent.filter(|(since, _)| now.saturating_duration_since(*since) >= YIELD_AFTER).min()
    }
}

impl<H: Clone> Registry<H> {
    /// Lets a viewer in, who counts until [`Registry::leave`], or says why not.
    pub fn join(
        &mut self,
        token: TokenHash,
        address: AddressKey,
        now: Instant,
    ) -> Result<Seated<H>, Denied> {
        let (session, role) = self.look_up(token, address, now)?;
        let yielded = self.who_must_yield(session, address, now)?;
        if let Some(seat) = yielded {
            self.leave(seat);
        }
        self.seats_count += 1;
        self.viewers += 1;
        let number = self.seats_count;
        let entry = self.sessions.get_mut(&session).expect("tokens are removed with their session");
        entry.seats.0.insert(number, Taken { address, silent_since: None, memory: 0 });
        let handle = entry.handle.clone();
        Ok(Seated { seat: Seat { session, number }, role, handle, yielded })
    }

    /// Whose seat a newcomer from `address` needs: nobody's, if there is room.
    fn who_must_yield(
        &self,
        session: SessionId,
        address: AddressKey,
        now: Instant,
    ) -> Result<Option<Seat>, Denied> {
        let seats = &self.sessions.get(&session).expect("just looked up").seats;
        let limit = self.limits.viewers_per_session;
        let seat = |session| move |(_, number)| Seat { session, number };
        let found = if seats.count_of(address) >= limit - limit / OTHERS_SHARES {
            seats.most_silent(Some(address), now).map(seat(session))
        } else if seats.len() >= limit {
            seats.most_silent(None, now).map(seat(session))
        } else if self.viewers >= self.limits.viewers {
            let all = self.sessions.iter();
            let silent =
                all.filter_map(|(id, entry)| Some((entry.seats.most_silent(None, now)?, id)));
            silent.min().map(|(found, id)| seat(*id)(found))
        } else {
            return Ok(None);
        };
        found.map(Some).ok_or(Denied::ViewersFull)
    }

    /// A viewer that was let in is gone, if its seat wasn't given away before.
    pub fn leave(&mut self, seat: Seat) {
        let Some(entry) = self.sessions.get_mut(&seat.session) else { return };
        if let Some(taken) = entry.seats.0.remove(&seat.number) {
            self.on_left(&taken);
        }
    }

    /// The session of all these viewers is gone.
    pub(super) fn leave_all(&mut self, seats: &Seats) {
        for taken in seats.0.values() {
            self.on_left(taken);
        }
    }

    fn on_left(&mut self, taken: &Taken) {
        self.viewers = self.viewers.saturating_sub(1);
        self.memory = self.memory.saturating_sub(taken.memory);
        self.addresses.change_memory(taken.address, taken.memory, 0);
    }

    /// Since when nothing is heard from a viewer; `None`: it is heard.
    pub fn set_silent(&mut self, seat: Seat, since: Option<Instant>) {
        let entry = self.sessions.get_mut(&seat.session);
        if let Some(taken) = entry.and_then(|entry| entry.seats.0.get_mut(&seat.number)) {
            taken.silent_since = since;
        }
    }

    /// A viewer's link holds so many bytes now. See [`Registry::hold`].
    pub fn hold_for_viewer(&mut self, seat: Seat, bytes: usize) -> Result<(), String> {
        let entry = self.sessions.get(&seat.session);
        let taken = entry.and_then(|entry| entry.seats.0.get(&seat.number));
        let Some((address, before)) = taken.map(|taken| (taken.address, taken.memory)) else {
            return Ok(());
        };
        let bytes = bytes.saturating_sub(VIEWER_MEMORY_OWN);
        self.change_memory(address, before, bytes)?;
        let entry = self.sessions.get_mut(&seat.session).expect("just found");
        entry.seats.0.get_mut(&seat.number).expect("just found").memory = bytes;
        Ok(())
    }
}
