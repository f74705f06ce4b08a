//! Every cryptographic primitive of the desk, and the only source of its randomness.
//!
//! | what | algorithm | used for |
//! |---|---|---|
//! | [`seal`], [`open`] | AES-256-GCM, random 96-bit nonce | secrets, data keys, key-encryption keys |
//! | [`sha256`] | SHA-256 | audit chain, stored forms of random tokens |
//! | [`hmac_sha256`] | HMAC-SHA-256 | form tokens, pseudonyms |
//! | [`crate::SigningKey`] | Ed25519 | heads of the audit chain |
//! | [`crate::Recipient`] | ECDH on P-256 or X25519, one round of the concatenation KDF with SHA-256, AES-256-GCM | answers encrypted for their reader |
//! | [`random`], [`new_token`] | the operating system's generator, through AWS-LC | keys, nonces, salts, tokens |
//!
//! Passwords are hashed with Argon2id in `identity`, with salts from here. TLS is rustls over the same library.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{digest, hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::SecretString;
use zeroize::{Zeroize as _, Zeroizing};

/// A symmetric key of 256 bits, zeroed when dropped.
pub type Key = Zeroizing<[u8; 32]>;

/// The first byte of every sealed blob: what it was sealed with. Other algorithms will get other numbers.
const SEALED_AES_256_GCM: u8 = 1;
/// A sealed blob is this much longer than what is in it: algorithm, nonce, tag.
pub const SEAL_OVERHEAD: usize = 1 + NONCE_LEN + 16;

/// A sealed blob did not open: wrong key, wrong place, changed, cut, or of an unknown algorithm. Which, cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value does not open: it was changed, moved, or sealed with another key")]
pub struct DoesNotOpen;

/// Random bytes.
///
/// # Panics
/// The operating system has no randomness to give. Nothing safe can be done without.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A new symmetric key.
pub fn new_key() -> Key {
    Zeroizing::new(random())
}

/// 256 random bits as 43 characters that are safe in a cookie and in an address.
pub fn new_token() -> SecretString {
    let mut bytes: [u8; 32] = random();
    let token = URL_SAFE_NO_PAD.encode(bytes);
    bytes.zeroize();
    token.into()
}

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

/// HMAC-SHA-256 of `message`.
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut tag = [0; 32];
    tag.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref());
    tag
}

/// Whether `tag` is the HMAC-SHA-256 of `message`; takes as long for a nearly right tag as for a wrong one.
pub fn verify_hmac(key: &[u8], message: &[u8], tag: &[u8]) -> bool {
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), message, tag).is_ok()
}

/// Encrypts and authenticates. `place` is what the blob is bound to; it does not open anywhere else.
///
/// # Panics
/// `plaintext` has more than 64 GiB.
pub fn seal(key: &Key, place: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE_LEN] = random();
    let mut blob = Vec::with_capacity(plaintext.len() + SEAL_OVERHEAD);
    blob.push(SEALED_AES_256_GCM);
    blob.extend_from_slice(&nonce);
    // Reserved above, so the plaintext is never left behind in a buffer that was outgrown.
    blob.extend_from_slice(plaintext);
    let (_, body) = blob.split_at_mut(1 + NONCE_LEN);
    let tag = cipher(key)
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place), body)
        .expect("the plaintext is not absurdly long");
    blob.extend_from_slice(tag.as_ref());
    blob
}

/// The reverse of [`seal`].
///
/// # Errors
/// The blob is not what was sealed with this key for this place.
pub fn open(key: &Key, place: &[u8], blob: &[u8]) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
    let (&algorithm, rest) = blob.split_first().ok_or(DoesNotOpen)?;
    if algorithm != SEALED_AES_256_GCM {
        return Err(DoesNotOpen);
    }
    let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or(DoesNotOpen)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| DoesNotOpen)?;
    let mut body = Zeroizing::new(body.to_vec());
    let plaintext = cipher(key).open_in_place(nonce, Aad::from(place), &mut body).map_err(|_| DoesNotOpen)?;
    let length = plaintext.len();
    body.truncate(length);
    Ok(body)
}

