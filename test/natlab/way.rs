//! One direction of a line: its rate and the queue in front of that, then loss, then delay and jitter.
//!
//! ```text
//! delay=25,jit=5,reorder=1,loss=0.5,ge=1:5,rate=20,queue=125000,mtu=1280
//! ```
//!
//! Delay and jitter in milliseconds: `jit` plus or minus, uniform, `normal` with that standard deviation, `tail` on top,
//! exponential with that mean; without `reorder=1` nothing overtakes. Loss in per cent of
//! each packet by itself, and in bursts: per cent on average, and packets a burst, all of which are lost. The rate in
//! Mbit/s of IP packets; what does not fit into the queue, bytes, is dropped, and so are packets of more bytes than `mtu`.
//! What is not said is nothing, but the queue: 50 ms at the rate, and at least 30 packets. `bench/fidelity/links.mjs` reads the same words.

use std::time::{Duration, Instant};

const QUEUE_SECONDS: f64 = 0.05;
const MIN_QUEUE_BYTES: f64 = 30.0 * 1480.0;

/// From 0 to 1: splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// What becomes of a packet.
pub enum Fate {
    /// It comes out at that time.
    Passes(Instant),
    Lost,
    /// The queue was full, or it is too long.
    Dropped,
}

#[derive(Default)]
enum Shape {
    #[default]
    Uniform,
    Normal,
    Tail,
}

#[derive(Default)]
pub struct Way {
    delay_ms: f64,
    jitter_ms: f64,
    jitter_shape: Shape,
    reorders: bool,
    loss: f64,
    good_to_bad: f64,
    bad_to_good: f64,
    bits_per_second: f64,
    queue_bytes: f64,
    /// The longest packet; 0 for any.
    mtu_bytes: usize,
    is_bad: bool,
    /// The rate is taken until then.
    busy_until: Option<Instant>,
    /// When the last packet comes out, or came.
    last: Option<Instant>,
}

impl Way {
    /// Reads a description; `-` is a way that changes nothing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut way = Self::default();
        let mut queue_bytes = None;
        for part in text.split(',').filter(|part| *part != "-") {
            let (word, value) = part.split_once('=').ok_or_else(|| format!("{part}: it has no value"))?;
            match word {
                "delay" => way.delay_ms = number(value)?,
                "jit" => way.jitter_ms = number(value)?,
                "normal" => (way.jitter_ms, way.jitter_shape) = (number(value)?, Shape::Normal),
                "tail" => (way.jitter_ms, way.jitter_shape) = (number(value)?, Shape::Tail),
                "reorder" => way.reorders = number(value)? > 0.0,
                "loss" => way.loss = number(value)? / 100.0,
                "ge" => {
                    let (percent, packets) = value.split_once(':').ok_or_else(|| format!("{part}: no burst"))?;
                    let (average, burst) = (number(percent)? / 100.0, number(packets)?);
                    if average >= 1.0 || burst < 1.0 {
                        return Err(format!("{part}: there are no such bursts"));
                    }
                    way.bad_to_good = 1.0 / burst;
                    way.good_to_bad = way.bad_to_good * average / (1.0 - average);
                }
                "rate" => way.bits_per_second = number(value)? * 1e6,
                "queue" => queue_bytes = Some(number(value)?),
                "mtu" => way.mtu_bytes = number(value)? as usize,
                _ => return Err(format!("{word}: there is no such word")),
            }
        }
        let usual = (way.bits_per_second * QUEUE_SECONDS / 8.0).max(MIN_QUEUE_BYTES);
        way.queue_bytes = queue_bytes.unwrap_or(usual);
        Ok(way)
    }

    /// A packet of so many bytes enters.
    pub fn pass(&mut self, entered: Instant, bytes: usize, random: &mut Random) -> Fate {
        if self.mtu_bytes > 0 && bytes > self.mtu_bytes {
            return Fate::Dropped;
        }
        let mut due = entered;
        if self.bits_per_second > 0.0 {
            let backlog = self.busy_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(entered));
            if backlog.as_secs_f64() * self.bits_per_second / 8.0 + bytes as f64 > self.queue_bytes {
                return Fate::Dropped;
            }
            due += backlog + Duration::from_secs_f64(bytes as f64 * 8.0 / self.bits_per_second);
            self.busy_until = Some(due);
        }
        if self.loses(random) {
            return Fate::Lost;
        }
        let jitter_ms = if self.jitter_ms > 0.0 { self.jitter_ms * self.deviation(random) } else { 0.0 };
        due += Duration::from_secs_f64((self.delay_ms + jitter_ms).max(0.0) / 1000.0);
        // Without jitter everything takes the same time: what overtook on the line before stays ahead.
        if self.jitter_ms > 0.0 && !self.reorders {
            due = self.last.map_or(due, |last| last.max(due));
            self.last = Some(due);
        }
        Fate::Passes(due)
    }

    /// From the delay, in units of the jitter.
    fn deviation(&self, random: &mut Random) -> f64 {
        // Above 0, whose logarithm is none.
        let exponential = |random: &mut Random| -(1.0 - random.draw()).ln();
        match self.jitter_shape {
            Shape::Uniform => 2.0 * random.draw() - 1.0,
            // Box and Muller's.
            Shape::Normal => (2.0 * exponential(random)).sqrt() * (std::f64::consts::TAU * random.draw()).cos(),
            Shape::Tail => exponential(random),
        }
    }

    fn loses(&mut self, random: &mut Random) -> bool {
        if self.good_to_bad > 0.0 {
            let change = if self.is_bad { self.bad_to_good } else { self.good_to_bad };
            self.is_bad ^= random.draw() < change;
        }
        self.is_bad || (self.loss > 0.0 && random.draw() < self.loss)
    }
}

fn number(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("{text}: not a number"))?;
    if value.is_finite() && value >= 0.0 { Ok(value) } else { Err(format!("{text}: makes no sense here")) }
}
