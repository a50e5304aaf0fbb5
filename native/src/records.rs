//! What Rust tells JavaScript: records that are packed into memory of JavaScript's own, many a crossing.
//!
//! A record is four little-endian words (kind, handle or token, a number of its kind, length) and its payload, padded to
//! four bytes. What is told of a small stream becomes one record: that it was accepted, its bytes, and their end.
//!
//! Records about a peer wait in a lane of its own, and lanes take turns, so that one who makes many does not make the others
//! wait.
#![forbid(unsafe_code)]

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use rustc_hash::FxHashMap;

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
const ENDS: u32 = 0x100;

/// Words before the payload, in bytes.
pub const HEADER_BYTES: usize = 16;

/// The least memory that every record fits into, but for bytes of streams, which can be cut.
pub const MIN_SCRATCH_BYTES: usize = 16_384;

/// Other payloads are cut to this; only texts of errors and of peers can be longer.
const MAX_PAYLOAD_BYTES: usize = 8_192;

/// Chunks of one stream become one record up to here.
const MAX_DATA_BYTES: usize = 65_536;

/// The first bytes of a stream come with its acceptance up to here.
const MAX_FIRST_BYTES: usize = 8_192;

/// A piece of a record that is smaller is not worth a record of its own.
const MIN_PIECE_BYTES: usize = 4_096;

/// What a lane may have at its turn, and JavaScript at a time, in bytes; a record is at least this much work.
const TURN_COST: usize = 16_384;
const MIN_RECORD_COST: usize = 2_048;

/// Memory of lanes that are empty is kept for so many.
const SPARE_LANES: usize = 32;

/// Whose records they are: this side's own come before all others, those of peers in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// What this side has asked for.
    Own,
    /// What comes from a peer, by the first bytes of its id.
    Peer(u64),
}

impl Lane {
    /// The lane of a peer.
    #[must_use]
    pub fn of(peer: &[u8; 32]) -> Self {
        Self::Peer(u64::from_le_bytes(peer.as_chunks().0[0]))
    }
}

#[derive(Debug)]
struct Record {
    kind: RecordKind,
    id: u32,
    number: u32,
    length: usize,
    /// The first piece of the payload, and the others.
    first: Bytes,
    others: VecDeque<Bytes>,
    /// Whether the payload is the last of its stream.
    ends: bool,
}

/// Records that wait for JavaScript.
#[derive(Debug, Default)]
pub struct Records {
    lanes: FxHashMap<Lane, VecDeque<Record>>,
    /// The lanes with records, in the order of their turns.
    turns: VecDeque<Lane>,
    spare: Vec<VecDeque<Record>>,
    /// Events that wait, which are not repeated.
    events: Vec<(RecordKind, u32)>,
}

impl Records {
    /// Adds a record; for [`RecordKind::Data`] use [`Records::data`].
    pub fn push(&mut self, lane: Lane, kind: RecordKind, id: u32, number: u32, payload: Bytes) {
        if matches!(kind, RecordKind::Paths | RecordKind::Address) {
            if self.events.contains(&(kind, id)) {
                return;
            }
            self.events.push((kind, id));
        }
        let clean_end = kind == RecordKind::ReadEnd && number == 0;
        if clean_end && let Some(last) = self.last_of(lane, id, 0) {
            last.ends = true;
            return;
        }
        let mut payload = payload;
        payload.truncate(MAX_PAYLOAD_BYTES);
        self.lane(lane).push_back(Record::new(kind, id, number, payload));
    }

    /// Adds bytes of a stream, to the last record if that is of the same stream.
    pub fn data(&mut self, lane: Lane, stream: u32, chunks: impl IntoIterator<Item = Bytes>) {
        let mut record: Option<Record> = None;
        for chunk in chunks {
            if let Some(record) = &mut record {
                record.add(chunk);
            } else if let Some(last) = self.last_of(lane, stream, chunk.len()) {
                last.add(chunk);
            } else {
                record = Some(Record::new(RecordKind::Data, stream, 0, chunk));
            }
        }
        if let Some(record) = record {
            self.lane(lane).push_back(record);
        }
    }

