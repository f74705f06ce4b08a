//! A secret, in every form in which it might turn up where it must not be.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Read at a time.
const PIECE: usize = 4 << 20;

/// As it is, in hexadecimal digits, in base64 wherever it begins in what was encoded, and in UTF-16.
pub(crate) struct Forms(Vec<(&'static str, Vec<u8>)>);

impl Forms {
    pub(crate) fn of(secret: &str) -> Self {
        let mut forms = vec![("as it is", secret.as_bytes().to_vec())];
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        forms.push(("in upper hexadecimal digits", hex.to_uppercase().into_bytes()));
        forms.push(("in hexadecimal digits", hex.into_bytes()));
        forms.push(("in UTF-16", secret.encode_utf16().flat_map(u16::to_le_bytes).collect()));
        forms.push(("in UTF-16 the other way", secret.encode_utf16().flat_map(u16::to_be_bytes).collect()));
        for before in 0..3 {
            for engine in [STANDARD, URL_SAFE] {
                let text = engine.encode([&b"~~"[..before], secret.as_bytes()].concat());
                // What stands before and after the secret has its part in the first and the last characters.
                let clean = (before * 8).div_ceil(6)..(before + secret.len()) * 8 / 6;
                forms.push(("in base64", text.as_bytes()[clean].to_vec()));
            }
        }
        Self(forms)
    }

    /// In which form it is among these bytes.
    pub(crate) fn found(&self, bytes: &[u8]) -> Option<&'static str> {
        let is_in = |form: &[u8]| bytes.windows(form.len()).any(|window| window == form);
        self.0.iter().find(|(_, form)| is_in(form)).map(|(name, _)| *name)
    }

    /// The same for a whole folder: which file, and in which form.
    pub(crate) fn in_folder(&self, folder: &Path) -> Option<String> {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.into_iter().filter(|path| path.is_file()).find_map(|path| {
            let form = self.found(&std::fs::read(&path).unwrap())?;
            Some(format!("{}: {form}", path.display()))
        })
    }

    /// The same for all that a process can write to, now.
    pub(crate) fn in_memory(&self, pid: u32) -> Option<&'static str> {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
        let longest = self.0.iter().map(|(_, form)| form.len()).max().unwrap_or_default();
        let mut piece = vec![0; PIECE];
        for (from, to) in maps.lines().filter_map(writable) {
            let mut at = from;
            while at < to {
                let length = usize::try_from(to - at).unwrap().min(PIECE);
                // What the process gave back meanwhile is gone.
                let Ok(()) = memory.read_exact_at(&mut piece[..length], at) else { break };
                if let Some(form) = self.found(&piece[..length]) {
                    return Some(form);
                }
                // It may lie across two pieces.
                let step = if at + length as u64 == to { length } else { length - longest };
                at += step as u64;
            }
        }
        None
    }
}

/// The addresses of a line of `/proc/PID/maps`, if the process may write there.
fn writable(line: &str) -> Option<(u64, u64)> {
    let (range, rest) = line.split_once(' ')?;
    let (from, to) = range.split_once('-')?;
    let address = |text| u64::from_str_radix(text, 16).ok();
    rest.starts_with("rw").then_some((address(from)?, address(to)?))
}

#[test]
fn a_secret_is_found_in_every_form() {
    let secret = "stk_s3cret+of/some_length";
    let forms = Forms::of(secret);
    for before in ["", "a", "ab", "abc", "abcd"] {
        for engine in [STANDARD, URL_SAFE] {
            let text = engine.encode(format!("{before}:{secret}?and more"));
            assert_eq!(forms.found(text.as_bytes()), Some("in base64"), "{text}");
        }
    }
    let wide: Vec<u8> = format!("x{secret}x").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(forms.found(&wide).is_some() && forms.found(format!("x{secret}x").as_bytes()).is_some());
    assert_eq!(forms.found(b"stk_s3cret of/some_length"), None);
    assert!(forms.in_memory(std::process::id()).is_some(), "it is in our own memory, and so are its forms");
}
