//! Streams. A half that has to wait is owned by a task, which a reset or a stop reaches at once; one that has not is
//! kept here and costs no task.
#![forbid(unsafe_code)]

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use bytes::Bytes;
use iroh::endpoint::{ConnectionError, ReadError, RecvStream, SendStream, VarInt, WriteError};
use tokio::sync::Notify;

use crate::{
    commands::SendOp,
    context::Context,
    records::RecordKind,
    runtime::{free, poll_once, with},
    world::World,
};

/// Bytes of a stream that may wait for JavaScript; it asks for more as it takes them.
const READ_AHEAD: i64 = 262_144;

/// The same until it has taken some: streams that nobody reads hold little.
const FIRST_READ_AHEAD: i64 = 65_536;

/// Chunks that are read at a time; each is what one packet carried, or a few.
const CHUNKS: usize = 32;

/// One stream.
pub struct StreamEntry {
    context: Arc<Context>,
    connection: u32,
    send: Send,
    receive: Receive,
    /// How many more bytes JavaScript takes.
    room: i64,
    /// How many it has and has not taken.
    held: u64,
    /// Whether it has taken any.
    is_read: bool,
}

enum Send {
    /// Not opened yet; what to do then.
    Opening(VecDeque<SendOp>),
    Idle(SendStream),
    /// A task waits for the transport; what to do then.
    Blocked { ops: VecDeque<SendOp>, reset: Arc<Notify> },
    /// Finished, and it is to be told when everything has arrived.
    Finished,
    Done,
}

enum Receive {
    /// Not opened yet; a code if nothing is wanted.
    Opening(Option<VarInt>),
    /// A task reads.
    Reading(Arc<Reading>),
    Done,
}

/// What a task that reads is to know.
#[derive(Default)]
struct Reading {
    changed: Notify,
    dropped: AtomicBool,
    stop: std::sync::OnceLock<VarInt>,
}

/// How a half ended, as a number in its record.
#[derive(Clone, Copy)]
#[repr(u32)]
enum End {
    Clean = 0,
    ByPeer = 1,
    Lost = 2,
}

impl StreamEntry {
    /// A stream that the peer has opened; its receiving half comes with [`World::receive`].
    pub(crate) fn accepted(context: Arc<Context>, connection: u32, send: Option<SendStream>) -> Self {
        let send = send.map_or(Send::Done, Send::Idle);
        Self { context, connection, send, receive: Receive::Opening(None), room: FIRST_READ_AHEAD, held: 0, is_read: false }
    }
}

impl World {
    /// Opens a stream under a handle that JavaScript has already.
    pub(crate) fn open_stream(&mut self, connection: u32, stream: u32, two_way: bool, loudly: bool) {
        let Some(entry) = self.connections.get_mut(&connection) else {
            // JavaScript has closed the connection, and knows what that means for its streams.
            free(stream);
            return;
        };
        entry.streams.insert(stream);
        let receive = if two_way { Receive::Opening(None) } else { Receive::Done };
        self.streams.insert(
            stream,
            StreamEntry {
                context: Arc::clone(&entry.context),
                connection,
                send: Send::Opening(VecDeque::new()),
                receive,
                room: FIRST_READ_AHEAD,
                held: 0,
                is_read: false,
            },
        );
        let queue = &mut entry.opening[usize::from(!two_way)];
        queue.push_back((stream, loudly));
        if queue.len() > 1 {
            return;
        }
        let transport = entry.connection.clone();
        if two_way {
            match poll_once(transport.open_bi()) {
                Poll::Ready(result) => self.opened(connection, true, result.map(|(send, receive)| (send, Some(receive)))),
                Poll::Pending => {
                    tokio::spawn(async move {
                        loop {
                            let result = transport.open_bi().await.map(|(send, receive)| (send, Some(receive)));
                            if !with(|world| world.opened_next(connection, true, result)) {
                                return;
                            }
                        }
                    });
                }
            }
        } else {
            match poll_once(transport.open_uni()) {
                Poll::Ready(result) => self.opened(connection, false, result.map(|send| (send, None))),
                Poll::Pending => {
                    tokio::spawn(async move {
                        loop {
                            let result = transport.open_uni().await.map(|send| (send, None));
                            if !with(|world| world.opened_next(connection, false, result)) {
                                return;
                            }
                        }
                    });
                }
            }
        }
    }

