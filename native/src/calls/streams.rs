//! Streams: handles for them, and what is asked of them, in batches.

use bytes::Bytes;
use napi::{Result, bindgen_prelude::Uint8ArraySlice};
use napi_derive::napi;

use super::{find, invalid, send_to};
use crate::{
    batch,
    commands::{Command, SendOp},
    event_loop,
    handles::Kind,
    runtime::post,
};

/// As many handles are reserved at a time.
const MAX_RESERVED: usize = 1024;

/// Writes handles of streams that can be opened to `handles`, four bytes each, little-endian: how many.
///
/// # Errors
///
/// When there is no such context.
#[napi(catch_unwind)]
pub fn reserve(context: u32, mut handles: Uint8ArraySlice<'_>) -> Result<u32> {
    let context = find(context)?;
    // SAFETY: as in `drain`.
    let target = unsafe { handles.as_mut() };
    let mut inbox = post().inbox();
    let mut count = 0;
    for word in target.as_chunks_mut::<4>().0.iter_mut().take(MAX_RESERVED) {
        let Some(handle) = inbox.handles.allocate(Kind::Reserved, context.id) else { break };
        *word = handle.to_le_bytes();
        count += 1;
    }
    Ok(count)
}

/// Does what the first `used` bytes of a batch ask for; see [`batch`].
///
/// # Errors
///
/// When the batch makes no sense somewhere, and then what comes before that is done; or there is no such context.
#[napi(catch_unwind)]
pub fn submit(context: u32, batch: &[u8], used: u32) -> Result<()> {
    let context = find(context)?;
    let batch = usize::try_from(used).ok().and_then(|used| batch.get(..used));
    let batch = batch.ok_or_else(|| invalid("the batch is longer than its memory"))?;
    post().with_inbox(|inbox| batch::submit(&context, inbox, batch)).map_err(invalid)
}

/// Sends bytes on a stream, outside of a batch; `Drained` tells when the transport has taken them if `tell`.
///
/// # Errors
///
/// When there is no such context.
#[napi(catch_unwind)]
pub fn write(context: u32, stream: u32, bytes: &[u8], tell: bool) -> Result<bool> {
    // What is handed over by itself is large.
    event_loop::cool();
    let chunk = Bytes::copy_from_slice(bytes);
    send_to(context, stream, Kind::Stream, Command::Send { stream, op: SendOp::Write { chunk, tell } })
}
