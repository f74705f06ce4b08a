//! A network of addresses, as `192.0.2.0/24`: from where a key may be used.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The first of them; an IPv4 address in IPv6 clothes is an IPv4 address.
    first: IpAddr,
    /// How many leading bits they have in common.
    bits: u8,
}

/// Text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is no network: it is an address, or an address with \"/\" and a number of bits, as 192.0.2.0/24"
)]
pub struct InvalidNetwork {
    /// What was given, cut to 60 characters.
    pub given: String,
}

impl Network {
    /// Whether an address is in it.
    pub fn contains(self, address: IpAddr) -> bool {
        first_of(address.to_canonical(), self.bits) == Some(self.first)
    }
}

/// The address with all but its leading bits cleared; `None` when it has not as many. IPv4 addresses are never in an IPv6
/// network, nor the other way round, as the first addresses then differ in kind.
fn first_of(address: IpAddr, bits: u8) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(address) => {
            let cleared = 32_u8.checked_sub(bits)?;
            let mask = u32::MAX.checked_shl(u32::from(cleared)).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let cleared = 128_u8.checked_sub(bits)?;
            let mask = u128::MAX.checked_shl(u32::from(cleared)).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    })
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let read = || {
            let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
            let address: IpAddr = address.parse().ok()?;
            let bits = match bits {
                Some(bits) => bits.parse().ok()?,
                None if address.is_ipv4() => 32,
                None => 128,
            };
            Some(Self { first: first_of(address, bits)?, bits })
        };
        read().ok_or_else(|| InvalidNetwork { given: text.chars().take(60).collect() })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_a_network_by_its_leading_bits() {
        let inside = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse().unwrap())
        };
        assert!(inside("192.0.2.0/24", "192.0.2.255") && !inside("192.0.2.0/24", "192.0.3.0"));
        assert!(inside("192.0.2.77/24", "192.0.2.1"), "the rest of the address does not matter");
        assert!(inside("192.0.2.7", "192.0.2.7") && !inside("192.0.2.7", "192.0.2.6"));
        assert!(inside("192.0.2.7", "::ffff:192.0.2.7"), "one address in two spellings");
        assert!(inside("0.0.0.0/0", "203.0.113.9") && !inside("0.0.0.0/0", "::1"));
        assert!(inside("2001:db8::/32", "2001:db8:1::1") && !inside("2001:db8::/32", "192.0.2.1"));
        assert_eq!("192.0.2.77/24".parse::<Network>().unwrap().to_string(), "192.0.2.0/24");
    }

    #[test]
    fn what_names_no_network_is_refused() {
        for bad in
            ["", "desk", "192.0.2.0/33", "192.0.2/24", "192.0.2.0/", "192.0.2.0/-1", "::/129", "10.0.0.0/8/8"]
        {
            assert!(bad.parse::<Network>().is_err(), "{bad:?}");
        }
    }
}
