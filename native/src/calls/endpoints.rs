//! Endpoints: what they are opened with, who may come in, what is known about them; and connecting.

use std::net::SocketAddr;

use iroh::{EndpointAddr, SecretKey, TransportAddr};
use napi::Result;
use napi_derive::napi;

use super::{find, ids_of, invalid, peer_of, send_to};
use crate::{
    admission::Access,
    commands::{Attempt, Command},
    endpoint,
    handles::Kind,
    relays,
    runtime::post,
    settings::Settings,
};

/// Opens an endpoint; answered under `token` with its handle.
///
/// # Errors
///
/// When the key has not 32 bytes or a setting makes no sense.
#[napi(catch_unwind)]
pub fn bind(context: u32, token: u32, key: &[u8], settings: String) -> Result<()> {
    let key = <&[u8; 32]>::try_from(key).map_err(|_| invalid("a secret key has 32 bytes"))?;
    let key = SecretKey::from_bytes(key);
    let context = find(context)?;
    let settings = Settings::parse(&settings).map_err(invalid)?;
    post().send(Command::Bind { context, token, with: Box::new((key, settings)) });
    Ok(())
}

/// Closes an endpoint, within three seconds; answered under `token`.
///
/// # Errors
///
/// When there is no such context.
#[napi(catch_unwind)]
pub fn close_endpoint(context: u32, token: u32, endpoint: u32) -> Result<()> {
    let context = find(context)?;
    post().send(Command::CloseEndpoint { context, token, endpoint });
    Ok(())
}

/// Where an endpoint can be reached: lines `direct ip:port`, `relay url`, `bound ip:port`; empty when it is closed.
///
/// # Errors
///
/// When there is no such context.
#[napi(catch_unwind)]
pub fn endpoint_info(context: u32, endpoint: u32) -> Result<String> {
    let context = find(context)?;
    Ok(endpoint::look(&context, endpoint, |shared| endpoint::describe(&shared.endpoint)).unwrap_or_default())
}

/// The home relays of an endpoint: lines `state url why`, where the state is `attached`, `detached` or `denied`.
///
/// # Errors
///
/// When there is no such context.
#[napi(catch_unwind)]
pub fn home_relays(context: u32, endpoint: u32) -> Result<String> {
    let context = find(context)?;
    Ok(endpoint::look(&context, endpoint, |shared| relays::home_relays(&shared.endpoint)).unwrap_or_default())
}

/// What iroh has last found out about the network: lines of a name and a value; empty before the first time.
///
/// # Errors
///
/// When there is no such context.
#[napi(catch_unwind)]
pub fn network_report(context: u32, endpoint: u32) -> Result<String> {
    let context = find(context)?;
    Ok(endpoint::look(&context, endpoint, |shared| relays::network_report(&shared.endpoint)).unwrap_or_default())
}

/// Inbound connections that an endpoint has turned away so far.
///
/// # Errors
///
/// When there is no such context.
#[napi(catch_unwind)]
pub fn turned_away(context: u32, endpoint: u32) -> Result<u32> {
    let context = find(context)?;
    Ok(endpoint::look(&context, endpoint, |shared| shared.admission.turned_away()).unwrap_or_default())
}

/// The protocols to accept, and those of them with early data, each after a byte with its length.
///
/// # Errors
///
/// When the lengths do not fit, or there is no such context.
#[napi(catch_unwind)]
pub fn set_alpns(context: u32, endpoint: u32, alpns: &[u8], early: &[u8]) -> Result<bool> {
    let (list, early) = (protocols(alpns)?, protocols(early)?);
    let context = find(context)?;
    let set = endpoint::look(&context, endpoint, |shared| {
        shared.admission.serve(!list.is_empty(), early);
        shared.endpoint.set_alpns(list);
    });
    Ok(set.is_some())
}

fn protocols(packed: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut list = Vec::new();
    let mut rest = packed;
    while let Some((length, after)) = rest.split_first() {
        let (alpn, after) = after
            .split_at_checked(usize::from(*length))
            .filter(|(alpn, _)| !alpn.is_empty())
            .ok_or_else(|| invalid("a protocol has 1 to 255 bytes"))?;
        list.push(alpn.to_vec());
        rest = after;
    }
    Ok(list)
}

