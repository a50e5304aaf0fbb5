//! What has to be known of libuv: its functions are those of the program that has loaded us, which need not be Node.

use std::{
    cell::Cell,
    ffi::{CStr, c_char, c_int, c_void},
    os::fd::{AsRawFd, RawFd},
    ptr,
    time::Duration,
};

use napi::{Env, bindgen_prelude::FunctionRef, sys};
use tokio::io::{Interest, unix::AsyncFd};

use crate::runtime::runtime;

/// `uv_handle_type` of the three kinds of handles.
const CHECK: c_int = 2;
const IDLE: c_int = 6;
const PREPARE: c_int = 9;

const POLLIN: i16 = 1;

type Loop = *mut c_void;
type Handle = *mut c_void;
type Hooks = [fn(); 2];
type Called = unsafe extern "C" fn(Handle);

/// Memory of a handle; `uv_handle_size` says 120 bytes in all versions so far.
type Memory = [u64; 32];

#[repr(C)]
#[derive(Default)]
struct Metrics {
    loop_count: u64,
    events: u64,
    rest: [u64; 14],
}

#[repr(C)]
struct PollFd {
    fd: c_int,
    events: i16,
    found: i16,
}

unsafe extern "C" {
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn poll(fds: *mut PollFd, count: usize, timeout_ms: c_int) -> c_int;
}

macro_rules! functions {
    ($($field:ident: $type:ty = $name:literal,)*) => {
        #[derive(Clone, Copy)]
        struct Functions { $($field: $type,)* }

        impl Functions {
            fn find() -> Option<Self> {
                // SAFETY: these are libuv's own signatures, unchanged since 1.45, and where there is no such symbol none
                // of them is called.
                Some(unsafe { Self { $($field: symbol::<$type>($name)?,)* } })
            }
        }
    };
}

functions! {
    handle_size: unsafe extern "C" fn(c_int) -> usize = c"uv_handle_size",
    prepare_init: unsafe extern "C" fn(Loop, Handle) -> c_int = c"uv_prepare_init",
    prepare_start: unsafe extern "C" fn(Handle, Called) -> c_int = c"uv_prepare_start",
    check_init: unsafe extern "C" fn(Loop, Handle) -> c_int = c"uv_check_init",
    check_start: unsafe extern "C" fn(Handle, Called) -> c_int = c"uv_check_start",
    idle_init: unsafe extern "C" fn(Loop, Handle) -> c_int = c"uv_idle_init",
    idle_start: unsafe extern "C" fn(Handle, Called) -> c_int = c"uv_idle_start",
    idle_stop: unsafe extern "C" fn(Handle) -> c_int = c"uv_idle_stop",
    unref: unsafe extern "C" fn(Handle) = c"uv_unref",
    close: unsafe extern "C" fn(Handle, Called) = c"uv_close",
    default_loop: unsafe extern "C" fn() -> Loop = c"uv_default_loop",
    backend_fd: unsafe extern "C" fn(Loop) -> c_int = c"uv_backend_fd",
    backend_timeout: unsafe extern "C" fn(Loop) -> c_int = c"uv_backend_timeout",
    metrics_info: unsafe extern "C" fn(Loop, *mut Metrics) -> c_int = c"uv_metrics_info",
}

/// A function of the program.
///
/// # Safety
///
/// `T` is the type of the function of this name.
unsafe fn symbol<T: Copy>(name: &CStr) -> Option<T> {
    const { assert!(size_of::<T>() == size_of::<*mut c_void>()) };
    // SAFETY: null asks for the program and all that it has loaded; the name ends with 0.
    let found = unsafe { dlsym(ptr::null_mut(), name.as_ptr()) };
    // SAFETY: a pointer to a function, of the same size, that is not null.
    (!found.is_null()).then(|| unsafe { std::mem::transmute_copy(&found) })
}

struct Descriptor(RawFd);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

impl Descriptor {
    fn has_events(&self) -> bool {
        let mut look = PollFd { fd: self.0, events: POLLIN, found: 0 };
        // SAFETY: one structure, which outlives the call; it does not wait.
        unsafe { poll(&raw mut look, 1, 0) > 0 }
    }
}

/// The loop, and what of ours is in it.
pub struct EventLoop {
    uv: Functions,
    raw: Loop,
    prepare: Handle,
    check: Handle,
    idle: Handle,
    descriptor: AsyncFd<Descriptor>,
    /// How many events it had seen as it was told to hurry.
    hurried: Cell<Option<u64>>,
}

thread_local! {
    /// What is called before the loop looks for events, and after.
    static HOOKS: Cell<Option<Hooks>> = const { Cell::new(None) };
}

