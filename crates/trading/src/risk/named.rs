//! Enums whose variants have a fixed name, a title and an explanation, for interfaces and for people.

/// Defines such an enum. The explanation is the variant's documentation, so that the two cannot differ.
macro_rules! named {
    (
        $(#[$doc:meta])* $name:ident, $what:literal;
        $($(#[doc = $explanation:literal])+ $variant:ident = $text:literal, $title:literal;)+
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[doc = $explanation])+ #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in storage and interfaces. It never changes.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// A short name for people.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }

            /// What it means, in a sentence or two.
            pub fn explanation(self) -> &'static str {
                match self { $(Self::$variant => concat!($($explanation),+).trim_ascii()),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = domain::UnknownName;

            fn from_str(text: &str) -> Result<Self, domain::UnknownName> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or_else(|| domain::UnknownName {
                    what: $what,
                    given: text.chars().take(40).collect(),
                    allowed: Self::ALL.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}

pub(super) use named;