/// Who may connect: those in `allow`, or everybody if not `only_allowed`; never those in `deny`. 32 bytes each.
///
/// # Errors
///
/// When the ids have not 32 bytes each, or there is no such context.
#[napi(catch_unwind)]
pub fn set_access(context: u32, endpoint: u32, only_allowed: bool, allow: &[u8], deny: &[u8]) -> Result<bool> {
    let allow = ids_of(allow)?.collect();
    let access = Access { allow: only_allowed.then_some(allow), deny: ids_of(deny)?.collect() };
    let context = find(context)?;
    Ok(endpoint::look(&context, endpoint, |shared| shared.admission.set_access(access)).is_some())
}

/// How many may be connected, in all and from one peer; those who are connected stay.
///
/// # Errors
///
/// When there is no such context.
#[napi(catch_unwind)]
pub fn set_bounds(context: u32, endpoint: u32, connections: u32, connections_per_peer: u32) -> Result<bool> {
    let context = find(context)?;
    let set = endpoint::look(&context, endpoint, |shared| {
        shared.admission.set_bounds(connections, connections_per_peer);
    });
    Ok(set.is_some())
}

/// Adds or removes an address that the endpoint is known under elsewhere.
///
/// # Errors
///
/// When it is not `ip:port`, or there is no such context.
#[napi(catch_unwind)]
pub fn set_external_address(context: u32, endpoint: u32, address: String, add: bool) -> Result<bool> {
    let address: SocketAddr = address.parse().map_err(|_| invalid("an address is ip:port"))?;
    send_to(context, endpoint, Kind::Endpoint, Command::ExternalAddress { endpoint, address, add })
}

/// Adds a relay, as a setting names it, or removes the one at this URL.
///
/// # Errors
///
/// When it is none, or there is no such context.
#[napi(catch_unwind)]
pub fn set_relay(context: u32, endpoint: u32, relay: String, add: bool) -> Result<bool> {
    let relay = Box::new(relay.parse().map_err(|why: String| invalid(why))?);
    send_to(context, endpoint, Kind::Endpoint, Command::Relay { endpoint, with: relay, add })
}

/// Says that the network may have changed.
///
/// # Errors
///
/// When there is no such context.
#[napi(catch_unwind)]
pub fn network_change(context: u32, endpoint: u32) -> Result<bool> {
    send_to(context, endpoint, Kind::Endpoint, Command::NetworkChange { endpoint })
}

/// Connects to a peer at `addresses`, lines of `direct ip:port` and `relay url`; answered under `token` with a handle, and,
/// if it is so before the handshake is complete, as it may when `early`, with one byte.
///
/// # Errors
///
/// When the peer is no id, an address none, the protocol empty, or there is no such context.
#[napi(catch_unwind)]
pub fn connect(
    context: u32,
    token: u32,
    endpoint: u32,
    peer: &[u8],
    alpn: &[u8],
    addresses: String,
    early: bool,
) -> Result<()> {
    let peer = peer_of(peer)?;
    let alpn = alpn.to_vec();
    if alpn.is_empty() || alpn.len() > 255 {
        return Err(invalid("a protocol has 1 to 255 bytes"));
    }
    let mut list = Vec::new();
    for line in addresses.lines() {
        list.push(match line.split_once(' ') {
            Some(("direct", address)) => {
                TransportAddr::Ip(address.parse().map_err(|_| invalid("an address is ip:port"))?)
            }
            Some(("relay", url)) => TransportAddr::Relay(url.parse().map_err(|_| invalid("a relay is a URL"))?),
            _ => return Err(invalid("an address is direct or of a relay")),
        });
    }
    let context = find(context)?;
    let address = EndpointAddr::from_parts(peer, list);
    post().send(Command::Connect { context, token, endpoint, with: Box::new(Attempt { address, alpn, early }) });
    Ok(())
}

/// Gives up an attempt to connect.
///
/// # Errors
///
/// When there is no such context.
#[napi(catch_unwind)]
pub fn cancel(context: u32, token: u32) -> Result<()> {
    let context = find(context)?.id;
    post().send(Command::Cancel { context, token });
    Ok(())
}
