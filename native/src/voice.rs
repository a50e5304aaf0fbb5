//! Telling JavaScript about one peer, in that peer's turn.
#![forbid(unsafe_code)]

use std::sync::Arc;

use bytes::Bytes;
use iroh::endpoint::VarInt;

use crate::{
    context::Context,
    failure::code_and_text,
    records::{Lane, RecordKind},
    stream::End,
};

/// A context, and whose turn it is when something is told there.
#[derive(Clone)]
pub struct Voice {
    /// Where it is told.
    pub context: Arc<Context>,
    lane: Lane,
}

impl Voice {
    /// A voice for what concerns a peer.
    #[must_use]
    pub fn of(context: Arc<Context>, peer: &[u8; 32]) -> Self {
        Self { context, lane: Lane::of(peer) }
    }

    /// Adds a record and wakes JavaScript.
    pub fn push(&self, kind: RecordKind, id: u32, number: u32, payload: Bytes) {
        self.context.add(|records| records.push(self.lane, kind, id, number, payload));
    }

    /// Adds a record about the end of a half of a stream.
    pub fn push_end(&self, kind: RecordKind, stream: u32, end: End) {
        self.push(kind, stream, end as u32, Bytes::new());
    }

    /// Adds a record with a code and a text.
    pub fn push_code(&self, kind: RecordKind, id: u32, number: u32, code: VarInt, text: &[u8]) {
        self.push(kind, id, number, code_and_text(code, text));
    }

    /// Adds bytes of a stream.
    pub fn push_data(&self, stream: u32, chunks: impl IntoIterator<Item = Bytes>) {
        self.context.add(|records| records.data(self.lane, stream, chunks));
    }
}
