//! Where the desk keeps what must not be lost: SQLite by default, PostgreSQL when a team outgrows one machine.
//!
//! All writing goes through [`Database::write`]: a job is queued, one writer runs the queued jobs one after the
//! other in a single transaction, appends the audit rows that they recorded, commits, and only then tells each
//! caller its result. So concurrent callers share one durable write, and nobody is told of something that could
//! still be lost. A job that fails is undone alone.
//!
//! Reading goes through [`Database::read`], on connections that cannot write.
//!
//! The SQL is the same on both engines: `$1` placeholders (and [`Places`] for many rows), TEXT for money, BIGINT for time (`migrations/`). The SQL
//! itself stands in the `store.rs` of the module that owns the table, never here.

mod database;
mod error;
mod mark;
mod moment;
mod places;
mod reserve;
mod writer;

#[cfg(feature = "testing")]
pub mod testing;

pub use database::{Connection, Database, Engine, Row};
pub use error::StorageError;
pub use moment::Moment;
pub use places::{Places, padded};
pub use writer::{AuditChain, BoxFuture, Tx};

pub use sqlx::Row as RowExt;
pub use sqlx::{query, query_scalar};
