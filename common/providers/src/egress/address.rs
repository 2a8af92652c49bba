//! Which addresses belong to everybody's internet, and which to somebody's inside.
//!
//! By the IANA special-purpose registries <https://www.iana.org/assignments/iana-ipv4-special-registry> and
//! <https://www.iana.org/assignments/iana-ipv6-special-registry>. Addresses that carry an IPv4 address (mapped, NAT64,
//! 6to4) are what that one is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match a {
        0 | 10 | 127 => true,          // this network, private, loopback
        100 => (64..128).contains(&b), // carrier-grade NAT
        169 => b == 254,               // link-local, and the clouds' metadata
        172 => (16..32).contains(&b),  // private
        192 => {
            matches!((b, c), (0, 0 | 2) | (88, 99) | (168, _))
                || (b, c) == (31, 196)
                || (b, c) == (52, 193)
                || (b, c) == (175, 48)
        }
        198 => matches!(b, 18 | 19) || (b, c) == (51, 100), // benchmarks, documentation
        203 => (b, c) == (0, 113),                          // documentation
        168 => (b, c) == (63, 129),                         // Azure's wire server
        224.. => true,                                      // multicast, reserved, broadcast
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let s = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        [0, 0, 0, 0, 0, 0xffff, high, low] => embedded(high, low), // IPv4-mapped
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low), // NAT64
        [0x2002, high, low, ..] => embedded(high, low),            // 6to4
        [0x2001, second, ..] if second < 0x200 => false, // protocol assignments: Teredo, ORCHID, benchmarks
        [0x2001, 0xdb8, ..] => false,                    // documentation
        [0x3fff, second, ..] if second < 0x1000 => false, // documentation
        [first, ..] => (0x2000..0x4000).contains(&first), // all else that is not global unicast: not public
    }
}
