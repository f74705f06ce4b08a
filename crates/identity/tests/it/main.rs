//! People, on both engines.
