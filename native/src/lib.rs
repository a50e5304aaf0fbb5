//! The native door of `@moosicbox/p2p` to iroh: functions that take numbers, texts and bytes, and return at once (see
//! [`calls`]). What takes time is answered by records (see [`records`]), which JavaScript drains when its bell rings.

pub mod admission;
pub mod batch;
pub mod calls;
pub mod commands;
pub mod connection;
pub mod context;
pub mod early;
pub mod endpoint;
#[cfg(target_os = "linux")]
pub mod event_loop;
pub mod failure;
pub mod handles;
pub mod hosting;
pub mod knocking;
pub mod link;
pub mod rates;
pub mod records;
pub mod relays;
pub mod runtime;
pub mod settings;
pub mod shares;
pub mod stream;
pub mod turns;
#[cfg(target_os = "linux")]
pub mod uv;
#[cfg(not(target_os = "linux"))]
#[path = "no_uv.rs"]
pub mod uv;
pub mod voice;
pub mod world;
