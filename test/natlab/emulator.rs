//! The internet of the NAT lab: a star of lines, each with a rate, a loss and a delay of its own in both directions.
//!
//! A line ends in a TUN device in somebody's network namespace. Packets are read there, are lost or held for the time
//! that the sender's and the receiver's line take, and are written to the device of the line that has their address.
//! Both ways are reckoned when a packet enters the first: a queue before the second sees packets in that order, too.
//! It is told what to do by lines of text on its standard input, and ends with that:
//!
//! ```text
//! line NAME NAMESPACE-FILE DEVICE ADDRESS UP DOWN   a new line: creates the device; up and down are ways (`way.rs`)
//! set NAME UP DOWN                                  the ways from now on
//! address NAME ADDRESS                              packets for it go there from now on, those for the old one nowhere
//! stats                                             counts since the start
//! late                                              how late packets came out since this was asked last: the latest and on average, in us
//! ```
//!
//! It answers each with one line, `ok …` or `error …`. Needs nothing but the standard library: `rustc -O emulator.rs`.

mod way;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    ffi::{c_char, c_int, c_long, c_short, c_ulong, c_void},
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read as _, Write as _},
    net::Ipv4Addr,
    os::{
        fd::{AsRawFd as _, RawFd},
        unix::fs::OpenOptionsExt as _,
    },
    time::{Duration, Instant},
};

use way::{Fate, Random, Way};

/// More packets than this are not under way at a time; the next ones are dropped.
const MAX_UNDER_WAY: usize = 200_000;
/// As many packets of one line are read before the others have a turn.
const BATCH: usize = 64;
const MAX_PACKET: usize = 65_536;

const O_NONBLOCK: c_int = 0o4000;
const CLONE_NEWNET: c_int = 0x4000_0000;
const TUNSETIFF: c_ulong = 0x4004_54ca;
const IFF_TUN: c_short = 0x0001;
const IFF_NO_PI: c_short = 0x1000;
const POLLIN: c_short = 0x0001;
const SCHED_FIFO: c_int = 1;
/// Of 99; what is measured may have real-time priority, too, and must not make the emulator late.
const REAL_TIME_PRIORITY: c_int = 80;

#[repr(C)]
struct InterfaceRequest {
    name: [c_char; 16],
    flags: c_short,
    rest: [u8; 22],
}

#[repr(C)]
struct PollFd {
    fd: c_int,
    events: c_short,
    revents: c_short,
}

#[repr(C)]
struct TimeSpec {
    seconds: c_long,
    nanoseconds: c_long,
}

// The standard library is linked with the C library anyway; these six are what it does not offer.
unsafe extern "C" {
    fn setns(fd: c_int, kind: c_int) -> c_int;
    fn ioctl(fd: c_int, request: c_ulong, argument: *mut c_void) -> c_int;
    fn ppoll(fds: *mut PollFd, count: c_ulong, timeout: *const TimeSpec, signals: *const c_void) -> c_int;
    fn setpriority(which: c_int, who: c_int, priority: c_int) -> c_int;
    fn sched_setscheduler(process: c_int, policy: c_int, parameters: *const c_int) -> c_int;
    fn fcntl(fd: c_int, command: c_int, argument: c_int) -> c_int;
}

fn check(result: c_int, what: &str) -> Result<(), String> {
    if result >= 0 { Ok(()) } else { Err(format!("{what}: {}", io::Error::last_os_error())) }
}

/// A new TUN device in the namespace of `file`, without a header in front of packets, never waited for.
fn open_tun(file: &str, device: &str) -> Result<File, String> {
    if device.is_empty() || device.len() > 15 {
        return Err(format!("{device}: not the name of a device"));
    }
    let namespace = File::open(file).map_err(|error| format!("{file}: {error}"))?;
    // SAFETY: plain numbers; the descriptor is open. This thread is the only one.
    check(unsafe { setns(namespace.as_raw_fd(), CLONE_NEWNET) }, "entering the namespace")?;
    let tun = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(O_NONBLOCK)
        .open("/dev/net/tun")
        .map_err(|error| format!("/dev/net/tun: {error}"))?;
    let mut request = InterfaceRequest { name: [0; 16], flags: IFF_TUN | IFF_NO_PI, rest: [0; 22] };
    for (to, from) in request.name.iter_mut().zip(device.bytes()) {
        *to = from as c_char;
    }
    // SAFETY: the request has the size and layout of `struct ifreq` and outlives the call.
    check(unsafe { ioctl(tun.as_raw_fd(), TUNSETIFF, (&raw mut request).cast()) }, "creating the device")?;
    Ok(tun)
}

