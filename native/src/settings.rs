//! What an endpoint is opened with: lines of text, `name value…`, so that no code of JavaScript runs while they are
//! read, as getters of an object would.
#![forbid(unsafe_code)]

use std::{net::SocketAddr, num::NonZeroU32, str::FromStr, time::Duration};

use iroh::endpoint::VarInt;

use crate::relays::Relay;

/// Which relays to be reachable through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relays {
    /// None; the port mapper is off too, and nobody is looked up.
    Disabled,
    /// iroh's own, with its look-up of ids.
    Default,
    /// These.
    Custom(Vec<Relay>),
}

/// The settings of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Exactly these sockets; none for all interfaces.
    pub bind: Vec<SocketAddr>,
    /// See [`Relays`].
    pub relays: Relays,
    /// Certificates of authorities, in DER, that may vouch for relays besides those that are built in.
    pub relay_roots: Vec<Vec<u8>>,
    /// A connection without a sign of life for this long is over.
    pub idle_timeout: Duration,
    /// How often each side says something when there is nothing to say.
    pub keep_alive: Duration,
    /// Streams of each kind that a peer may have open at a time, a connection.
    pub max_streams: NonZeroU32,
    /// The same over all connections of a peer, and over all connections.
    pub max_streams_per_peer: u32,
    /// See `max_streams_per_peer`.
    pub max_streams_in_all: u32,
    /// Bytes that a peer may have under way to this side, over all streams of a connection.
    pub receive_window: VarInt,
    /// Bytes that are under way or wait for JavaScript, over all inbound connections.
    pub max_receive_bytes: u64,
    /// Handshakes of inbound connections at a time.
    pub max_handshakes: u32,
    /// Of these, from one address; one of IPv6 is a network of 64 bits.
    pub max_handshakes_per_address: u32,
    /// Handshakes that one address may begin a second; without a word a default, and none for loopback addresses.
    pub max_handshakes_per_second: Option<u32>,
    /// Longest time for one of them.
    pub handshake_timeout: Duration,
    /// Inbound connections at a time, and from one peer.
    pub max_connections: u32,
    /// Inbound connections at a time from one peer.
    pub max_connections_per_peer: u32,
    /// The code that those turned away after the handshake are closed with.
    pub refuse_code: VarInt,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bind: Vec::new(),
            relays: Relays::Default,
            relay_roots: Vec::new(),
            idle_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(5),
            max_streams: NonZeroU32::new(1024).unwrap_or(NonZeroU32::MIN),
            max_streams_per_peer: 4096,
            max_streams_in_all: 65_536,
            receive_window: VarInt::from_u32(64 * 1024 * 1024),
            max_receive_bytes: 1024 * 1024 * 1024,
            max_handshakes: 256,
            max_handshakes_per_address: 64,
            max_handshakes_per_second: None,
            handshake_timeout: Duration::from_secs(10),
            max_connections: 100_000,
            max_connections_per_peer: 10_000,
            refuse_code: VarInt::from_u32(0),
        }
    }
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name} {value}: not a number that it could be"))
}

fn millis(name: &str, value: &str) -> Result<Duration, String> {
    let count: u32 = number(name, value)?;
    if count == 0 { Err(format!("{name} 0: must be above 0")) } else { Ok(Duration::from_millis(count.into())) }
}

fn var_int(name: &str, value: &str) -> Result<VarInt, String> {
    VarInt::from_u64(number(name, value)?).map_err(|_| format!("{name} {value}: above 2^62 - 1"))
}

fn bytes(name: &str, value: &str) -> Result<Vec<u8>, String> {
    let digits = value.as_bytes().chunks(2);
    let byte = |pair: &[u8]| match pair {
        &[high, low] => Some((char::from(high).to_digit(16)? << 4 | char::from(low).to_digit(16)?).to_le_bytes()[0]),
        _ => None,
    };
    digits.map(byte).collect::<Option<_>>().ok_or_else(|| format!("{name} {value}: not pairs of hex digits"))
}

