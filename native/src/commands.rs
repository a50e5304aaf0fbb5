//! What JavaScript asks for: commands in one queue for all environments, which the runtime's thread takes in batches.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use iroh::{EndpointAddr, RelayUrl, SecretKey, endpoint::VarInt};
use tokio::sync::Notify;

use crate::{
    context::{Context, lock},
    handles::Handles,
    settings::Settings,
};

/// What to do with the sending half of a stream.
#[derive(Debug)]
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

/// One thing to do.
#[allow(missing_docs)]
pub enum Command {
    Bind { context: Arc<Context>, token: u32, with: Box<(SecretKey, Settings)> },
    CloseEndpoint { context: Arc<Context>, token: u32, endpoint: u32 },
    Connect { context: Arc<Context>, token: u32, endpoint: u32, address: EndpointAddr, alpn: Vec<u8> },
    Cancel { context: u32, token: u32 },
    CloseConnection { connection: u32, code: VarInt, reason: Bytes },
    AcceptMore { connection: u32, two_way: u32, one_way: u32, datagrams: u32 },
    WatchPaths { connection: u32 },
    Open { connection: u32, stream: u32, two_way: bool, loudly: bool },
    Send { stream: u32, op: SendOp },
    Stop { stream: u32, code: VarInt },
    ReadMore { stream: u32, bytes: u32 },
    ExternalAddress { endpoint: u32, address: std::net::SocketAddr, add: bool },
    Relay { endpoint: u32, url: RelayUrl, token: Option<String>, add: bool },
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

/// The way from JavaScript to the runtime's thread.
#[derive(Default)]
pub struct Post {
    inbox: Mutex<Inbox>,
    arrived: Notify,
}

impl Post {
    /// Handles and commands.
    pub fn inbox(&self) -> MutexGuard<'_, Inbox> {
        lock(&self.inbox)
    }

    /// Adds a command.
    pub fn send(&self, command: Command) {
        let mut inbox = self.inbox();
        self.send_in(&mut inbox, command);
    }

    /// As `send`, under a lock that is held.
    pub fn send_in(&self, inbox: &mut Inbox, command: Command) {
        inbox.commands.push(command);
        if inbox.commands.len() == 1 {
            self.arrived.notify_one();
        }
    }

    /// All commands that wait, once there are some.
    pub async fn receive(&self) -> Vec<Command> {
        loop {
            let commands = std::mem::take(&mut self.inbox().commands);
            if !commands.is_empty() {
                return commands;
            }
            self.arrived.notified().await;
        }
    }
}