    /// As `opened`; whether more wait.
    fn opened_next(
        &mut self,
        connection: u32,
        two_way: bool,
        result: Result<(SendStream, Option<RecvStream>), ConnectionError>,
    ) -> bool {
        self.opened(connection, two_way, result);
        self.connections.get(&connection).is_some_and(|entry| !entry.opening[usize::from(!two_way)].is_empty())
    }

    fn opened(
        &mut self,
        connection: u32,
        two_way: bool,
        result: Result<(SendStream, Option<RecvStream>), ConnectionError>,
    ) {
        let Some(entry) = self.connections.get_mut(&connection) else { return };
        let queue = &mut entry.opening[usize::from(!two_way)];
        let Ok((send, receive)) = result else {
            // Those that wait will not be opened any more.
            let lost = mem::take(queue);
            for (stream, _) in lost {
                self.stream_over(stream);
            }
            return;
        };
        let Some((stream, loudly)) = queue.pop_front() else { return };
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        if loudly {
            entry.context.push(RecordKind::Opened, connection, stream, Bytes::new());
        } else {
            entry.context.push_quietly(RecordKind::Opened, connection, stream);
        }
        let Send::Opening(ops) = mem::replace(&mut entry.send, Send::Idle(send)) else { return };
        if let Some(receive) = receive {
            self.receive(stream, receive);
        }
        for op in ops {
            self.send(stream, op);
        }
    }

    /// Writes, finishes or resets.
    pub(crate) fn send(&mut self, stream: u32, op: SendOp) {
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        match &mut entry.send {
            Send::Opening(ops) => ops.push_back(op),
            Send::Blocked { ops, reset } => {
                if matches!(op, SendOp::Reset(_)) {
                    ops.clear();
                    reset.notify_one();
                }
                ops.push_back(op);
            }
            Send::Finished | Send::Done => {}
            Send::Idle(_) => {
                let Send::Idle(idle) = mem::replace(&mut entry.send, Send::Done) else { return };
                self.send_idle(stream, idle, op);
            }
        }
    }

    fn send_idle(&mut self, stream: u32, mut send: SendStream, op: SendOp) {
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        match op {
            SendOp::Write { chunk, tell } => {
                let mut chunk = [chunk];
                let mut rest = &mut chunk[..];
                while !rest.is_empty() {
                    match poll_once(send.write_many_chunks(&mut rest)) {
                        Poll::Ready(Ok(_)) => {}
                        Poll::Ready(Err(error)) => {
                            self.write_failed(stream, &error);
                            return;
                        }
                        Poll::Pending => {
                            let [chunk] = chunk;
                            let given_up = Arc::new(Notify::new());
                            entry.send = Send::Blocked { ops: VecDeque::new(), reset: Arc::clone(&given_up) };
                            tokio::spawn(write(stream, send, chunk, tell, given_up));
                            return;
                        }
                    }
                }
                entry.send = Send::Idle(send);
                if tell {
                    entry.context.push(RecordKind::Drained, stream, 0, Bytes::new());
                }
            }
            SendOp::Finish { tell } => {
                // It fails when the peer has stopped it, which `stopped` tells again.
                let _ = send.finish();
                if tell {
                    entry.send = Send::Finished;
                    let stopped = send.stopped();
                    let context = Arc::clone(&entry.context);
                    tokio::spawn(async move {
                        match stopped.await {
                            Ok(None) => context.push(RecordKind::Acknowledged, stream, End::Clean as u32, Bytes::new()),
                            Ok(Some(code)) => {
                                context.push_code(RecordKind::Acknowledged, stream, End::ByPeer as u32, code, b"");
                            }
                            Err(_) => context.push(RecordKind::Acknowledged, stream, End::Lost as u32, Bytes::new()),
                        }
                        with(|world| world.send_done(stream));
                    });
                } else {
                    drop(send);
                    self.send_done(stream);
                }
            }
            SendOp::Reset(code) => {
                let _ = send.reset(code);
                drop(send);
                self.send_done(stream);
            }
        }
    }