#[derive(Default)]
struct Counts {
    sent: u64,
    received: u64,
    lost: u64,
    /// By a queue that was full.
    dropped: u64,
    unroutable: u64,
}

struct Line {
    name: String,
    tun: File,
    address: Ipv4Addr,
    up: Way,
    down: Way,
    counts: Counts,
}

/// How late packets came out.
#[derive(Default)]
struct Late {
    worst: Duration,
    sum: Duration,
    packets: u32,
}

impl Late {
    fn add(&mut self, late: Duration) {
        self.worst = self.worst.max(late);
        self.sum += late;
        self.packets += 1;
    }

    fn mean(&self) -> Duration {
        self.sum / self.packets.max(1)
    }
}

/// A packet under way. The first two decide the order: by time, and of one time as they came.
type UnderWay = (Instant, u64, usize, Vec<u8>);

struct Emulator {
    lines: Vec<Line>,
    routes: HashMap<Ipv4Addr, usize>,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    sequence: u64,
    random: Random,
    late: Late,
}

impl Emulator {
    fn take(&mut self, from: usize, packet: &[u8]) {
        // Version 4 with a destination; everything else has nowhere to go.
        let to = match packet {
            [first, .., ] if first >> 4 == 4 && packet.len() >= 20 => {
                let address = Ipv4Addr::new(packet[16], packet[17], packet[18], packet[19]);
                self.routes.get(&address).copied()
            }
            _ => None,
        };
        self.lines[from].counts.sent += 1;
        let Some(to) = to else {
            self.lines[from].counts.unroutable += 1;
            return;
        };
        let is_full = self.under_way.len() >= MAX_UNDER_WAY;
        let now = Instant::now();
        let mut fate = if is_full { Fate::Dropped } else { self.lines[from].up.pass(now, packet.len(), &mut self.random) };
        if let Fate::Passes(at) = fate {
            fate = self.lines[to].down.pass(at, packet.len(), &mut self.random);
        }
        let counts = &mut self.lines[from].counts;
        let due = match fate {
            Fate::Passes(due) => due,
            Fate::Lost => {
                counts.lost += 1;
                return;
            }
            Fate::Dropped => {
                counts.dropped += 1;
                return;
            }
        };
        self.sequence += 1;
        self.under_way.push(Reverse((due, self.sequence, to, packet.to_vec())));
    }

    fn deliver(&mut self) {
        let now = Instant::now();
        while self.under_way.peek().is_some_and(|Reverse((due, ..))| *due <= now) {
            let Some(Reverse((due, _, to, packet))) = self.under_way.pop() else { return };
            let line = &mut self.lines[to];
            // A device that is down takes nothing, as a line that is unplugged.
            if (&line.tun).write_all(&packet).is_ok() {
                line.counts.received += 1;
            }
            self.late.add(due.elapsed());
        }
    }

    fn read(&mut self, from: usize, buffer: &mut [u8]) {
        for _ in 0..BATCH {
            match (&self.lines[from].tun).read(buffer) {
                Ok(length) => self.take(from, &buffer[..length]),
                // Would block, or the device is down.
                Err(_) => return,
            }
        }
    }

    fn find(&mut self, name: &str) -> Result<usize, String> {
        self.lines.iter().position(|line| line.name == name).ok_or_else(|| format!("{name}: there is no such line"))
    }

