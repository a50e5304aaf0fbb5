//! What JavaScript calls.
//!
//! Every function takes a context first, which `open_context` has given to the same thread. Functions on handles return
//! false when the handle is over; what is no handle, context or value at all is an error. No argument is an object, so
//! that no code of JavaScript runs between looking at one argument and the next.

// The Node-API hands texts over as strings of ours.
#![allow(clippy::needless_pass_by_value)]

pub mod connections;
pub mod contexts;
pub mod endpoints;
pub mod streams;

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use iroh::{EndpointId, endpoint::VarInt};
use napi::{Error, Result, Status};
use rustc_hash::FxHashMap;

use crate::{
    commands::Command,
    context::Context,
    handles::Kind,
    runtime::post,
};

thread_local! {
    /// The contexts of this thread: no other can use them.
    pub(super) static CONTEXTS: RefCell<FxHashMap<u32, Arc<Context>>> = RefCell::default();
    /// Whether the end of this thread's environment will be noticed.
    pub(super) static HOOKED: Cell<bool> = const { Cell::new(false) };
}

pub(super) fn no_context() -> Error {
    invalid("there is no such context")
}

pub(super) fn invalid(why: impl Into<String>) -> Error {
    Error::new(Status::InvalidArg, why.into())
}

pub(super) fn find(context: u32) -> Result<Arc<Context>> {
    // In an environment that is being torn down the map may be gone already.
    CONTEXTS
        .try_with(|contexts| contexts.borrow().get(&context).cloned())
        .ok()
        .flatten()
        .ok_or_else(no_context)
}

/// Sends a command about a handle, if it is alive.
pub(super) fn send_to(context: u32, handle: u32, kind: Kind, command: Command) -> Result<bool> {
    let context = find(context)?;
    Ok(post().with_inbox(|inbox| {
        let alive = inbox.handles.holds(handle, kind, context.id);
        if alive {
            inbox.send(command);
        }
        alive
    }))
}

pub(super) fn code_of(code: f64) -> Result<VarInt> {
    // Whole numbers up to 2^53 are exact; the check makes the conversion so.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::float_cmp)]
    let whole = code as u64;
    #[allow(clippy::cast_precision_loss, clippy::float_cmp)]
    let exact = whole as f64 == code && code < 9_007_199_254_740_992.0;
    if !exact {
        return Err(invalid("a code is a whole number from 0 to 2^53 - 1"));
    }
    VarInt::from_u64(whole).map_err(|_| invalid("a code is below 2^62"))
}

pub(super) fn peer_of(bytes: &[u8]) -> Result<EndpointId> {
    let bytes = <&[u8; 32]>::try_from(bytes).map_err(|_| invalid("an id has 32 bytes"))?;
    EndpointId::from_bytes(bytes).map_err(|_| invalid("these 32 bytes are no id"))
}

pub(super) fn ids_of(bytes: &[u8]) -> Result<impl Iterator<Item = [u8; 32]>> {
    let (ids, rest) = bytes.as_chunks::<32>();
    if rest.is_empty() { Ok(ids.iter().copied()) } else { Err(invalid("an id has 32 bytes")) }
}
