//! Where a 4.0 client wants to be called: universal addresses.
//! <https://www.rfc-editor.org/rfc/rfc5665#section-5.2.3>,
//! <https://www.rfc-editor.org/rfc/rfc7530#section-2.2.1>

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where to call a client, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The client's callback service.
    pub address: SocketAddr,
    /// The server's address that the client knows.
    pub source: IpAddr,
}

impl Endpoint {
    /// The endpoint of a client that calls from `peer` and is reached at `local`. `None` if the
    /// address is none, or another machine's: anybody may send SETCLIENTID, and the server is not
    /// to be sent to connect to third parties on their behalf.
    pub fn new(netid: &[u8], address: &[u8], peer: IpAddr, local: IpAddr) -> Option<Self> {
        let address = parse(netid, address)?;
        (address.ip() == peer.to_canonical()).then_some(Self {
            address,
            source: local.to_canonical(),
        })
    }
}

/// An address of TCP: `h1.h2.h3.h4.p1.p2` of netid `tcp`, `x1:x2:x3:x4:x5:x6:x7:x8.p1.p2` of
/// netid `tcp6`.
fn parse(netid: &[u8], address: &[u8]) -> Option<SocketAddr> {
    let address = std::str::from_utf8(address).ok()?;
    let mut parts = address.rsplitn(3, '.');
    let (low, high, host) = (parts.next()?, parts.next()?, parts.next()?);
    let port = u16::from_be_bytes([octet(high)?, octet(low)?]);
    let ip = match netid {
        b"tcp" => IpAddr::V4(host.parse::<Ipv4Addr>().ok()?),
        b"tcp6" => IpAddr::V6(host.parse::<Ipv6Addr>().ok()?).to_canonical(),
        _ => return None,
    };
    let nowhere = match ip {
        IpAddr::V4(ip) => ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unspecified() || ip.is_multicast(),
    };
    (port != 0 && !nowhere).then_some(SocketAddr::new(ip, port))
}

/// A number without sign and leading zeros.
fn octet(digits: &str) -> Option<u8> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let padded = digits.len() > 1 && digits.starts_with('0');
    (plain && !padded).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_either_family_are_read() {
        let at = |netid: &str, address: &str| parse(netid.as_bytes(), address.as_bytes());
        assert_eq!(
            at("tcp", "10.1.2.3.8.1"),
            Some("10.1.2.3:2049".parse().unwrap())
        );
        assert_eq!(
            at("tcp6", "2001:db8::7.8.1"),
            Some("[2001:db8::7]:2049".parse().unwrap())
        );
        assert_eq!(
            at("tcp6", "::ffff:10.1.2.3.0.111"),
            Some("10.1.2.3:111".parse().unwrap())
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for (netid, address) in [
            ("udp", "10.1.2.3.8.1"),
            ("tcp", ""),
            ("tcp", "10.1.2.3"),
            ("tcp", "10.1.2.3.8"),
            ("tcp", "10.1.2.3.8.256"),
            ("tcp", "10.1.2.3.8.+1"),
            ("tcp", "10.1.2.3.8.01"),
            ("tcp", "10.1.2.3.8."),
            ("tcp", "10.1.2.03.8.1"),
            ("tcp", "host.8.1"),
            ("tcp", "10.1.2.3.0.0"),
            ("tcp", "0.0.0.0.0.0"),
            ("tcp", "0.0.0.0.8.1"),
            ("tcp", "224.0.0.1.8.1"),
            ("tcp", "255.255.255.255.8.1"),
            ("tcp", "2001:db8::7.8.1"),
            ("tcp6", "10.1.2.3.8.1"),
            ("tcp6", "fe80::1%eth0.8.1"),
            ("tcp6", "::.8.1"),
            ("tcp6", "ff02::1.8.1"),
        ] {
            let parsed = parse(netid.as_bytes(), address.as_bytes());
            assert_eq!(parsed, None, "{netid} {address}");
        }
        assert_eq!(parse(b"tcp", b"10.1.2.3.8.\xff"), None);
    }

    #[test]
    fn only_the_machine_that_asks_is_called() {
        let [peer, local, mapped] =
            ["10.1.2.3", "10.0.0.1", "::ffff:10.1.2.3"].map(|ip| ip.parse().unwrap());
        let found = Endpoint::new(b"tcp", b"10.1.2.3.8.1", peer, local);
        assert!(found.is_some());
        assert_eq!(Endpoint::new(b"tcp", b"10.1.2.3.8.1", mapped, local), found);
        assert_eq!(Endpoint::new(b"tcp", b"127.0.0.1.8.1", peer, local), None);
        assert_eq!(Endpoint::new(b"tcp", b"10.1.2.4.8.1", peer, local), None);
    }
}
