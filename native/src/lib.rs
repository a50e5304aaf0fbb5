//! The native door of `@moosicbox/p2p` to iroh: functions that take numbers, texts and bytes, and return at once. What
//! takes time is answered by records (see [`records`]), which JavaScript drains when its bell rings.
//!
//! Every function takes a context first, which `open_context` has given to the same thread. Functions on handles return
//! false when the handle is over; what is no handle, context or value at all is an error. No argument is an object, so
//! that no code of JavaScript runs between looking at one argument and the next.

// The Node-API hands texts over as strings of ours.
#![allow(clippy::needless_pass_by_value)]

pub mod admission;
pub mod batch;
pub mod commands;
pub mod connection;
pub mod context;
pub mod endpoint;
pub mod failure;
pub mod handles;
pub mod knocking;
pub mod records;
pub mod relays;
pub mod runtime;
pub mod settings;
pub mod shares;
pub mod stream;
pub mod world;

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use bytes::Bytes;
use iroh::{
    EndpointAddr, EndpointId, SecretKey, TransportAddr,
    endpoint::{Connection, SendDatagramError, VarInt},
};
use napi::{Env, Error, Result, Status, bindgen_prelude::{Function, Uint8ArraySlice}};
use napi_derive::napi;
use rustc_hash::FxHashMap;

use crate::{
    admission::Access,
    commands::{Command, SendOp},
    context::{Context, lock},
    handles::Kind,
    records::MIN_SCRATCH_BYTES,
    runtime::post,
    settings::Settings,
};

/// Set in what `drain` returns when there is more.
const MORE: u32 = 1 << 31;

/// As many handles are reserved at a time.
const MAX_RESERVED: usize = 1024;

/// Any code and a reason of this size fit into the smallest packet; noq 1.4.0 panics over a reason that does not fit
/// beside a code above 2^14, as it sets too little aside for that.
const MAX_REASON_BYTES: usize = 1024;

thread_local! {
    /// The contexts of this thread: no other can use them.
    static CONTEXTS: RefCell<FxHashMap<u32, Arc<Context>>> = RefCell::default();
    /// Whether the end of this thread's environment will be noticed.
    static HOOKED: Cell<bool> = const { Cell::new(false) };
}

fn no_context() -> Error {
    invalid("there is no such context")
}

fn invalid(why: impl Into<String>) -> Error {
    Error::new(Status::InvalidArg, why.into())
}

fn find(context: u32) -> Result<Arc<Context>> {
    // In an environment that is being torn down the map may be gone already.
    CONTEXTS
        .try_with(|contexts| contexts.borrow().get(&context).cloned())
        .ok()
        .flatten()
        .ok_or_else(no_context)
}

/// Sends a command about a handle, if it is alive.
fn send_to(context: u32, handle: u32, kind: Kind, command: Command) -> Result<bool> {
    let context = find(context)?;
    Ok(post().with_inbox(|inbox| {
        let alive = inbox.handles.holds(handle, kind, context.id);
        if alive {
            inbox.send(command);
        }
        alive
    }))
}

fn code_of(code: f64) -> Result<VarInt> {
    // Whole numbers up to 2^53 are exact; the check makes the conversion so.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::float_cmp)]
    let whole = code as u64;
    #[allow(clippy::cast_precision_loss, clippy::float_cmp)]
    let exact = whole as f64 == code && code < 9_007_199_254_740_992.0;
    if !exact {
        return Err(invalid("a code is a whole number from 0 to 2^53 - 1"));
    }
    VarInt::from_u64(whole).map_err(|_| invalid("a code is below 2^62"))
}

fn peer_of(bytes: &[u8]) -> Result<EndpointId> {
    let bytes = <&[u8; 32]>::try_from(bytes).map_err(|_| invalid("an id has 32 bytes"))?;
    EndpointId::from_bytes(bytes).map_err(|_| invalid("these 32 bytes are no id"))
}

fn ids_of(bytes: &[u8]) -> Result<impl Iterator<Item = [u8; 32]>> {
    let (ids, rest) = bytes.as_chunks::<32>();
    if rest.is_empty() { Ok(ids.iter().copied()) } else { Err(invalid("an id has 32 bytes")) }
}

/// The version of this addon, and of the iroh it was built with.
#[napi(catch_unwind)]
#[must_use]
pub fn version() -> String {
    format!("{} iroh/1.4.1", env!("CARGO_PKG_VERSION"))
}

/// How many handles are alive in the process, in all contexts.
#[napi(catch_unwind)]
#[must_use]
pub fn live_handles() -> u32 {
    u32::try_from(post().inbox().handles.live()).unwrap_or(u32::MAX)
}

/// Opens a context; `bell` is called, without arguments, when there are records to drain.
///
/// # Errors
///
/// When the system gives no thread.
#[napi(catch_unwind)]
pub fn open_context(env: Env, bell: Function<'_, (), ()>) -> Result<u32> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    runtime::start().map_err(|why| Error::from_reason(format!("no thread can be started: {why}")))?;
    let bell = bell
        .build_threadsafe_function::<()>()
        .weak::<true>()
        .callee_handled::<false>()
        .build_callback(|_| Ok(()))?;
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let context = Arc::new(Context::new(id, bell));
    // One for all contexts of the thread, as napi never frees those that are removed.
    if !HOOKED.replace(true) {
        env.add_env_cleanup_hook((), |()| {
            let contexts = CONTEXTS.try_with(RefCell::take).unwrap_or_default();
            for context in contexts.values() {
                end(context);
            }
            let _ = HOOKED.try_with(|hooked| hooked.set(false));
        })?;
    }
    CONTEXTS.with_borrow_mut(|contexts| contexts.insert(id, context));
    Ok(id)
}

