//! Who may come in: decided before JavaScript hears of it.
#![forbid(unsafe_code)]

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Instant,
};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    knocking::{Caller, Knocking},
    rates::{Pace, Rates},
    settings::Settings,
    shares::{Share, Shares, step},
};

/// A peer's id.
pub type PeerId = [u8; 32];

/// What becomes of an attempt whose sender is not known yet.
#[derive(Debug)]
pub enum Arrival {
    /// It may shake hands while this is held.
    Welcome(Handshake),
    /// It must first show that it receives what is sent to its address.
    Validate,
    /// It is turned away.
    Refused,
}

/// Who is let in besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Only these, when there is a list.
    pub allow: Option<FxHashSet<PeerId>>,
    /// Not these.
    pub deny: FxHashSet<PeerId>,
}

impl Access {
    fn permits(&self, peer: &PeerId) -> bool {
        !self.deny.contains(peer) && self.allow.as_ref().is_none_or(|allow| allow.contains(peer))
    }
}

#[derive(Debug, Default)]
struct Present {
    all: u32,
    by_peer: FxHashMap<PeerId, u32>,
}

/// The door of one endpoint.
#[derive(Debug)]
pub struct Admission {
    serving: AtomicBool,
    /// Protocols whose early data is handed on.
    early: Mutex<Vec<Vec<u8>>>,
    turned_away: AtomicU32,
    knocking: Mutex<Knocking>,
    rates: Mutex<Rates>,
    access: Mutex<Access>,
    present: Mutex<Present>,
    max_connections: AtomicU32,
    max_connections_per_peer: AtomicU32,
    shares: Shares,
}

impl Admission {
    /// As the settings say; at first nobody is let in.
    #[must_use]
    pub fn new(settings: &Settings) -> Arc<Self> {
        Arc::new(Self {
            serving: AtomicBool::new(false),
            early: Mutex::default(),
            turned_away: AtomicU32::new(0),
            knocking: Mutex::new(Knocking::new(settings)),
            rates: Mutex::new(Rates::new(settings)),
            access: Mutex::default(),
            present: Mutex::default(),
            max_connections: AtomicU32::new(settings.max_connections),
            max_connections_per_peer: AtomicU32::new(settings.max_connections_per_peer),
            shares: Shares::new(settings),
        })
    }

    /// Whether attempts are taken up at all, and which protocols may begin before the handshake is complete.
    pub fn serve(&self, serving: bool, early: Vec<Vec<u8>>) {
        self.serving.store(serving, Ordering::Relaxed);
        *lock(&self.early) = early;
    }

    /// Whether there is a protocol that may begin before the handshake is complete.
    #[must_use]
    pub fn takes_any_early(&self) -> bool {
        !lock(&self.early).is_empty()
    }

    /// Whether this protocol may.
    #[must_use]
    pub fn takes_early(&self, alpn: &[u8]) -> bool {
        lock(&self.early).iter().any(|early| early == alpn)
    }

    /// Sets who is let in; those who are in stay.
    pub fn set_access(&self, access: Access) {
        *self.access.lock().unwrap_or_else(PoisonError::into_inner) = access;
    }

    /// Sets how many may be in, in all and from one peer; those who are in stay.
    pub fn set_bounds(&self, connections: u32, connections_per_peer: u32) {
        self.max_connections.store(connections, Ordering::Relaxed);
        self.max_connections_per_peer.store(connections_per_peer, Ordering::Relaxed);
    }

    /// What a connection may have while there is no other.
    #[must_use]
    pub fn largest_share(&self) -> Share {
        self.shares.of(1, 1)
    }

