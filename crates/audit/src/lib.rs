//! Who did what: a log that is only ever appended to, and that shows when somebody changed it.
//!
//! A write job records an [`domain::AuditEntry`]; when its commit group ends, the [`Chain`] turns all entries of the
//! group into rows inside the same transaction. Each row's hash covers every column and the hash before it; the last
//! hash of the group is signed with a key that the database does not hold. Every minute the signed head is also
//! written to a file outside of the database ([`Anchors`]): that is what shows a cut tail or an old copy put back.
//!
//! [`verify`] walks the log and names the first row that is not as it was written; [`verify_export`] does the same
//! with nothing but an [`export`] and the public key. [`list`] is for people. Nothing here changes or removes a row.

mod row;

mod anchors;
mod chain;

mod check;
mod export;
mod verify;

mod error;
mod list;
mod store;

pub use anchors::{ANCHORS_FILE, Anchors};
pub use chain::Chain;
pub use check::{Problem, ProblemKind, Report};
pub use error::AuditError;
pub use export::{export, verify_export};
pub use list::{Filter, Record, list};
pub use verify::verify;
