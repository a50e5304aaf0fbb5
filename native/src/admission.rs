//! Who may come in: decided before JavaScript hears of it.
#![forbid(unsafe_code)]

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::settings::Settings;

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
    handshakes: AtomicU32,
    turned_away: AtomicU32,
    access: Mutex<Access>,
    present: Mutex<Present>,
    max_handshakes: u32,
    max_connections: u32,
    max_connections_per_peer: u32,
}

impl Admission {
    /// As the settings say; at first nobody is let in.
    #[must_use]
    pub fn new(settings: &Settings) -> Arc<Self> {
        Arc::new(Self {
            serving: AtomicBool::new(false),
            handshakes: AtomicU32::new(0),
            turned_away: AtomicU32::new(0),
            access: Mutex::default(),
            present: Mutex::default(),
            max_handshakes: settings.max_handshakes,
            max_connections: settings.max_connections,
            max_connections_per_peer: settings.max_connections_per_peer,
        })
    }

    /// Whether attempts are taken up at all.
    pub fn serve(&self, serving: bool) {
        self.serving.store(serving, Ordering::Relaxed);
    }

    /// Sets who is let in; those who are in stay.
    pub fn set_access(&self, access: Access) {
        *self.access.lock().unwrap_or_else(PoisonError::into_inner) = access;
    }

    /// How many were turned away so far.
    #[must_use]
    pub fn turned_away(&self) -> u32 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// Somebody knocks; `validated` says that its address is not made up.
    #[must_use]
    pub fn arrive(self: &Arc<Self>, validated: bool) -> Arrival {
        let busy = self.handshakes.load(Ordering::Relaxed);
        if !self.serving.load(Ordering::Relaxed) || busy >= self.max_handshakes {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return Arrival::Refused;
        }
        // Half full: those who invent addresses are sorted out, at the price of a round trip for the others.
        if busy >= self.max_handshakes / 2 && !validated {
            return Arrival::Validate;
        }
        self.handshakes.fetch_add(1, Ordering::Relaxed);
        Arrival::Welcome(Handshake(Arc::clone(self)))
    }

    /// Lets a peer in that has proven who it is.
    ///
    /// # Errors
    ///
    /// What to tell it when it is not let in.
    pub fn admit(self: &Arc<Self>, peer: PeerId) -> Result<Admitted, &'static str> {
        let result = self.enter(peer);
        if result.is_err() {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
        }
        result.map(|()| Admitted { admission: Arc::clone(self), peer })
    }

    fn enter(&self, peer: PeerId) -> Result<(), &'static str> {
        if !self.access.lock().unwrap_or_else(PoisonError::into_inner).permits(&peer) {
            return Err("not authorized");
        }
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if present.all >= self.max_connections {
            return Err("it holds its limit of connections");
        }
        let count = present.by_peer.entry(peer).or_default();
        if *count >= self.max_connections_per_peer {
            return Err("it holds its limit of connections from one peer");
        }
        *count += 1;
        present.all += 1;
        Ok(())
    }
}

/// A place among those who shake hands.
#[derive(Debug)]
pub struct Handshake(Arc<Admission>);

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.handshakes.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place among those who are in.
#[derive(Debug)]
pub struct Admitted {
    admission: Arc<Admission>,
    peer: PeerId,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut present = self.admission.present.lock().unwrap_or_else(PoisonError::into_inner);
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
    use crate::settings::Settings;
    use std::sync::Arc;

    fn admission(settings: &Settings) -> Arc<Admission> {
        let admission = Admission::new(settings);
        admission.serve(true);
        admission
    }

    #[test]
    fn nobody_comes_in_while_nothing_is_served() {
        let admission = Admission::new(&Settings::default());
        assert!(matches!(admission.arrive(true), Arrival::Refused));
        assert_eq!(admission.turned_away(), 1);
        admission.serve(true);
        assert!(matches!(admission.arrive(true), Arrival::Welcome(_)));
    }

    #[test]
    fn handshakes_are_counted_and_half_way_addresses_are_asked_for() {
        let admission = admission(&Settings { max_handshakes: 4, ..Settings::default() });
        let held: Vec<_> = (0..2).map(|_| admission.arrive(false)).collect();
        assert!(held.iter().all(|arrival| matches!(arrival, Arrival::Welcome(_))));
        assert!(matches!(admission.arrive(false), Arrival::Validate));
        let more: Vec<_> = (0..2).map(|_| admission.arrive(true)).collect();
        assert!(matches!(admission.arrive(true), Arrival::Refused));
        drop((held, more));
        assert!(matches!(admission.arrive(false), Arrival::Welcome(_)));
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
        drop((second, other, again));
        assert_eq!(admission.present.lock().unwrap().by_peer.len(), 0);
        assert_eq!(admission.present.lock().unwrap().all, 0);
    }
}
