//! What one who wishes for requests may have of what all share, so that whose servers are silent
//! doesn't keep those of others waiting for ever.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::Semaphore;

/// Requests at once of the sessions of one address: a class behind it, each of whose receivers takes a
/// second, has sixteen events told in one. Of all ([`REQUESTS_MAX`](super::courier::REQUESTS_MAX)) it
/// takes sixteen silent addresses to keep others waiting.
pub(super) const REQUESTS_MAX: usize = 16;
/// Look-ups at once, with those that the system's resolver hasn't given up yet.
const LOOKUPS_MAX: usize = 4;

const _: () = assert!(REQUESTS_MAX * 16 <= super::courier::REQUESTS_MAX);
const _: () = assert!(LOOKUPS_MAX * 8 <= super::client::LOOKUPS_MAX);

/// Of one address.
#[derive(Debug)]
pub struct Share {
    /// Places of its requests.
    pub(super) requests: Semaphore,
    /// Of its look-ups.
    pub(super) lookups: Arc<Semaphore>,
}

impl Default for Share {
    fn default() -> Self {
        let lookups = Arc::new(Semaphore::new(LOOKUPS_MAX));
        Self { requests: Semaphore::new(REQUESTS_MAX), lookups }
    }
}

/// Of all addresses. There is one for each that has a webhook, so the bound on these bounds them.
#[derive(Debug, Default)]
pub(super) struct Shares {
    /// A lock, as every webhook takes its share when it is opened; held for a look.
    of: Mutex<BTreeMap<IpAddr, Weak<Share>>>,
}

impl Shares {
    /// That of an address, or of the network of 64 bits that it is in, which one customer has.
    pub(super) fn of(&self, address: IpAddr) -> Arc<Share> {
        let customer = match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
            }
        };
        let mut shares = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(&customer).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Share::default());
        shares.insert(customer, Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_share_with_nobody_but_themselves() {
        let shares = Shares::default();
        let share = |address: &str| shares.of(address.parse().expect("an address"));
        let (first, second) = (share("192.0.2.1"), share("2001:db8::1"));
        assert!(Arc::ptr_eq(&first, &share("::ffff:192.0.2.1")));
        assert!(Arc::ptr_eq(&second, &share("2001:db8::ff:2")));
        assert!(!Arc::ptr_eq(&first, &share("192.0.2.2")));
        assert!(!Arc::ptr_eq(&second, &share("2001:db8:0:1::1")));
        drop((first, second));
        let _third = share("192.0.2.3");
        assert_eq!(shares.of.lock().expect("nobody panics").len(), 1, "others are forgotten");
    }
}
