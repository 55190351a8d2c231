//! Who is here, and who may come in: sessions by id and by token, viewers, and everybody's share.

mod seats;

pub use seats::{Seat, Seated, YIELD_AFTER};

use crate::core::address::{AddressKey, Addresses};
use crate::core::limits::{Limits, SESSION_MEMORY_OWN};
use crate::core::text;
use seats::Seats;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::{Duration, Instant, SystemTime};
use tern_bootstrap::grant::{Refusal, RefusalCode, Secret, SessionId};
use tern_bootstrap::ticket::OwnerId;
use tern_bootstrap::token::TokenHash;
use tern_sync::session::Role;

/// For so long after its start, a relay that has granted sessions before lets viewers of unknown
/// sessions wait: hosts come back within a second, over a bad path within some.
pub const RETURN_TIME_MAX: Duration = Duration::from_secs(15);
/// Sessions ended by their hosts that are remembered, so that no ticket brings one back: what a
/// host has on its way when it ends its session comes within seconds, and two thousand sessions
/// would have to end meanwhile. 100 kB, with those that were superseded.
const ENDED_MAX: usize = 4096;

/// One address may have this part of the connections that have not said who they are: else one
/// could keep everybody else out.
const PENDING_SHARES: usize = 8;
/// One address may have this part of the memory of all sessions.
const MEMORY_SHARES: usize = 4;

/// Why somebody may not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// No session has this token.
    WrongToken,
    /// This address tried too often.
    TooManyTries,
    /// The session or the relay has all the viewers it may.
    ViewersFull,
    /// The relay is stopping.
    Stopping,
    /// The session's host lets in only some keys, and it was shown none of them.
    KeyWanted,
    /// The session's host has shown this one the door.
    Refused,
}

impl Denied {
    /// What the person sees.
    pub fn text(self) -> &'static str {
        match self {
            Self::WrongToken => text::WRONG_TOKEN,
            Self::TooManyTries => text::TOO_MANY_TRIES,
            Self::ViewersFull => text::VIEWERS_FULL,
            Self::Stopping => text::STOPPING,
            Self::KeyWanted => text::KEY_WANTED,
            Self::Refused => text::REFUSED,
        }
    }
}

/// Why a session is over for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Its host said so.
    ByHost,
    /// A newer one of the same owner has its names.
    Superseded,
}

struct Entry<H> {
    secret: Secret,
    tokens: [TokenHash; 2],
    owner: Option<OwnerId>,
    granted_at: SystemTime,
    address: AddressKey,
    seats: Seats,
    /// Bytes that it holds beyond [`SESSION_MEMORY_OWN`].
    memory: usize,
    handle: H,
}

/// A session to be entered.
pub struct NewSession<H> {
    /// Its id.
    pub id: SessionId,
    /// What its host proves.
    pub secret: Secret,
    /// Hash of the read-write token.
    pub token: TokenHash,
    /// Hash of the read-only token.
    pub token_ro: TokenHash,
    /// Whose names it has, if it has any.
    pub owner: Option<OwnerId>,
    /// When it was granted: of two with one name, the newer has it.
    pub granted_at: SystemTime,
    /// Who asked for it.
    pub address: AddressKey,
    /// How the shell reaches it.
    pub handle: H,
}

/// All sessions and shares. `H` is what the shell reaches a session by.
pub struct Registry<H> {
    limits: Limits,
    addresses: Addresses,
    sessions: BTreeMap<SessionId, Entry<H>>,
    tokens: BTreeMap<TokenHash, (SessionId, Role)>,
    /// The last ones, oldest first.
    ended: VecDeque<(SessionId, End)>,
    returns_until: Option<Instant>,
    viewers: usize,
    /// How many seats were ever taken.
    seats_count: u64,
    waiting: usize,
    pending: usize,
    /// The sum of all sessions' and viewers'.
    memory: usize,
    is_stopping: bool,
}

impl<H> fmt::Debug for Registry<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("sessions", &self.sessions.len())
            .field("viewers", &self.viewers)
            .finish_non_exhaustive()
    }
}

impl<H: Clone> Registry<H> {
    /// An empty one. Until `returns_until`, hosts of an earlier run may come back.
    pub fn new(limits: Limits, returns_until: Option<Instant>) -> Self {
        Self {
            limits,
            addresses: Addresses::default(),
            sessions: BTreeMap::new(),
            tokens: BTreeMap::new(),
            ended: VecDeque::new(),
            returns_until,
            viewers: 0,
            seats_count: 0,
            waiting: 0,
            pending: 0,
            memory: 0,
            is_stopping: false,
        }
    }

    /// Sessions and viewers that there are.
    pub fn counts(&self) -> (usize, usize) {
        (self.sessions.len(), self.viewers)
    }

