//! A person, as others see them.

use std::fmt;
use std::str::FromStr;

use domain::{Access, AccountId, Role, Timestamp, UserId};
use vault::SecretString;

/// A person with a log-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The name for the log-in, as the person writes it.
    pub username: String,
    /// The name for people.
    pub display_name: String,
    /// Whether the person can sign in.
    pub status: UserStatus,
    /// In the order of [`Role::ALL`].
    pub roles: Vec<Role>,
    /// By the name of the account.
    pub grants: Vec<Grant>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the person last signed in; `None`: never.
    pub last_sign_in_at: Option<Timestamp>,
}

/// Access to one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Which account.
    pub account_id: AccountId,
    /// Its name.
    pub account_name: String,
    /// How far it goes.
    pub access: Access,
    /// Whether orders may move real money.
    pub live: bool,
}

/// Whether a person can sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserStatus {
    /// Not yet: the invitation was not taken up.
    Invited,
    /// Yes.
    Active,
    /// No, until made active again.
    Disabled,
}

impl UserStatus {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Invited, Self::Active, Self::Disabled];

    /// The name in storage and interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

impl fmt::Display for UserStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for UserStatus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let found = Self::ALL.iter().copied().find(|status| status.as_str() == text);
        found.ok_or("a status is invited, active or disabled")
    }
}

/// A one-time link's code, for the one person who gets the link. It is stored nowhere and cannot be shown again.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// 43 characters that are safe in an address.
    pub code: SecretString,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// A name for people: 1 to 100 characters on one line, trimmed; `None` when it is no such name.
pub fn display_name(text: &str) -> Option<String> {
    let name = text.trim();
    let good =
        (1..=100).contains(&name.chars().count()) && !name.chars().any(|c| c.is_control() || is_steering(c));
    good.then(|| name.to_owned())
}

/// Characters that turn or break the text around them: line ends, changes of direction, zero-width ones.
fn is_steering(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}')
}
