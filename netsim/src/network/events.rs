//! What events do to a network.

use super::*;
use crate::link::settings::Change;

impl Network {
    /// Makes an event of which all names were checked happen now.
    pub(super) fn carry_out(&mut self, action: Action) {
        match &action {
            Action::Down { link, is_told } => self.link_down(link, *is_told),
            Action::Up { link } => self.link_up(link),
            Action::Address { host, link, addresses, is_told } => {
                self.change_address(host, link.as_deref(), addresses, *is_told);
            }
            Action::Rebind { nat, addresses } => self.rebind(nat, addresses),
            Action::Set { link, direction, changes } => self.set(link, *direction, changes),
            Action::Signal(_) | Action::Run { .. } => {}
        }
        self.output.push_back(Output::Event { at: self.now, action });
    }

    fn link_down(&mut self, name: &str, is_told: bool) {
        let link = self.link_place(name);
        for pipe in [link * 2, link * 2 + 1] {
            self.pipes[pipe].set_down(self.now);
        }
        if is_told {
            self.tell_state(link, false);
        }
    }

    fn link_up(&mut self, name: &str) {
        let link = self.link_place(name);
        self.pipes[link * 2].set_up();
        self.pipes[link * 2 + 1].set_up();
        self.tell_state(link, true);
    }

    fn tell_state(&mut self, link: usize, is_up: bool) {
        for end in [End::Lower, End::Upper] {
            let attachment = Attachment { link, end };
            let is_host = self.routes.kind(self.routes.node(attachment)) == NodeKind::Host;
            if is_host && self.ends[attachment.index()].is_up != is_up {
                self.ends[attachment.index()].is_up = is_up;
                self.interface_changed(attachment);
            }
        }
    }

    fn change_address(
        &mut self,
        host: &str,
        link: Option<&str>,
        addresses: &[IpAddr],
        is_told: bool,
    ) {
        let is_meant = |at: &Attachment| {
            let described = &self.description.links[at.link];
            let node = if at.end == End::Lower { &described.lower } else { &described.upper };
            node == host && link.is_none_or(|link| described.name == link)
        };
        let node = self.description.hosts.iter().position(|each| each == host);
        let node = node.expect("the host was checked to exist");
        let attachment = self.routes.attachments(node).find(is_meant);
        let attachment = attachment.expect("the host was checked to have that link");
        let end = &mut self.ends[attachment.index()];
        end.outside = addresses.to_vec();
        if is_told {
            end.inside = addresses.to_vec();
            self.interface_changed(attachment);
        }
        self.note_owners();
    }

    fn rebind(&mut self, name: &str, addresses: &[IpAddr]) {
        let nat = self.description.nats.iter().position(|nat| nat.name == name);
        let nat = nat.expect("the NAT was checked to exist");
        self.nats[nat].forget_all();
        if !addresses.is_empty() {
            let link = self.description.links.iter().position(|link| link.lower == name);
            let link = link.expect("a NAT was checked to have an outside");
            let end = &mut self.ends[Attachment { link, end: End::Lower }.index()];
            (end.inside, end.outside) = (addresses.to_vec(), addresses.to_vec());
            self.note_owners();
        }
    }

    fn set(&mut self, name: &str, direction: Option<Direction>, changes: &[Change]) {
        let link = self.link_place(name);
        for (way, pipe) in [(Direction::Up, link * 2), (Direction::Down, link * 2 + 1)] {
            if direction.is_none_or(|direction| direction == way) {
                for change in changes {
                    self.pipes[pipe].change(change, self.now);
                }
            }
        }
    }

    fn link_place(&self, name: &str) -> usize {
        let place = self.description.links.iter().position(|link| link.name == name);
        place.expect("the link was checked to exist")
    }

    fn interface_changed(&mut self, attachment: Attachment) {
        let (at, interface) = (self.now, InterfaceId(attachment));
        self.output.push_back(Output::InterfaceChanged { at, interface });
    }
}
