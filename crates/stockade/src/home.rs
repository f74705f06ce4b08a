//! The desk's home folder: its database, its keys, its certificate, its settings.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use audit::{Anchors, Chain};
use domain::{Clock, Context, SystemClock};
use identity::{Hashing, Identity};
use rustix::fs::{FlockOperation, Mode, flock};
#[cfg(target_os = "linux")]
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::process::{Pid, Resource, Rlimit, setrlimit, umask};
use storage::Database;
use trading::KillFile;
use vault::{MASTER_KEY_FILE, MasterKey, SigningKey, Vault};

use crate::settings::Settings;

/// Where everything of one desk is.
pub(crate) struct Home {
    folder: PathBuf,
}

/// Held while the desk runs: a second one on the same home would send orders too.
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Leaves in the lock file where the desk is found, for commands that print links, and its process, for those that
    /// send it a signal.
    pub(crate) fn announce(&self, public_url: &str) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all_at(format!("{public_url}\n{}\n", std::process::id()).as_bytes(), 0)
    }
}

/// Files of this program are for its own user, its memory is not written to disk when it crashes, and no other process of the
/// user may read it.
pub(crate) fn close_to_others() {
    umask(Mode::RWXG | Mode::RWXO);
    #[cfg(target_os = "linux")]
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        eprintln!("stockade: the memory cannot be closed to other processes: {error}");
    }
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        eprintln!("stockade: core dumps cannot be switched off: {error}");
    }
}

impl Home {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// A file or folder in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The folder itself, as given.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the folder, if it is not there.
    pub(crate) fn create(&self) -> anyhow::Result<()> {
        let shown = self.folder.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .with_context(|| format!("the home folder {shown} cannot be made"))?;
        let mode = std::fs::metadata(&self.folder)
            .with_context(|| format!("the home folder {shown} cannot be read"))?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            bail!(
                "the home folder {shown} is open to other users (mode {:o}); it holds keys: chmod 700 {shown}",
                mode & 0o777
            );
        }
        Ok(())
    }

    /// Refuses when no desk ever ran here, so that a mistyped folder does not become a new, empty desk.
    pub(crate) fn require(&self) -> anyhow::Result<()> {
        if self.path(MASTER_KEY_FILE).exists() || std::env::var_os(MASTER_KEY).is_some() {
            return Ok(());
        }
        bail!("there is no desk in {}; say where it is with --home or STOCKADE_HOME", self.folder.display())
    }

    /// Locks the home for one running desk.
    pub(crate) fn lock(&self) -> anyhow::Result<Lock> {
        let path = self.path(LOCK);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("{} cannot be opened", path.display()))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Lock { file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                bail!("another desk is running on the home folder {}", self.folder.display())
            }
            Err(error) => Err(error).with_context(|| format!("{} cannot be locked", path.display())),
        }
    }

    /// The settings of the file `stockade.toml` and of the environment.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        Settings::read(&self.path("stockade.toml"))
    }

    /// Where browsers find the desk: where it last ran, else where it would run.
    pub(crate) fn public_url(&self) -> anyhow::Result<String> {
        let settings = self.settings()?;
        let announced = std::fs::read_to_string(self.path(LOCK)).unwrap_or_default();
        match announced.lines().next() {
            Some(url) if url.starts_with("https://") && settings.public_url.is_none() => Ok(url.to_owned()),
            _ => Ok(settings.public_url(settings.listen.port())),
        }
    }

    /// Whether a desk runs on this home, and its process, once it has said that.
    pub(crate) fn running(&self) -> anyhow::Result<Option<Option<Pid>>> {
        let path = self.path(LOCK);
        let Ok(file) = File::open(&path) else { return Ok(None) };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            // Nobody holds it. Whatever the file says is of an earlier desk.
            Ok(()) => Ok(None),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let announced = std::fs::read_to_string(&path)?;
                Ok(Some(announced.lines().nth(1).and_then(|pid| Pid::from_raw(pid.parse().ok()?))))
            }
            Err(error) => Err(error).with_context(|| format!("{} cannot be looked at", path.display())),
        }
    }

    /// The file that keeps kill switches when nothing else works.
    pub(crate) fn kill_file(&self) -> anyhow::Result<KillFile> {
        let path = self.path("kill-switch");
        KillFile::open(&path).with_context(|| format!("{} cannot be opened", path.display()))
    }

    /// The key that everything sealed depends on: from the environment, else from its file.
    pub(crate) fn master_key(&self) -> anyhow::Result<MasterKey> {
        if let Ok(text) = std::env::var(MASTER_KEY) {
            return MasterKey::from_text(&text).with_context(|| format!("{MASTER_KEY} is no master key"));
        }
        Ok(MasterKey::open_or_create(&self.path(MASTER_KEY_FILE))?)
    }

    /// Opens the database with its audit log.
    pub(crate) async fn open(&self, settings: &Settings) -> anyhow::Result<Opened> {
        let signing = SigningKey::open_or_create(&self.folder)?;
        let url = match settings.database_url() {
            Some(url) => url.to_owned(),
            None => format!("sqlite:{}", self.path("stockade.db").display()),
        };
        let chain = Arc::new(Chain::new(signing.clone()));
        let db = Database::open(&url, Some(chain)).await.context("the database cannot be opened")?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Ok(Opened { anchors: Anchors::new(self.path(audit::ANCHORS_FILE)), db, signing, clock })
    }

    /// Opens the sealed secrets of an open desk.
    pub(crate) async fn vault(&self, opened: &Opened) -> anyhow::Result<Vault> {
        let master = self.master_key()?;
        Vault::open(opened.db.clone(), master, opened.clock.now()).await.context("the vault stays shut")
    }

    /// Opens an existing desk for a command.
    pub(crate) async fn visit(&self) -> anyhow::Result<Opened> {
        self.require()?;
        self.open(&self.settings()?).await
    }
}

/// Locked by the running desk; says where it is found.
const LOCK: &str = "lock";

const MASTER_KEY: &str = "STOCKADE_MASTER_KEY";

/// An open desk, before anything runs.
pub(crate) struct Opened {
    pub db: Database,
    pub signing: SigningKey,
    pub anchors: Anchors,
    pub clock: Arc<dyn Clock>,
}

impl Opened {
    /// The desk's people.
    pub(crate) fn identity(&self, vault: Vault) -> Identity {
        Identity::new(self.db.clone(), vault, Arc::clone(&self.clock), Hashing::default())
    }

    /// Whoever runs this command.
    pub(crate) fn operator(&self) -> Context {
        Context::operator(user_name(), self.clock.now())
    }
}

/// The operating system's user who runs this command.
pub(crate) fn user_name() -> Option<String> {
    let name = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).ok();
    name.filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use rustix::process::getrlimit;

    use super::*;

    #[test]
    fn the_memory_is_read_by_no_other_process_and_goes_to_no_disk() {
        close_to_others();
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        assert_eq!(getrlimit(Resource::Core), none);
        #[cfg(target_os = "linux")]
        assert_eq!(rustix::process::dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
