//! Endpoints: binding, accepting, connecting, relays.
#![forbid(unsafe_code)]

use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::{Arc, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use iroh::{
    Endpoint, RelayMap, RelayMode, SecretKey, Watcher,
    endpoint::{
        IdleTimeout, PortmapperConfig, QuicTransportConfig, VarInt, presets,
    },
    tls::CaTlsConfig,
};
use tokio::{task::AbortHandle, time::timeout};

use crate::{
    admission::Admission,
    commands::Attempt,
    context::{Context, SharedEndpoint, Token, lock},
    early,
    failure::{Failed, Failure},
    handles::Kind,
    hosting::Host,
    link::Link,
    records::RecordKind,
    relays::Relay,
    runtime::{free, post, with},
    settings::{Relays, Settings},
    shares::Share,
    world::World,
};

/// Longest time that an endpoint is given to say goodbye.
const CLOSE_TIME: Duration = Duration::from_secs(3);

/// Streams of each kind, and bytes, that a peer may send before it is known who it is.
const FIRST_STREAMS: u32 = 64;
const FIRST_WINDOW: u32 = 1_048_576;

/// One endpoint.
pub struct EndpointEntry {
    pub(crate) context: Arc<Context>,
    endpoint: Endpoint,
    /// What connections that this side has made may have.
    share: Share,
    tasks: [AbortHandle; 2],
}

/// An endpoint that is bound, and what goes with it.
struct Bound {
    endpoint: Endpoint,
    admission: Arc<Admission>,
    handshake_timeout: Duration,
    refuse_code: VarInt,
}

impl World {
    /// Opens an endpoint.
    pub(crate) fn bind(context: Arc<Context>, token: u32, (key, settings): (SecretKey, Settings)) {
        let promise = Token::new(Arc::clone(&context), token);
        tokio::spawn(async move {
            match bind(key, &settings).await {
                Ok(bound) => with(|world| world.add_endpoint(context, promise, bound)),
                Err(failed) => promise.failed(failed),
            }
        });
    }

    fn add_endpoint(&mut self, context: Arc<Context>, promise: Token, bound: Bound) {
        if context.is_closed() {
            tokio::spawn(async move { bound.endpoint.close().await });
            return;
        }
        let Some(handle) = post().inbox().handles.allocate(Kind::Endpoint, context.id) else {
            promise.failed(Failed::of(Failure::Handles));
            return;
        };
        let Bound { endpoint, admission, handshake_timeout, refuse_code } = bound;
        let share = admission.largest_share();
        let shared = SharedEndpoint { endpoint: endpoint.clone(), admission: Arc::clone(&admission) };
        lock(&context.endpoints).insert(handle, shared);
        let host = Host { handle, context: Arc::clone(&context), admission, handshake_timeout, refuse_code };
        let accepting = tokio::spawn(host.accept_all(endpoint.clone()));
        let watching = tokio::spawn(watch(endpoint.clone(), handle, Arc::clone(&context)));
        let tasks = [accepting.abort_handle(), watching.abort_handle()];
        self.endpoints.insert(handle, EndpointEntry { context, endpoint, share, tasks });
        promise.done(handle, Bytes::new());
    }

    /// Closes an endpoint, within bounds.
    pub(crate) fn close_endpoint(&mut self, context: Arc<Context>, token: u32, endpoint: u32) {
        self.drop_endpoint(endpoint, Some(Token::new(context, token)));
    }

    pub(crate) fn drop_endpoint(&mut self, handle: u32, promise: Option<Token>) {
        let Some(entry) = self.endpoints.remove(&handle) else {
            if let Some(promise) = promise {
                promise.done(0, Bytes::new());
            }
            return;
        };
        lock(&entry.context.endpoints).remove(&handle);
        let EndpointEntry { endpoint, tasks, .. } = entry;
        tokio::spawn(async move {
            let _ = timeout(CLOSE_TIME, endpoint.close()).await;
            for task in tasks {
                task.abort();
            }
            drop(endpoint);
            free(handle);
            if let Some(promise) = promise {
                promise.done(0, Bytes::new());
            }
        });
    }

    /// Connects; the attempt can be cancelled by its token.
    pub(crate) fn connect(
        &mut self,
        context: Arc<Context>,
        token: u32,
        endpoint: u32,
        attempt: Attempt,
    ) {
        let promise = Token::new(Arc::clone(&context), token);
        let Some(entry) = self.endpoints.get(&endpoint) else {
            promise.failed(Failed::of(Failure::EndpointClosed));
            return;
        };
        let (endpoint, share) = (entry.endpoint.clone(), entry.share);
        let key = (context.id, token);
        let task = tokio::spawn(async move {
            let Attempt { address, alpn, early } = attempt;
            let connected = if early {
                early::connect(&endpoint, address, &alpn).await
            } else {
                endpoint.connect(address, &alpn).await.map(Link::Full)
            };
            let link = match connected {
                Ok(link) => link,
                Err(error) => {
                    with(|world| world.attempts.remove(&key));
                    promise.failed(error.into());
                    return;
                }
            };
            let begun = link.clone();
            let adopted = with(|world| {
                world.attempts.remove(&key);
                world.adopt(&context, link, None, share)
            });
            let Some(handle) = adopted else {
                promise.failed(Failed::of(Failure::Handles));
                return;
            };
            if let Link::Outgoing(connection) = begun {
                promise.done(handle, Bytes::from_static(&[1]));
                early::complete(handle, connection).await;
            } else {
                promise.done(handle, Bytes::new());
            }
        });
        self.attempts.insert(key, task.abort_handle());
    }

    /// An address that this endpoint is known under elsewhere.
    pub(crate) fn external_address(&mut self, endpoint: u32, address: SocketAddr, add: bool) {
        let Some(endpoint) = self.endpoint(endpoint) else { return };
        tokio::spawn(async move {
            if add {
                endpoint.add_external_addr(address).await;
            } else {
                endpoint.remove_external_addr(&address).await;
            }
        });
    }

    /// A relay more, or one fewer.
    pub(crate) fn relay(&mut self, endpoint: u32, relay: Relay, add: bool) {
        let Some(endpoint) = self.endpoint(endpoint) else { return };
        tokio::spawn(async move {
            if add {
                endpoint.insert_relay(relay.url.clone(), Arc::new(relay.config())).await;
            } else {
                endpoint.remove_relay(&relay.url).await;
            }
        });
    }

    /// The network may have changed, which the system does not always tell.
    pub(crate) fn network_change(&mut self, endpoint: u32) {
        let Some(endpoint) = self.endpoint(endpoint) else { return };
        tokio::spawn(async move { endpoint.network_change().await });
    }

    fn endpoint(&self, handle: u32) -> Option<Endpoint> {
        self.endpoints.get(&handle).map(|entry| entry.endpoint.clone())
    }
}

async fn bind(key: SecretKey, settings: &Settings) -> Result<Bound, Failed> {
    // Whatever looks up or publishes addresses is TypeScript's, so no preset that does.
    let mut builder = Endpoint::builder(presets::Minimal).relay_mode(match &settings.relays {
        Relays::Default => RelayMode::Default,
        Relays::Disabled => RelayMode::Disabled,
        Relays::Custom(relays) => {
            let map = RelayMap::empty();
            for relay in relays {
                map.insert(relay.url.clone(), Arc::new(relay.config()));
            }
            RelayMode::Custom(map)
        }
    });
    // Asking routers for ports is of no use to sockets that nobody else can reach, and is talk on the network.
    if settings.relays == Relays::Disabled || settings.is_loopback_only() {
        builder = builder.portmapper_config(PortmapperConfig::Disabled);
    }
    if !settings.relay_roots.is_empty() {
        let roots = settings.relay_roots.iter().map(|der| der.clone().into());
        builder = builder.ca_tls_config(CaTlsConfig::default().with_extra_roots(roots));
    }
    builder = builder.secret_key(key).transport_config(transport(settings));
    if !settings.bind.is_empty() {
        builder = builder.clear_ip_transports();
        for address in &settings.bind {
            builder = builder.bind_addr(*address).map_err(|error| Failed {
                kind: Failure::Bind,
                payload: Bytes::from(crate::failure::describe(&error)),
            })?;
        }
    }
    let endpoint = builder.bind().await?;
    Ok(Bound {
        endpoint,
        admission: Admission::new(settings),
        handshake_timeout: settings.handshake_timeout,
        refuse_code: settings.refuse_code,
    })
}

fn transport(settings: &Settings) -> QuicTransportConfig {
    // iroh's own limits for single paths, which are not to outlast the connection.
    let path_idle = settings.idle_timeout.min(Duration::from_secs(15));
    let keep_alive = settings.keep_alive.min(Duration::from_secs(5)).min(path_idle / 3);
    // What is said in the handshake cannot be taken back, so it is little; who is let in gets its share.
    let streams = VarInt::from_u32(settings.max_streams.get().min(FIRST_STREAMS));
    let window = settings.receive_window.min(VarInt::from_u32(FIRST_WINDOW));
    let idle = IdleTimeout::try_from(settings.idle_timeout).ok();
    QuicTransportConfig::builder()
        .max_idle_timeout(idle)
        .keep_alive_interval(keep_alive)
        .default_path_max_idle_timeout(path_idle)
        .default_path_keep_alive_interval(keep_alive)
        .max_concurrent_bidi_streams(streams)
        .max_concurrent_uni_streams(streams)
        .receive_window(window)
        .build()
}

async fn watch(endpoint: Endpoint, handle: u32, context: Arc<Context>) {
    let mut addresses = endpoint.watch_addr();
    let mut relays = endpoint.home_relay_status();
    drop(endpoint);
    loop {
        let changed = tokio::select! {
            changed = addresses.updated() => changed.is_ok(),
            changed = relays.updated() => changed.is_ok(),
        };
        if !changed {
            return;
        }
        context.push(RecordKind::Address, handle, 0, Bytes::new());
    }
}

/// Looks at an endpoint from a thread of JavaScript.
pub fn look<R>(context: &Context, endpoint: u32, look: impl FnOnce(&SharedEndpoint) -> R) -> Option<R> {
    let endpoints = context.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
    endpoints.get(&endpoint).map(look)
}

/// Where the endpoint can be reached: a line each.
#[must_use]
pub fn describe(endpoint: &Endpoint) -> String {
    let mut lines = String::new();
    let address = endpoint.addr();
    for direct in address.ip_addrs() {
        let _ = writeln!(lines, "direct {direct}");
    }
    for relay in address.relay_urls() {
        let _ = writeln!(lines, "relay {relay}");
    }
    for bound in endpoint.bound_sockets() {
        let _ = writeln!(lines, "bound {bound}");
    }
    lines
}