    fn lane(&mut self, lane: Lane) -> &mut VecDeque<Record> {
        let Self { lanes, turns, spare, .. } = self;
        lanes.entry(lane).or_insert_with(|| {
            if lane == Lane::Own {
                turns.push_front(lane);
            } else {
                turns.push_back(lane);
            }
            spare.pop().unwrap_or_default()
        })
    }

    /// The last record, if it is of this stream and can have so many more of its bytes; its end it can always have.
    fn last_of(&mut self, lane: Lane, stream: u32, bytes: usize) -> Option<&mut Record> {
        self.lanes.get_mut(&lane)?.back_mut().filter(|last| {
            !last.ends
                && match last.kind {
                    RecordKind::Data => last.id == stream && (bytes == 0 || last.length < MAX_DATA_BYTES),
                    RecordKind::TwoWay | RecordKind::OneWay => {
                        last.number == stream && last.length + bytes <= MAX_FIRST_BYTES
                    }
                    _ => false,
                }
        })
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.lanes.clear();
        self.turns.clear();
        self.events.clear();
    }

    /// Moves records to `scratch`, of at least [`MIN_SCRATCH_BYTES`], as many as fit and as are work enough for one time;
    /// returns how many bytes of it they take.
    pub fn pack(&mut self, scratch: &mut [u8]) -> usize {
        let (mut at, mut cost) = (0, 0);
        while cost < scratch.len()
            && let Some(lane) = self.turns.pop_front()
        {
            let Some(mut queue) = self.lanes.remove(&lane) else { continue };
            let end = cost + TURN_COST;
            let mut fits = true;
            // What this side has asked for is not much, and may be what others wait for.
            while fits && (cost < end || lane == Lane::Own) && !queue.is_empty() {
                let before = at;
                fits = self.pack_first(&mut queue, scratch, &mut at);
                cost += (at - before).max(MIN_RECORD_COST);
            }
            if !queue.is_empty() {
                self.lanes.insert(lane, queue);
                if fits && lane != Lane::Own {
                    self.turns.push_back(lane);
                } else {
                    // It has not had its turn.
                    self.turns.push_front(lane);
                }
            } else if self.spare.len() < SPARE_LANES {
                self.spare.push(queue);
            }
            if !fits {
                break;
            }
        }
        at
    }

    /// Moves the first record of `queue`, or a part of it, to `scratch`; false when no more fits.
    fn pack_first(&mut self, queue: &mut VecDeque<Record>, scratch: &mut [u8], at: &mut usize) -> bool {
        let Some(record) = queue.front_mut() else { return true };
        if scratch.len() < *at + HEADER_BYTES {
            return false;
        }
        let room = (scratch.len() - *at - HEADER_BYTES) & !3;
        let length = if record.length <= room {
            record.length
        } else if record.kind == RecordKind::Data && room >= MIN_PIECE_BYTES {
            room
        } else {
            return false;
        };
        let ends = if record.ends && length == record.length { ENDS } else { 0 };
        let kind = record.kind as u32 | ends;
        let words = [kind, record.id, record.number, u32::try_from(length).unwrap_or(0)];
        for (word, target) in words.iter().zip(scratch[*at..*at + HEADER_BYTES].chunks_exact_mut(4)) {
            target.copy_from_slice(&word.to_le_bytes());
        }
        *at += HEADER_BYTES;
        record.take(&mut scratch[*at..*at + length]);
        *at += length.next_multiple_of(4);
        if record.length > 0 {
            return false;
        }
        let (kind, id) = (record.kind, record.id);
        if matches!(kind, RecordKind::Paths | RecordKind::Address) {
            self.events.retain(|event| *event != (kind, id));
        }
        queue.pop_front();
        true
    }
}

impl Record {
    fn new(kind: RecordKind, id: u32, number: u32, payload: Bytes) -> Self {
        let length = payload.len();
        Self { kind, id, number, length, first: payload, others: VecDeque::new(), ends: false }
    }

