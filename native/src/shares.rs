//! What a connection may make this side hold: a share of what the node holds for all, which gets smaller in steps as more
//! connections are in, so that many connections do not add up to more memory than one.
#![forbid(unsafe_code)]

use crate::settings::Settings;

/// The least that a connection may have under way; below, nothing would move.
const MIN_WINDOW: u64 = 65_536;

/// The fewest streams of each kind that a connection may have open.
const MIN_STREAMS: u32 = 8;

/// What there is to share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    max_streams: u32,
    max_streams_per_peer: u32,
    max_streams_in_all: u32,
    window: u64,
    bytes_in_all: u64,
}

/// What one connection may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Streams of each kind that the peer may have open.
    pub streams: u32,
    /// Bytes under way over all streams; and as many again that wait for JavaScript.
    pub window: u64,
}

impl Shares {
    /// As the settings say.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            max_streams: settings.max_streams.get(),
            max_streams_per_peer: settings.max_streams_per_peer,
            max_streams_in_all: settings.max_streams_in_all,
            window: settings.receive_window.into_inner(),
            bytes_in_all: settings.max_receive_bytes,
        }
    }

    /// The share of each connection while there are `all`, of which `of_peer` are with the same peer. It changes only
    /// when one of these passes a power of two: whoever is in already need not be told more often.
    #[must_use]
    pub fn of(&self, all: u32, of_peer: u32) -> Share {
        let (all, of_peer) = (step(all), step(of_peer));
        let streams = (self.max_streams_per_peer / of_peer).min(self.max_streams_in_all / all);
        // Half of it is for what is under way, half for what waits.
        let window = self.bytes_in_all / 2 / u64::from(all);
        Share {
            streams: streams.max(MIN_STREAMS).min(self.max_streams),
            window: window.max(MIN_WINDOW).min(self.window),
        }
    }
}

/// The power of two that stands for a number of connections.
#[must_use]
pub fn step(count: u32) -> u32 {
    count.clamp(1, 1 << 31).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::{MIN_STREAMS, MIN_WINDOW, Share, Shares};
    use crate::settings::Settings;

    const MIB: u64 = 1_048_576;

    #[test]
    fn one_connection_has_all_that_a_connection_may_have() {
        let shares = Shares::new(&Settings::default());
        assert_eq!(shares.of(1, 1), Share { streams: 1024, window: 64 * MIB });
        assert_eq!(shares.of(0, 0), shares.of(1, 1));
    }

    #[test]
    fn together_they_have_no_more_than_there_is() {
        let settings = Settings::default();
        let shares = Shares::new(&settings);
        for all in [1, 2, 3, 5, 100, 1000, 4000] {
            let Share { streams, window } = shares.of(all, 1);
            assert!(u64::from(all) * window * 2 <= settings.max_receive_bytes, "{all}");
            assert!(all * streams <= settings.max_streams_in_all, "{all}");
        }
        for of_peer in [1, 3, 25, 100] {
            assert!(of_peer * shares.of(of_peer, of_peer).streams <= settings.max_streams_per_peer, "{of_peer}");
        }
    }

    #[test]
    fn nobody_is_left_with_nothing() {
        let shares = Shares::new(&Settings::default());
        let least = shares.of(u32::MAX, u32::MAX);
        assert_eq!(least, Share { streams: MIN_STREAMS, window: MIN_WINDOW });
    }

    #[test]
    fn what_is_set_lower_stays_lower() {
        let settings = Settings { max_streams: 3.try_into().unwrap(), receive_window: 5_u32.into(), ..Settings::default() };
        assert_eq!(Shares::new(&settings).of(1, 1), Share { streams: 3, window: 5 });
    }

    #[test]
    fn it_changes_with_powers_of_two_alone() {
        let shares = Shares::new(&Settings::default());
        assert_eq!(shares.of(65, 3), shares.of(128, 4));
        assert_ne!(shares.of(64, 3), shares.of(65, 3));
    }
}
