//! The whole desk: the real binary, driven over HTTPS, killed, starved and tampered with.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod accounts;
mod alpaca;
mod alpaca_feed;
mod books;
mod pair;
mod relay;
mod running;
mod scenario;
mod secret;
mod socket;
mod trader;
mod trial;

mod bad_line;
mod brake;
mod clock;
mod database;
mod first_day;
mod full_disk;
mod kill;
mod lost_factor;
mod moving_average;
#[cfg(feature = "failpoints")]
mod points;
mod poison;
mod power;
mod pressure;
mod requests;
mod sdk;
mod syscalls;
mod tamper;
mod venue;
mod webhooks;