    fn add(&mut self, chunk: Bytes) {
        self.length += chunk.len();
        if self.first.is_empty() && self.others.is_empty() {
            self.first = chunk;
        } else {
            self.others.push_back(chunk);
        }
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

#[cfg(test)]
mod tests {
    use super::{Bytes, ENDS, Lane, MIN_SCRATCH_BYTES, RecordKind, Records};

    const LANE: Lane = Lane::Peer(1);

    struct Unpacked {
        kind: u32,
        id: u32,
        number: u32,
        payload: Vec<u8>,
    }

    fn unpack(bytes: &[u8]) -> Vec<Unpacked> {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let mut records = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let length = word(at + 12) as usize;
            let payload = bytes[at + 16..at + 16 + length].to_vec();
            records.push(Unpacked { kind: word(at), id: word(at + 4), number: word(at + 8), payload });
            at += 16 + length.next_multiple_of(4);
        }
        records
    }

    #[test]
    fn records_arrive_in_order_and_whole() {
        let mut records = Records::default();
        records.push(LANE, RecordKind::Done, 1, 2, Bytes::new());
        records.push(LANE, RecordKind::Closed, 3, 4, Bytes::from_static(b"12345"));
        records.data(LANE, 5, [Bytes::from_static(b"ab"), Bytes::from_static(b"c")]);
        let mut scratch = vec![0xee; MIN_SCRATCH_BYTES];
        let used = records.pack(&mut scratch);
        assert!(records.is_empty());
        let unpacked = unpack(&scratch[..used]);
        let shown: Vec<_> = unpacked.iter().map(|r| (r.kind, r.id, r.number, r.payload.as_slice())).collect();
        assert_eq!(shown, [(1, 1, 2, &b""[..]), (4, 3, 4, b"12345"), (7, 5, 0, b"abc")]);
        assert_eq!(records.pack(&mut scratch), 0);
    }

    #[test]
    fn bytes_of_one_stream_are_joined_and_those_of_others_are_not() {
        let mut records = Records::default();
        for stream in [1, 1, 2, 1] {
            records.data(LANE, stream, [Bytes::from_static(b"xy")]);
        }
        let mut scratch = vec![0; MIN_SCRATCH_BYTES];
        let used = records.pack(&mut scratch);
        let lengths: Vec<_> = unpack(&scratch[..used]).iter().map(|r| (r.id, r.payload.len())).collect();
        assert_eq!(lengths, [(1, 4), (2, 2), (1, 2)]);
    }

    #[test]
    fn a_small_stream_is_one_record_and_a_large_one_is_not() {
        let mut records = Records::default();
        records.push(LANE, RecordKind::TwoWay, 1, 5, Bytes::new());
        records.data(LANE, 5, [Bytes::from_static(b"ab"), Bytes::from_static(b"cd")]);
        records.push(LANE, RecordKind::ReadEnd, 5, 0, Bytes::new());
        // Another stream, whose end follows another's.
        records.data(LANE, 6, [Bytes::from_static(b"ef")]);
        records.push(LANE, RecordKind::Opened, 1, 3, Bytes::new());
        records.push(LANE, RecordKind::ReadEnd, 6, 0, Bytes::new());
        // One that is reset.
        records.push(LANE, RecordKind::OneWay, 1, 7, Bytes::new());
        records.push(LANE, RecordKind::ReadEnd, 7, 1, Bytes::from_static(b"codecode"));
        // One whose first bytes are many.
        records.push(LANE, RecordKind::TwoWay, 1, 8, Bytes::new());
        records.data(LANE, 8, [Bytes::from_static(&[0; 9_000]), Bytes::from_static(b"gh")]);
        records.push(LANE, RecordKind::ReadEnd, 8, 0, Bytes::new());
        let mut scratch = vec![0; MIN_SCRATCH_BYTES];
        let used = records.pack(&mut scratch);
        let shown: Vec<_> = unpack(&scratch[..used]).iter().map(|r| (r.kind, r.id, r.number, r.payload.len())).collect();
        let expected = [
            (0x105, 1, 5, 4),
            (7, 6, 0, 2),
            (12, 1, 3, 0),
            (8, 6, 0, 0),
            (6, 1, 7, 0),
            (8, 7, 1, 8),
            (5, 1, 8, 0),
            (0x107, 8, 0, 9_002),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn bytes_that_do_not_fit_are_cut_and_lose_nothing() {
        let mut records = Records::default();
        let sent: Vec<u8> = (0..100_003_u32).map(|i| (i % 251) as u8).collect();
        records.push(LANE, RecordKind::Done, 9, 0, Bytes::new());
        records.data(LANE, 1, sent.chunks(1_333).map(Bytes::copy_from_slice));
        records.push(LANE, RecordKind::ReadEnd, 1, 0, Bytes::new());
        let mut received = Vec::new();
        let mut ended = false;
        while !records.is_empty() {
            let mut scratch = vec![0; MIN_SCRATCH_BYTES + 3];
            let used = records.pack(&mut scratch);
            assert!(used > 0);
            for record in unpack(&scratch[..used]) {
                assert!(!ended);
                received.extend_from_slice(&record.payload);
                ended = record.kind == RecordKind::Data as u32 | ENDS;
            }
        }
        assert!(ended);
        assert_eq!(received, sent);
    }

    #[test]
    fn an_event_is_not_repeated_while_it_waits() {
        let mut records = Records::default();
        let mut scratch = vec![0; MIN_SCRATCH_BYTES];
        for _ in 0..2 {
            for _ in 0..3 {
                records.push(LANE, RecordKind::Paths, 1, 0, Bytes::new());
                records.push(LANE, RecordKind::Paths, 2, 0, Bytes::new());
            }
            let used = records.pack(&mut scratch);
            assert_eq!(unpack(&scratch[..used]).len(), 2);
        }
    }

    #[test]
    fn a_text_of_any_length_fits() {
        let mut records = Records::default();
        records.push(LANE, RecordKind::Failed, 1, 1, Bytes::from(vec![b'x'; 1_000_000]));
        let mut scratch = vec![0; MIN_SCRATCH_BYTES];
        assert!(records.pack(&mut scratch) > 8_000);
        assert!(records.is_empty());
    }

    /// The ids of the records that are handed out first, at most `count`.
    fn first(records: &mut Records, count: usize) -> Vec<u32> {
        let mut scratch = vec![0; 262_144];
        let used = records.pack(&mut scratch);
        unpack(&scratch[..used]).iter().map(|record| record.id).take(count).collect()
    }

    #[test]
    fn one_who_says_much_does_not_make_others_wait() {
        let mut records = Records::default();
        for stream in 0..10_000 {
            records.data(Lane::Peer(1), stream, [Bytes::from_static(&[0; 100])]);
        }
        records.data(Lane::Peer(2), 77_777, [Bytes::from_static(b"honest")]);
        records.push(Lane::Own, RecordKind::Done, 99_999, 0, Bytes::new());
        assert_eq!(first(&mut records, 10), [99_999, 0, 1, 2, 3, 4, 5, 6, 7, 77_777]);
    }

    #[test]
    fn there_is_a_bound_on_what_one_time_brings_and_nothing_is_lost_or_overtaken() {
        let mut records = Records::default();
        for id in 0..10_000 {
            records.push(Lane::Peer((id % 3).into()), RecordKind::Opened, id, 1, Bytes::new());
        }
        let mut all = Vec::new();
        while !records.is_empty() {
            let some = first(&mut records, usize::MAX);
            assert!((1..=128).contains(&some.len()), "{}", some.len());
            all.extend(some);
        }
        for lane in 0..3 {
            let of_lane: Vec<u32> = all.iter().copied().filter(|id| id % 3 == lane).collect();
            assert!(of_lane.is_sorted());
        }
        all.sort_unstable();
        assert_eq!(all, (0..10_000).collect::<Vec<_>>());
    }
}