fn cipher(key: &Key) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_slice()).expect("the key has 256 bits"))
}

/// Fields put together so that no two lists of fields give the same bytes: each after its length.
pub fn joined(fields: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(fields.iter().map(|field| field.len() + 8).sum());
    for field in fields {
        bytes.extend_from_slice(&(field.len() as u64).to_be_bytes());
        bytes.extend_from_slice(field);
    }
    bytes
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits =
        bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    digits.map(char::from).collect()
}

/// The reverse of [`hex`], for hashes; `None` when it is not exactly one in lower case.
pub fn hash_from_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut hash = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(hash)
}

/// Base64 with padding, as in files and in the database.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The reverse of [`base64`].
pub fn from_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    STANDARD.decode(text).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Key {
        Zeroizing::new([byte; 32])
    }

    #[test]
    fn what_was_sealed_opens_only_with_its_key_in_its_place() {
        let blob = seal(&key(1), b"here", b"secret");
        assert_eq!(blob.len(), 6 + SEAL_OVERHEAD);
        assert_eq!(open(&key(1), b"here", &blob).unwrap().as_slice(), b"secret");
        assert_eq!(open(&key(2), b"here", &blob), Err(DoesNotOpen));
        assert_eq!(open(&key(1), b"there", &blob), Err(DoesNotOpen));
    }

    #[test]
    fn a_blob_with_any_bit_flipped_or_any_byte_cut_does_not_open() {
        let blob = seal(&key(1), b"here", b"secret");
        for at in 0..blob.len() {
            for bit in 0..8 {
                let mut flipped = blob.clone();
                flipped[at] ^= 1 << bit;
                assert_eq!(open(&key(1), b"here", &flipped), Err(DoesNotOpen), "byte {at}, bit {bit}");
            }
            assert_eq!(open(&key(1), b"here", &blob[..at]), Err(DoesNotOpen), "cut to {at}");
        }
    }

    #[test]
    fn the_same_secret_never_looks_the_same_twice() {
        assert_ne!(seal(&key(1), b"here", b"secret"), seal(&key(1), b"here", b"secret"));
    }

    /// The Galois/Counter Mode of Operation (McGrew, Viega), test case 16: AES-256 with associated data.
    #[test]
    fn aes_256_gcm_gives_the_published_answer() {
        let hex = |text: &str| -> Vec<u8> {
            text.as_bytes()
                .chunks(2)
                .map(|d| u8::from_str_radix(str::from_utf8(d).unwrap(), 16).unwrap())
                .collect()
        };
        let key = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
        let blob = hex(concat!(
            "01",
            "cafebabefacedbaddecaf888",
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa",
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            "76fc6ece0f4e1768cddf8853bb2d551b"
        ));
        let plaintext = hex(concat!(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72",
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
        ));
        let place = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let key = Zeroizing::new(<[u8; 32]>::try_from(key.as_slice()).unwrap());
        assert_eq!(open(&key, &place, &blob).unwrap().as_slice(), plaintext);
    }

    /// FIPS 180-2, appendix B.1; RFC 4231, test case 2.
    #[test]
    fn sha_256_and_hmac_give_the_published_answers() {
        assert_eq!(hex(&sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let tag = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex(&tag), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert!(verify_hmac(b"Jefe", b"what do ya want for nothing?", &tag));
        assert!(!verify_hmac(b"Jefe", b"what do ya want for nothing!", &tag));
    }

    #[test]
    fn hexadecimal_goes_there_and_back_and_nothing_else_does() {
        let hash = sha256(b"abc");
        assert_eq!(hash_from_hex(&hex(&hash)), Some(hash));
        for wrong in
            ["", "00", &hex(&hash).to_uppercase(), &hex(&hash)[1..], &format!("{}g", &hex(&hash)[1..])]
        {
            assert_eq!(hash_from_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn fields_cannot_run_into_each_other() {
        assert_ne!(joined(&[b"ab", b"c"]), joined(&[b"a", b"bc"]));
        assert_ne!(joined(&[b"ab"]), joined(&[b"ab", b""]));
    }
}
