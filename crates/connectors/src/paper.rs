//! The desk's own paper venue, as a process of its own behind REST and a WebSocket.
//!
//! The protocol is ours, so both ends share its shapes ([`wire`]). What they mean to the desk, and what is believed of
//! them, is in `translate`; requests and their failures in `client`; the stream in `stream`. `docs/paper-venue.md`
//! describes it for whoever wants to speak it.

mod client;
mod stream;
mod translate;
pub mod wire;

pub use client::{Client, Settings, UnusableSettings};
