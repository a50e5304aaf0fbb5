//! Handles: what JavaScript holds instead of pointers. A handle that was freed is never mistaken for a newer one, as
//! each carries the generation of its slot, and slots are used again in turn.
#![forbid(unsafe_code)]

use std::collections::VecDeque;

/// What a handle stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A bound endpoint.
    Endpoint,
    /// A connection.
    Connection,
    /// A stream, one-way or two-way.
    Stream,
    /// Nothing yet: JavaScript may open a stream under it.
    Reserved,
}

const INDEX_BITS: u32 = 20;
const MAX_SLOTS: usize = 1 << INDEX_BITS;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;
const GENERATION_MASK: u32 = (1 << (32 - INDEX_BITS)) - 1;

/// Free slots rest until there are as many, so that the 12 bits of a generation last.
const RESTING_SLOTS: usize = 4096;

#[derive(Debug)]
struct Slot {
    generation: u32,
    owner: Option<(Kind, u32)>,
}

/// All handles of the process.
#[derive(Debug, Default)]
pub struct Handles {
    slots: Vec<Slot>,
    free: VecDeque<u32>,
    live: usize,
}

impl Handles {
    /// A new handle of `context`; `None` when a million are in use.
    pub fn allocate(&mut self, kind: Kind, context: u32) -> Option<u32> {
        let rested = self.free.len() >= RESTING_SLOTS || self.slots.len() == MAX_SLOTS;
        let index = if rested { self.free.pop_front()? } else {
            // The first slot is never given out, so that no handle is 0.
            if self.slots.is_empty() {
                self.slots.push(Slot { generation: 0, owner: None });
            }
            self.slots.push(Slot { generation: 0, owner: None });
            u32::try_from(self.slots.len() - 1).ok()?
        };
        let slot = self.slots.get_mut(index as usize)?;
        slot.owner = Some((kind, context));
        if kind != Kind::Reserved {
            self.live += 1;
        }
        Some(slot.generation << INDEX_BITS | index)
    }

    /// Whether `handle` is alive, of this kind and of this context.
    #[must_use]
    pub fn holds(&self, handle: u32, kind: Kind, context: u32) -> bool {
        self.slots.get((handle & INDEX_MASK) as usize).is_some_and(|slot| {
            slot.generation == handle >> INDEX_BITS && slot.owner == Some((kind, context))
        })
    }

    /// Ends a handle; does nothing when it is over already.
    pub fn free(&mut self, handle: u32) {
        let index = handle & INDEX_MASK;
        let Some(slot) = self.slots.get_mut(index as usize) else { return };
        if slot.generation != handle >> INDEX_BITS || slot.owner.is_none() {
            return;
        }
        if slot.owner.take().is_some_and(|(kind, _)| kind != Kind::Reserved) {
            self.live -= 1;
        }
        slot.generation = (slot.generation + 1) & GENERATION_MASK;
        self.free.push_back(index);
    }

    /// Makes a reserved handle that of a stream; whether it was one.
    pub fn take_reserved(&mut self, handle: u32, context: u32) -> bool {
        let reserved = self.holds(handle, Kind::Reserved, context);
        if let (true, Some(slot)) = (reserved, self.slots.get_mut((handle & INDEX_MASK) as usize)) {
            slot.owner = Some((Kind::Stream, context));
            self.live += 1;
        }
        reserved
    }

    /// Ends what a context has reserved and not used.
    pub fn free_reserved(&mut self, context: u32) {
        for index in 0..self.slots.len() {
            let slot = &self.slots[index];
            if slot.owner == Some((Kind::Reserved, context))
                && let Ok(index) = u32::try_from(index)
            {
                self.free(slot.generation << INDEX_BITS | index);
            }
        }
    }

    /// How many handles are alive, but for those that are reserved.
    #[must_use]
    pub fn live(&self) -> usize {
        self.live
    }
}

#[cfg(test)]
mod tests {
    use super::{Handles, Kind, MAX_SLOTS};

    #[test]
    fn a_handle_is_alive_until_it_is_freed_and_only_as_what_it_is() {
        let mut handles = Handles::default();
        let handle = handles.allocate(Kind::Stream, 7).unwrap();
        assert!(handles.holds(handle, Kind::Stream, 7));
        assert!(!handles.holds(handle, Kind::Connection, 7));
        assert!(!handles.holds(handle, Kind::Stream, 8));
        assert_eq!(handles.live(), 1);
        handles.free(handle);
        handles.free(handle);
        assert!(!handles.holds(handle, Kind::Stream, 7));
        assert_eq!(handles.live(), 0);
    }

    #[test]
    fn a_reserved_handle_becomes_a_stream_once_or_ends_with_its_context() {
        let mut handles = Handles::default();
        let [used, unused, other] = [1, 1, 2].map(|context| handles.allocate(Kind::Reserved, context).unwrap());
        assert_eq!(handles.live(), 0);
        assert!(!handles.take_reserved(used, 2));
        assert!(handles.take_reserved(used, 1));
        assert!(!handles.take_reserved(used, 1));
        assert!(handles.holds(used, Kind::Stream, 1));
        handles.free_reserved(1);
        assert!(!handles.take_reserved(unused, 1));
        assert!(handles.holds(used, Kind::Stream, 1));
        assert!(handles.take_reserved(other, 2));
        assert_eq!(handles.live(), 2);
    }

    #[test]
    fn handles_that_nobody_has_given_out_are_not_alive() {
        let mut handles = Handles::default();
        for handle in [0, 1, 4_000, u32::MAX] {
            assert!(!handles.holds(handle, Kind::Stream, 0));
            handles.free(handle);
        }
        let first = handles.allocate(Kind::Endpoint, 0).unwrap();
        assert_ne!(first, 0);
        assert!(!handles.holds(0, Kind::Endpoint, 0));
    }

    #[test]
    fn an_old_handle_stays_dead_while_its_slot_is_used_a_million_times() {
        let mut handles = Handles::default();
        let old = handles.allocate(Kind::Stream, 1).unwrap();
        handles.free(old);
        for _ in 0..1_000_000 {
            let handle = handles.allocate(Kind::Stream, 1).unwrap();
            assert_ne!(handle, old);
            assert!(!handles.holds(old, Kind::Stream, 1));
            handles.free(handle);
        }
    }

    #[test]
    fn there_is_an_end_to_them_and_what_is_freed_can_be_had_again() {
        let mut handles = Handles::default();
        let all: Vec<u32> = std::iter::from_fn(|| handles.allocate(Kind::Stream, 1)).collect();
        assert_eq!(all.len(), MAX_SLOTS - 1);
        handles.free(all[5]);
        let again = handles.allocate(Kind::Stream, 1).unwrap();
        assert_ne!(again, all[5]);
        assert!(handles.allocate(Kind::Stream, 1).is_none());
    }
}
