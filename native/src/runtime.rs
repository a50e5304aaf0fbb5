//! The one thread that does everything: a runtime of tokio, and the state of all endpoints, connections and streams,
//! which no other thread sees.
#![forbid(unsafe_code)]

use std::{
    cell::RefCell,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::OnceLock,
    task::{Context as TaskContext, Poll, Waker},
    thread,
};

use crate::{
    commands::{Post, Work},
    context::together,
    world::World,
};

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

/// The queue of commands.
pub fn post() -> &'static Post {
    static POST: OnceLock<Post> = OnceLock::new();
    POST.get_or_init(Post::default)
}

/// The state of everything; only on the runtime's thread, and never within itself.
pub fn with<R>(look: impl FnOnce(&mut World) -> R) -> R {
    WORLD.with_borrow_mut(look)
}

/// Ends a handle.
pub fn free(handle: u32) {
    post().inbox().handles.free(handle);
}

/// Starts the thread, the first time.
///
/// # Errors
///
/// Why the system gives none.
pub fn start() -> Result<(), String> {
    static STARTED: OnceLock<Result<(), String>> = OnceLock::new();
    STARTED.get_or_init(|| launch().map_err(|error| error.to_string())).clone()
}

fn launch() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("p2p-iroh".into()).spawn(move || {
        loop {
            // Nothing in there panics that is not caught below; but without this loop everybody would wait forever.
            let _ = catch_unwind(AssertUnwindSafe(|| runtime.block_on(serve())));
        }
    })?;
    Ok(())
}

async fn serve() {
    let mut work = Work::default();
    loop {
        post().receive(&mut work).await;
        together(|| {
            for command in work.commands.drain(..) {
                attempt(|world| world.run(command));
            }
            for stream in work.roused.drain(..) {
                attempt(|world| world.roused(stream));
            }
        });
        // What the commands have started comes first, then the network, then the next commands.
        tokio::task::yield_now().await;
    }
}

/// As `with`. A token in a command is settled as it is dropped.
fn attempt(work: impl FnOnce(&mut World)) {
    let _ = catch_unwind(AssertUnwindSafe(|| with(work)));
}

/// Polls a future once. For those only that can be dropped and asked again without loss.
pub fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    poll_with(future, Waker::noop())
}

/// As `poll_once`, and what it waits for then wakes `waker`.
pub fn poll_with<F: Future>(future: F, waker: &Waker) -> Poll<F::Output> {
    pin!(future).poll(&mut TaskContext::from_waker(waker))
}

#[cfg(test)]
mod tests {
    use super::{Poll, poll_once};

    #[test]
    fn one_poll_is_one_poll() {
        assert_eq!(poll_once(async { 7 }), Poll::Ready(7));
        assert_eq!(poll_once(std::future::pending::<()>()), Poll::Pending);
    }
}
