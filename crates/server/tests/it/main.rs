//! The server over a real desk: a database in a temporary folder, a paper venue, a gateway, prices from a feed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod accounts;
mod alpaca;
mod books;
mod conformance;
mod desk;
mod document;
mod factors;
mod interface;
mod jose;
mod keys;
mod orders;
mod receiver;
mod requests;
mod safety;
mod stream;
mod webhooks;
