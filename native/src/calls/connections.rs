//! Connections: their end, paths and counts, and datagrams.

use bytes::Bytes;
use iroh::{
    TransportAddr,
    endpoint::{Connection, SendDatagramError},
};
use napi::Result;
use napi_derive::napi;

use super::{code_of, find, invalid, send_to};
use crate::{commands::Command, context::lock, handles::Kind};

/// Any code and a reason of this size fit into the smallest packet; noq 1.4.0 panics over a reason that does not fit
/// beside a code above 2^14, as it sets too little aside for that.
const MAX_REASON_BYTES: usize = 1024;

/// Closes a connection and forgets it and its streams.
///
/// # Errors
///
/// When the code is none, the reason has more than 1024 bytes, or there is no such context.
#[napi(catch_unwind)]
pub fn close_connection(context: u32, connection: u32, code: f64, reason: &[u8]) -> Result<bool> {
    if reason.len() > MAX_REASON_BYTES {
        return Err(invalid("a reason has at most 1024 bytes"));
    }
    let reason = Bytes::copy_from_slice(reason);
    let code = code_of(code)?;
    send_to(context, connection, Kind::Connection, Command::CloseConnection { connection, code, reason })
}

/// From now on changes of paths are told.
///
/// # Errors
///
/// When there is no such context.
#[napi(catch_unwind)]
pub fn watch_paths(context: u32, connection: u32) -> Result<bool> {
    send_to(context, connection, Kind::Connection, Command::WatchPaths { connection })
}

/// Looks at a connection from a thread of JavaScript.
fn look<R>(context: u32, connection: u32, look: impl FnOnce(&Connection) -> R) -> Result<Option<R>> {
    let context = find(context)?;
    let connections = lock(&context.connections);
    Ok(connections.get(&connection).and_then(iroh::endpoint::WeakConnectionHandle::upgrade).as_ref().map(look))
}

/// The open paths of a connection: lines of kind, remote, `selected` or `spare`, smoothed round-trip time in
/// microseconds.
///
/// # Errors
///
/// When there is no such context.
#[napi(catch_unwind)]
pub fn paths(context: u32, connection: u32) -> Result<String> {
    let lines = look(context, connection, |connection| {
        let mut lines = String::new();
        for path in &connection.paths() {
            let (kind, remote) = match path.remote_addr() {
                TransportAddr::Relay(url) => ("relay", url.to_string()),
                TransportAddr::Ip(address) => ("direct", address.to_string()),
                _ => continue,
            };
            let selected = if path.is_selected() { "selected" } else { "spare" };
            let line = [kind, &remote, selected, &path.rtt().as_micros().to_string()].join(" ");
            lines.push_str(&line);
            lines.push('\n');
        }
        lines
    })?;
    Ok(lines.unwrap_or_default())
}

/// Counts of a connection: packets sent, bytes sent, packets lost, bytes lost, UDP datagrams received, bytes received;
/// empty when it is over.
///
/// # Errors
///
/// When there is no such context.
#[napi(catch_unwind)]
pub fn stats(context: u32, connection: u32) -> Result<Vec<f64>> {
    let counts = look(context, connection, |connection| {
        let stats = connection.stats();
        let counts = [
            stats.sent_packets,
            stats.sent_bytes,
            stats.lost_packets,
            stats.lost_bytes,
            stats.udp_rx.datagrams,
            stats.udp_rx.bytes,
        ];
        // Exact up to 2^53.
        #[allow(clippy::cast_precision_loss)]
        counts.map(|count| count as f64).to_vec()
    })?;
    Ok(counts.unwrap_or_default())
}

/// The largest datagram that the path carries now; 0 when there is none.
///
/// # Errors
///
/// When there is no such context.
#[napi(catch_unwind)]
pub fn max_datagram_size(context: u32, connection: u32) -> Result<u32> {
    let size = look(context, connection, Connection::max_datagram_size)?.flatten();
    Ok(size.and_then(|size| u32::try_from(size).ok()).unwrap_or(0))
}

/// Sends a datagram, which may be lost: 0 when it is on its way, 1 when the connection is over, 2 when it is too large, 3
/// when the peer takes none.
///
/// # Errors
///
/// When there is no such context.
#[napi(catch_unwind)]
pub fn send_datagram(context: u32, connection: u32, bytes: &[u8]) -> Result<u32> {
    let bytes = Bytes::copy_from_slice(bytes);
    let sent = look(context, connection, |connection| match connection.send_datagram(bytes) {
        Ok(()) => 0,
        Err(SendDatagramError::TooLarge) => 2,
        Err(SendDatagramError::UnsupportedByPeer | SendDatagramError::Disabled) => 3,
        Err(SendDatagramError::ConnectionLost(_)) => 1,
    })?;
    Ok(sent.unwrap_or(1))
}
