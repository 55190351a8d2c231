//! A packet's way: from a host over links, routers and NATs to a host.
//!
//! It ends: each step over a link comes nearer to the end of a link that is the target; a NAT changes
//! the target at most twice (outwards on the way up, inwards on the way down).

use super::*;

impl Network {
    /// A host sends.
    pub(super) fn send(&mut self, from: Attachment, mut packet: Packet) {
        let end = &self.ends[from.index()];
        let outside = counterpart(&end.inside, &end.outside, packet.flow.source);
        let Some(outside) = outside.filter(|_| end.is_up) else {
            self.drops.wrong_source += 1;
            return;
        };
        packet.flow.source = outside;
        if let Some(quoted) = &mut packet.quoted
            && let Some(address) = counterpart(&end.inside, &end.outside, quoted.destination)
        {
            quoted.destination = address;
        }
        let node = self.routes.node(from);
        // The host chose the interface; only whether the target can be reached is looked up.
        if self.target(node, packet.flow.destination.ip()).is_some() {
            self.enter(node, from.link, packet);
        } else {
            self.drops.no_route += 1;
        }
    }

    /// Takes what has passed the links.
    pub(super) fn move_packets(&mut self) {
        for pipe in 0..self.pipes.len() {
            while let Some((_, packet)) = self.pipes[pipe].poll(self.now) {
                let end = if pipe % 2 == 0 { End::Upper } else { End::Lower };
                self.arrive(Attachment { link: pipe / 2, end }, packet);
            }
        }
    }

    fn arrive(&mut self, at: Attachment, packet: Packet) {
        let node = self.routes.node(at);
        match self.routes.kind(node) {
            NodeKind::Host => self.deliver(at, packet),
            NodeKind::Router => self.route(node, packet),
            NodeKind::Nat(nat) if at.end == End::Lower => self.come_in(node, nat, packet),
            NodeKind::Nat(nat) => self.go_out(node, nat, packet),
        }
    }

    fn deliver(&mut self, at: Attachment, mut packet: Packet) {
        let end = &self.ends[at.index()];
        let Some(inside) = counterpart(&end.outside, &end.inside, packet.flow.destination) else {
            self.drops.no_route += 1;
            return;
        };
        packet.flow.destination = inside;
        if let Some(quoted) = &mut packet.quoted
            && let Some(address) = counterpart(&end.outside, &end.inside, quoted.source)
        {
            quoted.source = address;
        }
        let (at, interface) = (self.now, InterfaceId(at));
        self.output.push_back(Output::Deliver { at, interface, packet });
    }

    /// From outside to a NAT.
    fn come_in(&mut self, node: NodeId, nat: usize, mut packet: Packet) {
        let now = self.now;
        let table = &mut self.nats[nat];
        let flow = match packet.quoted {
            None => table.inbound(packet.flow, now),
            Some(quoted) => table.inbound_quoted(quoted, now).map(|inside| {
                packet.quoted = Some(inside);
                Flow {
                    destination: with_ip(packet.flow.destination, inside.source.ip()),
                    ..packet.flow
                }
            }),
        };
        match flow {
            Some(flow) => self.route(node, Packet { flow, ..packet }),
            None => self.drops.nat += 1,
        }
    }

    /// From inside to a NAT: outwards, back in by its own address, or to another inside.
    fn go_out(&mut self, node: NodeId, nat: usize, mut packet: Packet) {
        let outside_end = self.routes.attachments(node).find(|at| at.end == End::Lower);
        let outside = outside_end.expect("a NAT was checked to have an outside");
        let addresses = &self.ends[outside.index()].outside;
        let destination = packet.flow.destination.ip();
        let is_hairpin = addresses.contains(&destination);
        let leaves = self.target(node, destination).is_some_and(|(link, _)| link == outside.link);
        if leaves || is_hairpin {
            let table = &mut self.nats[nat];
            let translated = match packet.quoted {
                None => table.outbound(packet.flow, addresses, self.now),
                Some(quoted) => table.outbound_quoted(quoted, addresses, self.now).map(|outside| {
                    packet.quoted = Some(outside);
                    Flow {
                        source: with_ip(packet.flow.source, outside.destination.ip()),
                        ..packet.flow
                    }
                }),
            };
            let Some(flow) = translated else {
                self.drops.nat += 1;
                return;
            };
            packet.flow = flow;
        }
        if is_hairpin { self.come_in(node, nat, packet) } else { self.route(node, packet) }
    }

    fn route(&mut self, node: NodeId, packet: Packet) {
        match self.target(node, packet.flow.destination.ip()) {
            Some((link, _)) => self.enter(node, link, packet),
            None => self.drops.no_route += 1,
        }
    }

    /// The link towards the nearest that has this address.
    fn target(&self, node: NodeId, address: IpAddr) -> Option<(usize, u32)> {
        let owners = self.owners.get(&address)?;
        owners.iter().filter_map(|at| self.routes.next(node, *at)).min_by_key(|(_, hops)| *hops)
    }

    fn enter(&mut self, node: NodeId, link: usize, packet: Packet) {
        let end = self.routes.end_at(link, node);
        let pipe = link * 2 + usize::from(end == End::Upper);
        let Some(refused) = self.pipes[pipe].push(packet, self.now) else { return };
        let mtu = self.pipes[pipe].conditions().mtu.size;
        let Some(error) = refused.too_big(mtu) else { return };
        match self.routes.kind(node) {
            NodeKind::Host => self.deliver(Attachment { link, end }, error),
            NodeKind::Router => self.route(node, error),
            // What went out bears the NAT's address already.
            NodeKind::Nat(nat) if end == End::Lower => self.come_in(node, nat, error),
            NodeKind::Nat(_) => self.back_out(node, error),
        }
    }

    /// A NAT answers to what came from outside and doesn't fit inside.
    fn back_out(&mut self, node: NodeId, mut error: Packet) {
        let NodeKind::Nat(nat) = self.routes.kind(node) else { return };
        let outside = self.routes.attachments(node).find(|at| at.end == End::Lower);
        let outside = outside.expect("a NAT was checked to have an outside");
        let addresses = &self.ends[outside.index()].outside;
        // What isn't known to the NAT went from one inside to another.
        let quoted = error.quoted;
        if let Some(quoted) =
            quoted.and_then(|quoted| self.nats[nat].outbound_quoted(quoted, addresses, self.now))
        {
            error.quoted = Some(quoted);
        }
        self.route(node, error);
    }
}

/// The address in `to` that stands where `address` stands in `from`: of the same family, and of
/// those in the same order. `None` where `address` isn't in `from`, or `to` has none of its family.
fn counterpart(from: &[IpAddr], to: &[IpAddr], address: SocketAddr) -> Option<SocketAddr> {
    let ip = address.ip();
    let is_like = |other: &&IpAddr| other.is_ipv4() == ip.is_ipv4();
    let place = from.iter().filter(is_like).position(|other| *other == ip)?;
    let mut candidates = to.iter().filter(is_like);
    let first = candidates.clone().next();
    candidates.nth(place).or(first).map(|other| with_ip(address, *other))
}

fn with_ip(address: SocketAddr, ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, address.port())
}
