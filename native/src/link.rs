//! A connection to the transport, whether its handshake is complete or not.
#![forbid(unsafe_code)]

use iroh::endpoint::{
    AcceptBi, AcceptUni, Connection, ConnectionError, IncomingZeroRttConnection, OpenBi, OpenUni,
    OutgoingZeroRttConnection, ReadDatagram, VarInt,
};

use crate::shares::Share;

/// A connection as far as it is.
#[derive(Clone, Debug)]
pub enum Link {
    /// Its handshake is complete.
    Full(Connection),
    /// This side has resumed a session and may say something before the handshake is complete.
    Outgoing(OutgoingZeroRttConnection),
    /// The peer has, and what it says may have been said before.
    Incoming(IncomingZeroRttConnection),
}

macro_rules! in_each {
    ($link:expr, $connection:ident => $work:expr) => {
        match $link {
            Link::Full($connection) => $work,
            Link::Outgoing($connection) => $work,
            Link::Incoming($connection) => $work,
        }
    };
}

impl Link {
    /// Whether the handshake is complete, as far as this was told.
    #[must_use]
    pub fn full(&self) -> Option<&Connection> {
        if let Self::Full(connection) = self { Some(connection) } else { None }
    }

    /// The peer's id.
    #[must_use]
    pub fn peer(&self) -> [u8; 32] {
        let id = match self {
            Self::Full(connection) => Some(connection.remote_id()),
            Self::Outgoing(connection) => connection.remote_id().ok(),
            Self::Incoming(connection) => connection.remote_id().ok(),
        };
        // There is always one: a session that is resumed knows whose it is.
        id.map(|id| *id.as_bytes()).unwrap_or_default()
    }

    /// Whether this side may say something early.
    #[must_use]
    pub fn is_outgoing_early(&self) -> bool {
        matches!(self, Self::Outgoing(_))
    }

    pub(crate) fn open_bi(&self) -> OpenBi<'_> {
        in_each!(self, connection => connection.open_bi())
    }

    pub(crate) fn open_uni(&self) -> OpenUni<'_> {
        in_each!(self, connection => connection.open_uni())
    }

    pub(crate) fn accept_bi(&self) -> AcceptBi<'_> {
        in_each!(self, connection => connection.accept_bi())
    }

    pub(crate) fn accept_uni(&self) -> AcceptUni<'_> {
        in_each!(self, connection => connection.accept_uni())
    }

    pub(crate) fn read_datagram(&self) -> ReadDatagram<'_> {
        in_each!(self, connection => connection.read_datagram())
    }

    pub(crate) fn close(&self, code: VarInt, reason: &[u8]) {
        in_each!(self, connection => connection.close(code, reason));
    }

    pub(crate) async fn closed(&self) -> ConnectionError {
        in_each!(self, connection => connection.closed().await)
    }

    /// Tells the transport what the connection may have.
    pub(crate) fn give(&self, share: Share) {
        in_each!(self, connection => {
            connection.set_receive_window(VarInt::from_u64(share.window).unwrap_or(VarInt::MAX));
            connection.set_max_concurrent_bi_streams(share.streams.into());
            connection.set_max_concurrent_uni_streams(share.streams.into());
        });
    }
}