fn end(context: &Context) {
    context.close();
    post().send(Command::CloseContext { context: context.id });
}

/// Closes a context and all that was opened in it.
///
/// # Errors
///
/// When there is none.
#[napi(catch_unwind)]
pub fn close_context(context: u32) -> Result<()> {
    let context = CONTEXTS.with_borrow_mut(|contexts| contexts.remove(&context)).ok_or_else(no_context)?;
    end(&context);
    Ok(())
}

/// Whether the context keeps the process alive.
///
/// # Errors
///
/// When there is no such context.
#[napi(catch_unwind)]
pub fn keep_alive(env: Env, context: u32, alive: bool) -> Result<()> {
    find(context)?.keep_alive(&env, alive)
}

/// Moves records to `scratch`: how many bytes they take, and the highest bit if there are more.
///
/// # Errors
///
/// When there is no such context, or `scratch` is too small.
#[napi(catch_unwind)]
pub fn drain(context: u32, mut scratch: Uint8ArraySlice<'_>) -> Result<u32> {
    let context = find(context)?;
    // SAFETY: nothing else looks at this memory until the call returns: JavaScript of this thread does not run in it,
    // and the door hands in memory of its own, which it shares with no other thread.
    let scratch = unsafe { scratch.as_mut() };
    if scratch.len() < MIN_SCRATCH_BYTES {
        return Err(invalid("the scratch memory is too small"));
    }
    let end = scratch.len().min(1 << 30);
    let (used, more) = context.drain(&mut scratch[..end]);
    let used = u32::try_from(used).unwrap_or(0);
    Ok(if more { used | MORE } else { used })
}

/// Has the bell rung again, after what else waits to be done.
///
/// # Errors
///
/// When there is no such context.
#[napi(catch_unwind)]
pub fn ring_again(context: u32) -> Result<()> {
    let context = find(context)?;
    post().send(Command::Ring { context });
    Ok(())
}

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

/// The protocols to accept, each after a byte with its length.
///
/// # Errors
///
/// When the lengths do not fit, or there is no such context.
#[napi(catch_unwind)]
pub fn set_alpns(context: u32, endpoint: u32, alpns: &[u8]) -> Result<bool> {
    let mut list = Vec::new();
    let mut rest = alpns;
    while let Some((length, after)) = rest.split_first() {
        let (alpn, after) = after
            .split_at_checked(usize::from(*length))
            .filter(|(alpn, _)| !alpn.is_empty())
            .ok_or_else(|| invalid("a protocol has 1 to 255 bytes"))?;
        list.push(alpn.to_vec());
        rest = after;
    }
    let context = find(context)?;
    let set = endpoint::look(&context, endpoint, |shared| {
        shared.admission.serve(!list.is_empty());
        shared.endpoint.set_alpns(list);
    });
    Ok(set.is_some())
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

/// Connects to a peer at `addresses`, lines of `direct ip:port` and `relay url`; answered under `token` with a handle.
///
/// # Errors
///
/// When the peer is no id, an address none, the protocol empty, or there is no such context.
#[napi(catch_unwind)]
pub fn connect(context: u32, token: u32, endpoint: u32, peer: &[u8], alpn: &[u8], addresses: String) -> Result<()> {
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
    post().send(Command::Connect { context, token, endpoint, with: Box::new((address, alpn)) });
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

/// Writes handles of streams that can be opened to `handles`, four bytes each, little-endian: how many.
///
/// # Errors
///
/// When there is no such context.
#[napi(catch_unwind)]
pub fn reserve(context: u32, mut handles: Uint8ArraySlice<'_>) -> Result<u32> {
    let context = find(context)?;
    // SAFETY: as in `drain`.
    let target = unsafe { handles.as_mut() };
    let mut inbox = post().inbox();
    let mut count = 0;
    for word in target.as_chunks_mut::<4>().0.iter_mut().take(MAX_RESERVED) {
        let Some(handle) = inbox.handles.allocate(Kind::Reserved, context.id) else { break };
        *word = handle.to_le_bytes();
        count += 1;
    }
    Ok(count)
}

/// Does what the first `used` bytes of a batch ask for; see [`batch`].
///
/// # Errors
///
/// When the batch makes no sense somewhere, and then what comes before that is done; or there is no such context.
#[napi(catch_unwind)]
pub fn submit(context: u32, batch: &[u8], used: u32) -> Result<()> {
    let context = find(context)?;
    let batch = usize::try_from(used).ok().and_then(|used| batch.get(..used));
    let batch = batch.ok_or_else(|| invalid("the batch is longer than its memory"))?;
    post().with_inbox(|inbox| batch::submit(&context, inbox, batch)).map_err(invalid)
}

/// Sends bytes on a stream, outside of a batch; `Drained` tells when the transport has taken them if `tell`.
///
/// # Errors
///
/// When there is no such context.
#[napi(catch_unwind)]
pub fn write(context: u32, stream: u32, bytes: &[u8], tell: bool) -> Result<bool> {
    let chunk = Bytes::copy_from_slice(bytes);
    send_to(context, stream, Kind::Stream, Command::Send { stream, op: SendOp::Write { chunk, tell } })
}
