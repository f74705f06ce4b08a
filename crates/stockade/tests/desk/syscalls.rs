//! Kills at system calls.
