//! How many handshakes a second each address begins: a bucket for each, which fills up again.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::{knocking::Caller, settings::Settings};

/// A bucket holds what comes in this time.
const BURST: Duration = Duration::from_secs(3);

/// Without a word in the settings.
const DEFAULT_PER_SECOND: u32 = 100;

/// Buckets that are not full, and so remembered.
const MAX_BUCKETS: usize = 65_536;

/// Buckets are looked through for full ones when there are so many, and at twice what is left then.
const FIRST_SWEEP: usize = 1_024;

/// What to do with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// There is room for it.
    Steady,
    /// Its address is to be shown to be real first.
    Hasty,
    /// It is one too many.
    Over,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// The buckets of one door.
#[derive(Debug)]
pub struct Rates {
    per_second: f64,
    size: f64,
    /// Whether this machine itself is held to it as well.
    everybody: bool,
    buckets: FxHashMap<Caller, Bucket>,
    sweep_at: usize,
}

impl Rates {
    /// As the settings say.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let per_second: f64 = settings.max_handshakes_per_second.unwrap_or(DEFAULT_PER_SECOND).into();
        Self {
            per_second,
            size: per_second * BURST.as_secs_f64(),
            everybody: settings.max_handshakes_per_second.is_some(),
            buckets: FxHashMap::default(),
            sweep_at: FIRST_SWEEP,
        }
    }

    /// Counts an attempt. One whose address may be made up takes from the first half of a bucket alone, so that nobody uses
    /// up what is the address's owner's.
    #[must_use]
    pub fn take(&mut self, caller: &Caller, validated: bool, now: Instant) -> Pace {
        if !self.everybody && caller.is_this_machine() {
            return Pace::Steady;
        }
        if self.buckets.len() >= self.sweep_at {
            self.sweep(now);
        }
        if self.buckets.len() >= MAX_BUCKETS && !self.buckets.contains_key(caller) {
            return if validated { Pace::Steady } else { Pace::Hasty };
        }
        let (size, per_second) = (self.size, self.per_second);
        let bucket = self.buckets.entry(caller.clone()).or_insert(Bucket { left: size, at: now });
        bucket.left = filled(bucket, size, per_second, now);
        bucket.at = now;
        let floor = if validated { 0.0 } else { size / 2.0 };
        if bucket.left - 1.0 >= floor {
            bucket.left -= 1.0;
            Pace::Steady
        } else if validated {
            Pace::Over
        } else {
            Pace::Hasty
        }
    }

    fn sweep(&mut self, now: Instant) {
        let (size, per_second) = (self.size, self.per_second);
        self.buckets.retain(|_, bucket| filled(bucket, size, per_second, now) < size);
        self.sweep_at = (self.buckets.len() * 2).max(FIRST_SWEEP);
    }
}

fn filled(bucket: &Bucket, size: f64, per_second: f64, now: Instant) -> f64 {
    let since = now.saturating_duration_since(bucket.at).as_secs_f64();
    since.mul_add(per_second, bucket.left).min(size)
}

#[cfg(test)]
mod tests {
    use super::{FIRST_SWEEP, MAX_BUCKETS, Pace, Rates};
    use crate::{knocking::Caller, settings::Settings};
    use std::{
        net::{IpAddr, Ipv4Addr, Ipv6Addr},
        time::{Duration, Instant},
    };

    fn caller(number: u32) -> Caller {
        Caller::from(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    fn rates(per_second: Option<u32>) -> Rates {
        Rates::new(&Settings { max_handshakes_per_second: per_second, ..Settings::default() })
    }

    /// How many of 1,000 at once go through.
    fn at_once(rates: &mut Rates, caller: &Caller, validated: bool, now: Instant) -> usize {
        (0..1_000).filter(|_| rates.take(caller, validated, now) == Pace::Steady).count()
    }

    #[test]
    fn a_burst_goes_through_and_then_so_many_a_second() {
        let (mut rates, now) = (rates(Some(10)), Instant::now());
        assert_eq!(at_once(&mut rates, &caller(1), true, now), 30);
        assert_eq!(rates.take(&caller(1), true, now), Pace::Over);
        assert_eq!(at_once(&mut rates, &caller(1), true, now + Duration::from_secs(1)), 10);
        assert_eq!(at_once(&mut rates, &caller(1), true, now + Duration::from_mins(1)), 30);
        assert_eq!(at_once(&mut rates, &caller(2), true, now), 30);
    }

    #[test]
    fn made_up_addresses_leave_half_to_their_owner() {
        let (mut rates, now) = (rates(Some(10)), Instant::now());
        assert_eq!(at_once(&mut rates, &caller(1), false, now), 15);
        assert_eq!(rates.take(&caller(1), false, now), Pace::Hasty);
        assert_eq!(at_once(&mut rates, &caller(1), true, now), 15);
    }

    #[test]
    fn this_machine_is_held_to_it_only_when_it_is_said() {
        for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let caller = Caller::from(address);
            assert_eq!(at_once(&mut rates(None), &caller, true, Instant::now()), 1_000);
            assert_eq!(at_once(&mut rates(Some(10)), &caller, true, Instant::now()), 30);
        }
        assert_eq!(at_once(&mut rates(None), &caller(0x0808_0808), true, Instant::now()), 300);
    }

    #[test]
    fn what_is_full_again_is_forgotten_and_there_is_a_bound() {
        let (mut rates, now) = (rates(None), Instant::now());
        for number in 0..u32::try_from(FIRST_SWEEP).unwrap() {
            let _ = rates.take(&caller(number), true, now);
        }
        let _ = rates.take(&caller(1 << 20), true, now + Duration::from_secs(1));
        assert_eq!(rates.buckets.len(), 1);
        for number in 0..u32::try_from(MAX_BUCKETS + 10).unwrap() {
            let _ = rates.take(&caller(number), true, now);
        }
        assert_eq!(rates.buckets.len(), MAX_BUCKETS);
        assert_eq!(rates.take(&caller(1 << 30), false, now), Pace::Hasty);
        assert_eq!(rates.take(&caller(1 << 30), true, now), Pace::Steady);
    }
}
