//! What can go wrong, as numbers that `src/iroh/native/errors.ts` turns into errors, and the text that goes with it.
#![forbid(unsafe_code)]

use std::{error::Error, io};

use bytes::Bytes;
use iroh::endpoint::{
    BindError, ConnectError, ConnectWithOptsError, ConnectingError, ConnectionError, TransportErrorCode, VarInt,
};

/// Why a call with a token failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Failure {
    /// It was given up: cancelled, or its task came to a bad end.
    Abandoned = 1,
    /// The endpoint is closed.
    EndpointClosed = 2,
    /// The peer is this endpoint.
    SelfConnect = 3,
    /// No address of the peer is known.
    NoAddress = 4,
    /// No answer.
    TimedOut = 5,
    /// The peer does not serve the protocol.
    NoProtocol = 6,
    /// The peer accepts no connections.
    Refused = 7,
    /// Somebody else is at that address.
    WrongPeer = 8,
    /// The peer closed the connection at once: code and reason.
    ClosedByPeer = 9,
    /// The peer broke off the handshake.
    BrokenOff = 10,
    /// The handshake failed here.
    Handshake = 11,
    /// An address to bind is in use.
    AddressInUse = 12,
    /// An address to bind is not this machine's.
    AddressNotAvailable = 13,
    /// Binding an address is not permitted.
    PermissionDenied = 14,
    /// Binding failed otherwise.
    Bind = 15,
    /// There are too many handles.
    Handles = 16,
}

/// A failure with its text, or its code and reason.
#[derive(Debug)]
pub struct Failed {
    /// What kind of failure.
    pub kind: Failure,
    /// For [`Failure::ClosedByPeer`] code and reason, else a text.
    pub payload: Bytes,
}

impl Failed {
    /// A failure that needs no words.
    #[must_use]
    pub fn of(kind: Failure) -> Self {
        Self { kind, payload: Bytes::new() }
    }

    fn with(kind: Failure, error: &(dyn Error + 'static)) -> Self {
        Self { kind, payload: Bytes::from(describe(error)) }
    }
}

/// An error with its causes, in one line.
#[must_use]
pub fn describe(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

/// A code of 62 bits and a text, as the payload of a record.
#[must_use]
pub fn code_and_text(code: VarInt, text: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(8 + text.len());
    bytes.extend_from_slice(&code.into_inner().to_le_bytes());
    bytes.extend_from_slice(text);
    Bytes::from(bytes)
}

impl From<BindError> for Failed {
    fn from(error: BindError) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        let mut kind = Failure::Bind;
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                kind = match io.kind() {
                    io::ErrorKind::AddrInUse => Failure::AddressInUse,
                    io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported => Failure::AddressNotAvailable,
                    io::ErrorKind::PermissionDenied => Failure::PermissionDenied,
                    // EAFNOSUPPORT of Linux, macOS and Windows, which has no kind of its own.
                    _ if matches!(io.raw_os_error(), Some(47 | 97 | 10_047)) => Failure::AddressNotAvailable,
                    _ => kind,
                };
                if kind != Failure::Bind {
                    break;
                }
            }
            cause = error.source();
        }
        Self::with(kind, &error)
    }
}

impl From<ConnectError> for Failed {
    fn from(error: ConnectError) -> Self {
        match &error {
            ConnectError::Connect { source, .. } => match source {
                ConnectWithOptsError::SelfConnect { .. } => Self::of(Failure::SelfConnect),
                ConnectWithOptsError::NoAddress { .. } => Self::with(Failure::NoAddress, &error),
                ConnectWithOptsError::EndpointClosed { .. } => Self::of(Failure::EndpointClosed),
                _ => Self::with(Failure::Handshake, &error),
            },
            ConnectError::Connecting { source: ConnectingError::ConnectionError { source, .. }, .. }
            | ConnectError::Connection { source, .. } => Self::from(source),
            _ => Self::with(Failure::Handshake, &error),
        }
    }
}

impl From<&ConnectionError> for Failed {
    fn from(error: &ConnectionError) -> Self {
        // RFC 8446 alerts: 120 no_application_protocol; 48 unknown_ca, which iroh sends when the key is another.
        let no_protocol = TransportErrorCode::crypto(120);
        let wrong_peer = TransportErrorCode::crypto(48);
        match error {
            ConnectionError::ApplicationClosed(close) => {
                Self { kind: Failure::ClosedByPeer, payload: code_and_text(close.error_code, &close.reason) }
            }
            ConnectionError::ConnectionClosed(close) => {
                let kind = if close.error_code == no_protocol {
                    Failure::NoProtocol
                } else if close.error_code == TransportErrorCode::CONNECTION_REFUSED {
                    Failure::Refused
                } else {
                    Failure::BrokenOff
                };
                Self::with(kind, error)
            }
            ConnectionError::TransportError(transport) if transport.code == wrong_peer => {
                Self::with(Failure::WrongPeer, error)
            }
            ConnectionError::TimedOut => Self::with(Failure::TimedOut, error),
            ConnectionError::LocallyClosed => Self::of(Failure::EndpointClosed),
            _ => Self::with(Failure::Handshake, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ConnectionError, Failed, Failure, VarInt, code_and_text, describe};
    use std::io;

    #[test]
    fn errors_are_described_with_their_causes_once() {
        let inner = io::Error::other("the cable is out");
        let outer = io::Error::other(inner);
        assert_eq!(describe(&outer), "the cable is out");
    }

    #[test]
    fn codes_keep_all_their_bits() {
        let code = VarInt::from_u64((1 << 62) - 1).unwrap();
        let bytes = code_and_text(code, b"why");
        assert_eq!(u64::from_le_bytes(bytes[..8].try_into().unwrap()), (1 << 62) - 1);
        assert_eq!(&bytes[8..], b"why");
    }

    #[test]
    fn ends_of_connections_are_told_apart() {
        assert_eq!(Failed::from(&ConnectionError::TimedOut).kind, Failure::TimedOut);
        assert_eq!(Failed::from(&ConnectionError::LocallyClosed).kind, Failure::EndpointClosed);
        assert_eq!(Failed::from(&ConnectionError::Reset).kind, Failure::Handshake);
    }
}
