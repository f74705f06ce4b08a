//! The one canonical form of a user name, used for lookup, uniqueness and throttling.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Longest user name, in characters of its canonical form.
const LONGEST: usize = 64;

/// A name for the log-in: as the person writes it, and as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Username {
    /// As shown: trimmed and composed (NFKC), with its capitals.
    pub shown: String,
    /// As compared: case-folded too.
    pub key: String,
}

/// Which rule a user name breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsernameRule {
    /// There is nothing in it.
    #[error("a user name has at least one character")]
    Empty,
    /// More than 64 characters.
    #[error("a user name has at most 64 characters")]
    TooLong,
    /// Only letters, digits, and `. _ - @ +` are allowed: nothing invisible, no blanks.
    #[error("a user name has letters, digits and . _ - @ + only, not {:?}", .0)]
    Character(char),
}

impl UsernameRule {
    /// The name in interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::Character(_) => "character",
        }
    }
}

impl Username {
    /// Brings a name into its canonical form.
    pub(crate) fn new(text: &str) -> Result<Self, UsernameRule> {
        let shown: String = text.trim().nfkc().collect();
        let shown = shown.trim().to_owned();
        let key = fold(&shown);
        if key.is_empty() {
            return Err(UsernameRule::Empty);
        }
        if LONGEST < key.chars().count() {
            return Err(UsernameRule::TooLong);
        }
        match shown.chars().chain(key.chars()).find(|c| !is_allowed(*c)) {
            Some(c) => Err(UsernameRule::Character(c)),
            None => Ok(Self { shown, key }),
        }
    }
}

/// Full case folding, by way of capitals: `ß` and `SS`, `ς` and `Σ` become the same. Composed again at the end, as
/// taking a character apart may leave marks behind.
fn fold(text: &str) -> String {
    let once: String =
        text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkc().collect();
    once.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkc().collect()
}

fn is_allowed(c: char) -> bool {
    (c.is_alphanumeric() || is_combining_mark(c) || "._-@+".contains(c)) && !is_invisible(c)
}

/// Letters and marks that nobody sees (Unicode: default ignorable). Others are neither letters nor marks.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{34f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<String, UsernameRule> {
        Username::new(text).map(|name| name.key)
    }

    #[test]
    fn names_that_look_alike_to_a_computer_user_are_the_same() {
        let same = [
            ("Alice", "alice"),
            ("  alice\t", "alice"),
            ("ａｌｉｃｅ", "alice"),
            ("STRASSE", "straße"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("e\u{301}ve", "éve"),
            ("ﬁona", "fiona"),
        ];
        for (one, other) in same {
            assert_eq!(key(one), key(other), "{one} {other}");
            assert!(key(one).is_ok());
        }
    }

    #[test]
    fn nothing_invisible_and_nothing_that_breaks_a_line_is_in_a_name() {
        for bad in [
            '\u{200b}', '\u{200d}', '\u{feff}', '\u{202e}', '\u{ad}', '\0', '\n', '\u{7f}', ' ', '\u{3164}',
            '/', '<', '\u{fe0f}',
        ] {
            assert!(matches!(key(&format!("al{bad}ice")), Err(UsernameRule::Character(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_name_has_a_length() {
        assert_eq!(key(""), Err(UsernameRule::Empty));
        assert_eq!(key(" \n"), Err(UsernameRule::Empty));
        assert!(key(&"a".repeat(64)).is_ok());
        assert_eq!(key(&"a".repeat(65)), Err(UsernameRule::TooLong));
    }

    proptest::proptest! {
        #[test]
        fn the_canonical_form_of_a_canonical_form_is_itself(text in "\\PC{0,20}") {
            if let Ok(name) = Username::new(&text) {
                proptest::prop_assert_eq!(key(&name.key), Ok(name.key.clone()));
                proptest::prop_assert_eq!(key(&name.shown), Ok(name.key));
            }
        }
    }
}
