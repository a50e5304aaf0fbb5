//! The receiving half of a stream.
#![forbid(unsafe_code)]

use std::{mem, task::Poll};

use bytes::Bytes;
use iroh::endpoint::{ReadError, RecvStream, VarInt};

use super::{End, StreamEntry, waker};
use crate::{
    records::RecordKind,
    runtime::{poll_with, post},
    world::World,
};

/// Bytes of a stream that may wait for JavaScript; it asks for more as it takes them.
const READ_AHEAD: i64 = 262_144;

/// The same until it has taken some: streams that nobody reads hold little.
pub(super) const FIRST_READ_AHEAD: i64 = 65_536;

/// How far it is.
pub(super) enum Receive {
    /// Not opened yet; a code if nothing is wanted.
    Opening(Option<VarInt>),
    Open(RecvStream),
    Done,
}

impl World {
    fn receive_done(&mut self, stream: u32) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.receive = Receive::Done;
            self.retire(stream);
        }
    }

    /// Begins to read.
    pub(super) fn receive(&mut self, stream: u32, mut receive: RecvStream) {
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        if let Receive::Opening(Some(code)) = entry.receive {
            let _ = receive.stop(code);
            self.receive_done(stream);
            return;
        }
        entry.receive = Receive::Open(receive);
        self.receive_on(stream);
    }

    /// Reads what has come, as far as JavaScript has room.
    pub(super) fn receive_on(&mut self, stream: u32) {
        loop {
            let Some(connection) = self.streams.get(&stream).map(|entry| entry.connection) else { return };
            let may_hold = self.may_hold(connection);
            let Self { streams, chunks, .. } = self;
            let Some(StreamEntry { voice, receive, room, held, said, rouse, .. }) = streams.get_mut(&stream) else { return };
            let Receive::Open(half) = receive else { return };
            if *room <= 0 || !may_hold {
                return;
            }
            match poll_with(half.read_many_chunks(&mut chunks[..]), &waker(rouse, stream)) {
                // In the second case it is opened again when the handshake is complete.
                Poll::Pending => return,
                Poll::Ready(Err(ReadError::ZeroRttRejected)) if said.is_some() => return,
                Poll::Ready(Ok(Some(count))) => {
                    let bytes: usize = chunks[..count].iter().map(Bytes::len).sum();
                    *room -= i64::try_from(bytes).unwrap_or(i64::MAX / 4);
                    *held += bytes as u64;
                    voice.push_data(stream, chunks[..count].iter_mut().map(mem::take));
                    self.hold(connection, bytes as u64);
                    continue;
                }
                Poll::Ready(Ok(None)) => voice.push_end(RecordKind::ReadEnd, stream, End::Clean),
                Poll::Ready(Err(ReadError::Reset(code))) => {
                    voice.push_code(RecordKind::ReadEnd, stream, End::ByPeer as u32, code, b"");
                }
                Poll::Ready(Err(_)) => voice.push_end(RecordKind::ReadEnd, stream, End::Lost),
            }
            self.receive_done(stream);
            return;
        }
    }

    /// JavaScript has taken bytes.
    pub(crate) fn read_more(&mut self, stream: u32, bytes: u32) {
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        let empty = entry.room <= 0;
        let more = if entry.is_read { 0 } else { READ_AHEAD - FIRST_READ_AHEAD };
        entry.is_read = true;
        entry.room = entry.room.saturating_add(i64::from(bytes) + more);
        let taken = entry.held.min(bytes.into());
        entry.held -= taken;
        let connection = entry.connection;
        self.let_go(connection, taken);
        if empty {
            self.receive_on(stream);
        }
    }

    /// These may have room again; they are read when what is under way is done.
    pub(crate) fn read_on(streams: &[u32]) {
        for stream in streams {
            post().rouse(*stream);
        }
    }

    /// JavaScript wants no more.
    pub(crate) fn stop(&mut self, stream: u32, code: VarInt) {
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        match &mut entry.receive {
            Receive::Opening(stop) => *stop = Some(code),
            Receive::Open(receive) => {
                let _ = receive.stop(code);
                self.receive_done(stream);
            }
            Receive::Done => {}
        }
    }
}
