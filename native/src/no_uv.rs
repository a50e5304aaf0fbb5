//! Where a thread cannot wait for libuv and for the network at once there is no loop to take turns in.
#![forbid(unsafe_code)]

use std::{convert::Infallible, time::Duration};

use napi::{Env, bindgen_prelude::FunctionRef};

/// Never there.
#[derive(Clone, Copy, Debug)]
pub struct EventLoop(Infallible);

impl EventLoop {
    /// Nothing.
    #[must_use]
    pub fn hook(_: &Env, _before: fn(), _after: fn()) -> Option<Self> {
        None
    }

    /// Never called.
    #[must_use]
    pub fn would_wait(&self) -> bool {
        match self.0 {}
    }

    /// Never called.
    pub fn hurry(&self) {
        match self.0 {}
    }

    /// Never called.
    #[must_use]
    pub fn may_wait(&self) -> Option<Option<Duration>> {
        match self.0 {}
    }

    /// Never called.
    pub async fn has_events(&self) {
        match self.0 {}
    }
}

/// Never called.
pub fn call_back(_: &Env, _: &FunctionRef<(), ()>) {}
