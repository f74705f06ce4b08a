//! People, on both engines: who may not, first.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod desk;

mod factors;
mod invitations;
mod refusals;
mod sessions;
mod throttling;
