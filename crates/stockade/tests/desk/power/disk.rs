//! What a disk holds of a desk's files, by what strace saw.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rand::{Rng, RngExt as _};

/// The files that are written while a desk runs and must survive it.
const FILES: [&str; 3] = ["stockade.db", "stockade.db-wal", "audit-anchors.jsonl"];
/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// How strace is to write down everything that concerns files, in a form that can be read again.
pub(super) fn recording(log: &Path) -> [&str; 10] {
    let calls = "trace=pwrite64,write,ftruncate,fsync,fdatasync,openat,open,unlink,rename";
    ["-y", "-xx", "-ttt", "-T", "-s", "1048576", "-o", log.to_str().unwrap(), "-e", calls]
}

/// Something that the desk did to a file, when it was done.
#[derive(Debug)]
pub(super) struct Step {
    /// Microseconds since 1970.
    pub(super) at: i64,
    /// Line of the log in which it began, and in which it was done.
    lines: (usize, usize),
    file: String,
    act: Act,
}

#[derive(Clone, Debug)]
enum Act {
    Create,
    Write {
        offset: usize,
        bytes: Vec<u8>,
    },
    Append(Vec<u8>),
    Truncate(usize),
    Remove,
    /// Of the file, or of the folder: then its name is empty.
    Sync,
}

impl Act {
    /// It is kept in the folder, and not in the file.
    fn is_about_the_name(&self) -> bool {
        matches!(self, Self::Create | Self::Remove)
    }
}

impl Step {
    pub(super) fn is_sync(&self) -> bool {
        matches!(self.act, Act::Sync)
    }
}

/// What is on the disk for certain, and what may be.
pub(super) struct Disk {
    safe: Files,
    /// Done and not synced, with the line where it was done.
    pending: Vec<(usize, String, Act)>,
}

/// Files, and which of them can be found by their name: syncing a file and syncing the folder with its name are two things.
#[derive(Clone, Default)]
struct Files {
    bytes: BTreeMap<String, Vec<u8>>,
    names: BTreeSet<String>,
}

impl Disk {
    /// The files of a desk that does not run.
    pub(super) fn of(home: &Path) -> Self {
        let file = |name: &str| Some((name.to_owned(), std::fs::read(home.join(name)).ok()?));
        let bytes: BTreeMap<_, _> = FILES.into_iter().filter_map(file).collect();
        let names = bytes.keys().cloned().collect();
        Self { safe: Files { bytes, names }, pending: Vec::new() }
    }

    pub(super) fn take(&mut self, step: &Step) {
        if !step.is_sync() {
            self.pending.push((step.lines.1, step.file.clone(), step.act.clone()));
            return;
        }
        let is_synced = |(line, file, act): &(usize, String, Act)| {
            // The sync of a folder is one of the names in it.
            let synced = if act.is_about_the_name() { step.file.is_empty() } else { *file == step.file };
            synced && *line < step.lines.0
        };
        for (_, file, act) in self.pending.extract_if(.., |done| is_synced(done)) {
            self.safe.apply(&file, act);
        }
    }

    /// Makes the files as they are after a power cut; with some of what was not synced, if there is chance in it.
    pub(super) fn write(&self, home: &Path, torn: Option<&mut dyn Rng>) {
        let mut files = self.safe.clone();
        if let Some(random) = torn {
            for (_, file, act) in &self.pending {
                match act {
                    _ if random.random_bool(0.5) => {}
                    Act::Write { offset, bytes } if random.random_bool(0.3) => {
                        let sectors = random.random_range(0..=bytes.len() / SECTOR);
                        let bytes = bytes[..sectors * SECTOR].to_vec();
                        files.apply(file, Act::Write { offset: *offset, bytes });
                    }
                    act => files.apply(file, act.clone()),
                }
            }
        }
        for name in FILES.into_iter().chain(["stockade.db-shm"]) {
            let path = home.join(name);
            match files.bytes.get(name).filter(|_| files.names.contains(name)) {
                Some(bytes) => std::fs::write(path, bytes).unwrap(),
                None => drop(std::fs::remove_file(path)),
            }
        }
    }
}

