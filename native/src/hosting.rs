//! Those who knock: their handshakes, and who of them is handed on to JavaScript.
#![forbid(unsafe_code)]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use iroh::{
    Endpoint,
    endpoint::{Incoming, IncomingZeroRttConnection, VarInt},
};
use tokio::time::timeout;

use crate::{
    admission::{Admission, Admitted, Arrival, Handshake, PeerId},
    context::Context,
    knocking::Caller,
    link::Link,
    records::RecordKind,
    runtime::with,
    voice::Voice,
};

/// What those who knock need to know.
pub struct Host {
    pub(crate) handle: u32,
    pub(crate) context: Arc<Context>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) handshake_timeout: Duration,
    pub(crate) refuse_code: VarInt,
}

impl Host {
    /// Takes up attempts until the endpoint is closed.
    pub(crate) async fn accept_all(self, endpoint: Endpoint) {
        let host = Arc::new(self);
        while let Some(incoming) = endpoint.accept().await {
            let caller = Caller::from(&incoming.remote_addr());
            match host.admission.arrive(caller, incoming.remote_addr_validated()) {
                Arrival::Refused => incoming.refuse(),
                Arrival::Validate => {
                    if let Err(error) = incoming.retry() {
                        error.into_incoming().refuse();
                    }
                }
                Arrival::Welcome(place) => {
                    tokio::spawn(shake_hands(incoming, place, Arc::clone(&host)));
                }
            }
        }
    }

    fn let_in(&self, kind: RecordKind, link: &Link, admitted: Admitted, peer: PeerId, alpn: &[u8]) -> Option<u32> {
        let share = admitted.share();
        let about = [&peer[..], alpn].concat();
        with(|world| {
            // Said first, as streams may come at once; they cannot be told before this is done.
            let handle = world.adopt(&self.context, link.clone(), Some(admitted), share);
            match handle {
                Some(handle) => Voice::of(Arc::clone(&self.context), &peer).push(kind, self.handle, handle, Bytes::from(about)),
                None => link.close(self.refuse_code, b"it holds too many handles"),
            }
            handle
        })
    }
}

async fn shake_hands(incoming: Incoming, place: Handshake, host: Arc<Host>) {
    let Ok(accepting) = incoming.accept() else { return };
    // What goes wrong is for the one who made the attempt to know.
    let link = if host.admission.takes_any_early() {
        let connection = accepting.into_0rtt();
        // The id is known now if a session is resumed, whose ticket only its holder has: but whoever has recorded these
        // packets can send them again.
        let known = connection.alpn().is_some_and(|alpn| host.admission.takes_early(&alpn)) && connection.remote_id().is_ok();
        if known {
            begin_early(connection, place, &host).await;
            return;
        }
        timeout(host.handshake_timeout, connection.handshake_completed()).await
    } else {
        timeout(host.handshake_timeout, accepting).await
    };
    let Ok(Ok(connection)) = link else { return };
    drop(place);
    let peer = *connection.remote_id().as_bytes();
    match host.admission.admit(peer) {
        Ok(admitted) => {
            let alpn = connection.alpn().to_vec();
            host.let_in(RecordKind::Incoming, &Link::Full(connection), admitted, peer, &alpn);
        }
        Err(why) => connection.close(host.refuse_code, why.as_bytes()),
    }
}

/// Hands a connection on before its handshake is complete.
async fn begin_early(connection: IncomingZeroRttConnection, place: Handshake, host: &Host) {
    let (Ok(peer), Some(alpn)) = (connection.remote_id(), connection.alpn()) else { return };
    let peer = *peer.as_bytes();
    let admitted = host.admission.admit(peer);
    let handle = match admitted {
        Ok(admitted) => {
            let link = Link::Incoming(connection.clone());
            host.let_in(RecordKind::IncomingEarly, &link, admitted, peer, &alpn).ok_or_else(String::new)
        }
        Err(why) => Err(why),
    };
    let completed = timeout(host.handshake_timeout, connection.handshake_completed()).await;
    drop(place);
    match (completed, handle) {
        (Ok(Ok(full)), Ok(handle)) => {
            with(|world| world.completed(handle, full));
        }
        // Only now does it learn why.
        (Ok(Ok(full)), Err(why)) => full.close(host.refuse_code, why.as_bytes()),
        _ => connection.close(0_u32.into(), b"the handshake was not completed"),
    }
}
