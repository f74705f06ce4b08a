//! Which passwords are good enough.
//!
//! Length is what counts (NIST SP 800-63B-4): 15 characters as long as there is no second factor, 256 at most, any
//! Unicode, blanks included, no rules about digits and signs. Refused is what only looks long: what remains of a
//! password after everything predictable is taken out must still have [`UNPREDICTABLE`] characters. Predictable are
//! words that people often choose, the names of the product and of the person, each also reversed; runs along the
//! keyboard, the alphabet or the digits; and whatever repeats. Before that, capitals, accents and the usual
//! replacements (`p@ssw0rd`) are undone.
//!
//! The list of words is short and our own: published lists of common passwords have next to none of 15 characters
//! that is not made of such words.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Least number of characters.
const SHORTEST: usize = 15;
/// Largest number of characters.
const LONGEST: usize = 256;
/// Characters that must be left when everything predictable is taken out.
const UNPREDICTABLE: usize = 7;

/// Which rule a password breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRule {
    /// Fewer than 15 characters.
    #[error(
        "a password has at least 15 characters; a few words that only you would put together are easy to remember"
    )]
    TooShort,
    /// More than 256 characters.
    #[error("a password has at most 256 characters")]
    TooLong,
    /// Made of common words, runs and repetitions.
    #[error(
        "this password is one of the first that would be tried: it is made of common words, rows of keys or repetitions"
    )]
    Common,
    /// Made of the person's name or the product's.
    #[error("this password is made of your name or that of the desk")]
    Context,
}

impl PasswordRule {
    /// The name in interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::Common => "common",
            Self::Context => "context",
        }
    }
}

/// Words that common passwords are made of, in small letters without accents.
const COMMON: &[&str] = &[
    "password",
    "passwort",
    "motdepasse",
    "contrasena",
    "passphrase",
    "passcode",
    "secret",
    "letmein",
    "welcome",
    "default",
    "changeme",
    "change",
    "temporary",
    "login",
    "signin",
    "access",
    "admin",
    "administrator",
    "root",
    "system",
    "server",
    "user",
    "guest",
    "test",
    "testing",
    "tester",
    "demo",
    "sample",
    "example",
    "hello",
    "hallo",
    "iloveyou",
    "loveyou",
    "love",
    "forever",
    "princess",
    "sunshine",
    "monkey",
    "dragon",
    "football",
    "baseball",
    "basketball",
    "soccer",
    "master",
    "shadow",
    "superman",
    "batman",
    "pokemon",
    "starwars",
    "trustno",
    "whatever",
    "michael",
    "jordan",
    "jennifer",
    "charlie",
    "qwerty",
    "qwertz",
    "azerty",
    "correct",
    "horse",
    "battery",
    "staple",
    "trading",
    "trader",
    "trade",
    "market",
    "broker",
    "bitcoin",
    "crypto",
    "money",
    "account",
    "company",
    "computer",
    "internet",
    "google",
    "facebook",
    "microsoft",
    "apple",
    "windows",
    "linux",
    "summer",
    "winter",
    "spring",
    "autumn",
    "january",
    "february",
    "march",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "the",
    "this",
    "that",
    "and",
    "is",
    "my",
    "your",
    "our",
    "very",
    "long",
    "new",
    "please",
    "must",
];

/// The product's own words.
const PRODUCT: &[&str] = &["stockade"];

/// Rows along which fingers run.
const RUNS: &[&str] = &[
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "qazwsxedcrfvtgbyhnujmikolp",
];
/// The shortest run that counts as one.
const RUN: usize = 3;

/// Checks a password for a person of these names.
pub(crate) fn check(password: &str, names: &[&str]) -> Result<(), PasswordRule> {
    let length = password.nfc().count();
    if length < SHORTEST {
        return Err(PasswordRule::TooShort);
    }
    if LONGEST < length {
        return Err(PasswordRule::TooLong);
    }
    let context = context_words(names);
    let common: Vec<String> = COMMON.iter().map(|word| (*word).to_owned()).collect();
    // Both as typed and with the usual replacements undone: "1" may be a digit of a run, or an "l".
    let forms = [simplified(password, |c| c), simplified(password, unreplaced)];
    let nameless = forms.each_ref().map(|form| remove_words(form, &context));
    let is_predictable = nameless.iter().any(|form| {
        let rest = remove_repetitions(&remove_runs(&remove_words(form, &common)));
        rest.chars().filter(|c| c.is_alphanumeric()).count() < UNPREDICTABLE
    });
    match is_predictable {
        true if nameless != forms => Err(PasswordRule::Context),
        true => Err(PasswordRule::Common),
        false => Ok(()),
    }
}

/// The names' parts of three characters or more, each also reversed, longest first.
fn context_words(names: &[&str]) -> Vec<String> {
    let parts = names.iter().flat_map(|name| {
        let plain = simplified(name, |c| c);
        let parts: Vec<String> = plain.split(GAP).map(str::to_owned).collect();
        parts.into_iter().chain([plain.replace(GAP, "")])
    });
    let parts: Vec<String> = parts.chain(PRODUCT.iter().map(|word| (*word).to_owned())).collect();
    let both = parts.into_iter().flat_map(|part| [part.chars().rev().collect(), part]);
    let mut words: Vec<String> = both.filter(|part| 3 <= part.chars().count()).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    words
}

