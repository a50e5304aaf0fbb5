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
use iroh::endpoint::{ConnectionError, RecvStream, SendStream};

use self::{
    receiving::{FIRST_READ_AHEAD, Receive},
    sending::Send,
};
use crate::{
    context::Context,
    records::RecordKind,
    runtime::{free, poll_once, post, with},
    world::World,
};

/// Chunks that are read at a time; each is what one packet carried, or a few.
pub const CHUNKS: usize = 32;

/// JavaScript is told in lots how many streams the transport has opened, unless somebody waits to hear it.
const OPENED_LOT: u32 = 32;

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
    /// What the transport wakes, once there was something to wait for.
    rouse: Option<Arc<Rouse>>,
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
    pub(crate) fn open_stream(
        &mut self,
        context: &Arc<Context>,
        connection: u32,
        stream: u32,
        two_way: bool,
        loudly: bool,
    ) {
        let Some(entry) = self.connections.get_mut(&connection) else {
            // It went while JavaScript was asking.
            free(stream);
            context.push_end(RecordKind::ReadEnd, stream, End::Lost);
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
                rouse: None,
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
        entry.untold += 1;
        if loudly || entry.untold >= OPENED_LOT {
            let count = mem::take(&mut entry.untold);
            entry.context.push(RecordKind::Opened, connection, count, Bytes::new());
        }
        let Some(entry) = self.streams.get_mut(&stream) else { return };
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
        context: Arc<Context>,
        connection: u32,
        stream: u32,
        send: Option<SendStream>,
        receive: RecvStream,
    ) {
        let send = send.map_or(Send::Done, |send| Send::Open(send, VecDeque::new()));
        let receiving = Receive::Opening(None);
        let entry = StreamEntry {
            context,
            connection,
            send,
            receive: receiving,
            room: FIRST_READ_AHEAD,
            held: 0,
            is_read: false,
            rouse: None,
        };
        self.streams.insert(stream, entry);
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
        if self.streams.remove(&stream).is_some() {
            free(stream);
        }
    }

    /// The connection is over: nothing more is sent, and what had arrived is handed to JavaScript.
    pub(crate) fn stream_over(&mut self, stream: u32) {
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        entry.room = i64::MAX / 2;
        if matches!(entry.send, Send::Opening(_)) {
            // It was never opened, so nothing has arrived.
            if matches!(entry.receive, Receive::Opening(_)) {
                entry.context.push_end(RecordKind::ReadEnd, stream, End::Lost);
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
