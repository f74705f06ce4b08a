//! Secrets, sealed.
//!
//! A secret goes into [`Vault::seal_into`] as a [`SecretString`], is encrypted under a data key of its own, the data
//! key under the newest key-encryption key, and that one is in the database wrapped by the [`MasterKey`], which is
//! not. It comes out of [`Vault::reveal`] as a [`SecretString`] again, that is: zeroed when dropped, and printed by
//! nobody. What was moved, cut or changed in the database does not open.
//!
//! Every primitive the desk uses stands in [`crypto`], and nowhere else. The key that signs the audit log is here
//! too ([`SigningKey`]), in a file of its own: whoever can write the database must not be able to sign.
//!
//! Nothing here logs, serialises or displays a secret, and no error text contains one.

pub mod crypto;

mod jwe;
mod key_file;
mod master;
mod signing;

mod store;
mod vault;

pub use jwe::{InvalidRecipient, Recipient};
pub use key_file::KeyFileError;
pub use master::{MASTER_KEY_FILE, MasterKey};
pub use signing::{AUDIT_PUBLIC_KEY_FILE, AUDIT_SIGNING_KEY_FILE, InvalidPublicKey, PublicKey, SigningKey};
pub use vault::{Vault, VaultError};

pub use secrecy::{ExposeSecret, SecretString};