    fn write_failed(&mut self, stream: u32, error: &WriteError) {
        if let Some(entry) = self.streams.get(&stream) {
            match error {
                WriteError::Stopped(code) => {
                    entry.context.push_code(RecordKind::WriteEnd, stream, End::ByPeer as u32, *code, b"");
                }
                _ => entry.context.push(RecordKind::WriteEnd, stream, End::Lost as u32, Bytes::new()),
            }
        }
        self.send_done(stream);
    }

    /// The task that waited has written its bytes.
    fn unblocked(&mut self, stream: u32, send: SendStream, tell: bool) {
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        if tell {
            entry.context.push(RecordKind::Drained, stream, 0, Bytes::new());
        }
        let Send::Blocked { ops, .. } = mem::replace(&mut entry.send, Send::Idle(send)) else { return };
        for op in ops {
            self.send(stream, op);
        }
    }

    fn send_done(&mut self, stream: u32) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.send = Send::Done;
            self.retire(stream);
        }
    }

    fn receive_done(&mut self, stream: u32) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.receive = Receive::Done;
            self.retire(stream);
        }
    }

    /// Forgets a stream whose halves are both over.
    fn retire(&mut self, stream: u32) {
        let Some(entry) = self.streams.get(&stream) else { return };
        if !matches!((&entry.send, &entry.receive), (Send::Done, Receive::Done)) {
            return;
        }
        let (connection, held) = (entry.connection, entry.held);
        self.streams.remove(&stream);
        if let Some(entry) = self.connections.get_mut(&connection) {
            entry.streams.remove(&stream);
        }
        free(stream);
        self.let_go(connection, held);
    }

    /// JavaScript has no use for it any more.
    pub(crate) fn drop_stream(&mut self, stream: u32) {
        let Some(entry) = self.streams.remove(&stream) else { return };
        if let Send::Blocked { reset, .. } = &entry.send {
            reset.notify_one();
        }
        if let Receive::Reading(reading) = &entry.receive {
            reading.dropped.store(true, Ordering::Relaxed);
            reading.changed.notify_one();
        }
        drop(entry);
        free(stream);
    }

    /// The connection is over: nothing more is sent, and what had arrived is handed to JavaScript.
    pub(crate) fn stream_over(&mut self, stream: u32) {
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        entry.room = i64::MAX / 2;
        match &entry.receive {
            Receive::Reading(reading) => reading.changed.notify_one(),
            // It was never opened.
            Receive::Opening(_) if matches!(entry.send, Send::Opening(_)) => entry.receive = Receive::Done,
            Receive::Opening(_) | Receive::Done => {}
        }
        match &entry.send {
            Send::Opening(_) | Send::Idle(_) => {
                entry.send = Send::Done;
                self.retire(stream);
            }
            // Their tasks learn of it.
            Send::Blocked { .. } | Send::Finished => {}
            Send::Done => self.retire(stream),
        }
    }

    /// Begins to read.
    pub(crate) fn receive(&mut self, stream: u32, mut receive: RecvStream) {
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        if let Receive::Opening(Some(code)) = entry.receive {
            let _ = receive.stop(code);
            drop(receive);
            self.receive_done(stream);
            return;
        }
        let mut chunks = [const { Bytes::new() }; CHUNKS];
        // Small streams have come whole.
        while self.read_room(stream) > 0 {
            match poll_once(receive.read_many_chunks(&mut chunks)) {
                Poll::Pending => break,
                Poll::Ready(result) => {
                    if !self.received(stream, &mut chunks, &result) {
                        return;
                    }
                }
            }
        }
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        let reading = Arc::new(Reading::default());
        entry.receive = Receive::Reading(Arc::clone(&reading));
        tokio::spawn(read(stream, receive, reading));
    }

    /// Hands bytes to JavaScript; whether more may come.
    fn received(
        &mut self,
        stream: u32,
        chunks: &mut [Bytes; CHUNKS],
        result: &Result<Option<usize>, ReadError>,
    ) -> bool {
        let Some(entry) = self.streams.get_mut(&stream) else { return false };
        let context = &entry.context;
        match *result {
            Ok(Some(count)) => {
                let bytes: usize = chunks[..count].iter().map(Bytes::len).sum();
                entry.room -= i64::try_from(bytes).unwrap_or(i64::MAX / 4);
                entry.held += bytes as u64;
                context.push_data(stream, chunks[..count].iter_mut().map(mem::take));
                let connection = entry.connection;
                self.hold(connection, bytes as u64);
                return true;
            }
            Ok(None) => context.push(RecordKind::ReadEnd, stream, End::Clean as u32, Bytes::new()),
            Err(ReadError::Reset(code)) => {
                context.push_code(RecordKind::ReadEnd, stream, End::ByPeer as u32, code, b"");
            }
            Err(_) => context.push(RecordKind::ReadEnd, stream, End::Lost as u32, Bytes::new()),
        }
        self.receive_done(stream);
        false
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
        if let (true, Receive::Reading(reading)) = (empty && entry.room > 0, &entry.receive) {
            reading.changed.notify_one();
        }
        self.let_go(connection, taken);
    }

    /// These may have room again.
    pub(crate) fn read_on(&mut self, streams: &[u32]) {
        for stream in streams {
            if let Some(Receive::Reading(reading)) = self.streams.get(stream).map(|entry| &entry.receive) {
                reading.changed.notify_one();
            }
        }
    }

    /// JavaScript wants no more.
    pub(crate) fn stop(&mut self, stream: u32, code: VarInt) {
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        match &mut entry.receive {
            Receive::Opening(stop) => *stop = Some(code),
            Receive::Reading(reading) => {
                let _ = reading.stop.set(code);
                reading.changed.notify_one();
            }
            Receive::Done => {}
        }
    }

    fn read_room(&self, stream: u32) -> i64 {
        self.streams.get(&stream).map_or(0, |entry| if self.may_hold(entry.connection) { entry.room } else { 0 })
    }
}