impl Files {
    fn apply(&mut self, name: &str, act: Act) {
        let file = self.bytes.entry(name.to_owned()).or_default();
        match act {
            Act::Create => drop(self.names.insert(name.to_owned())),
            Act::Remove => drop(self.names.remove(name)),
            Act::Write { offset, bytes } => {
                file.resize(file.len().max(offset + bytes.len()), 0);
                file[offset..offset + bytes.len()].copy_from_slice(&bytes);
            }
            Act::Append(bytes) => file.extend(bytes),
            Act::Truncate(length) => file.resize(length, 0),
            Act::Sync => {}
        }
    }
}

/// What strace wrote down about a home, in the order in which it was done.
pub(super) fn read(log: &Path, home: &Path) -> Vec<Step> {
    let log = std::fs::read_to_string(log).unwrap();
    // Calls that another thread interrupted in the log, by thread.
    let mut begun: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    let mut steps = Vec::new();
    for (line, text) in log.lines().enumerate() {
        // `4711 1763747162.309959 fsync(12</tmp/home/stockade.db>) = 0 <0.004>`
        let Some((thread, rest)) = text.split_once(' ') else { continue };
        let Some((at, call)) = rest.trim_start().split_once(' ') else { continue };
        let Ok(at) = micros(at) else { continue };
        if let Some(start) = call.strip_suffix("<unfinished ...>") {
            begun.insert(thread, (line, start.to_owned()));
            continue;
        }
        let (first, call) = match call.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            Some((_, rest)) => match begun.remove(thread) {
                Some((first, start)) => (first, start + rest),
                None => continue,
            },
            None => (line, call.to_owned()),
        };
        // The time is that of the line. One that was not interrupted began then, and says how long it took.
        let took = call.rsplit_once('<').map_or("", |(_, took)| took.trim_end_matches('>'));
        let took = if first == line { micros(took).unwrap_or(0) } else { 0 };
        if let Some((file, act)) = act(&call, home) {
            steps.push(Step { at: at + took, lines: (first, line), file, act });
        }
    }
    steps
}

/// Seconds with six decimals.
fn micros(text: &str) -> Result<i64, std::num::ParseIntError> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    Ok(seconds.parse::<i64>()? * 1_000_000 + fraction.parse::<i64>()?)
}

/// What a call did, if it did something to one of the files.
fn act(call: &str, home: &Path) -> Option<(String, Act)> {
    let (name, rest) = call.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(") = ")?;
    if result.starts_with('-') {
        return None;
    }
    let path = match name {
        "openat" | "open" | "unlink" | "rename" => quoted(arguments)?,
        _ => bytes(arguments.split_once('<')?.1.split_once('>')?.0)?,
    };
    let path = String::from_utf8(path).ok()?;
    let file = Path::new(&path).strip_prefix(home).ok()?.to_str()?.to_owned();
    if !file.is_empty() && !FILES.contains(&file.as_str()) {
        return None;
    }
    let last = || arguments.rsplit_once(", ")?.1.trim().parse::<usize>().ok();
    let act = match name {
        "openat" | "open" if arguments.contains("O_CREAT") => Act::Create,
        "pwrite64" => Act::Write { offset: last()?, bytes: quoted(arguments)? },
        "write" => Act::Append(quoted(arguments)?),
        "ftruncate" => Act::Truncate(last()?),
        "fsync" | "fdatasync" => Act::Sync,
        "unlink" => Act::Remove,
        "rename" => panic!("the desk renamed {file}, which is not understood here"),
        _ => return None,
    };
    Some((file, act))
}

/// The first text among arguments.
fn quoted(arguments: &str) -> Option<Vec<u8>> {
    bytes(arguments.split_once('"')?.1.split_once('"')?.0)
}

/// What is written as `\x53\x51`.
fn bytes(text: &str) -> Option<Vec<u8>> {
    text.split("\\x").skip(1).map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}
