//! The event loop of JavaScript's main thread has its turn (see [`crate::turns`]) before it would wait: while requests
//! come and go it waits in the runtime, which looks at the loop's own events too, and calls the bells itself.
#![forbid(unsafe_code)]

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use napi::{
    Env,
    bindgen_prelude::{Function, FunctionRef},
};
use rustc_hash::FxHashMap;
use tokio::{sync::Notify, task::yield_now, time::sleep};

use crate::{
    runtime::{post, runtime, turns},
    uv::{self, EventLoop},
};

/// How long the loop takes turns after the last bell.
const HOT_FOR: Duration = Duration::from_millis(5);

/// Bells that follow within this time are requests that come and go.
const CLOSE: Duration = Duration::from_millis(2);

/// A drain of more than this is bulk, which is better carried beside JavaScript than in turn with it.
const BULK_BYTES: usize = 32_768;

/// A bell that is called and not posted.
type Bell = Rc<FunctionRef<(), ()>>;

/// Whether requests come and go.
#[derive(Clone, Copy)]
struct Hot {
    /// Until when the loop takes turns.
    until: Instant,
    /// When the last bell was.
    last: Instant,
}

impl Hot {
    /// Whether the loop takes turns, or did when it was last looked.
    fn is_on(self) -> bool {
        self.until > self.last
    }
}

/// A turn of the loop, which ends as this is dropped, so that whatever panics in it leaves it to nobody.
struct LoopTurn;

impl LoopTurn {
    /// See [`crate::turns::Turns::begin_loop`].
    fn begin(urgent: bool) -> Option<Self> {
        // Made only then: one that has not begun must not end.
        turns().begin_loop(urgent).then(|| Self)
    }

    /// Runs what there is to do, until `until` is over, and ends.
    fn run(self, until: impl Future<Output = ()>) {
        if OWED.with_borrow(Option::is_none) {
            OWED.set(Some(Vec::new()));
        }
        post().look_again();
        runtime().block_on(until);
        drop(self);
    }
}

impl Drop for LoopTurn {
    fn drop(&mut self) {
        turns().end_loop();
    }
}

/// What there is of the loop on this thread.
struct Shared {
    event_loop: EventLoop,
    env: Env,
}

thread_local! {
    static SHARED: RefCell<Option<Shared>> = const { RefCell::new(None) };
    static BELLS: RefCell<FxHashMap<u32, Bell>> = RefCell::default();
    /// Contexts whose bells are to be called, during a turn of the loop.
    static OWED: RefCell<Option<Vec<u32>>> = const { RefCell::new(None) };
    static HOT: Cell<Option<Hot>> = const { Cell::new(None) };
}

static RUNG: Notify = Notify::const_new();

/// From now on the loop of this thread takes turns, and calls `bell` for this context, where it can.
pub fn share(env: Env, context: u32, bell: &Function<'_, (), ()>) {
    let ready = SHARED.with_borrow_mut(|shared| {
        if shared.is_none() {
            *shared = EventLoop::hook(&env, before_wait, after_wait).map(|event_loop| Shared { event_loop, env });
        }
        shared.is_some()
    });
    if ready && let Ok(bell) = bell.create_ref() {
        BELLS.with_borrow_mut(|bells| bells.insert(context, Rc::new(bell)));
    }
}

/// A context has been closed.
pub fn forget(context: u32) {
    let _ = BELLS.try_with(|bells| bells.borrow_mut().remove(&context));
}

/// The environment of this thread ends.
pub fn end() {
    let _ = BELLS.try_with(RefCell::take);
    let _ = SHARED.try_with(RefCell::take);
}

/// Whether the loop will call the bell of this context by itself, as it has its turn.
#[must_use]
pub fn owe(context: u32) -> bool {
    let owed = OWED.try_with(|owed| {
        let mut owed = owed.borrow_mut();
        let Some(owed) = owed.as_mut() else { return false };
        let here = BELLS.with_borrow(|bells| bells.contains_key(&context));
        if here && !owed.contains(&context) {
            owed.push(context);
        }
        here
    });
    let owed = owed.unwrap_or(false);
    if owed {
        RUNG.notify_one();
    }
    owed
}

/// Whether what this thread asks for needs no waking of anybody: its loop is about to have its turn, and should it not
/// come back in time, the thread that takes over looks for what was asked for.
#[must_use]
pub fn comes_back() -> bool {
    HOT.try_with(|hot| hot.get().is_some_and(Hot::is_on)).unwrap_or(false) && turns().is_nobodys()
}

/// Records of so many bytes were drained.
pub fn drained(bytes: usize) {
    if SHARED.with_borrow(Option::is_none) {
        return;
    }
    let now = Instant::now();
    let follows = HOT.get().is_some_and(|hot| now - hot.last <= CLOSE);
    let until = if follows && bytes <= BULK_BYTES { now + HOT_FOR } else { now };
    HOT.set(Some(Hot { until, last: now }));
}

/// No turns for a while, as when bulk goes out.
pub fn cool() {
    if HOT.take().is_some_and(Hot::is_on) {
        turns().hand_over();
    }
}

fn heat() -> Duration {
    HOT.get().map_or(Duration::ZERO, |hot| hot.until.saturating_duration_since(Instant::now()))
}

/// Before the loop looks for events of its own.
fn before_wait() {
    if heat().is_zero() {
        // Once, as it has cooled down.
        if HOT.get().is_some_and(Hot::is_on) {
            cool();
        }
        return;
    }
    let waits = SHARED.with_borrow(|shared| {
        let Some(shared) = shared else { return true };
        let waits = shared.event_loop.would_wait();
        if waits {
            // It looks without waiting; the wait is ours.
            shared.event_loop.hurry();
        }
        waits
    });
    if waits {
        return;
    }
    let Some(turn) = LoopTurn::begin(false) else { return };
    turn.run(async {
        // The first lets the network be looked at, the others what came of it run.
        for _ in 0..3 {
            yield_now().await;
        }
    });
    call_bells();
}

/// After the loop has looked for events of its own.
fn after_wait() {
    let limit = SHARED.with_borrow(|shared| shared.as_ref().and_then(|shared| shared.event_loop.may_wait()));
    let Some(limit) = limit else { return };
    let heat = heat();
    if heat.is_zero() {
        return;
    }
    let Some(turn) = LoopTurn::begin(true) else { return };
    let limit = limit.map_or(heat, |limit| limit.min(heat));
    SHARED.with_borrow(|shared| {
        let Some(shared) = shared else { return };
        turn.run(async {
            tokio::select! {
                biased;
                () = rung() => {}
                () = shared.event_loop.has_events() => {}
                () = sleep(limit) => {}
            }
        });
    });
    call_bells();
}

/// Waits until a bell is to be called. What else the network has at hand is left for the next turn: while JavaScript works
/// on what there is, the peer does too.
async fn rung() {
    while OWED.with_borrow(|owed| owed.as_ref().is_none_or(Vec::is_empty)) {
        RUNG.notified().await;
    }
}

fn call_bells() {
    let owed = OWED.take().unwrap_or_default();
    if owed.is_empty() {
        return;
    }
    let Some(env) = SHARED.with_borrow(|shared| shared.as_ref().map(|shared| shared.env)) else { return };
    for context in owed {
        // Taken out while it is called, which may close the context.
        let Some(bell) = BELLS.with_borrow(|bells| bells.get(&context).map(Rc::clone)) else { continue };
        uv::call_back(&env, &bell);
    }
}
