//! Who reaches whom over which link. Routes are by the fewest hops, and fixed: a link that goes down
//! makes a hole, it doesn't make others find a way around it.

use std::collections::VecDeque;

use crate::address::End;
use crate::description::{Description, INTERNET};

/// A node, by its place: hosts, then NATs, then routers, [`INTERNET`] last.
pub(crate) type NodeId = usize;

/// One end of a link: the target of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Attachment {
    pub(crate) link: usize,
    pub(crate) end: End,
}

impl Attachment {
    /// Its place among all ends of all links.
    pub(crate) fn index(self) -> usize {
        self.link * 2 + usize::from(self.end == End::Upper)
    }
}

/// What a node does with packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeKind {
    /// Passes nothing on.
    Host,
    /// Passes on, translating; the NAT at this place.
    Nat(usize),
    /// Passes on.
    Router,
}

/// Nodes, links' ends, and the next link from every node towards every end.
#[derive(Debug)]
pub(crate) struct Routes {
    kinds: Vec<NodeKind>,
    /// Lower and upper node of each link.
    links: Vec<[NodeId; 2]>,
    /// `next[attachment][node]`: the link towards it, and how many more hops.
    next: Vec<Vec<Option<(usize, u32)>>>,
}

impl Routes {
    /// Routes of a description that was checked.
    pub(crate) fn new(network: &Description) -> Self {
        let nats = network.nats.iter().map(|nat| nat.name.as_str());
        let hosts = network.hosts.iter().map(String::as_str);
        let routers = network.routers.iter().map(String::as_str).chain([INTERNET]);
        let names: Vec<&str> = hosts.chain(nats).chain(routers).collect();
        let kind = |at: usize| match at.checked_sub(network.hosts.len()) {
            None => NodeKind::Host,
            Some(nat) if nat < network.nats.len() => NodeKind::Nat(nat),
            Some(_) => NodeKind::Router,
        };
        let place = |name: &str| {
            names.iter().position(|each| *each == name).expect("links' ends were checked to exist")
        };
        let links = network.links.iter().map(|link| [place(&link.lower), place(&link.upper)]);
        let mut routes = Self {
            kinds: (0..names.len()).map(kind).collect(),
            links: links.collect(),
            next: Vec::new(),
        };
        routes.next = (0..routes.links.len())
            .flat_map(|link| [End::Lower, End::Upper].map(|end| Attachment { link, end }))
            .map(|target| routes.towards(target))
            .collect();
        routes
    }

    pub(crate) fn kind(&self, node: NodeId) -> NodeKind {
        self.kinds[node]
    }

    /// The node at an end of a link.
    pub(crate) fn node(&self, at: Attachment) -> NodeId {
        self.links[at.link][usize::from(at.end == End::Upper)]
    }

    /// The link from `node` towards an end, and the hops until there.
    pub(crate) fn next(&self, node: NodeId, target: Attachment) -> Option<(usize, u32)> {
        self.next[target.index()][node]
    }

    /// Which end of `link` is at `node`.
    pub(crate) fn end_at(&self, link: usize, node: NodeId) -> End {
        if self.links[link][0] == node { End::Lower } else { End::Upper }
    }

    /// The ends of links that are at `node`.
    pub(crate) fn attachments(&self, node: NodeId) -> impl Iterator<Item = Attachment> {
        let ends = self.links.iter().enumerate().flat_map(|(link, nodes)| {
            let [lower, upper] = *nodes;
            [(lower, End::Lower), (upper, End::Upper)]
                .map(|(node, end)| (node, Attachment { link, end }))
        });
        ends.filter(move |(at, _)| *at == node).map(|(_, attachment)| attachment)
    }

    /// Breadth first from the target backwards.
    fn towards(&self, target: Attachment) -> Vec<Option<(usize, u32)>> {
        let mut next = vec![None; self.kinds.len()];
        let mut reached = VecDeque::new();
        let before = self.node(Attachment { end: target.end.other(), ..target });
        next[before] = Some((target.link, 1));
        reached.push_back(before);
        // Those inside a NAT reach its outside address from inside.
        if let NodeKind::Nat(_) = self.kind(self.node(target)) {
            for at in self.attachments(self.node(target)).filter(|at| at.end == End::Upper) {
                let neighbour = self.node(Attachment { end: End::Lower, ..at });
                next[neighbour] = next[neighbour].or(Some((at.link, 1)));
                reached.push_back(neighbour);
            }
        }
        while let Some(node) = reached.pop_front() {
            let Some((out, hops)) = next[node] else { continue };
            for at in self.attachments(node) {
                let neighbour = self.node(Attachment { end: at.end.other(), ..at });
                let is_target = neighbour == self.node(target);
                if next[neighbour].is_none() && !is_target && self.passes(node, at.link, out) {
                    next[neighbour] = Some((at.link, hops + 1));
                    reached.push_back(neighbour);
                }
            }
        }
        next
    }

    /// Whether `node` passes on from one link to another.
    fn passes(&self, node: NodeId, from: usize, to: usize) -> bool {
        match self.kinds[node] {
            NodeKind::Host => false,
            NodeKind::Router => true,
            // Nobody outside knows the way to what is inside.
            NodeKind::Nat(_) => self.end_at(from, node) == End::Upper || from == to,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::{Link, Nat};

    #[test]
    fn nats_are_passed_outwards_only_and_hosts_not_at_all() {
        let network = Description::new()
            .host("laptop")
            .host("relay")
            .nat(Nat::new("home"))
            .link(Link::new("wifi", "laptop", "home"))
            .link(Link::new("dsl", "home", INTERNET))
            .link(Link::new("data", "relay", INTERNET))
            .link(Link::new("direct", "laptop", "relay"));
        let routes = Routes::new(&network);
        let [laptop, relay, home, internet] = [0, 1, 2, 3];
        let wifi = Attachment { link: 0, end: End::Lower };
        let dsl = Attachment { link: 1, end: End::Lower };
        let data = Attachment { link: 2, end: End::Lower };
        assert_eq!(routes.next(laptop, data), Some((0, 3)));
        assert_eq!(routes.next(home, data), Some((1, 2)));
        assert_eq!(routes.next(relay, wifi), None);
        assert_eq!(routes.next(internet, wifi), None);
        assert_eq!(routes.next(home, wifi), Some((0, 1)));
        assert_eq!(routes.next(relay, dsl), Some((2, 2)));
        assert_eq!(routes.kind(home), NodeKind::Nat(0));
    }
}
