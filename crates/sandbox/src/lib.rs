//! The vendors' own protocols on loopback: for the demo, for the tests, and for whoever develops a bot without internet.
//!
//! A [`Source`] yields frames of the market: a recording, or a market that is generated from a seed. A [`Server`]
//! serves them to any client of the vendor's WebSocket, and misbehaves when told to ([`Fault`]).
//!
//! It never pretends to be a real market to the desk: it is a vendor like any other, at the other end of a socket.

pub mod recording;

mod generated;
mod source;

mod alpaca;
mod polygon;

mod proxy;
mod venue;

pub use crate::alpaca::{AlpacaServer, AlpacaSettings};
pub use generated::{history, instruments};
pub use polygon::{Fault, Server, ServerSettings};
pub use proxy::{Proxy, Reach, StreamTrouble, Trouble};
pub use source::{Pace, RecordingSource, Source};
pub use venue::{VenueServer, VenueSettings};
