//! The sending half of a stream.
#![forbid(unsafe_code)]

use std::{collections::VecDeque, pin::Pin, task::Poll};

use bytes::Bytes;
use iroh::endpoint::{SendStream, StoppedError, VarInt, WriteError};

use super::{End, StreamEntry, waker};
use crate::{
    commands::SendOp,
    records::RecordKind,
    runtime::{poll_once, poll_with},
    world::World,
};

/// How far it is.
pub(super) enum Send {
    /// Not opened yet; what to do then.
    Opening(VecDeque<SendOp>),
    /// What waits for the transport; empty while it takes everything.
    Open(SendStream, VecDeque<SendOp>),
    /// Finished, and JavaScript is to be told when everything has arrived.
    Finished(Pin<Box<dyn Future<Output = Result<Option<VarInt>, StoppedError>> + std::marker::Send>>),
    Done,
}

impl World {
    /// Writes, finishes or resets.
    pub(crate) fn send(&mut self, stream: u32, op: SendOp) {
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        match &mut entry.send {
            Send::Opening(ops) => ops.push_back(op),
            Send::Open(_, ops) => {
                if let Some(said) = &mut entry.said {
                    if matches!(op, SendOp::Reset(_)) {
                        said.clear();
                    }
                    said.push(op.clone());
                }
                if matches!(op, SendOp::Reset(_)) {
                    ops.clear();
                }
                ops.push_back(op);
                if ops.len() == 1 {
                    self.send_on(stream);
                }
            }
            Send::Finished(_) | Send::Done => {}
        }
    }

    /// Does what waits, as far as the transport takes it.
    pub(super) fn send_on(&mut self, stream: u32) {
        loop {
            let Some(StreamEntry { voice, send: half, said, rouse, .. }) = self.streams.get_mut(&stream) else { return };
            let (send, ops) = match half {
                Send::Open(send, ops) => (send, ops),
                Send::Finished(stopped) => {
                    let Poll::Ready(how) = poll_with(stopped.as_mut(), &waker(rouse, stream)) else { return };
                    match how {
                        Ok(None) => voice.push_end(RecordKind::Acknowledged, stream, End::Clean),
                        Ok(Some(code)) => {
                            voice.push_code(RecordKind::Acknowledged, stream, End::ByPeer as u32, code, b"");
                        }
                        Err(StoppedError::ZeroRttRejected) if said.is_some() => return,
                        Err(_) => voice.push_end(RecordKind::Acknowledged, stream, End::Lost),
                    }
                    self.send_done(stream);
                    return;
                }
                Send::Opening(_) | Send::Done => return,
            };
            match ops.front_mut() {
                None => return,
                Some(SendOp::Write { chunk, tell }) => {
                    let mut rest = std::slice::from_mut(chunk);
                    while !rest.is_empty() {
                        let mut written = poll_once(send.write_many_chunks(&mut rest));
                        if written.is_pending() {
                            written = poll_with(send.write_many_chunks(&mut rest), &waker(rouse, stream));
                        }
                        match written {
                            Poll::Ready(Ok(_)) => {}
                            // It is said again when the handshake is complete.
                            Poll::Ready(Err(WriteError::ZeroRttRejected)) if said.is_some() => return,
                            Poll::Ready(Err(error)) => {
                                self.write_failed(stream, &error);
                                return;
                            }
                            Poll::Pending => return,
                        }
                    }
                    if *tell {
                        voice.push(RecordKind::Drained, stream, 0, Bytes::new());
                    }
                    ops.pop_front();
                }
                Some(SendOp::Finish { tell }) => {
                    // It fails when the peer has stopped it, which `stopped` tells again.
                    let _ = send.finish();
                    if *tell {
                        *half = Send::Finished(Box::pin(send.stopped()));
                    } else {
                        self.send_done(stream);
                        return;
                    }
                }
                Some(SendOp::Reset(code)) => {
                    let _ = send.reset(*code);
                    self.send_done(stream);
                    return;
                }
            }
        }
    }

    fn write_failed(&mut self, stream: u32, error: &WriteError) {
        if let Some(entry) = self.streams.get(&stream) {
            match error {
                WriteError::Stopped(code) => {
                    entry.voice.push_code(RecordKind::WriteEnd, stream, End::ByPeer as u32, *code, b"");
                }
                _ => entry.voice.push_end(RecordKind::WriteEnd, stream, End::Lost),
            }
        }
        self.send_done(stream);
    }

    fn send_done(&mut self, stream: u32) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.send = Send::Done;
            self.retire(stream);
        }
    }
}
