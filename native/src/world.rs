//! Everything that is open, by handle.
#![forbid(unsafe_code)]

use bytes::Bytes;
use rustc_hash::FxHashMap;
use tokio::task::AbortHandle;

use crate::{
    commands::Command,
    connection::ConnectionEntry,
    endpoint::EndpointEntry,
    runtime::post,
    stream::{CHUNKS, StreamEntry},
};

/// Memory for chunks, which are taken out of it at once.
pub type Chunks = [Bytes; CHUNKS];

/// What the runtime's thread knows.
#[derive(Default)]
pub struct World {
    pub(crate) endpoints: FxHashMap<u32, EndpointEntry>,
    pub(crate) connections: FxHashMap<u32, ConnectionEntry>,
    pub(crate) streams: FxHashMap<u32, StreamEntry>,
    /// Where chunks are read to.
    pub(crate) chunks: Chunks,
    /// Attempts to connect, by context and token.
    pub(crate) attempts: FxHashMap<(u32, u32), AbortHandle>,
}

impl World {
    /// Does what was asked for; handles that are over meanwhile are no mistake of anybody's.
    pub fn run(&mut self, command: Command) {
        match command {
            Command::Bind { context, token, with } => World::bind(context, token, *with),
            Command::CloseEndpoint { context, token, endpoint } => self.close_endpoint(context, token, endpoint),
            Command::Connect { context, token, endpoint, with } => self.connect(context, token, endpoint, *with),
            Command::Cancel { context, token } => {
                if let Some(attempt) = self.attempts.remove(&(context, token)) {
                    attempt.abort();
                }
            }
            Command::CloseConnection { connection, code, reason } => self.close_connection(connection, code, &reason),
            Command::AcceptMore { connection, two_way, one_way, datagrams } => {
                self.accept_more(connection, two_way, one_way, datagrams);
            }
            Command::WatchPaths { connection } => self.watch_paths(connection),
            Command::Open { context, connection, stream, how } => self.open_stream(&context, connection, stream, how),
            Command::Send { stream, op } => self.send(stream, op),
            Command::Stop { stream, code } => self.stop(stream, code),
            Command::ReadMore { stream, bytes } => self.read_more(stream, bytes),
            Command::ExternalAddress { endpoint, address, add } => self.external_address(endpoint, address, add),
            Command::Relay { endpoint, with, add } => self.relay(endpoint, *with, add),
            Command::NetworkChange { endpoint } => self.network_change(endpoint),
            Command::Ring { context } => context.ring(),
            Command::CloseContext { context } => self.close_context(context),
        }
    }

    /// An environment is gone, and everything of it goes too.
    fn close_context(&mut self, context: u32) {
        self.attempts.retain(|(of, _), attempt| {
            if *of == context {
                attempt.abort();
            }
            *of != context
        });
        let connections: Vec<u32> =
            self.connections.iter().filter(|(_, entry)| entry.voice.context.id == context).map(|(handle, _)| *handle).collect();
        for connection in connections {
            self.close_connection(connection, 0_u32.into(), b"the program has ended");
        }
        let endpoints: Vec<u32> =
            self.endpoints.iter().filter(|(_, entry)| entry.context.id == context).map(|(handle, _)| *handle).collect();
        for endpoint in endpoints {
            self.drop_endpoint(endpoint, None);
        }
        post().inbox().handles.free_reserved(context);
    }
}
