//! Who shakes hands at the moment, and from where.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use iroh::endpoint::IncomingAddr;
use rustc_hash::FxHashMap;

use crate::settings::Settings;

/// Where an attempt comes from, as far as attempts from there are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// An address of IPv4, or a network of 64 bits of IPv6, of which whoever has one has all addresses.
    Network([u8; 8]),
    /// Somebody whom a relay knows by this id.
    Relayed([u8; 32]),
    /// Anything else.
    Elsewhere,
}

impl Caller {
    /// Whether it is a loopback address.
    #[must_use]
    pub fn is_this_machine(&self) -> bool {
        // Of IPv6 it is the network of `::1`, of which no other address is anybody's (RFC 4291, 2.4).
        matches!(self, Self::Network([0, 4, 0, 0, 127, ..] | [0, 0, 0, 0, 0, 0, 0, 0]))
    }
}

impl From<IpAddr> for Caller {
    fn from(address: IpAddr) -> Self {
        let octets = match address.to_canonical() {
            // 0::/8 is nobody's, so that no network of IPv6 is taken for one of these.
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                [0, 4, 0, 0, a, b, c, d]
            }
            IpAddr::V6(address) => {
                let mut network = [0; 8];
                network.copy_from_slice(&address.octets()[..8]);
                network
            }
        };
        Self::Network(octets)
    }
}

impl From<&IncomingAddr> for Caller {
    fn from(address: &IncomingAddr) -> Self {
        match address {
            IncomingAddr::Ip(address) => Self::from(address.ip()),
            IncomingAddr::Relay { endpoint_id, .. } => Self::Relayed(*endpoint_id.as_bytes()),
            _ => Self::Elsewhere,
        }
    }
}

/// Handshakes that are under way.
#[derive(Debug)]
pub struct Knocking {
    all: u32,
    by_caller: FxHashMap<Caller, u32>,
    max: u32,
    max_per_caller: u32,
}

impl Knocking {
    /// As the settings say.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            all: 0,
            by_caller: FxHashMap::default(),
            max: settings.max_handshakes,
            max_per_caller: settings.max_handshakes_per_address,
        }
    }

    fn of(&self, caller: &Caller) -> u32 {
        self.by_caller.get(caller).copied().unwrap_or_default()
    }

    /// Whether one more can be taken up. An address that may be made up is not held against its owner.
    #[must_use]
    pub fn has_room(&self, caller: &Caller, validated: bool) -> bool {
        self.all < self.max && !(validated && self.of(caller) >= self.max_per_caller)
    }

    /// Whether addresses must be shown to be real first, at the price of a round trip: when half of all places are taken,
    /// or half of those of this address.
    #[must_use]
    pub fn is_busy(&self, caller: &Caller) -> bool {
        self.all >= self.max / 2 || self.of(caller) >= self.max_per_caller.div_ceil(2)
    }

    /// One more.
    pub fn begin(&mut self, caller: Caller) {
        self.all += 1;
        *self.by_caller.entry(caller).or_default() += 1;
    }

    /// One fewer.
    pub fn end(&mut self, caller: &Caller) {
        self.all = self.all.saturating_sub(1);
        if let Some(count) = self.by_caller.get_mut(caller) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_caller.remove(caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Caller, Knocking};
    use crate::settings::Settings;
    use std::net::IpAddr;

    fn caller(text: &str) -> Caller {
        Caller::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn a_network_of_ipv6_is_one_caller_and_an_address_of_ipv4_is() {
        assert_eq!(caller("2001:db8:1:2::1"), caller("2001:db8:1:2:ffff::9"));
        assert_ne!(caller("2001:db8:1:2::1"), caller("2001:db8:1:3::1"));
        assert_ne!(caller("192.0.2.1"), caller("192.0.2.2"));
        assert_eq!(caller("192.0.2.1"), caller("::ffff:192.0.2.1"));
        assert_ne!(caller("0.0.0.1"), caller("::1"));
    }

    #[test]
    fn what_is_over_leaves_nothing_behind() {
        let mut knocking = Knocking::new(&Settings::default());
        for _ in 0..3 {
            knocking.begin(caller("192.0.2.1"));
        }
        for _ in 0..3 {
            knocking.end(&caller("192.0.2.1"));
        }
        assert_eq!((knocking.all, knocking.by_caller.len()), (0, 0));
    }
}
