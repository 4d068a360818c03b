//! Whose a connection is: what its certificate says, and before that, or without one, the address that it comes from.

use std::net::{IpAddr, Ipv6Addr};

use crate::identity::Identity;

/// Where somebody calls from: whoever has one address of IPv6 has all of its network of 64 bits.
pub(super) type Source = IpAddr;

/// The address, as far as it tells one from another.
pub(super) fn source(address: IpAddr) -> Source {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// Whose connections are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    /// Somebody who has shown no certificate.
    Stranger(Source),
    /// Somebody of ours.
    Ours(Identity),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let of = |text: &str| source(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
