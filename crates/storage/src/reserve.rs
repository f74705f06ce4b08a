//! Disk space that is held back for bad times.
//!
//! A database on a full disk can write nothing: not even that an order was canceled. So a file of a few megabytes lies
//! beside it that holds nothing. When a commit fails because the disk is full, the file is given up, and what takes risk
//! away can be written again, with its audit rows. New risk is not taken meanwhile
//! ([`crate::Database::is_short_of_space`]). Once there is space again, the file is made anew.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FallocateFlags, fallocate};

/// Bytes that are held back: some ten thousand cancels with their audit rows.
const SIZE: u64 = 4 << 20;
/// Bytes that have to be free beside it before the file is made anew, so that it is not given up again at once.
const MARGIN: u64 = 1 << 20;

/// The space beside one database.
pub(crate) struct Reserve {
    path: PathBuf,
    /// The space was given up.
    is_short: Arc<AtomicBool>,
}

impl Reserve {
    /// Holds space back beside a database file. A disk that is full already is one that is short of space.
    pub(crate) fn beside(database: &Path, is_short: Arc<AtomicBool>) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push(".reserve");
        let reserve = Self { path: path.into(), is_short };
        let is_held = std::fs::metadata(&reserve.path).is_ok_and(|file| file.len() >= SIZE);
        if !is_held {
            reserve.hold();
        }
        reserve
    }

    /// Gives the space up.
    pub(crate) fn release(&self) {
        if self.is_short.swap(true, Ordering::Relaxed) {
            return;
        }
        tracing::error!(
            "the disk is full: the space that was held back is given up, and no new orders are accepted"
        );
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::error!(%error, file = %self.path.display(), "the space that was held back cannot be given up");
        }
    }

    /// Whether the space was given up.
    pub(crate) fn is_short(&self) -> bool {
        self.is_short.load(Ordering::Relaxed)
    }

    /// Holds space back again, if there is some.
    pub(crate) fn renew(&self) {
        if self.is_short() {
            self.hold();
        }
    }

    fn hold(&self) {
        match self.allocate() {
            Ok(()) => {
                if self.is_short.swap(false, Ordering::Relaxed) {
                    tracing::info!("there is space on the disk again");
                }
            }
            Err(error) => {
                if !self.is_short.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, file = %self.path.display(), "no space can be held back on the disk");
                }
                // What there is of it is needed.
                let _ = std::fs::remove_file(&self.path);
            }
        }
    }

    fn allocate(&self) -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.path)?;
        match fallocate(&file, FallocateFlags::empty(), 0, SIZE + MARGIN) {
            Ok(()) => {}
            // A file system that cannot promise space is made to spend it.
            Err(rustix::io::Errno::OPNOTSUPP) => spend(&mut file)?,
            Err(error) => return Err(error.into()),
        }
        file.set_len(SIZE)?;
        file.sync_all()
    }
}

fn spend(file: &mut File) -> io::Result<()> {
    let zeros = [0; 64 * 1024];
    for _ in 0..(SIZE + MARGIN) / zeros.len() as u64 {
        file.write_all(&zeros)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn space_is_held_given_up_and_held_again() {
        let folder = tempfile::tempdir().unwrap();
        let is_short = Arc::new(AtomicBool::new(false));
        let reserve = Reserve::beside(&folder.path().join("a.db"), is_short.clone());
        let path = folder.path().join("a.db.reserve");
        let held = || std::fs::metadata(&path).unwrap().blocks() * 512;
        assert!(held() >= SIZE, "it is space and not only a length");
        reserve.release();
        assert!(!path.exists() && is_short.load(Ordering::Relaxed));
        reserve.renew();
        assert!(held() >= SIZE && !is_short.load(Ordering::Relaxed));
    }

    #[test]
    fn where_none_can_be_held_the_desk_is_short() {
        let is_short = Arc::new(AtomicBool::new(false));
        let reserve = Reserve::beside(Path::new("/nowhere/a.db"), is_short.clone());
        assert!(is_short.load(Ordering::Relaxed));
        reserve.renew();
        assert!(is_short.load(Ordering::Relaxed));
    }
}
