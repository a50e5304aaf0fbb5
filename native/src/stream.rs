//! Streams: state that is looked at when JavaScript asks for something, and when the transport says that a half can go
//! on. None of them costs a task.
#![forbid(unsafe_code)]

mod receiving;
mod sending;

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Wake, Waker},
};

use bytes::Bytes;
use iroh::endpoint::{ConnectionError, RecvStream, SendStream, VarInt};

use self::{
    receiving::{FIRST_READ_AHEAD, Receive},
    sending::Send,
};
use crate::{
    commands::{HowToOpen, SendOp},
    context::Context,
    records::RecordKind,
    runtime::{free, poll_once, post, with},
    voice::Voice,
    world::World,
};

/// Chunks that are read at a time; each is what one packet carried, or a few.
pub const CHUNKS: usize = 32;

/// JavaScript is told in lots how many streams the transport has opened, unless somebody waits to hear it.
const OPENED_LOT: u32 = 32;

/// One stream.
pub struct StreamEntry {
    voice: Voice,
    connection: u32,
    send: Send,
    receive: Receive,
    /// How many more bytes JavaScript takes.
    room: i64,
    /// How many it has and has not taken.
    held: u64,
    /// Whether it has taken any.
    is_read: bool,
    /// What was asked of the sending half before the handshake was complete, to be asked again should it come to that.
    said: Option<Vec<SendOp>>,
    /// What the transport wakes, once there was something to wait for.
    rouse: Option<Arc<Rouse>>,
}

impl StreamEntry {
    fn new(voice: Voice, connection: u32, send: Send, receive: Receive) -> Self {
        let room = FIRST_READ_AHEAD;
        Self { voice, connection, send, receive, room, held: 0, is_read: false, said: None, rouse: None }
    }
}

/// A stream that waits to be opened by the transport.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    stream: u32,
    /// JavaScript waits to hear it.
    loudly: bool,
    /// JavaScript counts it among those that wait to be opened.
    counted: bool,
}

/// How a half ended, as a number in its record.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum End {
    /// It is complete.
    Clean = 0,
    /// The peer has given it up.
    ByPeer = 1,
    /// It went with the connection.
    Lost = 2,
}

/// Puts a stream among those to be looked at.
struct Rouse {
    stream: u32,
    roused: AtomicBool,
}

impl Wake for Rouse {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.roused.swap(true, Ordering::AcqRel) {
            post().rouse(self.stream);
        }
    }
}

/// A waker for what is polled on behalf of a stream.
fn waker(rouse: &mut Option<Arc<Rouse>>, stream: u32) -> Waker {
    let rouse = rouse.get_or_insert_with(|| Arc::new(Rouse { stream, roused: AtomicBool::new(false) }));
    Waker::from(Arc::clone(rouse))
}

impl World {
    /// Opens a stream under a handle that JavaScript has already.
    pub(crate) fn open_stream(&mut self, context: &Arc<Context>, connection: u32, stream: u32, how: HowToOpen) {
        let Some(entry) = self.connections.get_mut(&connection) else {
            // It went while JavaScript was asking.
            free(stream);
            context.push(RecordKind::ReadEnd, stream, End::Lost as u32, Bytes::new());
            return;
        };
        entry.streams.insert(stream);
        let receive = if how.two_way { Receive::Opening(None) } else { Receive::Done };
        let send = Send::Opening(VecDeque::new());
        self.streams.insert(stream, StreamEntry::new(entry.voice.clone(), connection, send, receive));
        self.begin_stream(connection, stream, how);
    }

    /// Has the transport open it, now or when the handshake is complete.
    pub(crate) fn begin_stream(&mut self, connection: u32, stream: u32, how: HowToOpen) {
        let Some(entry) = self.connections.get_mut(&connection) else { return };
        let opening = Opening { stream, loudly: how.loudly, counted: true };
        if !entry.link.is_outgoing_early() {
            self.queue_opening(connection, how.two_way, opening);
            return;
        }
        let link = entry.link.clone();
        if how.early && how.two_way && let Poll::Ready(result) = poll_once(link.open_bi()) {
            entry.opening[0].push_back(opening);
            self.opened(connection, true, result.map(|(send, receive)| (send, Some(receive))));
        } else {
            entry.early.later.push((stream, how));
        }
    }

