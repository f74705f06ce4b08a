//! Enums whose variants have a fixed text, used in storage and interfaces.

/// Defines an enum whose variants each have a fixed text: `ALL`, `as_str`, `Display`, `FromStr` and serde use it.
macro_rules! words {
    (
        $(#[$doc:meta])* $name:ident, $what:literal;
        $($(#[$vdoc:meta])* $variant:ident = $text:literal;)+
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in storage and interfaces.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::access::UnknownName;

            fn from_str(text: &str) -> Result<Self, $crate::access::UnknownName> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or_else(|| $crate::access::UnknownName {
                    what: $what,
                    given: text.chars().take(40).collect(),
                    allowed: Self::ALL.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}

pub(crate) use words;
