//! Polygon.io, now Massive: crypto trades, quotes and minutes over a WebSocket.
//!
//! [`start`] keeps a connection and feeds the market; [`bars_csv`] runs a recording through the same parser and the
//! same market as fast as it can. Protocol: the vendor's machine-readable specification `websocket.json` of
//! `massive-com/client-python`, read in 2026.

mod client;
mod recording;
mod translate;
pub mod wire;

pub use client::{Settings, start};
pub use recording::{ReplayError, bars_csv};
pub use translate::{Status, translate};