impl EventLoop {
    /// Has the loop call `before` it looks for events, and `after` it has. Nothing in workers, whose loops end before
    /// what is in them can be closed, and where the program has no libuv of a version that is known.
    pub fn hook(env: &Env, before: fn(), after: fn()) -> Option<Self> {
        let uv = Functions::find()?;
        // SAFETY: a function without arguments that matter.
        if [CHECK, IDLE, PREPARE].into_iter().any(|kind| unsafe { (uv.handle_size)(kind) } > size_of::<Memory>()) {
            return None;
        }
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is that of the call we are in.
        if unsafe { sys::napi_get_uv_event_loop(env.raw(), &raw mut raw) } != sys::Status::napi_ok {
            return None;
        }
        let raw: Loop = raw.cast();
        // SAFETY: a function without arguments.
        if raw != unsafe { (uv.default_loop)() } {
            return None;
        }
        // SAFETY: the loop is this thread's.
        let descriptor = Descriptor(unsafe { (uv.backend_fd)(raw) });
        let _in_runtime = runtime().enter();
        // SAFETY: the loop's descriptor lives as long as the loop, and `EventLoop` is dropped before the environment is.
        let descriptor = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }.ok()?;
        HOOKS.set(Some([before, after]));
        let memory = || Box::into_raw(Box::<Memory>::default()).cast::<c_void>();
        let [prepare, check, idle] = [memory(), memory(), memory()];
        // SAFETY: the handles have the memory they need until they are closed; none keeps the loop alive.
        unsafe {
            (uv.prepare_init)(raw, prepare);
            (uv.check_init)(raw, check);
            (uv.idle_init)(raw, idle);
            (uv.prepare_start)(prepare, before_wait);
            (uv.check_start)(check, after_wait);
            for handle in [prepare, check, idle] {
                (uv.unref)(handle);
            }
        }
        Some(Self { uv, raw, prepare, check, idle, descriptor, hurried: Cell::new(None) })
    }

    fn events(&self) -> u64 {
        let mut metrics = Metrics::default();
        // SAFETY: the structure is as large as libuv's.
        unsafe { (self.uv.metrics_info)(self.raw, &raw mut metrics) };
        metrics.events
    }

    /// Whether it would wait for events, as nothing else is due.
    pub fn would_wait(&self) -> bool {
        // SAFETY: on the loop's thread.
        unsafe { (self.uv.backend_timeout)(self.raw) != 0 }
    }

    /// Has it look without waiting, this time.
    pub fn hurry(&self) {
        self.hurried.set(Some(self.events()));
        // SAFETY: an idle handle of this loop; while it is started the loop does not wait.
        unsafe { (self.uv.idle_start)(self.idle, nothing) };
    }

    /// After it was told to hurry: how long it may wait, if it may and there is a limit. Not when it has seen events, as
    /// what they have called may have asked for others, which it looks for the next time.
    pub fn may_wait(&self) -> Option<Option<Duration>> {
        let before = self.hurried.take()?;
        // SAFETY: as in `hurry`.
        unsafe { (self.uv.idle_stop)(self.idle) };
        if self.events() != before {
            return None;
        }
        // SAFETY: on the loop's thread.
        match unsafe { (self.uv.backend_timeout)(self.raw) } {
            0 => None,
            ms => Some(u64::try_from(ms).ok().map(Duration::from_millis)),
        }
    }

    /// Waits until there are events of the loop's own.
    pub async fn has_events(&self) {
        while let Ok(mut ready) = self.descriptor.readable().await {
            if ready.get_inner().has_events() {
                return;
            }
            ready.clear_ready();
        }
        std::future::pending::<()>().await;
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        for handle in [self.prepare, self.check, self.idle] {
            // SAFETY: initialised by `hook` and closed once; closing stops it.
            unsafe { (self.uv.close)(handle, release) };
        }
    }
}

fn call(which: usize) {
    // Whatever panics in there must not unwind into libuv.
    let _ = std::panic::catch_unwind(|| {
        if let Some(hooks) = HOOKS.get() {
            hooks[which]();
        }
    });
}

unsafe extern "C" fn before_wait(_: Handle) {
    call(0);
}

unsafe extern "C" fn after_wait(_: Handle) {
    call(1);
}

unsafe extern "C" fn nothing(_: Handle) {}

unsafe extern "C" fn release(handle: Handle) {
    // SAFETY: `hook` made it so, and libuv is done with it.
    drop(unsafe { Box::from_raw(handle.cast::<Memory>()) });
}

/// Calls a function of JavaScript from libuv, and what waits for its end after it. What it throws is uncaught.
pub fn call_back(env: &Env, function: &FunctionRef<(), ()>) {
    let raw = env.raw();
    let mut scope = ptr::null_mut();
    // SAFETY: on the environment's thread, outside of any call; the scope is closed below.
    if unsafe { sys::napi_open_handle_scope(raw, &raw mut scope) } != sys::Status::napi_ok {
        return;
    }
    if let Ok(function) = function.borrow_back(env) {
        let (mut global, mut result) = (ptr::null_mut(), ptr::null_mut());
        let function = napi::JsValue::raw(&function);
        // SAFETY: the values are of this scope; there are no arguments.
        unsafe {
            sys::napi_get_global(raw, &raw mut global);
            let status = sys::napi_make_callback(raw, ptr::null_mut(), global, function, 0, ptr::null(), &raw mut result);
            if status == sys::Status::napi_pending_exception {
                let mut thrown = ptr::null_mut();
                sys::napi_get_and_clear_last_exception(raw, &raw mut thrown);
                sys::napi_fatal_exception(raw, thrown);
            }
        }
    }
    // SAFETY: opened above.
    unsafe { sys::napi_close_handle_scope(raw, scope) };
}
