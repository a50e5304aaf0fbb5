//! Connections: one task each, which accepts streams and datagrams as far as JavaScript has room for them, and notices
//! the end.
#![forbid(unsafe_code)]

use std::{collections::VecDeque, pin::pin, sync::Arc, task::Poll};

use bytes::Bytes;
use iroh::endpoint::{Connection, ConnectionError, RecvStream, SendStream, VarInt};
use n0_future::StreamExt;
use rustc_hash::FxHashSet;
use tokio::{sync::Notify, task::AbortHandle};

use crate::{
    admission::{Admission, Admitted},
    context::{Context, lock, together},
    early::Early,
    failure::describe,
    handles::Kind,
    link::Link,
    records::RecordKind,
    runtime::{free, poll_once, post, with},
    shares::Share,
    stream::Opening,
    voice::Voice,
    world::World,
};

/// Streams of each kind that may wait for JavaScript; it asks for more as it takes them.
const ACCEPT_AHEAD: u32 = 256;

/// Streams that are accepted at a time; then the other connections have a turn.
const ACCEPT_LOT: usize = 32;

/// Who ended a connection, as a number in [`RecordKind::Closed`].
#[derive(Clone, Copy)]
#[repr(u32)]
enum By {
    Local = 0,
    Remote = 1,
    TimedOut = 2,
    Reset = 3,
    Transport = 4,
}

/// One connection.
pub struct ConnectionEntry {
    pub(crate) voice: Voice,
    pub(crate) link: Link,
    pub(crate) streams: FxHashSet<u32>,
    pub(crate) opening: [VecDeque<Opening>; 2],
    /// What waits for the handshake, and what has not.
    pub(crate) early: Early,
    /// Streams that the transport has opened without JavaScript knowing.
    pub(crate) untold: u32,
    changed: Arc<Notify>,
    room: Room,
    /// Given back at the end.
    admitted: Option<Admitted>,
    share: Share,
    /// Bytes that JavaScript has and has not taken yet, of streams that are open.
    held: u64,
    watching: Option<AbortHandle>,
    /// JavaScript wants to hear of paths.
    watches: bool,
    pub(crate) over: bool,
}

/// How many more of each JavaScript takes.
#[derive(Clone, Copy, Default)]
struct Room {
    two_way: u32,
    one_way: u32,
    datagrams: u32,
}

impl World {
    /// Takes a connection in, with `share` unless it has a place that says what its share is; `None` when there are too
    /// many handles.
    pub(crate) fn adopt(
        &mut self,
        context: &Arc<Context>,
        link: Link,
        admitted: Option<Admitted>,
        share: Share,
    ) -> Option<u32> {
        if context.is_closed() {
            link.close(0_u32.into(), b"the program has ended");
            return None;
        }
        let handle = post().inbox().handles.allocate(Kind::Connection, context.id)?;
        if let Some(connection) = link.full() {
            lock(&context.connections).insert(handle, connection.weak_handle());
        }
        let voice = Voice::of(Arc::clone(context), &link.peer());
        let changed = Arc::new(Notify::new());
        let share = admitted.as_ref().map_or(share, Admitted::share);
        link.give(share);
        if let Some(place) = admitted.as_ref().filter(|place| place.lessens()) {
            self.share_again(place.door());
        }
        tokio::spawn(serve(handle, link.clone(), voice.clone(), Arc::clone(&changed)));
        let room = Room { two_way: ACCEPT_AHEAD, one_way: ACCEPT_AHEAD, datagrams: 0 };
        self.connections.insert(
            handle,
            ConnectionEntry {
                voice,
                link,
                streams: FxHashSet::default(),
                opening: Default::default(),
                early: Early::default(),
                untold: 0,
                changed,
                room,
                admitted,
                share,
                held: 0,
                watching: None,
                watches: false,
                over: false,
            },
        );
        Some(handle)
    }

    /// JavaScript closes a connection, and forgets it and its streams.
    pub(crate) fn close_connection(&mut self, handle: u32, code: VarInt, reason: &[u8]) {
        let Some(entry) = self.connections.get_mut(&handle) else { return };
        entry.link.close(code, reason);
        let streams: Vec<u32> = entry.streams.drain().collect();
        for stream in streams {
            self.drop_stream(stream);
        }
        self.remove_connection(handle);
    }

