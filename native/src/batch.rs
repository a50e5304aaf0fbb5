//! What JavaScript asks of streams, packed into memory of its own, many requests a crossing: the counterpart of
//! [`crate::records`].
//!
//! An entry is four little-endian words (what, and flags above its lowest byte; a handle; another handle, or a number;
//! length) and its payload, padded to four bytes. `src/iroh/native/batch.ts` has the same numbers.
#![forbid(unsafe_code)]

use std::sync::Arc;

use bytes::Bytes;
use iroh::endpoint::VarInt;

use crate::{
    commands::{Command, HowToOpen, Inbox, SendOp},
    context::Context,
    handles::Kind,
};

/// Opens a stream under a handle that was reserved: connection, stream.
const OPEN: u32 = 1;
/// Sends bytes: stream.
const WRITE: u32 = 2;
/// Ends what is sent: stream.
const FINISH: u32 = 3;
/// Abandons what is sent: stream; code.
const RESET: u32 = 4;
/// Wants no more: stream; code.
const STOP: u32 = 5;
/// Takes more bytes: stream, how many.
const READ_MORE: u32 = 6;
/// Takes more two-way streams: connection, how many.
const MORE_TWO_WAY: u32 = 7;
/// Takes more one-way streams: connection, how many.
const MORE_ONE_WAY: u32 = 8;
/// Takes more datagrams: connection, how many.
const MORE_DATAGRAMS: u32 = 9;

/// With [`OPEN`]: the stream is two-way.
const TWO_WAY: u32 = 0x100;
/// With [`OPEN`]: JavaScript waits to hear when the transport has opened it.
const LOUDLY: u32 = 0x200;
/// With [`OPEN`]: the stream may be opened before the handshake is complete.
const EARLY: u32 = 0x400;
/// With [`WRITE`] and [`FINISH`]: JavaScript wants to know when it is done.
const TELL: u32 = 0x100;
/// With [`WRITE`]: nothing follows.
const LAST: u32 = 0x400;
/// With [`WRITE`] and [`LAST`]: JavaScript wants to know when everything has arrived.
const CONFIRM: u32 = 0x800;

const HEADER_BYTES: usize = 16;

/// One entry, whose handles nobody has looked at yet.
struct Entry<'a> {
    what: u32,
    flags: u32,
    first: u32,
    second: u32,
    payload: &'a [u8],
}

/// Takes the first entry off `batch`.
fn next<'a>(batch: &mut &'a [u8]) -> Option<Entry<'a>> {
    let (header, rest) = batch.split_first_chunk::<HEADER_BYTES>()?;
    let (words, _) = header.as_chunks::<4>();
    let [what, first, second, length] = [0, 1, 2, 3].map(|at| u32::from_le_bytes(words[at]));
    let length = usize::try_from(length).ok()?;
    let payload = rest.get(..length)?;
    *batch = rest.get(length.checked_next_multiple_of(4)?..)?;
    Some(Entry { what: what & 0xff, flags: what & !0xff, first, second, payload })
}

fn code(payload: &[u8]) -> Option<VarInt> {
    VarInt::from_u64(u64::from_le_bytes(payload.try_into().ok()?)).ok()
}

/// Sends the commands of a batch. Entries about handles that are over are skipped.
///
/// # Errors
///
/// At the first entry that makes no sense; those before it are sent.
pub fn submit(context: &Arc<Context>, inbox: &mut Inbox, mut batch: &[u8]) -> Result<(), &'static str> {
    while !batch.is_empty() {
        let entry = next(&mut batch).ok_or("an entry of the batch is cut off")?;
        let (kind, handle) = match entry.what {
            OPEN => {
                open(context, inbox, &entry);
                continue;
            }
            WRITE..=READ_MORE => (Kind::Stream, entry.first),
            MORE_TWO_WAY..=MORE_DATAGRAMS => (Kind::Connection, entry.first),
            _ => return Err("an entry of the batch asks for what there is not"),
        };
        if !inbox.handles.holds(handle, kind, context.id) {
            continue;
        }
        let tell = entry.flags & TELL != 0;
        let op = match entry.what {
            WRITE => SendOp::Write { chunk: Bytes::copy_from_slice(entry.payload), tell },
            FINISH => SendOp::Finish { tell },
            RESET => SendOp::Reset(code(entry.payload).ok_or("a code is below 2^62")?),
            what => {
                let command = match what {
                    STOP => {
                        let code = code(entry.payload).ok_or("a code is below 2^62")?;
                        Command::Stop { stream: handle, code }
                    }
                    READ_MORE => Command::ReadMore { stream: handle, bytes: entry.second },
                    _ => {
                        let [two_way, one_way, datagrams] = [MORE_TWO_WAY, MORE_ONE_WAY, MORE_DATAGRAMS]
                            .map(|kind| if kind == what { entry.second } else { 0 });
                        Command::AcceptMore { connection: handle, two_way, one_way, datagrams }
                    }
                };
                inbox.send(command);
                continue;
            }
        };
        inbox.send(Command::Send { stream: handle, op });
        if entry.what == WRITE && entry.flags & LAST != 0 {
            let op = SendOp::Finish { tell: entry.flags & CONFIRM != 0 };
            inbox.send(Command::Send { stream: handle, op });
        }
    }
    Ok(())
}

fn open(context: &Arc<Context>, inbox: &mut Inbox, entry: &Entry<'_>) {
    let (connection, stream) = (entry.first, entry.second);
    if !inbox.handles.take_reserved(stream, context.id) {
        return;
    }
    // Whether there is such a connection is seen when it is opened, and told; of another context there is none.
    let connection = if inbox.handles.holds(connection, Kind::Connection, context.id) { connection } else { 0 };
    let [two_way, loudly, early] = [TWO_WAY, LOUDLY, EARLY].map(|flag| entry.flags & flag != 0);
    let how = HowToOpen { two_way, loudly, early };
    inbox.send(Command::Open { context: Arc::clone(context), connection, stream, how });
}

#[cfg(test)]
mod tests {
    use super::{Entry, next};

    fn entry(what: u32, length: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes: Vec<u8> = [what, 7, 8, length].iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn entries_are_taken_in_order_and_padding_is_skipped() {
        let mut bytes = entry(0x302, 3, b"abc\0");
        bytes.extend(entry(3, 0, b""));
        let mut batch = &bytes[..];
        let Entry { what, flags, first, second, payload } = next(&mut batch).unwrap();
        assert_eq!((what, flags, first, second, payload), (2, 0x300, 7, 8, &b"abc"[..]));
        assert_eq!(next(&mut batch).unwrap().what, 3);
        assert!(batch.is_empty());
    }

    #[test]
    fn what_is_cut_off_is_no_entry() {
        for bytes in [
            entry(2, 4, b"abc"),
            entry(2, u32::MAX, b"abcd"),
            entry(2, 3, b"abc"),
            entry(2, 0, b"")[..15].to_vec(),
        ] {
            assert!(next(&mut &bytes[..]).is_none());
        }
    }
}
