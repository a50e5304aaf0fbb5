//! What Rust tells JavaScript: records that are packed into memory of JavaScript's own, many a crossing.
//!
//! Records about a peer wait in a lane of its own, and lanes take turns, so that one who makes many does not make the others
//! wait.
#![forbid(unsafe_code)]

use std::collections::VecDeque;

use bytes::Bytes;
use rustc_hash::FxHashMap;

mod record;

pub use record::RecordKind;
use record::Record;

/// The least memory that every record fits into, but for bytes of streams, which can be cut.
pub const MIN_SCRATCH_BYTES: usize = 16_384;

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
            last.end();
            return;
        }
        self.lane(lane).push_back(Record::cut(kind, id, number, payload));
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

    /// The last record, if it can have so many more bytes of this stream; its end it can always have.
    fn last_of(&mut self, lane: Lane, stream: u32, bytes: usize) -> Option<&mut Record> {
        self.lanes.get_mut(&lane)?.back_mut().filter(|last| last.takes(stream, bytes))
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
        if !record.pack(scratch, at) {
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

#[cfg(test)]
mod tests {
    use super::{Bytes, Lane, MIN_SCRATCH_BYTES, RecordKind, Records, record::ENDS};

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
