//! What JavaScript asks for: commands in one queue for all environments, which the runtime's thread takes in batches.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use iroh::{EndpointAddr, SecretKey, endpoint::VarInt};
use tokio::sync::Notify;

use crate::{
    context::{Context, lock},
    event_loop,
    handles::Handles,
    relays::Relay,
    settings::Settings,
};

/// What to do with the sending half of a stream.
#[derive(Clone, Debug)]
pub enum SendOp {
    /// Sends bytes; JavaScript wants to know when the transport has taken them if `tell`.
    Write {
        /// The bytes.
        chunk: Bytes,
        /// Whether to say [`crate::records::RecordKind::Drained`].
        tell: bool,
    },
    /// Ends it; JavaScript wants to know when everything has arrived if `tell`.
    Finish {
        /// Whether to say [`crate::records::RecordKind::Acknowledged`].
        tell: bool,
    },
    /// Abandons it.
    Reset(VarInt),
}

/// Whom to connect to, and how.
#[derive(Debug)]
pub struct Attempt {
    /// Where the peer is.
    pub address: EndpointAddr,
    /// The protocol.
    pub alpn: Vec<u8>,
    /// Whether JavaScript has the connection before its handshake is complete, where a session can be resumed.
    pub early: bool,
}

/// How to open a stream.
#[derive(Clone, Copy, Debug)]
pub struct HowToOpen {
    /// With an answer.
    pub two_way: bool,
    /// JavaScript waits to hear that it is open.
    pub loudly: bool,
    /// It may be opened before the handshake is complete; what is sent on it may reach the peer twice.
    pub early: bool,
}

/// One thing to do.
#[allow(missing_docs)]
pub enum Command {
    Bind { context: Arc<Context>, token: u32, with: Box<(SecretKey, Settings)> },
    CloseEndpoint { context: Arc<Context>, token: u32, endpoint: u32 },
    Connect { context: Arc<Context>, token: u32, endpoint: u32, with: Box<Attempt> },
    Cancel { context: u32, token: u32 },
    CloseConnection { connection: u32, code: VarInt, reason: Bytes },
    AcceptMore { connection: u32, two_way: u32, one_way: u32, datagrams: u32 },
    WatchPaths { connection: u32 },
    Open { context: Arc<Context>, connection: u32, stream: u32, how: HowToOpen },
    Send { stream: u32, op: SendOp },
    Stop { stream: u32, code: VarInt },
    ReadMore { stream: u32, bytes: u32 },
    ExternalAddress { endpoint: u32, address: std::net::SocketAddr, add: bool },
    Relay { endpoint: u32, with: Box<Relay>, add: bool },
    NetworkChange { endpoint: u32 },
    Ring { context: Arc<Context> },
    CloseContext { context: u32 },
}

/// Handles and commands, under one lock, as most calls need both.
#[derive(Default)]
pub struct Inbox {
    /// All handles.
    pub handles: Handles,
    commands: Vec<Command>,
}

impl Inbox {
    /// Adds a command, under the lock that the caller holds; see [`Post::with_inbox`].
    pub fn send(&mut self, command: Command) {
        self.commands.push(command);
    }
}

/// What waits to be done.
#[derive(Default)]
pub struct Work {
    /// What JavaScript asks for.
    pub commands: Vec<Command>,
    /// Streams that the transport says can go on.
    pub roused: Vec<u32>,
}

/// The way from JavaScript, and from the transport, to the runtime's thread.
#[derive(Default)]
pub struct Post {
    inbox: Mutex<Inbox>,
    roused: Mutex<Vec<u32>>,
    arrived: Notify,
}

impl Post {
    /// Handles and commands.
    pub fn inbox(&self) -> MutexGuard<'_, Inbox> {
        lock(&self.inbox)
    }

    /// Handles and commands; the runtime's thread is woken once for all that were added.
    pub fn with_inbox<R>(&self, look: impl FnOnce(&mut Inbox) -> R) -> R {
        let mut inbox = self.inbox();
        let idle = inbox.commands.is_empty();
        let result = look(&mut inbox);
        let wake = idle && !inbox.commands.is_empty();
        drop(inbox);
        if wake && !event_loop::comes_back() {
            self.arrived.notify_one();
        }
        result
    }

    /// Adds a command.
    pub fn send(&self, command: Command) {
        self.with_inbox(|inbox| inbox.send(command));
    }

    /// Adds a stream that can go on.
    pub fn rouse(&self, stream: u32) {
        let mut roused = lock(&self.roused);
        roused.push(stream);
        let wake = roused.len() == 1;
        drop(roused);
        if wake {
            self.arrived.notify_one();
        }
    }

    /// A turn begins: what was asked for meanwhile may have woken nobody.
    pub fn look_again(&self) {
        self.arrived.notify_one();
    }

    /// Waits until there is something to do, and moves it to `work`, which is empty.
    pub async fn receive(&self, work: &mut Work) {
        loop {
            std::mem::swap(&mut work.commands, &mut self.inbox().commands);
            std::mem::swap(&mut work.roused, &mut *lock(&self.roused));
            if !(work.commands.is_empty() && work.roused.is_empty()) {
                return;
            }
            self.arrived.notified().await;
        }
    }
}