    /// The transport says that it is over: what had arrived is handed to JavaScript, which then needs us no more.
    fn connection_over(&mut self, handle: u32) {
        let Some(entry) = self.connections.get_mut(&handle) else { return };
        entry.over = true;
        let place = entry.admitted.take();
        entry.room = Room { two_way: u32::MAX, one_way: u32::MAX, datagrams: u32::MAX };
        if let Some(watching) = entry.watching.take() {
            watching.abort();
        }
        let streams: Vec<u32> = entry.streams.iter().copied().collect();
        for stream in streams {
            self.stream_over(stream);
        }
        self.left(place);
    }

    fn left(&mut self, place: Option<Admitted>) {
        if let Some(door) = place.and_then(Admitted::leave) {
            self.share_again(&door);
        }
    }

    /// Gives everybody who is in by that door what is theirs now.
    fn share_again(&mut self, door: &Arc<Admission>) {
        let mut waiting = Vec::new();
        for (handle, entry) in &mut self.connections {
            let Some(place) = entry.admitted.as_ref().filter(|place| Arc::ptr_eq(place.door(), door)) else { continue };
            let share = place.share();
            if share == entry.share {
                continue;
            }
            entry.link.give(share);
            let was_full = entry.held >= entry.share.window;
            entry.share = share;
            match (was_full, entry.held >= share.window) {
                (true, false) => waiting.extend(entry.streams.iter().copied()),
                (false, true) => entry.voice.push(RecordKind::Full, *handle, 0, Bytes::new()),
                _ => {}
            }
        }
        Self::read_on(&waiting);
    }

    /// Bytes of a stream go to JavaScript.
    pub(crate) fn hold(&mut self, handle: u32, bytes: u64) {
        let Some(entry) = self.connections.get_mut(&handle) else { return };
        let had_room = entry.held < entry.share.window;
        entry.held += bytes;
        if had_room && entry.held >= entry.share.window {
            entry.voice.push(RecordKind::Full, handle, 0, Bytes::new());
        }
    }

    /// JavaScript has taken bytes, or will never take them.
    pub(crate) fn let_go(&mut self, handle: u32, bytes: u64) {
        let Some(entry) = self.connections.get_mut(&handle) else { return };
        let was_full = entry.held >= entry.share.window;
        entry.held = entry.held.saturating_sub(bytes);
        if was_full && entry.held < entry.share.window {
            let streams: Vec<u32> = entry.streams.iter().copied().collect();
            Self::read_on(&streams);
        }
    }

    /// Whether the connection may hold more for JavaScript; when it is over, all that is left comes.
    pub(crate) fn may_hold(&self, handle: u32) -> bool {
        self.connections.get(&handle).is_none_or(|entry| entry.over || entry.held < entry.share.window)
    }

    /// The handshake is complete.
    pub(crate) fn completed(&mut self, handle: u32, connection: Connection) -> Option<Early> {
        let entry = self.connections.get_mut(&handle)?;
        lock(&entry.voice.context.connections).insert(handle, connection.weak_handle());
        entry.link = Link::Full(connection);
        let early = std::mem::take(&mut entry.early);
        entry.voice.push(RecordKind::Confirmed, handle, 0, Bytes::new());
        if entry.watches {
            self.watch_paths(handle);
        }
        Some(early)
    }

    fn remove_connection(&mut self, handle: u32) {
        let Some(entry) = self.connections.remove(&handle) else { return };
        lock(&entry.voice.context.connections).remove(&handle);
        if let Some(watching) = entry.watching {
            watching.abort();
        }
        entry.changed.notify_one();
        free(handle);
        self.left(entry.admitted);
    }

    /// JavaScript has taken what was accepted.
    pub(crate) fn accept_more(&mut self, handle: u32, two_way: u32, one_way: u32, datagrams: u32) {
        let Some(entry) = self.connections.get_mut(&handle) else { return };
        entry.room.two_way = entry.room.two_way.saturating_add(two_way);
        entry.room.one_way = entry.room.one_way.saturating_add(one_way);
        entry.room.datagrams = entry.room.datagrams.saturating_add(datagrams);
        entry.changed.notify_one();
    }