/// Stands for everything that is neither letter nor digit, and for what was taken out: what stood on its two sides
/// was never one word.
const GAP: char = ' ';

fn simplified(text: &str, replace: fn(char) -> char) -> String {
    let letters = text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).map(replace);
    letters.map(|c| if c.is_alphanumeric() { c } else { GAP }).collect()
}

fn unreplaced(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        '8' => 'b',
        _ => c,
    }
}

fn remove_words(text: &str, words: &[String]) -> String {
    let mut left = text.to_owned();
    for word in words {
        // The very short ones count only when they stand alone: "is" is a part of too many rare words.
        if word.len() < 4 {
            let kept: Vec<&str> = left.split(GAP).map(|part| if part == word { "" } else { part }).collect();
            left = kept.join(" ");
        } else {
            left = left.replace(word.as_str(), " ");
            let reversed: String = word.chars().rev().collect();
            left = left.replace(&reversed, " ");
        }
    }
    left
}

fn remove_runs(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut rest = String::new();
    let mut at = 0;
    while at < letters.len() {
        let longest = (RUN..=letters.len() - at).rev().find(|length| is_run(&letters[at..at + length]));
        if let Some(length) = longest {
            rest.push(GAP);
            at += length;
        } else {
            rest.push(letters[at]);
            at += 1;
        }
    }
    rest
}

fn is_run(letters: &[char]) -> bool {
    let forward: String = letters.iter().collect();
    let backward: String = letters.iter().rev().collect();
    RUNS.iter().any(|run| run.contains(&forward) || run.contains(&backward))
}

/// Counts what repeats once: `abcabcabc` is worth `abc`, and `aaaa` one letter.
fn remove_repetitions(text: &str) -> String {
    let letters: Vec<char> = text.chars().filter(|c| *c != GAP).collect();
    let whole = (1..=letters.len() / 2)
        .find(|period| letters.iter().zip(&letters[*period..]).all(|(one, other)| one == other));
    let mut once: Vec<char> = letters[..whole.unwrap_or(letters.len())].to_vec();
    once.dedup();
    once.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(password: &str) -> Option<PasswordRule> {
        check(password, &["alice.miller@example.com", "Alice Müller"]).err()
    }

    #[test]
    fn what_only_looks_long_is_refused() {
        let common = [
            "passwordpassword",
            "Password12345678",
            "P@ssw0rd!P@ssw0rd!",
            "qwertyuiopasdfgh",
            "123456789012345",
            "1234567890123456",
            "987654321098765",
            "aaaaaaaaaaaaaaaa",
            "abcabcabcabcabcabc",
            "abcdefghijklmnop",
            "iloveyouiloveyou",
            "letmeinletmeinletmein",
            "correct horse battery staple",
            "correcthorsebatterystaple",
            "1qaz2wsx3edc4rfv",
            "qwertzuiopasdfghjkl",
            "drowssapdrowssap",
            "pässwörd pässwörd",
            "admin admin admin 1",
            "welcome2024welcome",
            "my very long password",
            "xyxyxyxyxyxyxyxyxy",
            "December2025!!!!",
            "               ",
            "!!!!!!!!!!!!!!!!!!",
            "this is my password!",
            "trading password 1",
            "ＰＡＳＳＷＯＲＤpassword",
        ];
        for password in common {
            assert_eq!(rule(password), Some(PasswordRule::Common), "{password}");
        }
    }

    #[test]
    fn names_of_the_person_and_of_the_product_do_not_help() {
        let context = [
            "stockadestockade",
            "Stockade-2026-Stockade",
            "edakcots edakcots",
            "alicealicealice1",
            "MillerMiller1234",
            "alice.miller@example.com",
            "rellim ecila 123",
            "$tockade password",
            "Müller12345678!",
            "4lice4lice4lice",
            "my stockade password",
        ];
        for password in context {
            assert_eq!(rule(password), Some(PasswordRule::Context), "{password}");
        }
    }

    #[test]
    fn any_long_enough_password_that_nobody_would_try_is_fine() {
        let good = [
            "marmalade tuba glacier",
            "vK3#qT9!zR5mW2x",
            "пятнадцать зайцев плывут",
            "正しい馬のホッチキスと電池十五文字",
            "purple Stockade lantern orchid",
            "seven green bottles",
            "  leading and trailing  ",
            "🦀🦀 crabs walk sideways 🦀",
            "tr0ub4dor&3 stayed home",
        ];
        for password in good {
            assert_eq!(rule(password), None, "{password}");
        }
    }

    #[test]
    fn length_is_counted_in_characters_and_nothing_is_cut() {
        assert_eq!(rule("kT9#qT9!zR5mW2"), Some(PasswordRule::TooShort));
        assert_eq!(rule("ключи от города"), None, "15 characters, 28 bytes");
        let long: String = (0..256_u32).map(|n| char::from_u32(0x4e00 + n * 7 % 2000).unwrap()).collect();
        assert_eq!(rule(&long), None);
        assert_eq!(rule(&format!("{long}x")), Some(PasswordRule::TooLong));
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_check(password in "\\PC{0,300}") {
            let _ = rule(&password);
        }
    }
}