    /// Connections that have not said who they are.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// From now on nobody comes in.
    pub fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// Whether a connection may be accepted; if so it counts, as pending, until
    /// [`Registry::disconnect`].
    pub fn connect(&mut self, address: AddressKey, now: Instant) -> bool {
        let (connections, _) = self.addresses.counts(address);
        let pending_share = (self.limits.connections_pending / PENDING_SHARES).max(1);
        let is_allowed = !self.is_stopping
            && self.pending < self.limits.connections_pending
            && self.addresses.pending(address) < pending_share
            && connections < self.limits.connections_per_address
            && self.addresses.has_room(address, now);
        if is_allowed {
            self.addresses.add_connection(address);
            self.addresses.add_pending(address);
            self.pending += 1;
        }
        is_allowed
    }

    /// A connection is pending no more: it has a role.
    pub fn identify(&mut self, address: AddressKey) {
        self.addresses.remove_pending(address);
        self.pending = self.pending.saturating_sub(1);
    }

    /// A connection is gone.
    pub fn disconnect(&mut self, address: AddressKey, is_pending: bool) {
        if is_pending {
            self.identify(address);
        }
        self.addresses.remove_connection(address);
    }

    /// Whether one more session may be asked for by `address`; the try counts.
    pub fn may_create(&mut self, address: AddressKey, now: Instant) -> Result<(), Refusal> {
        let per_minute = self.limits.tries_per_minute;
        if !self.is_stopping && !self.addresses.may_try(address, per_minute, now) {
            let text = format!("{} (its limit is {per_minute} a minute)", text::TOO_MANY_TRIES);
            return Err(Refusal { code: RefusalCode::Full, text });
        }
        self.addresses.spend_try(address, per_minute, now);
        self.may_resume(address)
    }

    /// Whether `address` may ask for something that could be guessed; the try counts.
    pub fn may_ask(&mut self, address: AddressKey, now: Instant) -> bool {
        let per_minute = self.limits.tries_per_minute;
        let may_ask = self.addresses.may_try(address, per_minute, now);
        if may_ask {
            self.addresses.spend_try(address, per_minute, now);
        }
        may_ask
    }

    /// Whether a session that was granted before may be entered again. That is no try: who shows
    /// its ticket and proves its secret doesn't guess.
    pub fn may_resume(&self, address: AddressKey) -> Result<(), Refusal> {
        let full = |text: String| Err(Refusal { code: RefusalCode::Full, text });
        if self.is_stopping {
            let text = text::STOPPING_FOR_HOSTS.into();
            return Err(Refusal { code: RefusalCode::Stopping, text });
        }
        if self.sessions.len() >= self.limits.sessions {
            return full(format!(
                "the relay is full: it has {} sessions, its limit; try again later or use another",
                self.sessions.len()
            ));
        }
        let (_, sessions) = self.addresses.counts(address);
        if sessions >= self.limits.sessions_per_address {
            return full(format!(
                "your address has {sessions} sessions on this relay, its limit: end one first"
            ));
        }
        Ok(())
    }

    /// Whether a session that comes back has lost its names to a newer one.
    pub fn is_superseded(&self, session: &NewSession<H>) -> bool {
        let is_newer = |token: &TokenHash| {
            let holder = self.tokens.get(token).filter(|(holder, _)| *holder != session.id);
            let entry = holder.and_then(|(holder, _)| self.sessions.get(holder));
            entry.is_some_and(|entry| entry.granted_at >= session.granted_at)
        };
        self.was_superseded(session.id) || [session.token, session.token_ro].iter().any(is_newer)
    }

    /// Whether a newer session of the same owner took the names of `id`.
    pub fn was_superseded(&self, id: SessionId) -> bool {
        self.ended.contains(&(id, End::Superseded))
    }

