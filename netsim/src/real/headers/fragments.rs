//! Which flow later fragments belong to: only the first one has ports.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use crate::packet::Flow;

/// Packets whose fragments are remembered; the oldest is forgotten. A host sends all fragments of a
/// packet at once, so a few would do.
const REMEMBERED_MAX: usize = 64;

/// What all fragments of a packet have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FragmentKey {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) number: u8,
    pub(crate) id: u32,
}

/// The flows of packets whose first fragment was seen.
#[derive(Debug, Default)]
pub(crate) struct Fragments {
    flows: BTreeMap<FragmentKey, Flow>,
    order: VecDeque<FragmentKey>,
}

impl Fragments {
    pub(crate) fn remember(&mut self, key: FragmentKey, flow: Flow) {
        if self.flows.insert(key, flow).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.flows.remove(&oldest);
        }
    }

    pub(crate) fn flow(&self, key: &FragmentKey) -> Option<Flow> {
        self.flows.get(key).copied()
    }
}
