//! The log on both engines.