    /// Whose named sessions there are.
    pub fn owners(&self) -> Vec<OwnerId> {
        let owners = self.sessions.values().filter_map(|entry| entry.owner);
        owners.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The named sessions of a user.
    pub fn sessions_of(&self, owner: OwnerId) -> Vec<H> {
        let entries = self.sessions.values().filter(|entry| entry.owner == Some(owner));
        entries.map(|entry| entry.handle.clone()).collect()
    }

    /// Enters a session; [`Registry::may_create`] or [`Registry::may_resume`] said yes. Gives those
    /// that had its names until now, and must end: they are known by tokens no more, and no ticket
    /// brings them back.
    pub fn insert(&mut self, session: NewSession<H>) -> Vec<H> {
        let holders = [session.token, session.token_ro].map(|token| self.tokens.get(&token));
        let holders: BTreeSet<_> = holders.into_iter().flatten().map(|(id, _)| *id).collect();
        let mut superseded = Vec::new();
        for holder in holders {
            self.retire(holder);
            self.note_end(holder, End::Superseded);
            superseded.extend(self.handle(holder));
        }
        let NewSession { id, secret, token, token_ro, owner, granted_at, address, handle } =
            session;
        self.tokens.insert(token, (id, Role::ReadWrite));
        self.tokens.insert(token_ro, (id, Role::ReadOnly));
        self.addresses.add_session(address);
        let tokens = [token, token_ro];
        let entry = Entry {
            secret,
            tokens,
            owner,
            granted_at,
            address,
            seats: Seats::default(),
            memory: 0,
            handle,
        };
        self.sessions.insert(id, entry);
        superseded
    }

    /// What the host of `id` must prove.
    pub fn secret(&self, id: SessionId) -> Option<Secret> {
        self.sessions.get(&id).map(|entry| entry.secret.clone())
    }

    /// How to reach a session.
    pub fn handle(&self, id: SessionId) -> Option<H> {
        self.sessions.get(&id).map(|entry| entry.handle.clone())
    }

    /// Whether a viewer whose token is unknown should wait, and until when: its host may be on its
    /// way back. It counts until [`Registry::end_wait`]; nothing is guessed by waiting, for
    /// [`Registry::join`] follows.
    pub fn begin_wait(
        &mut self,
        token: TokenHash,
        address: AddressKey,
        now: Instant,
    ) -> Option<Instant> {
        let until = self.returns_until.filter(|until| now < *until)?;
        let may_wait = !self.is_stopping
            && !self.is_known(token)
            && self.waiting < self.limits.viewers
            && self.addresses.may_try(address, self.limits.tries_per_minute, now);
        self.waiting += usize::from(may_wait);
        may_wait.then_some(until)
    }

    /// A viewer waits no more.
    pub fn end_wait(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Whether a session has this token.
    pub fn is_known(&self, token: TokenHash) -> bool {
        self.tokens.contains_key(&token)
    }

    /// How to reach the session that a token is for, asked while somebody authenticates; nothing is
    /// told by it that [`Registry::look_up`], which follows, doesn't tell.
    pub fn find(&self, token: TokenHash) -> Option<H> {
        let (id, _) = self.tokens.get(&token)?;
        self.handle(*id)
    }

    /// Which session a token is for, asked by somebody who has shown nothing else: a wrong one is a
    /// try.
    pub fn look_up(
        &mut self,
        token: TokenHash,
        address: AddressKey,
        now: Instant,
    ) -> Result<(SessionId, Role), Denied> {
        if self.is_stopping {
            return Err(Denied::Stopping);
        }
        // A right token is no guess, and never refused for what others behind its address did.
        if let Some(found) = self.tokens.get(&token) {
            return Ok(*found);
        }
        let per_minute = self.limits.tries_per_minute;
        if !self.addresses.may_try(address, per_minute, now) {
            return Err(Denied::TooManyTries);
        }
        self.addresses.spend_try(address, per_minute, now);
        Err(Denied::WrongToken)
    }

    /// A session holds so many bytes now. An error says, for people, why they are too many: then it
    /// counts as before, and has to let go of them.
    pub fn hold(&mut self, id: SessionId, bytes: usize) -> Result<(), String> {
        let Some(entry) = self.sessions.get(&id) else { return Ok(()) };
        let (address, before) = (entry.address, entry.memory);
        let bytes = bytes.saturating_sub(SESSION_MEMORY_OWN);
        self.change_memory(address, before, bytes)?;
        self.sessions.get_mut(&id).expect("just found").memory = bytes;
        Ok(())
    }

    /// Somebody from `address` holds `bytes` instead of `before`, beyond what is its own.
    fn change_memory(
        &mut self,
        address: AddressKey,
        before: usize,
        bytes: usize,
    ) -> Result<(), String> {
        let others = self.memory.saturating_sub(before);
        let of_address = self.addresses.memory(address).saturating_sub(before);
        // Less is always welcome.
        if bytes > before {
            let memory = self.limits.memory;
            if of_address.saturating_add(bytes) > memory / MEMORY_SHARES {
                return Err(format!(
                    "your address's sessions and viewers hold more than {} bytes, this relay's limit",
                    memory / MEMORY_SHARES
                ));
            }
            if others.saturating_add(bytes) > memory {
                return Err(format!(
                    "the relay's sessions and viewers hold {memory} bytes, its limit"
                ));
            }
        }
        self.memory = others + bytes;
        self.addresses.change_memory(address, before, bytes);
        Ok(())
    }

    /// The session's host ended it.
    pub fn bury(&mut self, id: SessionId) {
        self.note_end(id, End::ByHost);
    }

    fn note_end(&mut self, id: SessionId, end: End) {
        if self.ended.len() >= ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back((id, end));
    }

    /// Whether it is known that the host of `id` ended it.
    pub fn has_ended(&self, id: SessionId) -> bool {
        self.ended.contains(&(id, End::ByHost))
    }

    /// The session's tokens are dead; it may live on a little, for its host.
    pub fn retire(&mut self, id: SessionId) {
        if let Some(entry) = self.sessions.get(&id) {
            for token in entry.tokens {
                // A named session's may be another's by now.
                if self.tokens.get(&token).is_some_and(|(holder, _)| *holder == id) {
                    self.tokens.remove(&token);
                }
            }
        }
    }

    /// The session is gone.
    pub fn remove(&mut self, id: SessionId) {
        self.retire(id);
        if let Some(entry) = self.sessions.remove(&id) {
            self.memory = self.memory.saturating_sub(entry.memory);
            self.addresses.change_memory(entry.address, entry.memory, 0);
            self.addresses.remove_session(entry.address);
            self.leave_all(&entry.seats);
        }
    }
}

#[cfg(test)]
mod tests;
