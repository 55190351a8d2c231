//! Checksums stay right, and no bytes panic.

use proptest::prelude::*;

use super::*;

#[test]
fn addresses_and_ports_change_and_all_checksums_stay_right() {
    for (source, destination, number) in [
        ("10.0.0.1:5000", "10.0.0.2:7", UDP),
        ("10.0.0.1:5000", "10.0.0.2:7", TCP),
        ("[2001:db8::1]:5000", "[2001:db8::2]:7", UDP),
        ("[2001:db8::1]:5000", "[2001:db8::2]:7", TCP),
    ] {
        let (source, destination) = (address(source), address(destination));
        let packet = read_one(&raw(source, destination, number)).expect("a packet");
        assert_eq!((packet.flow.source, packet.flow.destination), (source, destination));
        let is_v4 = source.is_ipv4();
        let new = address(if is_v4 { "203.0.113.77:40123" } else { "[2001:db8:ffff::9]:40123" });
        let flow = Flow { source: new, ..packet.flow };
        let bytes = write(Packet { flow, ..packet });
        assert_eq!(read_one(&bytes).map(|packet| packet.flow), Some(flow));
        assert_eq!(bytes, raw(new, destination, number), "as if sent so from the start");
    }
}

#[test]
fn echo_identifiers_are_translated() {
    let flow = Flow {
        protocol: Protocol::Echo,
        source: address("10.0.0.1:77"),
        destination: address("10.0.0.2:77"),
    };
    let packet = read_one(&echo(flow)).expect("a packet");
    assert_eq!(packet.flow, flow);
    let new =
        Flow { source: address("203.0.113.1:99"), destination: address("10.0.0.2:99"), ..flow };
    assert_eq!(write(Packet { flow: new, ..packet }), echo(new));
}

#[test]
fn too_big_quotes_the_packet_as_its_sender_knows_it() {
    for (source, destination) in
        [("10.0.0.1:5000", "10.0.0.2:7"), ("[2001:db8::1]:5000", "[2001:db8::2]:7")]
    {
        let sent = read_one(&raw(address(source), address(destination), UDP)).expect("a packet");
        let flow = sent.flow;
        let outside = address(if flow.source.is_ipv4() { "1.2.3.4:9" } else { "[2001:db8::7]:9" });
        // On its way it had another source; the error's way back undoes that.
        let translated = Packet { flow: Flow { source: outside, ..flow }, ..sent };
        let mut error = translated.too_big(1280).expect("an error");
        error.flow.destination.set_ip(flow.source.ip());
        error.quoted = Some(flow);
        let bytes = write(error.clone());
        let back = read_one(&bytes).expect("a packet");
        assert_eq!((back.flow, back.quoted), (error.flow, Some(flow)));
        // Summed with its checksum, what is right gives zero.
        let transport = if flow.source.is_ipv4() { 20 } else { 40 };
        let mut again = bytes.clone();
        sum_icmp(&mut again, transport, error.flow);
        assert_eq!(bytes, again);
    }
}

#[test]
fn later_fragments_follow_the_first() {
    let whole = raw(address("10.0.0.1:5000"), address("10.0.0.2:7"), UDP);
    let (mut first, mut later) = (whole.clone(), whole[..20].to_vec());
    (first[6], later[6], later[7]) = (0x20, 0, 3);
    later.extend([9; 30]);
    let mut fragments = Fragments::default();
    let flow = read(&first, &mut fragments).expect("a packet").flow;
    let packet = read(&later, &mut fragments).expect("a packet");
    assert_eq!((flow, flow.protocol), (packet.flow, Protocol::Udp));
    let new = Flow { source: address("203.0.113.1:99"), ..flow };
    let bytes = write(Packet { flow: new, ..packet });
    assert_eq!((&bytes[12..16], &bytes[20..]), (&[203, 0, 113, 1][..], &[9; 30][..]));
    assert_eq!(sum(&[&bytes[..20]]), sum(&[&later[..20]]), "the header's sum stays as it was");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120), version in 0_u8..2, number in 0_usize..5, port: u16) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = if version == 0 { 0x45 } else { 0x60 };
        }
        let at = if version == 0 { 9 } else { 6 };
        if let Some(byte) = bytes.get_mut(at) {
            *byte = [TCP, UDP, ICMP, ICMP6, 0][number];
        }
        if let Some(mut packet) = read_one(&bytes) {
            packet.flow.source.set_port(port);
            if let Some(quoted) = &mut packet.quoted {
                quoted.destination.set_port(port);
            }
            prop_assert_eq!(write(packet).len(), bytes.len());
        }
    }
}

fn read_one(bytes: &[u8]) -> Option<Packet> {
    read(bytes, &mut Fragments::default())
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// A whole packet with a payload of an odd length.
fn raw(source: SocketAddr, destination: SocketAddr, number: u8) -> Vec<u8> {
    let mut transport = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
    let sum_at = if number == UDP {
        transport.extend([0, 13, 0, 0]);
        6
    } else {
        transport.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
        16
    };
    transport.extend(b"hello");
    let mut pseudo = [octets(source.ip()), octets(destination.ip())].concat();
    pseudo.extend([0, number]);
    pseudo.extend((transport.len() as u16).to_be_bytes());
    let checksum = sum(&[&pseudo, &transport]);
    transport[sum_at..sum_at + 2].copy_from_slice(&checksum.to_be_bytes());
    [ip_header(source.ip(), destination.ip(), number, transport.len()), transport].concat()
}

fn echo(flow: Flow) -> Vec<u8> {
    let mut message = vec![8, 0, 0, 0];
    message.extend(flow.source.port().to_be_bytes());
    message.extend([0, 1, 2, 3]);
    let checksum = sum(&[&message]);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    [ip_header(flow.source.ip(), flow.destination.ip(), ICMP, message.len()), message].concat()
}

fn ip_header(source: IpAddr, destination: IpAddr, number: u8, payload: usize) -> Vec<u8> {
    if source.is_ipv6() {
        let mut header = vec![0x60, 0, 0, 0];
        header.extend((payload as u16).to_be_bytes());
        header.extend([number, 64]);
        header.extend([octets(source), octets(destination)].concat());
        return header;
    }
    let mut header = vec![0x45, 0];
    header.extend((20 + payload as u16).to_be_bytes());
    header.extend([0, 0, 0x40, 0, 64, number, 0, 0]);
    header.extend([octets(source), octets(destination)].concat());
    let checksum = sum(&[&header]);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    header
}
