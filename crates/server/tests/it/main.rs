//! The server over a real desk: a database in a temporary folder, a paper venue, a gateway, prices from a feed.

mod access;
mod desk;
mod document;
mod requests;
mod stream;