/// Waits until the transport takes the bytes, or the stream is reset.
async fn write(stream: u32, mut send: SendStream, chunk: Bytes, tell: bool, reset: Arc<Notify>) {
    let result = tokio::select! {
        biased;
        () = reset.notified() => None,
        result = send.write_chunk(chunk) => Some(result),
    };
    match result {
        // The reset is the only thing left to do; or JavaScript has closed the connection.
        None => with(|world| world.unblocked(stream, send, false)),
        Some(Ok(())) => with(|world| world.unblocked(stream, send, tell)),
        Some(Err(error)) => with(|world| world.write_failed(stream, &error)),
    }
}

/// Reads as far as JavaScript has room, until the end.
async fn read(stream: u32, mut receive: RecvStream, reading: Arc<Reading>) {
    let mut chunks = [const { Bytes::new() }; CHUNKS];
    loop {
        if reading.dropped.load(Ordering::Relaxed) {
            return;
        }
        if let Some(code) = reading.stop.get() {
            let _ = receive.stop(*code);
            drop(receive);
            with(|world| world.receive_done(stream));
            return;
        }
        if with(|world| world.read_room(stream)) <= 0 {
            reading.changed.notified().await;
            continue;
        }
        let result = tokio::select! {
            biased;
            () = reading.changed.notified() => continue,
            result = receive.read_many_chunks(&mut chunks) => result,
        };
        if !with(|world| world.received(stream, &mut chunks, &result)) {
            return;
        }
    }
}