    fn queue_opening(&mut self, connection: u32, two_way: bool, opening: Opening) {
        let Some(entry) = self.connections.get_mut(&connection) else { return };
        let queue = &mut entry.opening[usize::from(!two_way)];
        queue.push_back(opening);
        if queue.len() > 1 {
            return;
        }
        let link = entry.link.clone();
        if two_way {
            match poll_once(link.open_bi()) {
                Poll::Ready(result) => self.opened(connection, true, result.map(|(send, receive)| (send, Some(receive)))),
                Poll::Pending => {
                    tokio::spawn(async move {
                        loop {
                            let result = link.open_bi().await.map(|(send, receive)| (send, Some(receive)));
                            if !with(|world| world.opened_next(connection, true, result)) {
                                return;
                            }
                        }
                    });
                }
            }
        } else {
            match poll_once(link.open_uni()) {
                Poll::Ready(result) => self.opened(connection, false, result.map(|send| (send, None))),
                Poll::Pending => {
                    tokio::spawn(async move {
                        loop {
                            let result = link.open_uni().await.map(|send| (send, None));
                            if !with(|world| world.opened_next(connection, false, result)) {
                                return;
                            }
                        }
                    });
                }
            }
        }
    }

    /// What was sent on it early has reached the peer.
    pub(crate) fn keep_stream(&mut self, stream: u32) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.said = None;
            self.retire(stream);
        }
    }

    /// What was sent on it early has not reached the peer: it is opened again, and everything said again.
    pub(crate) fn repeat_stream(&mut self, connection: u32, stream: u32) {
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        let Some(said) = entry.said.take() else { return };
        let waiting = if let Send::Open(_, ops) = &entry.send { ops.len() } else { 0 };
        let done = said.len().saturating_sub(waiting);
        let again = said.into_iter().enumerate().map(|(at, op)| match op {
            // Of these it was told already that they were taken.
            SendOp::Write { chunk, .. } if at < done => SendOp::Write { chunk, tell: false },
            op => op,
        });
        entry.send = Send::Opening(again.collect());
        let stopped = matches!(entry.receive, Receive::Done);
        entry.receive = Receive::Opening(stopped.then_some(VarInt::from_u32(0)));
        self.queue_opening(connection, true, Opening { stream, loudly: false, counted: false });
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
            for opening in lost {
                self.stream_over(opening.stream);
            }
            return;
        };
        let Some(Opening { stream, loudly, counted }) = queue.pop_front() else { return };
        entry.untold += u32::from(counted);
        if loudly || entry.untold >= OPENED_LOT {
            let count = mem::take(&mut entry.untold);
            entry.voice.push(RecordKind::Opened, connection, count, Bytes::new());
        }
        let early = entry.link.is_outgoing_early() && receive.as_ref().is_some_and(RecvStream::is_0rtt);
        if early {
            entry.early.streams.push(stream);
        }
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        entry.said = early.then(Vec::new);
        let opened = Send::Open(send, VecDeque::new());
        let Send::Opening(ops) = mem::replace(&mut entry.send, opened) else { return };
        if let Some(receive) = receive {
            self.receive(stream, receive);
        }
        for op in ops {
            self.send(stream, op);
        }
    }

    /// A stream that the peer has opened.
    pub(crate) fn accepted_stream(
        &mut self,
        voice: Voice,
        connection: u32,
        stream: u32,
        send: Option<SendStream>,
        receive: RecvStream,
    ) {
        let send = send.map_or(Send::Done, |send| Send::Open(send, VecDeque::new()));
        self.streams.insert(stream, StreamEntry::new(voice, connection, send, Receive::Opening(None)));
        self.receive(stream, receive);
    }

    /// The transport says that a stream can go on.
    pub(crate) fn roused(&mut self, stream: u32) {
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        if let Some(rouse) = &entry.rouse {
            // First, so that what is missed below rouses it again.
            rouse.roused.store(false, Ordering::Release);
        }
        let sends = !matches!(&entry.send, Send::Open(_, ops) if ops.is_empty());
        if sends {
            self.send_on(stream);
        }
        self.receive_on(stream);
    }

    /// Forgets a stream whose halves are both over.
    fn retire(&mut self, stream: u32) {
        let Some(entry) = self.streams.get(&stream) else { return };
        if entry.said.is_some() || !matches!((&entry.send, &entry.receive), (Send::Done, Receive::Done)) {
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
        if self.streams.remove(&stream).is_some() {
            free(stream);
        }
    }

    /// The connection is over: nothing more is sent, and what had arrived is handed to JavaScript.
    pub(crate) fn stream_over(&mut self, stream: u32) {
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        entry.room = i64::MAX / 2;
        entry.said = None;
        if matches!(entry.send, Send::Opening(_)) {
            // It was never opened, so nothing has arrived.
            if matches!(entry.receive, Receive::Opening(_)) {
                entry.voice.push_end(RecordKind::ReadEnd, stream, End::Lost);
            }
            entry.receive = Receive::Done;
        }
        if matches!(entry.send, Send::Finished(_)) {
            self.send_on(stream);
        } else {
            entry.send = Send::Done;
        }
        self.receive_on(stream);
        self.retire(stream);
    }
}