    /// How many were turned away so far.
    #[must_use]
    pub fn turned_away(&self) -> u32 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// Somebody knocks; `validated` says that its address is not made up.
    #[must_use]
    pub fn arrive(self: &Arc<Self>, caller: Caller, validated: bool) -> Arrival {
        let mut knocking = lock(&self.knocking);
        if !self.serving.load(Ordering::Relaxed) || !knocking.has_room(&caller, validated) {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return Arrival::Refused;
        }
        if !validated && knocking.is_busy(&caller) {
            return Arrival::Validate;
        }
        match lock(&self.rates).take(&caller, validated, Instant::now()) {
            Pace::Steady => {}
            Pace::Hasty => return Arrival::Validate,
            Pace::Over => {
                self.turned_away.fetch_add(1, Ordering::Relaxed);
                return Arrival::Refused;
            }
        }
        knocking.begin(caller.clone());
        Arrival::Welcome(Handshake { admission: Arc::clone(self), caller })
    }

    /// Lets a peer in that has proven who it is.
    ///
    /// # Errors
    ///
    /// What to tell it when it is not let in.
    pub fn admit(self: &Arc<Self>, peer: PeerId) -> Result<Admitted, String> {
        let result = self.enter(peer);
        if result.is_err() {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
        }
        result.map(|()| Admitted { admission: Arc::clone(self), peer })
    }

