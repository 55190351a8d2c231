//! What one address has used of its share: connections, sessions, tries.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Addresses that are remembered at once; beyond, strangers are refused. An entry lives while it
/// has connections or sessions, and until its tries are forgotten: 64,000 take about 8 MB.
const ADDRESSES_MAX: usize = 64_000;
/// How often the forgettable ones are looked for.
const PRUNE_INTERVAL: Duration = Duration::from_secs(10);
/// In which a share of tries is used up and comes back.
const TRIES_PERIOD: Duration = Duration::from_secs(60);

/// Whom a limit counts: an IPv4 address, or an IPv6 network of 64 bits, for that much is given to
/// a single customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressKey(IpAddr);

impl From<IpAddr> for AddressKey {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(v4) => IpAddr::V4(v4),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        })
    }
}

impl AddressKey {
    /// The address, or the first one of the network.
    pub fn network(self) -> IpAddr {
        self.0
    }

    /// For tests.
    pub const LOCAL: Self = Self(IpAddr::V4(Ipv4Addr::LOCALHOST));
}

/// A bucket of tries that fills up again steadily. (A leaky bucket kept as one time: the time at
/// which it is full again, as in the generic cell rate algorithm.)
#[derive(Debug, Clone, Copy, Default)]
struct Tries {
    full_at: Option<Instant>,
}

impl Tries {
    fn are_left(self, per_minute: u32, now: Instant) -> bool {
        let Some(full_at) = self.full_at else { return true };
        let cost = TRIES_PERIOD / per_minute.max(1);
        full_at.saturating_duration_since(now) + cost <= TRIES_PERIOD
    }

    fn spend(&mut self, per_minute: u32, now: Instant) {
        let cost = TRIES_PERIOD / per_minute.max(1);
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now)) + cost;
        self.full_at = Some(full_at.min(now + TRIES_PERIOD));
    }

    fn are_full(self, now: Instant) -> bool {
        self.full_at.is_none_or(|full_at| full_at <= now)
    }
}

#[derive(Debug, Default)]
struct Share {
    connections: usize,
    pending: usize,
    sessions: usize,
    memory: usize,
    tries: Tries,
}

/// The shares of all addresses.
#[derive(Debug, Default)]
pub struct Addresses {
    shares: BTreeMap<AddressKey, Share>,
    pruned_at: Option<Instant>,
}

impl Addresses {
    /// Connections and sessions that this address has.
    pub fn counts(&self, address: AddressKey) -> (usize, usize) {
        self.shares.get(&address).map_or((0, 0), |share| (share.connections, share.sessions))
    }

    /// Whether `address` may try once more.
    pub fn may_try(&self, address: AddressKey, per_minute: u32, now: Instant) -> bool {
        self.shares.get(&address).is_none_or(|share| share.tries.are_left(per_minute, now))
    }

    /// Whether there is room to remember `address`.
    pub fn has_room(&mut self, address: AddressKey, now: Instant) -> bool {
        if self.pruned_at.is_none_or(|at| now >= at + PRUNE_INTERVAL) {
            self.pruned_at = Some(now);
            self.shares.retain(|_, share| {
                share.connections > 0
                    || share.sessions > 0
                    || share.memory > 0
                    || !share.tries.are_full(now)
            });
        }
        self.shares.len() < ADDRESSES_MAX || self.shares.contains_key(&address)
    }

    /// `address` tried something that counts.
    pub fn spend_try(&mut self, address: AddressKey, per_minute: u32, now: Instant) {
        self.shares.entry(address).or_default().tries.spend(per_minute, now);
    }

    /// One connection more.
    pub fn add_connection(&mut self, address: AddressKey) {
        self.shares.entry(address).or_default().connections += 1;
    }

    /// One connection less.
    pub fn remove_connection(&mut self, address: AddressKey) {
        if let Some(share) = self.shares.get_mut(&address) {
            share.connections = share.connections.saturating_sub(1);
        }
    }

