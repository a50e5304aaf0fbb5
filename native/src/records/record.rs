//! A record: four little-endian words (kind, handle or token, a number of its kind, length) and its payload, padded to four
//! bytes. What is told of a small stream becomes one record: that it was accepted, its bytes, and their end.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

/// The kinds of records; `src/iroh/native/records.ts` has the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum RecordKind {
    /// A call with a token is done: the number is a handle, or 0.
    Done = 1,
    /// A call with a token has failed: the number is a [`crate::failure::Failure`].
    Failed = 2,
    /// A connection was accepted: handle of the endpoint, handle of the connection; the peer's id and the protocol.
    Incoming = 3,
    /// A connection is over: who ended it; code and reason.
    Closed = 4,
    /// A two-way stream was accepted: handle of the connection, handle of the stream; its first bytes, and, with
    /// [`ENDS`], the last.
    TwoWay = 5,
    /// A one-way stream was accepted.
    OneWay = 6,
    /// Bytes of a stream; with [`ENDS`], the last.
    Data = 7,
    /// No more bytes come: 0 at the end, 1 after a reset (with its code), 2 when the connection is over.
    ReadEnd = 8,
    /// A write that asked for it has been taken by the transport.
    Drained = 9,
    /// No more bytes are wanted: 1 stopped (with its code), 2 when the connection is over.
    WriteEnd = 10,
    /// What was finished: 0 has arrived, 1 was stopped (with its code), 2 is lost with the connection.
    Acknowledged = 11,
    /// The transport has opened streams: handle of the connection, how many.
    Opened = 12,
    /// No more streams come: 0 for two-way ones, 1 for one-way ones.
    AcceptEnd = 13,
    /// A datagram.
    Datagram = 14,
    /// The paths of a connection have changed.
    Paths = 15,
    /// The addresses of an endpoint, or its relays, have changed.
    Address = 16,
    /// JavaScript holds all that a connection may have waiting: it is to tell at once whatever it takes.
    Full = 17,
    /// As [`RecordKind::Incoming`], before the handshake is complete: what comes may have been said before.
    IncomingEarly = 18,
    /// The handshake of a connection that began early is complete.
    Confirmed = 19,
}

/// Added to the kind of a record whose bytes are the last of their stream.
pub const ENDS: u32 = 0x100;

/// Words before the payload, in bytes.
const HEADER_BYTES: usize = 16;

/// Other payloads are cut to this; only texts of errors and of peers can be longer.
const MAX_PAYLOAD_BYTES: usize = 8_192;

/// Chunks of one stream become one record up to here.
const MAX_DATA_BYTES: usize = 65_536;

/// The first bytes of a stream come with its acceptance up to here.
const MAX_FIRST_BYTES: usize = 8_192;

/// A piece of a record that is smaller is not worth a record of its own.
const MIN_PIECE_BYTES: usize = 4_096;

/// What is told at a time.
#[derive(Debug)]
pub struct Record {
    pub kind: RecordKind,
    pub id: u32,
    number: u32,
    length: usize,
    /// The first piece of the payload, and the others.
    first: Bytes,
    others: VecDeque<Bytes>,
    /// Whether the payload is the last of its stream.
    ends: bool,
}

impl Record {
    /// A record with its payload, whole.
    pub fn new(kind: RecordKind, id: u32, number: u32, payload: Bytes) -> Self {
        let length = payload.len();
        Self { kind, id, number, length, first: payload, others: VecDeque::new(), ends: false }
    }

    /// A record whose payload is cut to what any memory has room for.
    pub fn cut(kind: RecordKind, id: u32, number: u32, mut payload: Bytes) -> Self {
        payload.truncate(MAX_PAYLOAD_BYTES);
        Self::new(kind, id, number, payload)
    }

    /// Whether it can have so many more bytes of a stream.
    pub fn takes(&self, stream: u32, bytes: usize) -> bool {
        !self.ends
            && match self.kind {
                RecordKind::Data => self.id == stream && (bytes == 0 || self.length < MAX_DATA_BYTES),
                RecordKind::TwoWay | RecordKind::OneWay => {
                    self.number == stream && self.length + bytes <= MAX_FIRST_BYTES
                }
                _ => false,
            }
    }

    /// Its bytes are the last of their stream.
    pub fn end(&mut self) {
        self.ends = true;
    }

    /// Adds bytes to the payload.
    pub fn add(&mut self, chunk: Bytes) {
        self.length += chunk.len();
        if self.first.is_empty() && self.others.is_empty() {
            self.first = chunk;
        } else {
            self.others.push_back(chunk);
        }
    }

    /// Moves the record, or a part of its bytes, to `scratch`; false when some of it is left.
    pub fn pack(&mut self, scratch: &mut [u8], at: &mut usize) -> bool {
        if scratch.len() < *at + HEADER_BYTES {
            return false;
        }
        let room = (scratch.len() - *at - HEADER_BYTES) & !3;
        let length = if self.length <= room {
            self.length
        } else if self.kind == RecordKind::Data && room >= MIN_PIECE_BYTES {
            room
        } else {
            return false;
        };
        let ends = if self.ends && length == self.length { ENDS } else { 0 };
        let kind = self.kind as u32 | ends;
        let words = [kind, self.id, self.number, u32::try_from(length).unwrap_or(0)];
        for (word, target) in words.iter().zip(scratch[*at..*at + HEADER_BYTES].chunks_exact_mut(4)) {
            target.copy_from_slice(&word.to_le_bytes());
        }
        *at += HEADER_BYTES;
        self.take(&mut scratch[*at..*at + length]);
        *at += length.next_multiple_of(4);
        self.length == 0
    }

    /// Moves the first bytes of the payload to `target`, all of which is filled.
    fn take(&mut self, target: &mut [u8]) {
        let mut filled = 0;
        while filled < target.len() {
            if self.first.is_empty() {
                let Some(next) = self.others.pop_front() else { break };
                self.first = next;
            }
            let count = self.first.len().min(target.len() - filled);
            target[filled..filled + count].copy_from_slice(&self.first[..count]);
            self.first.advance(count);
            filled += count;
        }
        self.length -= filled;
    }
}