    fn enter(&self, peer: PeerId) -> Result<(), String> {
        if !lock(&self.access).permits(&peer) {
            return Err("not authorized".to_owned());
        }
        let mut present = lock(&self.present);
        let max = self.max_connections.load(Ordering::Relaxed);
        if present.all >= max {
            return Err(format!("it holds its limit of {max} connections"));
        }
        let max_per_peer = self.max_connections_per_peer.load(Ordering::Relaxed);
        let of_peer = present.by_peer.get(&peer).copied().unwrap_or_default();
        if of_peer >= max_per_peer {
            return Err(format!("it holds its limit of {max_per_peer} connections from one peer"));
        }
        present.by_peer.insert(peer, of_peer + 1);
        present.all += 1;
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place among those who shake hands.
#[derive(Debug)]
pub struct Handshake {
    admission: Arc<Admission>,
    caller: Caller,
}

impl Drop for Handshake {
    fn drop(&mut self) {
        lock(&self.admission.knocking).end(&self.caller);
    }
}

/// A place among those who are in.
#[derive(Debug)]
pub struct Admitted {
    admission: Arc<Admission>,
    peer: PeerId,
}

impl Admitted {
    /// The door that this place is at.
    #[must_use]
    pub fn door(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// What the connection may have now.
    #[must_use]
    pub fn share(&self) -> Share {
        let (all, of_peer) = self.counts();
        self.admission.shares.of(all, of_peer)
    }

    /// Whether this is the one with which the shares of others have become smaller.
    #[must_use]
    pub fn lessens(&self) -> bool {
        let (all, of_peer) = self.counts();
        [all, of_peer].into_iter().any(|count| count > 1 && step(count) != step(count - 1))
    }

    /// Gives the place back; the door, when the shares of others become larger by that.
    #[must_use]
    pub fn leave(self) -> Option<Arc<Admission>> {
        self.lessens().then(|| Arc::clone(&self.admission))
    }

    fn counts(&self) -> (u32, u32) {
        let present = lock(&self.admission.present);
        (present.all, present.by_peer.get(&self.peer).copied().unwrap_or_default())
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut present = lock(&self.admission.present);
        present.all -= 1;
        if let Some(count) = present.by_peer.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                present.by_peer.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Admission, Arrival};
    use crate::{knocking::Caller, settings::Settings};
    use std::sync::Arc;

    fn caller(number: u8) -> Caller {
        Caller::from(std::net::IpAddr::from([192, 0, 2, number]))
    }

    fn admission(settings: &Settings) -> Arc<Admission> {
        let admission = Admission::new(settings);
        admission.serve(true, Vec::new());
        admission
    }

    #[test]
    fn nobody_comes_in_while_nothing_is_served() {
        let admission = Admission::new(&Settings::default());
        assert!(matches!(admission.arrive(caller(1), true), Arrival::Refused));
        assert_eq!(admission.turned_away(), 1);
        admission.serve(true, Vec::new());
        assert!(matches!(admission.arrive(caller(1), true), Arrival::Welcome(_)));
    }

    #[test]
    fn handshakes_are_counted_and_half_way_addresses_are_asked_for() {
        let admission = admission(&Settings { max_handshakes: 4, ..Settings::default() });
        let held: Vec<_> = (0..2).map(|number| admission.arrive(caller(number), false)).collect();
        assert!(held.iter().all(|arrival| matches!(arrival, Arrival::Welcome(_))));
        assert!(matches!(admission.arrive(caller(3), false), Arrival::Validate));
        let more: Vec<_> = (0..2).map(|number| admission.arrive(caller(number), true)).collect();
        assert!(matches!(admission.arrive(caller(3), true), Arrival::Refused));
        drop((held, more));
        assert!(matches!(admission.arrive(caller(3), false), Arrival::Welcome(_)));
    }

    #[test]
    fn one_address_does_not_take_all_places() {
        let admission = admission(&Settings { max_handshakes_per_address: 2, ..Settings::default() });
        let held: Vec<_> = (0..2).map(|_| admission.arrive(caller(1), true)).collect();
        assert!(matches!(admission.arrive(caller(1), true), Arrival::Refused));
        // It may be made up, to keep its owner out.
        assert!(matches!(admission.arrive(caller(1), false), Arrival::Validate));
        assert!(matches!(admission.arrive(caller(2), false), Arrival::Welcome(_)));
        drop(held);
        assert!(matches!(admission.arrive(caller(1), true), Arrival::Welcome(_)));
    }

    #[test]
    fn lists_decide() {
        let admission = admission(&Settings::default());
        let (friend, stranger, foe) = ([1; 32], [2; 32], [3; 32]);
        let allow = Some([friend, foe].into_iter().collect());
        admission.set_access(Access { allow, deny: [foe].into_iter().collect() });
        assert!(admission.admit(friend).is_ok());
        assert_eq!(admission.admit(stranger).unwrap_err(), "not authorized");
        assert_eq!(admission.admit(foe).unwrap_err(), "not authorized");
        admission.set_access(Access { allow: Some([].into_iter().collect()), ..Access::default() });
        assert!(admission.admit(friend).is_err());
        admission.set_access(Access::default());
        assert!(admission.admit(stranger).is_ok());
    }

    #[test]
    fn limits_hold_and_places_come_back() {
        let settings = Settings { max_connections: 3, max_connections_per_peer: 2, ..Settings::default() };
        let admission = admission(&settings);
        let first = admission.admit([1; 32]).unwrap();
        let second = admission.admit([1; 32]).unwrap();
        assert!(admission.admit([1; 32]).is_err());
        let other = admission.admit([2; 32]).unwrap();
        assert!(admission.admit([3; 32]).is_err());
        drop(first);
        let again = admission.admit([1; 32]);
        assert!(again.is_ok());
        admission.set_bounds(9, 3);
        let third = admission.admit([1; 32]);
        assert!(third.is_ok());
        assert_eq!(admission.admit([1; 32]).unwrap_err(), "it holds its limit of 3 connections from one peer");
        drop((second, other, again, third));
        assert_eq!(admission.present.lock().unwrap().by_peer.len(), 0);
        assert_eq!(admission.present.lock().unwrap().all, 0);
    }

    #[test]
    fn shares_get_smaller_as_more_come_in() {
        let admission = admission(&Settings::default());
        let mut held: Vec<_> = (0..8).map(|number| admission.admit([number; 32]).unwrap()).collect();
        let share = held[0].share();
        assert!(!held[0].lessens());
        held.push(admission.admit([8; 32]).unwrap());
        assert!(held[8].lessens());
        assert!(held[0].share().window < share.window);
        assert!(held.pop().unwrap().leave().is_some());
        assert_eq!(held[0].share(), share);
        assert!(held.pop().unwrap().leave().is_none());
        drop(held.split_off(1));
        assert_eq!(held[0].share().window, 64 * 1024 * 1024);
    }
}
