//! The kill switches in a file of their own, which works when nothing else does.
//!
//! The file has its full size from the first start on and is only ever written in place, so it needs no free space; it
//! stays open, so it needs no file descriptor. It has four slots: two for what the desk knows, two for what commands
//! ask of it. A writer fills the older slot of its two and leaves the newer one alone, so a write that is torn by a
//! power cut loses that write and nothing before it. Each slot carries a number that grows and a checksum.
//!
//! Desk and commands never write the same slots: they cannot undo each other's work, and need no lock between them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use domain::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::core::{Closing, Kill};
use crate::scope::Scope;

/// Bytes of one slot.
const SLOT: usize = 64 * 1024;
/// Slots of the desk.
const STATE: [u64; 2] = [0, 1];
/// Slots of commands.
const REQUESTS: [u64; 2] = [2, 3];
const SIZE: usize = 4 * SLOT;
const MAGIC: &[u8; 8] = b"STKILL01";
/// Magic, number, length, checksum.
const HEADER: usize = 8 + 8 + 4 + 4;

/// What the desk keeps in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The number of the last request that was obeyed.
    pub(crate) obeyed: u64,
    /// The switches that are engaged.
    pub(crate) kills: Vec<Kill>,
    /// Orders that were sent while the journal could not be written, and that it does not have yet.
    #[serde(default)]
    pub(crate) closings: Vec<Closing>,
}

/// What a command asks of the desk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillRequest {
    /// 1, 2, ...: given by [`KillFile::ask`].
    pub number: u64,
    /// What to stop.
    pub scope: Scope,
    /// Why.
    pub reason: String,
    /// Whether positions are closed too.
    pub flatten: bool,
    /// Who asks: the operating system's user.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Requests {
    last: u64,
    waiting: Vec<KillRequest>,
}

/// The file. Cheap to clone. Reading and writing it blocks.
#[derive(Clone, Debug)]
pub struct KillFile(Arc<Mutex<File>>);

impl KillFile {
    /// Opens the file, and makes it in its full size if it is not there.
    ///
    /// # Errors
    /// It cannot be opened or made.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        if file.metadata()?.len() < SIZE as u64 {
            // Written and not only sized: a hole needs space when it is filled.
            let missing = SIZE - usize::try_from(file.metadata()?.len()).unwrap_or(SIZE);
            file.write_all_at(&vec![0; missing], (SIZE - missing) as u64)?;
            file.sync_all()?;
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                File::open(folder)?.sync_all()?;
            }
        }
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    /// What the desk knew; `None` when it was written and cannot be read: then nobody knows what is engaged.
    pub(crate) fn state(&self) -> io::Result<Option<State>> {
        self.newest(STATE).map(|found| found.map(|(_, state)| state))
    }

    /// Keeps what the desk knows. When this returns, it is on the disk.
    pub(crate) fn keep(&self, state: &State) -> io::Result<()> {
        self.put(STATE, state)
    }

    /// Requests that the desk has not obeyed yet, oldest first; `None` when they cannot be read.
    pub(crate) fn requests(&self) -> io::Result<Option<Vec<KillRequest>>> {
        self.newest(REQUESTS).map(|found| found.map(|(_, requests): (_, Requests)| requests.waiting))
    }

    /// Asks the desk to pull a switch, and returns the number of the request. Tell the desk to look, with SIGUSR2; one
    /// that is not running looks when it starts.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds too much that was not obeyed.
    pub fn ask(
        &self,
        scope: Scope,
        reason: String,
        flatten: bool,
        by: Option<String>,
        at: Timestamp,
    ) -> io::Result<u64> {
        // Between commands, not against the desk: it writes other slots.
        let lock = self.file().try_clone()?;
        lock.lock()?;
        let asked = self.obeyed().and_then(|obeyed| {
            let Requests { last, mut waiting } =
                self.newest(REQUESTS)?.map(|(_, requests)| requests).unwrap_or_default();
            let number = last.max(obeyed) + 1;
            waiting.retain(|request| request.number > obeyed);
            waiting.push(KillRequest { number, scope, reason, flatten, by, at });
            self.put(REQUESTS, &Requests { last: number, waiting })?;
            Ok(number)
        });
        lock.unlock()?;
        asked
    }

    /// The number of the last request that the desk obeyed.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn obeyed(&self) -> io::Result<u64> {
        Ok(self.state()?.unwrap_or_default().obeyed)
    }

    fn file(&self) -> std::sync::MutexGuard<'_, File> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newer of two slots with its number: the default before the first write, `None` when neither can be read.
    fn newest<T: DeserializeOwned + Default>(&self, slots: [u64; 2]) -> io::Result<Option<(u64, T)>> {
        let file = self.file();
        let mut newest: Option<(u64, T)> = None;
        let mut is_fresh = true;
        for slot in slots {
            let mut bytes = vec![0; SLOT];
            file.read_exact_at(&mut bytes, slot * SLOT as u64)?;
            is_fresh &= bytes.iter().all(|byte| *byte == 0);
            if let Some((number, content)) = open_slot(&bytes)
                && newest.as_ref().is_none_or(|(newest, _)| *newest < number)
                && let Ok(content) = serde_json::from_slice(content)
            {
                newest = Some((number, content));
            }
        }
        Ok(if is_fresh { Some((0, T::default())) } else { newest })
    }

    fn put<T: Serialize>(&self, slots: [u64; 2], content: &T) -> io::Result<()> {
        let number = {
            let file = self.file();
            let mut newest = 0;
            for slot in slots {
                let mut bytes = vec![0; SLOT];
                file.read_exact_at(&mut bytes, slot * SLOT as u64)?;
                newest = newest.max(open_slot(&bytes).map_or(0, |(number, _)| number));
            }
            newest + 1
        };
        let bytes = seal_slot(number, &serde_json::to_vec(content)?)?;
        // Numbers alternate between the slots, so the newest is never the one that is overwritten.
        let slot = slots[usize::from(number % 2 == 0)];
        let file = self.file();
        file.write_all_at(&bytes, slot * SLOT as u64)?;
        file.sync_data()
    }
}

