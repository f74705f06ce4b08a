//! Recovery codes: what a person writes down for the day when the app is lost.

use domain::UserId;
use vault::{SecretString, crypto};

/// So many at a time.
pub(crate) const CODES: usize = 10;
/// Of 80 bits, which nobody guesses: a fast hash of them is enough.
const CODE_BYTES: usize = 10;
/// Base 32 of RFC 4648: no 0, 1 or 8 that look like letters.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const LETTERS: usize = CODE_BYTES * 8 / 5;

/// New codes of random bytes, as `ABCD-EFGH-IJKL-MNOP`.
pub(crate) fn new_codes(random: impl Fn() -> [u8; CODE_BYTES]) -> Vec<SecretString> {
    (0..CODES).map(|_| shown(random()).into()).collect()
}

/// What is stored of a person's code, however it was typed; `None` when it cannot be one.
pub(crate) fn hash(user: UserId, typed: &str) -> Option<String> {
    let letters: String = typed
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .map(|c| c.to_ascii_uppercase())
        .take(LETTERS + 1)
        .collect();
    let good = letters.len() == LETTERS && letters.bytes().all(|letter| ALPHABET.contains(&letter));
    // The person is hashed too, so that nobody can try one guess on everybody at once.
    good.then(|| {
        crypto::hex(&crypto::sha256(&crypto::joined(&[user.to_string().as_bytes(), letters.as_bytes()])))
    })
}

fn shown(random: [u8; CODE_BYTES]) -> String {
    let bits = random.iter().fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
    let mut code = String::with_capacity(LETTERS + 3);
    for at in 0..LETTERS {
        if at > 0 && at % 4 == 0 {
            code.push('-');
        }
        let five = bits >> (5 * (LETTERS - 1 - at)) & 31;
        code.push(char::from(ALPHABET[five as usize]));
    }
    code
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use domain::Timestamp;
    use vault::ExposeSecret as _;

    use super::*;

    #[test]
    fn ten_codes_are_made_and_no_two_are_alike() {
        let codes = new_codes(crypto::random);
        let distinct: HashSet<_> = codes.iter().map(|code| code.expose_secret().to_owned()).collect();
        assert_eq!(distinct.len(), 10);
        assert!(distinct.iter().all(|code| code.len() == 19), "{distinct:?}");
    }

    #[test]
    fn every_random_bit_is_in_the_code() {
        assert_eq!(shown([0; 10]), "AAAA-AAAA-AAAA-AAAA");
        assert_eq!(shown([0xff; 10]), "7777-7777-7777-7777");
        assert_eq!(shown(*b"0123456789"), "GAYT-EMZU-GU3D-OOBZ");
    }

    #[test]
    fn a_code_is_known_however_it_is_typed_and_for_its_person_only() {
        let (alice, bob) = (UserId::new(Timestamp::UNIX_EPOCH), UserId::new(Timestamp::UNIX_EPOCH));
        let hashed = hash(alice, "GAYT-EMZU-GU3D-OOBZ");
        assert!(hashed.is_some());
        assert_eq!(hash(alice, " gayt emzu\tGU3DOOBZ "), hashed);
        assert_ne!(hash(bob, "GAYT-EMZU-GU3D-OOBZ"), hashed);
        for bad in [
            "",
            "123456",
            "GAYT-EMZU-GU3D-OOB",
            "GAYT-EMZU-GU3D-OOBZA",
            "GAYT-EMZU-GU3D-OOB0",
            "GAYTEMZUGU3DOOBÄ",
        ] {
            assert_eq!(hash(alice, bad), None, "{bad}");
        }
    }
}
