//! Environments of JavaScript, and the records that are theirs.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use napi::{
    Env, Error, Result,
    bindgen_prelude::{Function, Uint8ArraySlice},
};
use napi_derive::napi;

use super::{CONTEXTS, HOOKED, find, invalid, no_context};
use crate::{
    commands::Command,
    context::Context,
    event_loop,
    records::MIN_SCRATCH_BYTES,
    runtime::{self, post},
};

/// Set in what `drain` returns when there is more.
const MORE: u32 = 1 << 31;

/// The version of this addon, and of the iroh it was built with.
#[napi(catch_unwind)]
#[must_use]
pub fn version() -> String {
    format!("{} iroh/1.4.1", env!("CARGO_PKG_VERSION"))
}

/// How many handles are alive in the process, in all contexts.
#[napi(catch_unwind)]
#[must_use]
pub fn live_handles() -> u32 {
    u32::try_from(post().inbox().handles.live()).unwrap_or(u32::MAX)
}

/// Opens a context; `bell` is called, without arguments, when there are records to drain. With `share_loop` the event loop
/// of this thread runs what there is to do before it would wait, where it can; not for loops that another program's are
/// made of.
///
/// # Errors
///
/// When the system gives no thread.
#[napi(catch_unwind)]
pub fn open_context(env: Env, bell: Function<'_, (), ()>, share_loop: bool) -> Result<u32> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    runtime::start().map_err(|why| Error::from_reason(format!("no thread can be started: {why}")))?;
    let posted = bell
        .build_threadsafe_function::<()>()
        .weak::<true>()
        .callee_handled::<false>()
        .build_callback(|_| Ok(()))?;
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let context = Arc::new(Context::new(id, posted));
    if share_loop {
        event_loop::share(env, id, &bell);
    }
    // One for all contexts of the thread, as napi never frees those that are removed.
    if !HOOKED.replace(true) {
        env.add_env_cleanup_hook((), |()| {
            let contexts = CONTEXTS.try_with(RefCell::take).unwrap_or_default();
            for context in contexts.values() {
                end(context);
            }
            event_loop::end();
            let _ = HOOKED.try_with(|hooked| hooked.set(false));
        })?;
    }
    CONTEXTS.with_borrow_mut(|contexts| contexts.insert(id, context));
    Ok(id)
}

fn end(context: &Context) {
    context.close();
    post().send(Command::CloseContext { context: context.id });
}

/// Closes a context and all that was opened in it.
///
/// # Errors
///
/// When there is none.
#[napi(catch_unwind)]
pub fn close_context(context: u32) -> Result<()> {
    let context = CONTEXTS.with_borrow_mut(|contexts| contexts.remove(&context)).ok_or_else(no_context)?;
    event_loop::forget(context.id);
    end(&context);
    Ok(())
}

/// Whether the context keeps the process alive.
///
/// # Errors
///
/// When there is no such context.
#[napi(catch_unwind)]
pub fn keep_alive(env: Env, context: u32, alive: bool) -> Result<()> {
    find(context)?.keep_alive(&env, alive)
}

/// Moves records to `scratch`: how many bytes they take, and the highest bit if there are more.
///
/// # Errors
///
/// When there is no such context, or `scratch` is too small.
#[napi(catch_unwind)]
pub fn drain(context: u32, mut scratch: Uint8ArraySlice<'_>) -> Result<u32> {
    let context = find(context)?;
    // SAFETY: nothing else looks at this memory until the call returns: JavaScript of this thread does not run in it,
    // and the door hands in memory of its own, which it shares with no other thread.
    let scratch = unsafe { scratch.as_mut() };
    if scratch.len() < MIN_SCRATCH_BYTES {
        return Err(invalid("the scratch memory is too small"));
    }
    let end = scratch.len().min(1 << 30);
    let (used, more) = context.drain(&mut scratch[..end]);
    event_loop::drained(used);
    let used = u32::try_from(used).unwrap_or(0);
    Ok(if more { used | MORE } else { used })
}

/// Has the bell rung again, after what else waits to be done.
///
/// # Errors
///
/// When there is no such context.
#[napi(catch_unwind)]
pub fn ring_again(context: u32) -> Result<()> {
    let context = find(context)?;
    post().send(Command::Ring { context });
    Ok(())
}
