//! The live side of the API: a WebSocket on which a client follows topics.
//!
//! [`sources`] turns what happens on the desk into numbered events of a [`hub`]; a [`connection`] reads from the hub
//! what its client subscribed to. After a break the client says up to where it has seen each topic, and goes on
//! from there, or is told that it cannot and takes a snapshot from the REST API.
//!
//! | client sends | |
//! |---|---|
//! | `{"action":"subscribe","topics":[…],"resume":{"epoch":"…","after":{"orders:…":123}}}` | `resume` only after a break |
//! | `{"action":"unsubscribe","topics":[…]}` | |
//! | `{"action":"ping"}` | answered by `pong` |
//!
//! | desk sends | |
//! |---|---|
//! | `hello` | first: the epoch, in which numbers have a meaning |
//! | `subscribed` | the number of the last event before; `resumed` says whether the missed ones follow |
//! | `unsubscribed` | nothing more comes of the topic |
//! | `event` | numbered per topic without holes |
//! | `gap` | these numbers are lost to this client: it is too slow, or was away too long |
//! | `error` | a topic or a message was refused |
//! | `closing` | the last one: `session_ended`, `slow_reader`, `too_many_messages`, `silent`, `shutting_down` |

pub(crate) mod connection;
pub(crate) mod hub;
mod sources;
pub(crate) mod topic;

pub(crate) use hub::Hub;
pub(crate) use sources::start;
