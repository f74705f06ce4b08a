//! Whom a limit or a kill switch is about.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use domain::{AccountId, BookId, UserId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A part of the desk that can be limited or stopped by itself.
///
/// As text it is its kind and its id, as `desk`, `user/01935b2c-…` or `strategy/momentum`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everything.
    Desk,
    /// The people of a group.
    Group(String),
    /// A person.
    User(UserId),
    /// What is done with one API key.
    Key(String),
    /// A bot.
    Bot(String),
    /// A strategy, by the name that its orders carry.
    Strategy(String),
    /// A virtual book.
    Book(BookId),
    /// An account at a broker.
    Account(AccountId),
}

/// Text that names no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is no scope: it is \"desk\", or one of group, user, key, bot, strategy, book, account with \"/\" and an \
     id: a UUID for user, book and account, else 1 to 64 characters of A-Z, a-z, 0-9, '_', '.', ':' and '-'"
)]
pub struct InvalidScope {
    /// What was given, cut to 80 characters.
    pub given: String,
}

/// Whether a text can be the name of a strategy, group, key or bot.
pub fn is_label(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'-');
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

impl Scope {
    /// A scope of its kind and id; the id of the desk is empty.
    ///
    /// # Errors
    /// There is no such kind, or the id has not the form of its kind.
    pub fn new(kind: &str, id: &str) -> Result<Self, InvalidScope> {
        let label = || is_label(id).then(|| id.to_owned());
        let scope = match kind {
            "desk" => id.is_empty().then_some(Self::Desk),
            "group" => label().map(Self::Group),
            "user" => id.parse().ok().map(Self::User),
            "key" => label().map(Self::Key),
            "bot" => label().map(Self::Bot),
            "strategy" => label().map(Self::Strategy),
            "book" => id.parse().ok().map(Self::Book),
            "account" => id.parse().ok().map(Self::Account),
            _ => None,
        };
        scope.ok_or_else(|| InvalidScope { given: format!("{kind}/{id}").chars().take(80).collect() })
    }

    /// The name of its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Desk => "desk",
            Self::Group(_) => "group",
            Self::User(_) => "user",
            Self::Key(_) => "key",
            Self::Bot(_) => "bot",
            Self::Strategy(_) => "strategy",
            Self::Book(_) => "book",
            Self::Account(_) => "account",
        }
    }

    /// The id within its kind; empty for the desk.
    pub fn id(&self) -> String {
        match self {
            Self::Desk => String::new(),
            Self::Group(id) | Self::Key(id) | Self::Bot(id) | Self::Strategy(id) => id.clone(),
            Self::User(id) => id.to_string(),
            Self::Book(id) => id.to_string(),
            Self::Account(id) => id.to_string(),
        }
    }

    /// For people, without the ids that only programs can read: "the account", "the strategy momentum".
    pub fn in_words(&self) -> String {
        match self {
            Self::Group(name) | Self::Key(name) | Self::Bot(name) | Self::Strategy(name) => {
                format!("the {} {name}", self.kind())
            }
            Self::Desk | Self::User(_) | Self::Book(_) | Self::Account(_) => format!("the {}", self.kind()),
        }
    }

    /// Whether it has money of its own, which positions can be measured against.
    pub fn has_capital(&self) -> bool {
        matches!(self, Self::Desk | Self::Book(_) | Self::Account(_))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Desk => f.write_str("desk"),
            other => write!(f, "{}/{}", other.kind(), other.id()),
        }
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let invalid = || InvalidScope { given: text.chars().take(80).collect() };
        match text.split_once('/') {
            None if text == "desk" => Ok(Self::Desk),
            // "desk/" would be a second name of the desk.
            Some((kind, id)) if kind != "desk" => Self::new(kind, id).map_err(|_| invalid()),
            _ => Err(invalid()),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// All scopes that one order is in. Cheap to clone.
///
/// Sorted, each once; the desk and one account are always among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes {
    account: AccountId,
    book: Option<BookId>,
    all: Arc<[Scope]>,
}

impl Scopes {
    /// The desk, the account, and the others. Another account among the others is left out, as are all books but one.
    pub fn new(account: AccountId, others: impl IntoIterator<Item = Scope>) -> Self {
        let mut all = vec![Scope::Desk, Scope::Account(account)];
        let mut book = None;
        for scope in others {
            match scope {
                Scope::Account(_) => {}
                Scope::Book(id) => book = book.or(Some(id)),
                other => all.push(other),
            }
        }
        all.extend(book.map(Scope::Book));
        all.sort();
        all.dedup();
        Self { account, book, all: all.into() }
    }

    /// The account.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The book, if the order belongs to one.
    pub fn book(&self) -> Option<BookId> {
        self.book
    }

    /// Each of them, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Scope> {
        self.all.iter()
    }

    /// Each of them, in order.
    pub fn as_slice(&self) -> &[Scope] {
        &self.all
    }

    /// Whether a scope is among them.
    pub fn contains(&self, scope: &Scope) -> bool {
        self.all.binary_search(scope).is_ok()
    }
}

impl<'a> IntoIterator for &'a Scopes {
    type Item = &'a Scope;
    type IntoIter = std::slice::Iter<'a, Scope>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;

    use super::*;

    #[test]
    fn a_scope_is_written_as_it_is_read() {
        let id = UserId::new(Timestamp::UNIX_EPOCH);
        for text in ["desk", "group/quants", "key/k_1", "bot/grid:2", "strategy/momentum.v2"] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        for kind in ["user", "book", "account"] {
            let text = format!("{kind}/{id}");
            let scope: Scope = text.parse().unwrap();
            assert_eq!((scope.kind(), scope.id()), (kind, id.to_string()));
            assert_eq!(
                serde_json::from_str::<Scope>(&serde_json::to_string(&scope).unwrap()).unwrap(),
                scope
            );
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for bad in [
            "",
            "desk/",
            "desk/x",
            "user",
            "user/",
            "user/7",
            "strategy/",
            "strategy/a b",
            "team/a",
            "bot/ü",
            "/",
        ] {
            assert!(bad.parse::<Scope>().is_err(), "{bad:?} was read");
        }
        assert!(format!("key/{}", "x".repeat(65)).parse::<Scope>().is_err());
    }

    #[test]
    fn an_order_is_always_in_the_desk_and_in_one_account() {
        let at = Timestamp::UNIX_EPOCH;
        let (account, book) = (AccountId::new(at), BookId::new(at));
        let strategy = Scope::Strategy("a".into());
        let others =
            [strategy.clone(), Scope::Desk, strategy, Scope::Account(AccountId::new(at)), Scope::Book(book)];
        let scopes = Scopes::new(account, others);
        let kinds: Vec<_> = scopes.iter().map(Scope::kind).collect();
        assert_eq!(kinds, ["desk", "strategy", "book", "account"]);
        assert_eq!((scopes.account(), scopes.book()), (account, Some(book)));
        assert!(scopes.contains(&Scope::Account(account)) && !scopes.contains(&Scope::Bot("a".into())));
    }
}