    fn obey(&mut self, command: &str) -> Result<String, String> {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words[..] {
            ["line", name, file, device, address, up, down] => {
                let address = parse(address)?;
                let tun = open_tun(file, device)?;
                let (up, down) = (Way::parse(up)?, Way::parse(down)?);
                let (name, counts) = (name.to_owned(), Counts::default());
                self.routes.insert(address, self.lines.len());
                self.lines.push(Line { name, tun, address, up, down, counts });
                Ok(String::new())
            }
            ["set", name, up, down] => {
                let index = self.find(name)?;
                let line = &mut self.lines[index];
                (line.up, line.down) = (Way::parse(up)?, Way::parse(down)?);
                Ok(String::new())
            }
            ["address", name, address] => {
                let index = self.find(name)?;
                let address = parse(address)?;
                self.routes.remove(&self.lines[index].address);
                self.routes.insert(address, index);
                self.lines[index].address = address;
                Ok(String::new())
            }
            ["stats"] => {
                let one = |line: &Line| {
                    let Counts { sent, received, lost, dropped, unroutable } = line.counts;
                    format!("{} {sent} {received} {lost} {dropped} {unroutable}", line.name)
                };
                Ok(self.lines.iter().map(one).collect::<Vec<_>>().join(" "))
            }
            ["late"] => {
                let late = std::mem::take(&mut self.late);
                Ok(format!("{} {:.1}", late.worst.as_micros(), late.mean().as_nanos() as f64 / 1000.0))
            }
            _ => Err(format!("{command}: there is no such command")),
        }
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text}: makes no sense here"))
}

fn wait(fds: &mut [PollFd], until: Option<Instant>) {
    let left = until.map(|due| due.saturating_duration_since(Instant::now()));
    let spec = left.map(|left| TimeSpec {
        seconds: left.as_secs() as c_long,
        nanoseconds: c_long::from(left.subsec_nanos()),
    });
    let timeout = spec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the slice and the time outlive the call. An interruption is as good as a time that is over.
    unsafe { ppoll(fds.as_mut_ptr(), fds.len() as c_ulong, timeout, std::ptr::null()) };
}

/// Being late is what it must not be; where this is not allowed it does without.
fn hurry() {
    // SAFETY: plain numbers, and the parameters, which are that one number in C, too, outlive the call.
    unsafe {
        setpriority(0, 0, -10);
        sched_setscheduler(0, SCHED_FIFO, &REAL_TIME_PRIORITY);
    }
}

fn main() {
    hurry();
    let mut stdin = io::stdin();
    let input: RawFd = stdin.as_raw_fd();
    // SAFETY: plain numbers; F_SETFL is 4.
    unsafe { fcntl(input, 4, O_NONBLOCK) };
    let mut emulator = Emulator {
        lines: Vec::new(),
        routes: HashMap::new(),
        under_way: BinaryHeap::new(),
        sequence: 0,
        random: Random(std::env::args().nth(1).and_then(|seed| seed.parse().ok()).unwrap_or(1)),
        late: Late::default(),
    };
    let mut buffer = vec![0; MAX_PACKET];
    let mut text = Vec::new();
    loop {
        let watched = |fd| PollFd { fd, events: POLLIN, revents: 0 };
        let mut fds: Vec<PollFd> = vec![watched(input)];
        fds.extend(emulator.lines.iter().map(|line| watched(line.tun.as_raw_fd())));
        wait(&mut fds, emulator.under_way.peek().map(|Reverse((due, ..))| *due));
        emulator.deliver();
        for (line, fd) in fds[1..].iter().enumerate() {
            if fd.revents != 0 {
                emulator.read(line, &mut buffer);
            }
        }
        if fds[0].revents == 0 {
            continue;
        }
        match stdin.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => text.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
        while let Some(end) = text.iter().position(|&byte| byte == b'\n') {
            let command: Vec<u8> = text.drain(..=end).collect();
            let answer = match emulator.obey(String::from_utf8_lossy(&command).trim()) {
                Ok(answer) => format!("ok {answer}"),
                Err(why) => format!("error {why}"),
            };
            println!("{answer}");
        }
    }
}
