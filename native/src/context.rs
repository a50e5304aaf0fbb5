//! One environment of JavaScript: the main thread, or a worker. It has a queue of records and a bell.
#![forbid(unsafe_code)]

use std::{
    cell::RefCell,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use iroh::{
    Endpoint,
    endpoint::WeakConnectionHandle,
};
use napi::{
    Env, Status,
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
};
use rustc_hash::FxHashMap;

use crate::{
    admission::Admission,
    event_loop,
    failure::{Failed, Failure},
    records::{Lane, RecordKind, Records},
};

thread_local! {
    /// Contexts whose bells are to be rung, while several things are done together.
    static OWED: RefCell<Option<Vec<Arc<Context>>>> = const { RefCell::new(None) };
}

/// Rings what is owed as it is dropped, so that a panic silences no bell.
struct Owing;

impl Drop for Owing {
    fn drop(&mut self) {
        for context in OWED.take().unwrap_or_default() {
            context.ring();
        }
    }
}

/// Rings each bell once, at the end, for all that `work` tells.
pub fn together(work: impl FnOnce()) {
    let owing = OWED.with_borrow(Option::is_none).then(|| {
        OWED.set(Some(Vec::new()));
        Owing
    });
    work();
    drop(owing);
}

/// Wakes JavaScript, which then drains the records. Weak: it does not keep the process alive unless it is told to.
pub type Bell = ThreadsafeFunction<(), (), (), Status, false, true>;

#[derive(Debug, Default)]
struct Outbox {
    records: Records,
    /// The bell was rung and JavaScript has not drained everything yet.
    rung: bool,
    closed: bool,
}

/// An endpoint as calls from JavaScript see it.
#[derive(Debug)]
pub struct SharedEndpoint {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Who may come in.
    pub admission: Arc<Admission>,
}

/// One environment.
pub struct Context {
    /// Its number.
    pub id: u32,
    outbox: Mutex<Outbox>,
    bell: Mutex<Option<Bell>>,
    /// What calls from JavaScript may look at without asking the runtime's thread. They look under the lock, so that
    /// the last reference is always dropped on the runtime's thread.
    pub endpoints: Mutex<FxHashMap<u32, SharedEndpoint>>,
    /// As `endpoints`.
    pub connections: Mutex<FxHashMap<u32, WeakConnectionHandle>>,
}

/// A lock that a panic elsewhere does not spoil.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Context {
    /// A context that rings `bell`.
    #[must_use]
    pub fn new(id: u32, bell: Bell) -> Self {
        Self {
            id,
            outbox: Mutex::default(),
            bell: Mutex::new(Some(bell)),
            endpoints: Mutex::default(),
            connections: Mutex::default(),
        }
    }

    /// Adds a record of this side's own and wakes JavaScript.
    pub fn push(self: &Arc<Self>, kind: RecordKind, id: u32, number: u32, payload: Bytes) {
        self.add(|records| records.push(Lane::Own, kind, id, number, payload));
    }

    pub(crate) fn add(self: &Arc<Self>, add: impl FnOnce(&mut Records)) {
        let ring = {
            let mut outbox = lock(&self.outbox);
            if outbox.closed {
                return;
            }
            add(&mut outbox.records);
            !std::mem::replace(&mut outbox.rung, true)
        };
        if !ring {
            return;
        }
        let owed = OWED.try_with(|owed| {
            owed.borrow_mut().as_mut().map(|owed| owed.push(Arc::clone(self))).is_some()
        });
        if !owed.unwrap_or(false) {
            self.ring();
        }
    }

    /// Moves records to `scratch`: how many bytes, and whether there are more.
    pub fn drain(&self, scratch: &mut [u8]) -> (usize, bool) {
        let mut outbox = lock(&self.outbox);
        let used = outbox.records.pack(scratch);
        let more = !outbox.records.is_empty();
        // Whoever adds a record from now on rings again.
        outbox.rung = more;
        (used, more)
    }

    /// Wakes JavaScript, which has said that it left something.
    pub fn ring(&self) {
        if event_loop::owe(self.id) {
            return;
        }
        if let Some(bell) = lock(&self.bell).as_ref() {
            bell.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }

    /// Whether the bell keeps the process alive.
    ///
    /// # Errors
    ///
    /// When Node says so.
    pub fn keep_alive(&self, env: &Env, alive: bool) -> napi::Result<()> {
        let mut bell = lock(&self.bell);
        let Some(bell) = bell.as_mut() else { return Ok(()) };
        // Cloning and dropping, as napi would rather have it, does not reach Node's count.
        #[allow(deprecated)]
        if alive { bell.refer(env) } else { bell.unref(env) }
    }

    /// Whether its environment is gone: then nothing is to be opened in it any more.
    pub fn is_closed(&self) -> bool {
        lock(&self.outbox).closed
    }

    /// Nothing reaches JavaScript any more.
    pub fn close(&self) {
        {
            let mut outbox = lock(&self.outbox);
            outbox.closed = true;
            outbox.records.clear();
        }
        let bell = lock(&self.bell).take();
        drop(bell);
    }
}

/// A promise of JavaScript that is settled exactly once, also when the task that was to do so panics or is dropped.
pub struct Token {
    context: Arc<Context>,
    number: u32,
    settled: bool,
}

impl Token {
    /// The promise behind `token`.
    #[must_use]
    pub fn new(context: Arc<Context>, token: u32) -> Self {
        Self { context, number: token, settled: false }
    }

    /// It went well; `number` is a handle, or 0.
    pub fn done(mut self, number: u32, payload: Bytes) {
        self.settled = true;
        self.context.push(RecordKind::Done, self.number, number, payload);
    }

    /// It did not.
    pub fn failed(mut self, failed: Failed) {
        self.settled = true;
        self.context.push(RecordKind::Failed, self.number, failed.kind as u32, failed.payload);
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if !self.settled {
            self.context.push(RecordKind::Failed, self.number, Failure::Abandoned as u32, Bytes::new());
        }
    }
}
