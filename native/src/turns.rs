//! Whose turn it is to run everything: a thread of our own, or the event loop of JavaScript's main thread while requests
//! come and go and it would only wait for the next. What arrives then wakes one thread and not two.
#![forbid(unsafe_code)]

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::context::lock;

/// How long the event loop may be away, running JavaScript, before the thread takes over.
const AWAY: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug)]
enum Runner {
    Thread,
    Loop,
    /// Nobody, until then.
    Nobody(Instant),
}

/// The turns.
#[derive(Debug)]
pub struct Turns {
    runner: Mutex<Runner>,
    changed: Condvar,
    wanted: Notify,
}

impl Default for Turns {
    fn default() -> Self {
        Self { runner: Mutex::new(Runner::Nobody(Instant::now())), changed: Condvar::new(), wanted: Notify::new() }
    }
}

impl Turns {
    /// Waits until it is the thread's turn. It looks from time to time, so that the event loop need not wake it: it is
    /// the loop's next turn that usually comes first.
    pub fn begin_thread(&self) {
        let mut runner = lock(&self.runner);
        loop {
            let wait = match *runner {
                Runner::Thread => return,
                Runner::Loop => AWAY,
                Runner::Nobody(until) => match until.checked_duration_since(Instant::now()) {
                    Some(left) if !left.is_zero() => left,
                    _ => {
                        *runner = Runner::Thread;
                        return;
                    }
                },
            };
            runner = self.changed.wait_timeout(runner, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What the thread waits for while it has its turn: that the event loop wants one.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// The thread has ended its turn, for the event loop.
    pub fn end_thread(&self) {
        self.leave(AWAY);
        self.changed.notify_all();
    }

    /// Begins a turn of the event loop: at once, or never mind, if the thread has its own and this one is not `urgent`.
    pub fn begin_loop(&self, urgent: bool) -> bool {
        let mut runner = lock(&self.runner);
        loop {
            match *runner {
                Runner::Thread if urgent => {
                    self.wanted.notify_one();
                    runner = self.changed.wait(runner).unwrap_or_else(PoisonError::into_inner);
                }
                Runner::Thread | Runner::Loop => return false,
                Runner::Nobody(_) => {
                    *runner = Runner::Loop;
                    return true;
                }
            }
        }
    }

    /// The event loop has ended its turn, and will be back.
    pub fn end_loop(&self) {
        self.leave(AWAY);
    }

    /// The event loop will not be back soon: the thread has the turn at once, unless somebody has it.
    pub fn hand_over(&self) {
        let mut runner = lock(&self.runner);
        if let Runner::Nobody(until) = &mut *runner {
            *until = Instant::now();
            drop(runner);
            self.changed.notify_all();
        }
    }

    /// Whether nobody has the turn: whoever begins one looks for what is to be done.
    pub fn is_nobodys(&self) -> bool {
        matches!(*lock(&self.runner), Runner::Nobody(_))
    }

    fn leave(&self, for_now: Duration) {
        *lock(&self.runner) = Runner::Nobody(Instant::now() + for_now);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc,
        thread,
        time::{Duration, Instant},
    };

    use super::Turns;

    fn thread_of(turns: &'static Turns) -> mpsc::Receiver<&'static str> {
        let (told, tells) = mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            for _ in 0..3 {
                turns.begin_thread();
                if told.send("begins").is_err() {
                    return;
                }
                runtime.block_on(turns.wanted());
                if told.send("ends").is_err() {
                    return;
                }
                turns.end_thread();
            }
        });
        tells
    }

    fn turns() -> &'static Turns {
        Box::leak(Box::default())
    }

    #[test]
    fn the_thread_has_the_turn_until_the_loop_wants_it() {
        let turns = turns();
        let thread = thread_of(turns);
        assert_eq!(thread.recv(), Ok("begins"));
        assert!(!turns.begin_loop(false));
        assert!(turns.begin_loop(true));
        assert_eq!(thread.recv(), Ok("ends"));
        // Not twice, as in a loop that runs within itself.
        assert!(!turns.begin_loop(true));
        assert!(thread.recv_timeout(Duration::from_millis(20)).is_err());
        turns.end_loop();
        assert_eq!(thread.recv(), Ok("begins"));
    }

    #[test]
    fn a_loop_that_comes_back_in_time_goes_on() {
        let turns = turns();
        assert!(turns.begin_loop(true));
        let thread = thread_of(turns);
        for _ in 0..1000 {
            turns.end_loop();
            assert!(turns.is_nobodys());
            assert!(turns.begin_loop(false));
        }
        assert!(thread.try_recv().is_err());
    }

    #[test]
    fn a_loop_that_hands_over_is_not_waited_for() {
        let turns = turns();
        assert!(turns.begin_loop(true));
        let thread = thread_of(turns);
        turns.end_loop();
        let start = Instant::now();
        turns.hand_over();
        assert_eq!(thread.recv(), Ok("begins"));
        assert!(!turns.is_nobodys());
        turns.hand_over();
        assert!(turns.begin_loop(true));
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}
