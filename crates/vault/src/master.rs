//! The master key: the one secret that the desk does not keep for itself.

use std::fmt;
use std::path::Path;

use crate::crypto::Key;
use crate::key_file::{self, KeyFileError};

/// Name of the master key's file in the home folder, when it is not elsewhere.
pub const MASTER_KEY_FILE: &str = "master-key";

/// Opens everything that is sealed, through the key-encryption keys. Whoever has it and the database has all secrets.
pub struct MasterKey(pub(crate) Key);

impl MasterKey {
    /// Reads the key from its file.
    ///
    /// # Errors
    /// The file is not there, others can read it, or it has no good key in it.
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        key_file::read(path).map(Self)
    }

    /// Reads the key from its file, or makes the file (mode 0600) with a new key.
    ///
    /// # Errors
    /// As [`Self::open`], or the file cannot be made.
    pub fn open_or_create(path: &Path) -> Result<Self, KeyFileError> {
        match key_file::read(path) {
            Err(KeyFileError::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                key_file::create(path).map(Self)
            }
            other => other.map(Self),
        }
    }

    /// Reads the key from text, as in the environment variable `STOCKADE_MASTER_KEY`: base64 of 32 bytes.
    ///
    /// # Errors
    /// It is no good key. The text is not repeated in the error.
    pub fn from_text(text: &str) -> Result<Self, KeyFileError> {
        key_file::parse(text, || "the given master key".to_owned()).map(Self)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}
