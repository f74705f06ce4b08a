//! Files with one key in them: created whole or not at all, readable by nobody else.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::crypto::{self, Key};

/// A key could not be had. The desk does not start without.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file could not be read or made.
    #[error("the key file {} failed: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Other users of the machine can read or write the file.
    #[error("the key file {} has mode {mode:04o}: others can read or write it. Run: chmod 600 {}", path.display(), path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not the base64 form of 32 bytes.
    #[error("{origin} is not a key: 44 characters of base64 are expected, the form of 32 bytes")]
    NotAKey {
        /// The file or variable.
        origin: String,
    },
    /// Nobody would get these bytes from a random generator.
    #[error("{origin} is a key that can be guessed; take one from `head -c 32 /dev/urandom | base64`")]
    Weak {
        /// The file or variable.
        origin: String,
    },
}

/// Reads a key from its file.
pub(crate) fn read(path: &Path) -> Result<Key, KeyFileError> {
    let failed = |source| KeyFileError::File { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    // Asked of the open file, not of the path: what is checked is what is read.
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file")));
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Open { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::with_capacity(128));
    let origin = || format!("the file {}", path.display());
    match file.take(128).read_to_string(&mut text) {
        Ok(_) => parse(&text, origin),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => Err(KeyFileError::NotAKey { origin: origin() }),
        Err(e) => Err(failed(e)),
    }
}

/// Reads a key from its text; blanks and line ends around it do not matter.
pub(crate) fn parse(text: &str, origin: impl Fn() -> String) -> Result<Key, KeyFileError> {
    let bytes = crypto::from_base64(text.trim_ascii());
    let bytes =
        bytes.filter(|bytes| bytes.len() == 32).ok_or_else(|| KeyFileError::NotAKey { origin: origin() })?;
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(&bytes);
    if is_weak(&key) { Err(KeyFileError::Weak { origin: origin() }) } else { Ok(key) }
}

/// Whether 32 bytes are a sample, a pattern or a text. Of random ones, not one in a million million is.
fn is_weak(key: &[u8; 32]) -> bool {
    let mut seen = [false; 256];
    key.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    let distinct = seen.iter().filter(|seen| **seen).count();
    let is_text = key.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    let step = key[1].wrapping_sub(key[0]);
    let is_sequence = key.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step);
    distinct < 16 || is_text || is_sequence
}

/// Makes a key file with a new random key. Of several that try at once, one does, and all get its key.
pub(crate) fn create(path: &Path) -> Result<Key, KeyFileError> {
    let key = crypto::new_key();
    let text = Zeroizing::new(format!("{}\n", crypto::base64(key.as_slice())));
    match write_new(path, text.as_bytes(), 0o600) {
        Ok(()) => Ok(key),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => read(path),
        Err(source) => Err(KeyFileError::File { path: path.to_owned(), source }),
    }
}

/// Makes a file that must not exist yet. It is there complete and durable, or not at all: a crash in between
/// must not leave half a key that stops the desk from starting.
pub(crate) fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", crypto::hex(&crypto::random::<8>())));
    let temporary = path.with_file_name(name);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    let linked = file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| {
        // Unlike a rename, a link never replaces a file that came in the meantime.
        std::fs::hard_link(&temporary, path)
    });
    let removed = std::fs::remove_file(&temporary);
    linked?;
    removed?;
    File::open(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?
        .sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(content: &str, mode: u32) -> Result<Key, KeyFileError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        read(&path)
    }

    fn good() -> String {
        crypto::base64(&crypto::sha256(b"some key"))
    }

    #[test]
    fn a_file_that_others_can_read_or_write_is_refused() {
        for mode in [0o640, 0o604, 0o620, 0o602, 0o660, 0o610, 0o644, 0o666, 0o777] {
            assert!(matches!(with_file(&good(), mode), Err(KeyFileError::Open { .. })), "{mode:o}");
        }
        for mode in [0o600, 0o400, 0o700] {
            assert!(with_file(&good(), mode).is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn what_is_not_exactly_a_key_is_refused() {
        let long = crypto::base64(&[7; 33]);
        let short = crypto::base64(&[7; 31]);
        let twice = format!("{}{}", good(), good());
        let endless = "A".repeat(1 << 20);
        for content in ["", "\n", "secret", &good()[..43], &long, &short, &twice, &endless] {
            assert!(matches!(with_file(content, 0o600), Err(KeyFileError::NotAKey { .. })), "{content:.80}");
        }
        assert!(with_file(&format!("  {}\r\n", good()), 0o600).is_ok());
    }

    #[test]
    fn a_key_that_can_be_guessed_is_refused() {
        let counting: Vec<u8> = (0..32).collect();
        let by_seven: Vec<u8> = (0..32_u8).map(|n| n.wrapping_mul(7)).collect();
        let keys: [&[u8]; 6] = [
            &[0; 32],
            &[0xff; 32],
            &counting,
            &by_seven,
            b"changeme-changeme-changeme-chang",
            b"correct horse battery staple 42!",
        ];
        for key in keys {
            let text = crypto::base64(key);
            assert!(matches!(with_file(&text, 0o600), Err(KeyFileError::Weak { .. })), "{key:?}");
        }
    }

    #[test]
    fn no_refusal_tells_what_was_in_the_file() {
        let text = crypto::base64(b"correct horse battery staple 42!");
        for content in [&text, &text[..40]] {
            let error = with_file(content, 0o600).unwrap_err();
            assert!(!format!("{error} {error:?}").contains(&content[..8]), "{error}");
        }
    }

    #[test]
    fn a_new_file_is_ours_alone_and_never_replaces_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&path).unwrap(), key);
        assert_eq!(create(&path).unwrap(), key, "whoever comes second gets what is there");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn several_that_start_at_once_agree_on_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let keys: Vec<Key> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| create(&path).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }
}