    /// From now on JavaScript is told when paths change.
    pub(crate) fn watch_paths(&mut self, handle: u32) {
        let Some(entry) = self.connections.get_mut(&handle) else { return };
        entry.watches = true;
        if entry.over || entry.watching.is_some() {
            return;
        }
        let Some(mut events) = entry.link.full().map(Connection::path_events) else { return };
        let voice = entry.voice.clone();
        let task = tokio::spawn(async move {
            while events.next().await.is_some() {
                voice.push(RecordKind::Paths, handle, 0, Bytes::new());
            }
        });
        entry.watching = Some(task.abort_handle());
    }

    fn room(&self, handle: u32) -> Option<Room> {
        self.connections.get(&handle).map(|entry| entry.room)
    }

    fn accepted(&mut self, handle: u32, send: Option<SendStream>, receive: RecvStream) {
        let Some(entry) = self.connections.get_mut(&handle) else { return };
        let Some(stream) = post().inbox().handles.allocate(Kind::Stream, entry.voice.context.id) else {
            entry.link.close(0_u32.into(), b"it holds too many handles");
            return;
        };
        let voice = entry.voice.clone();
        entry.streams.insert(stream);
        let kind = if send.is_some() {
            entry.room.two_way = entry.room.two_way.saturating_sub(1);
            RecordKind::TwoWay
        } else {
            entry.room.one_way = entry.room.one_way.saturating_sub(1);
            RecordKind::OneWay
        };
        let over = entry.over;
        voice.push(kind, handle, stream, Bytes::new());
        self.accepted_stream(voice, handle, stream, send, receive);
        if over {
            self.stream_over(stream);
        }
    }

    /// Takes what else has come, as far as JavaScript has room.
    fn accept_on(&mut self, handle: u32) {
        let Some(entry) = self.connections.get(&handle) else { return };
        let link = entry.link.clone();
        for _ in 1..ACCEPT_LOT {
            if self.room(handle).is_none_or(|room| room.two_way == 0) {
                return;
            }
            let Poll::Ready(Ok((send, receive))) = poll_once(link.accept_bi()) else { break };
            self.accepted(handle, Some(send), receive);
        }
    }

    fn datagram(&mut self, handle: u32, bytes: Bytes) {
        let Some(entry) = self.connections.get_mut(&handle) else { return };
        entry.room.datagrams = entry.room.datagrams.saturating_sub(1);
        entry.voice.push(RecordKind::Datagram, handle, 0, bytes);
    }
}

async fn serve(handle: u32, link: Link, voice: Voice, changed: Arc<Notify>) {
    let [mut two_way, mut one_way, mut datagrams, mut open] = [true; 4];
    let mut closed = pin!(link.closed());
    // `None` once JavaScript has closed it.
    while let Some(room) = with(|world| world.room(handle)) {
        tokio::select! {
            result = link.accept_bi(), if two_way && room.two_way > 0 => match result {
                Ok((send, receive)) => {
                    together(|| {
                        with(|world| {
                            world.accepted(handle, Some(send), receive);
                            world.accept_on(handle);
                        });
                    });
                    tokio::task::yield_now().await;
                }
                Err(_) => two_way = false,
            },
            result = link.accept_uni(), if one_way && room.one_way > 0 => match result {
                Ok(receive) => with(|world| world.accepted(handle, None, receive)),
                Err(_) => one_way = false,
            },
            result = link.read_datagram(), if datagrams && room.datagrams > 0 => match result {
                Ok(bytes) => with(|world| world.datagram(handle, bytes)),
                Err(_) => datagrams = false,
            },
            error = &mut closed, if open => {
                open = false;
                tell_end(&voice, handle, &error);
                with(|world| world.connection_over(handle));
            }
            () = changed.notified() => {}
        }
        if !(open || two_way || one_way || datagrams) {
            voice.push(RecordKind::AcceptEnd, handle, 0, Bytes::new());
            with(|world| world.remove_connection(handle));
        }
    }
}

fn tell_end(voice: &Voice, handle: u32, error: &ConnectionError) {
    let zero = VarInt::from_u32(0);
    let text = describe(error);
    let (by, code, reason) = match error {
        ConnectionError::ApplicationClosed(close) => (By::Remote, close.error_code, close.reason.as_ref()),
        ConnectionError::LocallyClosed => (By::Local, zero, &b""[..]),
        ConnectionError::TimedOut => (By::TimedOut, zero, &b""[..]),
        ConnectionError::Reset => (By::Reset, zero, &b""[..]),
        _ => (By::Transport, zero, text.as_bytes()),
    };
    voice.push_code(RecordKind::Closed, handle, by as u32, code, reason);
}