/// A slot's number and content, if all of it is there.
fn open_slot(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (header, rest) = bytes.split_at_checked(HEADER)?;
    let number = u64::from_le_bytes(header[8..16].try_into().ok()?);
    let length = u32::from_le_bytes(header[16..20].try_into().ok()?);
    let checksum = u32::from_le_bytes(header[20..24].try_into().ok()?);
    let content = rest.get(..usize::try_from(length).ok()?)?;
    (header.starts_with(MAGIC) && crc32(&[&header[..20], content]) == checksum).then_some((number, content))
}

fn seal_slot(number: u64, content: &[u8]) -> io::Result<Vec<u8>> {
    if content.len() > SLOT - HEADER {
        return Err(io::Error::new(io::ErrorKind::StorageFull, "more kill switches than the file holds"));
    }
    let mut bytes = Vec::with_capacity(HEADER + content.len());
    bytes.extend(MAGIC);
    bytes.extend(number.to_le_bytes());
    bytes.extend(u32::try_from(content.len()).unwrap_or(u32::MAX).to_le_bytes());
    let checksum = crc32(&[&bytes, content]);
    bytes.extend(checksum.to_le_bytes());
    bytes.extend(content);
    Ok(bytes)
}

/// CRC-32 as in IEEE 802.3: tells a torn write, not a forger. Who can write here holds the master key too.
fn crc32(parts: &[&[u8]]) -> u32 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    !bytes.fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kill(reason: &str) -> Kill {
        Kill {
            scope: Scope::Desk,
            at: Timestamp::UNIX_EPOCH,
            by: "u".into(),
            reason: reason.into(),
            flatten: false,
            drill: false,
        }
    }

    fn state(reasons: &[&str]) -> State {
        State { kills: reasons.iter().map(|reason| kill(reason)).collect(), ..State::default() }
    }

    fn ask(file: &KillFile, reason: &str) -> u64 {
        file.ask(Scope::Desk, reason.into(), false, None, Timestamp::UNIX_EPOCH).unwrap()
    }

    fn reasons(file: &KillFile) -> Vec<String> {
        file.requests().unwrap().unwrap().into_iter().map(|request| request.reason).collect()
    }

    #[test]
    fn the_checksum_is_the_one_of_the_standard() {
        assert_eq!(crc32(&[b"1234", b"56789"]), 0xCBF4_3926, "the check value of CRC-32/ISO-HDLC");
    }

    #[test]
    fn what_is_kept_is_there_again_and_the_file_keeps_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kill-switch");
        let file = KillFile::open(&path).unwrap();
        assert_eq!(file.state().unwrap(), Some(State::default()));
        for nth in 0..5 {
            let wanted = state(&["one", "two", "three"][..nth % 4]);
            file.keep(&wanted).unwrap();
            assert_eq!(KillFile::open(&path).unwrap().state().unwrap(), Some(wanted));
        }
        assert_eq!(std::fs::metadata(&path).unwrap().len(), SIZE as u64);
    }

    #[test]
    fn a_torn_write_loses_itself_and_nothing_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kill-switch");
        let file = KillFile::open(&path).unwrap();
        file.keep(&state(&["first"])).unwrap();
        let before = std::fs::read(&path).unwrap();
        file.keep(&state(&["first", "second"])).unwrap();
        let after = std::fs::read(&path).unwrap();
        let length = seal_slot(2, &serde_json::to_vec(&state(&["first", "second"])).unwrap()).unwrap().len();
        for cut in 0..length {
            let mut torn = before.clone();
            torn[SLOT..SLOT + cut].copy_from_slice(&after[SLOT..SLOT + cut]);
            std::fs::write(&path, &torn).unwrap();
            let found = KillFile::open(&path).unwrap().state().unwrap();
            assert_eq!(found, Some(state(&["first"])), "cut after {cut} bytes");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kill-switch");
        KillFile::open(&path).unwrap().keep(&state(&["one"])).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[HEADER + 3] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(KillFile::open(&path).unwrap().state().unwrap(), None);
    }

    #[test]
    fn requests_wait_until_they_are_obeyed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kill-switch");
        let (desk, command) = (KillFile::open(&path).unwrap(), KillFile::open(&path).unwrap());
        assert_eq!((ask(&command, "a"), ask(&command, "b")), (1, 2));
        assert_eq!(reasons(&desk), ["a", "b"]);
        desk.keep(&State { obeyed: 2, ..State::default() }).unwrap();
        assert_eq!((ask(&command, "c"), reasons(&desk)), (3, vec!["c".to_owned()]));
        assert_eq!(command.obeyed().unwrap(), 2);
    }

    #[test]
    fn more_than_it_holds_is_refused_and_what_was_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = KillFile::open(&folder.path().join("kill-switch")).unwrap();
        file.keep(&state(&["one"])).unwrap();
        let long = "x".repeat(SLOT);
        assert_eq!(file.keep(&state(&[&long])).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(file.state().unwrap(), Some(state(&["one"])));
    }
}
