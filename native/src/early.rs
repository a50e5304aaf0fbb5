//! Saying something before the handshake is complete (0-RTT), where a session can be resumed.
//!
//! Whoever records what is said early can say it again, so nothing is but what JavaScript marks, and that on two-way
//! streams alone; everything else waits for the handshake. A peer that takes no early data has seen none of it: then what
//! was asked of these streams is asked again, in the same order, once the handshake is complete.
#![forbid(unsafe_code)]

use iroh::{
    Endpoint, EndpointAddr,
    endpoint::{ConnectError, ConnectOptions, Connection, OutgoingZeroRttConnection, ZeroRttStatus},
};

use crate::{commands::HowToOpen, link::Link, runtime::with, world::World};

/// What a connection of this side has to do with early data, until its handshake is complete.
#[derive(Debug, Default)]
pub struct Early {
    /// Streams that were opened early, in this order.
    pub streams: Vec<u32>,
    /// Streams that wait.
    pub later: Vec<(u32, HowToOpen)>,
}

/// Connects, with early data if there is a session to resume.
///
/// # Errors
///
/// As `Endpoint::connect`; with early data what goes wrong with the handshake is told as the end of the connection.
pub async fn connect(endpoint: &Endpoint, address: EndpointAddr, alpn: &[u8]) -> Result<Link, ConnectError> {
    let connecting = endpoint.connect_with_opts(address, alpn, ConnectOptions::new()).await?;
    match connecting.into_0rtt() {
        Ok(connection) => Ok(Link::Outgoing(connection)),
        Err(connecting) => Ok(Link::Full(connecting.await?)),
    }
}

/// Waits for the handshake of a connection that began early.
pub async fn complete(handle: u32, connection: OutgoingZeroRttConnection) {
    let (full, repeat) = match connection.handshake_completed().await {
        Ok(ZeroRttStatus::Accepted(full)) => (full, false),
        Ok(ZeroRttStatus::Rejected(full)) => (full, true),
        Err(_) => {
            connection.close(0_u32.into(), b"the handshake failed");
            return;
        }
    };
    with(|world| world.confirm(handle, full, repeat));
}

impl World {
    fn confirm(&mut self, handle: u32, connection: Connection, repeat: bool) {
        let Some(Early { streams, later }) = self.completed(handle, connection) else { return };
        for stream in streams {
            if repeat {
                self.repeat_stream(handle, stream);
            } else {
                self.keep_stream(stream);
            }
        }
        for (stream, how) in later {
            self.begin_stream(handle, stream, how);
        }
    }
}