impl Settings {
    /// Reads lines; what they leave out has its default.
    ///
    /// # Errors
    ///
    /// What is wrong with the first line that makes no sense.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut settings = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(' ').ok_or_else(|| format!("{line}: a setting without a value"))?;
            match name {
                "bind" => settings.bind.push(value.parse().map_err(|_| format!("bind {value}: not ip:port"))?),
                "relays" => {
                    settings.relays = match value {
                        "disabled" => Relays::Disabled,
                        "default" => Relays::Default,
                        _ => return Err(format!("relays {value}: neither disabled nor default")),
                    };
                }
                "relay" => settings.add_relay(value)?,
                "relay-root" => settings.relay_roots.push(bytes(name, value)?),
                "idle-timeout-ms" => settings.idle_timeout = millis(name, value)?,
                "keep-alive-ms" => settings.keep_alive = millis(name, value)?,
                "max-streams" => settings.max_streams = number(name, value)?,
                "max-streams-per-peer" => settings.max_streams_per_peer = number(name, value)?,
                "max-streams-in-all" => settings.max_streams_in_all = number(name, value)?,
                "max-receive-bytes" => settings.max_receive_bytes = number(name, value)?,
                "max-handshakes-per-address" => settings.max_handshakes_per_address = number(name, value)?,
                "max-handshakes-per-second" => settings.max_handshakes_per_second = Some(number(name, value)?),
                "receive-window-bytes" => settings.receive_window = var_int(name, value)?,
                "max-handshakes" => settings.max_handshakes = number(name, value)?,
                "handshake-timeout-ms" => settings.handshake_timeout = millis(name, value)?,
                "max-connections" => settings.max_connections = number(name, value)?,
                "max-connections-per-peer" => settings.max_connections_per_peer = number(name, value)?,
                "refuse-code" => settings.refuse_code = var_int(name, value)?,
                _ => return Err(format!("{name}: there is no such setting")),
            }
        }
        Ok(settings)
    }

    fn add_relay(&mut self, value: &str) -> Result<(), String> {
        let relay = value.parse()?;
        match &mut self.relays {
            Relays::Custom(list) => list.push(relay),
            relays => *relays = Relays::Custom(vec![relay]),
        }
        Ok(())
    }

    /// Whether no packet could leave the machine anyway.
    #[must_use]
    pub fn is_loopback_only(&self) -> bool {
        !self.bind.is_empty() && self.bind.iter().all(|address| address.ip().is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::{Relays, Settings};
    use std::time::Duration;

    #[test]
    fn nothing_said_is_all_defaults() {
        assert_eq!(Settings::parse("").unwrap(), Settings::default());
    }

    #[test]
    fn every_setting_is_read() {
        let text = "bind 127.0.0.1:0\nbind [::1]:7\nrelays disabled\nrelay-root 3fA0\nidle-timeout-ms 12\nkeep-alive-ms 3\nmax-streams 4\n\
            receive-window-bytes 5\nmax-handshakes 6\nhandshake-timeout-ms 7\nmax-connections 8\n\
            max-connections-per-peer 9\nrefuse-code 4294967297\nmax-streams-per-peer 10\nmax-streams-in-all 11\n\
            max-receive-bytes 12\nmax-handshakes-per-address 13\nmax-handshakes-per-second 14\n";
        let settings = Settings::parse(text).unwrap();
        assert_eq!(settings.bind.len(), 2);
        assert!(settings.is_loopback_only());
        assert_eq!(settings.relays, Relays::Disabled);
        assert_eq!(settings.relay_roots, [[0x3f, 0xa0]]);
        assert_eq!(settings.idle_timeout, Duration::from_millis(12));
        assert_eq!(settings.keep_alive, Duration::from_millis(3));
        assert_eq!(settings.max_streams.get(), 4);
        assert_eq!(settings.receive_window.into_inner(), 5);
        assert_eq!((settings.max_handshakes, settings.handshake_timeout.as_millis()), (6, 7));
        assert_eq!((settings.max_connections, settings.max_connections_per_peer), (8, 9));
        assert_eq!(settings.refuse_code.into_inner(), 0x1_0000_0001);
        assert_eq!((settings.max_streams_per_peer, settings.max_streams_in_all), (10, 11));
        assert_eq!((settings.max_receive_bytes, settings.max_handshakes_per_address), (12, 13));
        assert_eq!(settings.max_handshakes_per_second, Some(14));
    }

    #[test]
    fn relays_are_a_list() {
        let settings = Settings::parse("relay http://127.0.0.1:1/\nrelay https://r.example/ token=secret\n").unwrap();
        let Relays::Custom(relays) = settings.relays else { panic!() };
        let tokens: Vec<_> = relays.iter().map(|relay| relay.config().auth_token).collect();
        assert_eq!(tokens, [None, Some("secret".to_owned())]);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (text, words) in [
            ("bind localhost:1", "bind localhost:1: not ip:port"),
            ("relays off", "neither"),
            ("relay nowhere", "not a URL"),
            ("relay-root 3fA", "not pairs of hex digits"),
            ("relay-root 3g", "not pairs of hex digits"),
            ("idle-timeout-ms 0", "above 0"),
            ("idle-timeout-ms -1", "not a number"),
            ("max-streams 0", "not a number"),
            ("refuse-code 4611686018427387904", "above"),
            ("colour green", "no such setting"),
            ("bind", "without a value"),
        ] {
            let error = Settings::parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