    /// Connections of this address that have not said who they are.
    pub fn pending(&self, address: AddressKey) -> usize {
        self.shares.get(&address).map_or(0, |share| share.pending)
    }

    /// One of them more.
    pub fn add_pending(&mut self, address: AddressKey) {
        self.shares.entry(address).or_default().pending += 1;
    }

    /// One of them less.
    pub fn remove_pending(&mut self, address: AddressKey) {
        if let Some(share) = self.shares.get_mut(&address) {
            share.pending = share.pending.saturating_sub(1);
        }
    }

    /// One session more.
    pub fn add_session(&mut self, address: AddressKey) {
        self.shares.entry(address).or_default().sessions += 1;
    }

    /// Bytes that the sessions and viewers of this address hold beyond what is their own.
    pub fn memory(&self, address: AddressKey) -> usize {
        self.shares.get(&address).map_or(0, |share| share.memory)
    }

    /// One of its sessions or viewers holds other `bytes` than `before`.
    pub fn change_memory(&mut self, address: AddressKey, before: usize, bytes: usize) {
        if before != bytes {
            let share = self.shares.entry(address).or_default();
            share.memory = share.memory.saturating_sub(before) + bytes;
        }
    }

    /// One session less.
    pub fn remove_session(&mut self, address: AddressKey) {
        if let Some(share) = self.shares.get_mut(&address) {
            share.sessions = share.sessions.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(text: &str) -> AddressKey {
        text.parse::<IpAddr>().expect("an address").into()
    }

    #[test]
    fn addresses_of_one_customer_are_one() {
        assert_eq!(key("2001:db8:1:2::3"), key("2001:db8:1:2:ffff::4"));
        assert_ne!(key("2001:db8:1:2::3"), key("2001:db8:1:3::3"));
        assert_eq!(key("::ffff:10.0.0.1"), key("10.0.0.1"));
        assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
    }

    #[test]
    fn tries_run_out_and_come_back_within_a_minute() {
        let now = Instant::now();
        let mut addresses = Addresses::default();
        let address = AddressKey::LOCAL;
        let tries = |addresses: &mut Addresses, now| {
            let mut count = 0;
            while addresses.may_try(address, 30, now) && count < 1000 {
                addresses.spend_try(address, 30, now);
                count += 1;
            }
            count
        };
        assert_eq!(tries(&mut addresses, now), 30);
        assert_eq!(tries(&mut addresses, now + Duration::from_secs(2)), 1);
        assert_eq!(tries(&mut addresses, now + Duration::from_secs(120)), 30);
    }

    #[test]
    fn quiet_addresses_are_forgotten() {
        let now = Instant::now();
        let mut addresses = Addresses::default();
        addresses.spend_try(AddressKey::LOCAL, 30, now);
        assert!(addresses.has_room(AddressKey::LOCAL, now));
        assert_eq!(addresses.shares.len(), 1);
        addresses.has_room(AddressKey::LOCAL, now + Duration::from_secs(70));
        assert_eq!(addresses.shares.len(), 0);
    }

    proptest! {
        #[test]
        fn no_more_than_the_share_passes_in_any_minute(
            steps in proptest::collection::vec(0u64..10_000, 1..300),
        ) {
            let (start, mut at) = (Instant::now(), Duration::ZERO);
            let mut addresses = Addresses::default();
            let mut passed: Vec<Duration> = Vec::new();
            for step in steps {
                at += Duration::from_millis(step);
                if addresses.may_try(AddressKey::LOCAL, 10, start + at) {
                    addresses.spend_try(AddressKey::LOCAL, 10, start + at);
                    passed.push(at);
                }
                // A full bucket, and what fills it up within the minute.
                let in_minute = passed.iter().filter(|t| at - **t < TRIES_PERIOD).count();
                prop_assert!(in_minute <= 20);
            }
        }
    }
}
