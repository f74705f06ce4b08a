//! The vendors: one folder each. Everything foreign stops here.
//!
//! A connector turns a vendor's bytes into the desk's words and back. It knows its vendor's wire format (`wire`), how
//! to keep a connection (`client`), and what the words mean to the desk (`translate`). It keeps no state that matters:
//! what came in is handed to a `market::Feed` at once.
//!
//! A connector never decides what is believable; the market does. It never logs a key.

mod connection;

pub mod alpaca;
pub mod paper;
pub mod polygon;
