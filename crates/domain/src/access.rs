//! Who may do what.
//!
//! A role gives abilities, a grant gives accounts. An ability that concerns an account needs both; nothing
//! is allowed that was not given. [`Context::require`] is the only way to ask.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{AccountId, KeyId, RequestId, SessionId, Timestamp, UserId};

/// A name that is none of those allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not a {what}: {allowed}")]
pub struct UnknownName {
    /// What kind of name was expected.
    pub what: &'static str,
    /// What was given, cut to 40 characters.
    pub given: String,
    /// The names allowed.
    pub allowed: String,
}

/// An enum with a fixed text for each variant, used in storage, interfaces and the command line.
macro_rules! named {
    (
        $(#[$doc:meta])* $name:ident, $what:literal;
        $($(#[$vdoc:meta])* $variant:ident = $text:literal, $title:literal;)+
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[doc = $title] #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// All of them, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in storage and interfaces.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// What it means, in a few words for people.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or_else(|| UnknownName {
                    what: $what,
                    given: text.chars().take(40).collect(),
                    allowed: Self::ALL.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}

named! {
    /// One act that can be allowed.
    Permission, "permission";
    MarketView = "market.view", "See prices, charts and the state of feeds";
    AccountsView = "accounts.view", "See balances and positions of granted accounts";
    AccountsViewAll = "accounts.view_all", "See every account, without a grant";
    OrdersView = "orders.view", "See orders and fills of granted accounts";
    OrdersPlace = "orders.place", "Place orders on accounts granted for trading";
    OrdersCancel = "orders.cancel", "Cancel orders on accounts granted for trading";
    OrdersResolve = "orders.resolve", "Decide about orders whose outcome is not known; compare an account with its broker";
    OrdersApprove = "orders.approve", "Agree, as a second person, to what others ask for";
    KillEngage = "kill.engage", "Pull the kill switch of an account granted for trading, or one's own";
    KillDesk = "kill.desk", "Pull the kill switch of the whole desk and of other people";
    KillRearm = "kill.rearm", "Release a kill switch";
    LimitsManage = "limits.manage", "Set risk limits";
    BooksManage = "books.manage", "Open and close books, and move money and units between them";
    LiveSwitch = "accounts.live", "Switch real money on and off";
    AccountsManage = "accounts.manage", "Add, rename, activate, renew and remove accounts at brokers";
    UsersView = "users.view", "See people, their roles and grants";
    UsersManage = "users.manage", "Create, rename, disable and invite people";
    RolesAssign = "roles.assign", "Give and take roles, up to one's own";
    GrantsManage = "grants.manage", "Give and take access to accounts, up to one's own";
    AuditView = "audit.view", "Read the audit log";
    AuditVerify = "audit.verify", "Check that the audit log is unaltered";
    SystemView = "system.view", "See the health of the desk in detail";
    FeedsManage = "feeds.manage", "Set the key of a market data feed";
    KeysManage = "keys.manage", "See and revoke the API keys of other people";
    ApiManage = "api.manage", "Switch endpoints of the API off, and limit them";
}

impl Permission {
    /// What an API key can be made for. Not among them: people, keys, limits, and whatever needs a second factor, which a
    /// program does not have.
    pub const OF_KEYS: &'static [Self] = &[
        Self::MarketView,
        Self::AccountsView,
        Self::OrdersView,
        Self::OrdersPlace,
        Self::OrdersCancel,
        Self::KillEngage,
    ];

    fn bit(self) -> u64 {
        1 << (self as u64)
    }

    /// The least access to the account that the act needs; `None` when it concerns no account.
    pub fn needs_access(self) -> Option<Access> {
        match self {
            Self::AccountsView | Self::OrdersView => Some(Access::View),
            Self::OrdersPlace
            | Self::OrdersCancel
            | Self::OrdersResolve
            | Self::OrdersApprove
            | Self::KillEngage
            | Self::BooksManage => Some(Access::Trade),
            Self::LiveSwitch | Self::AccountsManage => Some(Access::Manage),
            _ => None,
        }
    }
}

/// A set of permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PermissionSet(u64);

impl PermissionSet {
    /// Nothing is allowed.
    pub const EMPTY: Self = Self(0);

    /// Whether the set has `permission`.
    pub fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Whether the set has everything that `other` has.
    pub fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// What is in either.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The members, in the order of [`Permission::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |p| self.contains(*p))
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |bits, p| bits | p.bit()))
    }
}

named! {
    /// A set of permissions under a name.
    Role, "role";
    SuperAdmin = "super_admin", "Owner: everything";
    Admin = "admin", "Runs the desk: people, roles, grants, feeds; trades where granted";
    Manager = "manager", "Leads traders: trades, sees people and the audit log";
    Trader = "trader", "Trades on granted accounts";
    Analyst = "analyst", "Studies markets and granted accounts, trades nothing";
    Viewer = "viewer", "Looks at granted accounts";
    Auditor = "auditor", "Reads everything, changes nothing";
}

impl Role {
    /// What the role allows.
    ///
    /// Nobody gives a role that allows more than they may themselves: so an admin makes traders and managers, and only
    /// the owner makes auditors, who watch the admins.
    pub fn permissions(self) -> PermissionSet {
        use Permission::*;
        let list: &[Permission] = match self {
            Self::SuperAdmin => Permission::ALL,
            Self::Admin => &[
                MarketView,
                AccountsView,
                OrdersView,
                OrdersPlace,
                OrdersCancel,
                OrdersResolve,
                OrdersApprove,
                KillEngage,
                KillDesk,
                KillRearm,
                LimitsManage,
                BooksManage,
                LiveSwitch,
                AccountsManage,
                UsersView,
                UsersManage,
                RolesAssign,
                GrantsManage,
                AuditView,
                AuditVerify,
                SystemView,
                FeedsManage,
                KeysManage,
                ApiManage,
            ],
            Self::Manager => &[
                MarketView,
                AccountsView,
                OrdersView,
                OrdersPlace,
                OrdersCancel,
                OrdersResolve,
                OrdersApprove,
                KillEngage,
                KillDesk,
                LimitsManage,
                BooksManage,
                UsersView,
                AuditView,
                SystemView,
            ],
            Self::Trader => &[MarketView, AccountsView, OrdersView, OrdersPlace, OrdersCancel, KillEngage],
            Self::Analyst | Self::Viewer => &[MarketView, AccountsView, OrdersView],
            Self::Auditor => &[
                MarketView,
                AccountsView,
                AccountsViewAll,
                OrdersView,
                UsersView,
                AuditView,
                AuditVerify,
                SystemView,
            ],
        };
        list.iter().copied().collect()
    }
}

named! {
    /// How far a grant on an account goes; each includes the ones before it.
    Access, "kind of access";
    View = "view", "See it";
    Trade = "trade", "See it and trade on it";
    Manage = "manage", "See it, trade on it, grant it to others";
}

named! {
    /// What sort of actor.
    PrincipalKind, "kind of principal";
    User = "user", "A person";
    Operator = "operator", "Whoever runs the command line on the server";
    System = "system", "The desk itself";
    Anonymous = "anonymous", "Somebody not signed in";
}

/// Whoever acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// What sort.
    pub kind: PrincipalKind,
    /// Which one; `None` for the system and for people who are not signed in.
    pub id: Option<String>,
}

/// What the principal showed to be let in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// A signed-in session.
    Session(SessionId),
    /// An API key, by a program on behalf of its owner.
    Key(KeyId),
    /// The operating system's user on the server.
    Local,
    /// Nothing.
    None,
}

/// What an act is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The desk as a whole.
    Desk,
    /// One account.
    Account(AccountId),
}

/// The answer no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No role of the principal allows the act.
    #[error("this needs the permission {permission}, which none of your roles has")]
    Permission {
        /// What is missing.
        permission: Permission,
    },
    /// The account was not granted at all. To the outside it does not exist.
    #[error("there is no such account")]
    NoGrant {
        /// Which account.
        account: AccountId,
    },
    /// The grant does not go far enough.
    #[error("this needs {needed} access to the account; you have {granted}")]
    Access {
        /// Least access needed.
        needed: Access,
        /// Access there is.
        granted: Access,
    },
    /// The grant is not for real money.
    #[error("your access to this account is not for real money")]
    Live {
        /// Which account.
        account: AccountId,
    },
}

/// The answer to a dangerous act: show your second factor first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepUpNeeded {
    /// The factor was shown, but too long ago.
    #[error("this needs your second factor, shown within the last 5 minutes")]
    Show,
    /// No factor was shown in this session: the person has none.
    #[error("this needs a second factor, and you have none yet")]
    Enrol,
}

/// For how long a second factor counts as just shown.
pub const FACTOR_LIFE: Duration = Duration::from_secs(5 * 60);

/// One request: who asks, with what, from where, and what they may do.
#[derive(Clone, Debug)]
pub struct Context {
    /// Whoever acts.
    pub principal: Principal,
    /// What was shown to be let in.
    pub credential: Credential,
    /// Where the request came from; `None` for the command line and the desk itself.
    pub address: Option<IpAddr>,
    /// The id of the request.
    pub request_id: RequestId,
    /// When the request came in.
    pub at: Timestamp,
    /// When the session last saw a second factor; `None`: never.
    pub factor_at: Option<Timestamp>,
    permissions: PermissionSet,
    grants: BTreeMap<AccountId, Access>,
    /// Of the accounts granted, those whose grant goes for real money too.
    live: BTreeSet<AccountId>,
}

impl Context {
    /// A request of a signed-in person.
    pub fn user(
        user: UserId,
        session: SessionId,
        permissions: PermissionSet,
        grants: BTreeMap<AccountId, Access>,
        address: Option<IpAddr>,
        request_id: RequestId,
        at: Timestamp,
    ) -> Self {
        Self {
            principal: Principal { kind: PrincipalKind::User, id: Some(user.to_string()) },
            credential: Credential::Session(session),
            address,
            request_id,
            at,
            factor_at: None,
            permissions,
            grants,
            live: BTreeSet::new(),
        }
    }

    /// A request of a program with an API key of `user`: on one account, with what the key and its owner both may.
    pub fn key(
        user: UserId,
        key: KeyId,
        permissions: PermissionSet,
        grant: (AccountId, Access),
        address: Option<IpAddr>,
        request_id: RequestId,
        at: Timestamp,
    ) -> Self {
        Self {
            principal: Principal { kind: PrincipalKind::User, id: Some(user.to_string()) },
            credential: Credential::Key(key),
            address,
            request_id,
            at,
            factor_at: None,
            permissions: permissions.intersection(Permission::OF_KEYS.iter().copied().collect()),
            grants: BTreeMap::from([grant]),
            live: BTreeSet::new(),
        }
    }

    /// The same request, in a session that last saw a second factor `at`.
    pub fn with_factor(self, at: Option<Timestamp>) -> Self {
        Self { factor_at: at, ..self }
    }

    /// The same request, with real money granted on these accounts.
    pub fn with_live(self, accounts: impl IntoIterator<Item = AccountId>) -> Self {
        Self { live: accounts.into_iter().collect(), ..self }
    }

    /// A request of somebody not signed in: nothing is allowed.
    pub fn anonymous(address: Option<IpAddr>, request_id: RequestId, at: Timestamp) -> Self {
        Self {
            principal: Principal { kind: PrincipalKind::Anonymous, id: None },
            credential: Credential::None,
            address,
            request_id,
            at,
            factor_at: None,
            permissions: PermissionSet::EMPTY,
            grants: BTreeMap::new(),
            live: BTreeSet::new(),
        }
    }

    /// A command on the server itself. Who can read the master key can do everything anyway.
    pub fn operator(name: Option<String>, at: Timestamp) -> Self {
        Self {
            principal: Principal { kind: PrincipalKind::Operator, id: name },
            credential: Credential::Local,
            address: None,
            request_id: RequestId::new(at),
            at,
            factor_at: None,
            permissions: Role::SuperAdmin.permissions(),
            grants: BTreeMap::new(),
            live: BTreeSet::new(),
        }
    }

    /// Asks whether the principal may do an act to a thing. Every act asks.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn require(&self, permission: Permission, resource: Resource) -> Result<(), Denied> {
        if !self.permissions.contains(permission) {
            // Whoever was not granted an account is not told that it exists.
            return match resource {
                Resource::Account(account) if self.access(account).is_none() => {
                    Err(Denied::NoGrant { account })
                }
                _ => Err(Denied::Permission { permission }),
            };
        }
        let (Resource::Account(account), Some(needed)) = (resource, permission.needs_access()) else {
            return Ok(());
        };
        match self.access(account) {
            None => Err(Denied::NoGrant { account }),
            Some(granted) if granted < needed => Err(Denied::Access { needed, granted }),
            Some(_) => Ok(()),
        }
    }

    /// Asks whether whoever acts has just shown a second factor: at most [`FACTOR_LIFE`] before the request.
    ///
    /// Asked besides [`Context::require`] before an act that can lose much at once. The operator passes: there is no
    /// session on the command line, and who can read the master key needs no code.
    ///
    /// # Errors
    /// Says whether to show a factor again or to enrol one.
    pub fn require_recent_factor(&self) -> Result<(), StepUpNeeded> {
        if self.credential == Credential::Local {
            return Ok(());
        }
        let shown_at = self.factor_at.ok_or(StepUpNeeded::Enrol)?;
        // After the clock stepped back, nobody can say how old a factor of the future is.
        let age = Duration::try_from(self.at.duration_since(shown_at)).map_err(|_| StepUpNeeded::Show)?;
        if FACTOR_LIFE < age { Err(StepUpNeeded::Show) } else { Ok(()) }
    }

    /// Asks whether the grant on an account goes for real money. Asked besides [`Context::require`] where an order would
    /// move some.
    ///
    /// # Errors
    /// It does not, or there is none.
    pub fn require_live(&self, account: AccountId) -> Result<(), Denied> {
        let granted = self.grants.contains_key(&account) && self.live.contains(&account);
        if granted { Ok(()) } else { Err(Denied::Live { account }) }
    }

    /// The access there is to an account.
    pub fn access(&self, account: AccountId) -> Option<Access> {
        let all = self.permissions.contains(Permission::AccountsViewAll).then_some(Access::View);
        self.grants.get(&account).copied().max(all)
    }

    /// Everything the principal may do; on an account only as far as it is granted.
    pub fn permissions(&self) -> PermissionSet {
        self.permissions
    }

    /// The API key that was shown, if one was.
    pub fn key_id(&self) -> Option<KeyId> {
        match self.credential {
            Credential::Key(key) => Some(key),
            Credential::Session(_) | Credential::Local | Credential::None => None,
        }
    }

    /// The signed-in person, if it is one; of a program, the person on whose behalf it acts.
    pub fn user_id(&self) -> Option<UserId> {
        match self.principal.kind {
            PrincipalKind::User => self.principal.id.as_ref()?.parse().ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(role: Role, access: Option<Access>) -> (Context, AccountId) {
        let at = Timestamp::UNIX_EPOCH;
        let account = AccountId::new(at);
        let grants = access.map(|access| (account, access)).into_iter().collect();
        let ctx = Context::user(
            UserId::new(at),
            SessionId::new(at),
            role.permissions(),
            grants,
            None,
            RequestId::new(at),
            at,
        );
        (ctx, account)
    }

    /// Roles that may, by access: the whole table, so that a change to it is seen.
    #[test]
    fn an_account_needs_both_the_role_and_the_grant() {
        use Role::*;
        let may = |permission, access| -> Vec<Role> {
            Role::ALL
                .iter()
                .copied()
                .filter(|role| {
                    let (ctx, account) = context(*role, access);
                    ctx.require(permission, Resource::Account(account)).is_ok()
                })
                .collect()
        };
        assert_eq!(may(Permission::OrdersPlace, None), []);
        assert_eq!(may(Permission::OrdersPlace, Some(Access::View)), []);
        assert_eq!(may(Permission::OrdersPlace, Some(Access::Trade)), [SuperAdmin, Admin, Manager, Trader]);
        assert_eq!(may(Permission::OrdersCancel, Some(Access::Manage)), [SuperAdmin, Admin, Manager, Trader]);
        assert_eq!(may(Permission::OrdersView, None), [SuperAdmin, Auditor]);
        assert_eq!(may(Permission::AccountsView, Some(Access::View)), Role::ALL);
    }

    #[test]
    fn an_account_that_was_not_granted_does_not_exist() {
        let (ctx, _) = context(Role::Trader, Some(Access::Manage));
        let foreign = AccountId::new(Timestamp::UNIX_EPOCH);
        let answer = ctx.require(Permission::OrdersView, Resource::Account(foreign));
        assert_eq!(answer, Err(Denied::NoGrant { account: foreign }));
        let (viewer, _) = context(Role::Viewer, None);
        let answer = viewer.require(Permission::OrdersPlace, Resource::Account(foreign));
        assert_eq!(answer, Err(Denied::NoGrant { account: foreign }));
    }

    #[test]
    fn real_money_is_granted_by_itself() {
        let (ctx, account) = context(Role::SuperAdmin, Some(Access::Manage));
        assert_eq!(ctx.require_live(account), Err(Denied::Live { account }));
        assert_eq!(ctx.with_live([account]).require_live(account), Ok(()));
        let (stranger, account) = context(Role::SuperAdmin, None);
        let answer = stranger.with_live([account]).require_live(account);
        assert_eq!(answer, Err(Denied::Live { account }), "without a grant there is none for real money");
    }

    #[test]
    fn a_key_does_no_more_than_keys_can_and_on_its_account_alone() {
        let at = Timestamp::UNIX_EPOCH;
        let (own, other) = (AccountId::new(at), AccountId::new(at));
        let key = KeyId::new([0; 18]);
        let everything = Role::SuperAdmin.permissions();
        let grant = (own, Access::Manage);
        let ctx = Context::key(UserId::new(at), key, everything, grant, None, RequestId::new(at), at);
        let may: Vec<_> = Permission::ALL
            .iter()
            .copied()
            .filter(|one| ctx.require(*one, Resource::Account(own)).is_ok())
            .collect();
        assert_eq!(may, Permission::OF_KEYS);
        let answer = ctx.require(Permission::OrdersView, Resource::Account(other));
        assert_eq!(
            answer,
            Err(Denied::NoGrant { account: other }),
            "the owner of everything sees every account"
        );
        assert!(ctx.require_recent_factor().is_err());
        assert!(ctx.require_live(own).is_err());
    }

    #[test]
    fn nobody_not_signed_in_may_do_anything() {
        let at = Timestamp::UNIX_EPOCH;
        let ctx = Context::anonymous(None, RequestId::new(at), at);
        for permission in Permission::ALL {
            assert!(ctx.require(*permission, Resource::Desk).is_err());
        }
    }

    #[test]
    fn a_dangerous_act_needs_a_factor_of_the_last_five_minutes() {
        let (ctx, _) = context(Role::SuperAdmin, None);
        let asked = |shown_before_s: i64| {
            let shown_at = ctx.at - jiff::SignedDuration::from_secs(shown_before_s);
            ctx.clone().with_factor(Some(shown_at)).require_recent_factor()
        };
        assert_eq!(ctx.require_recent_factor(), Err(StepUpNeeded::Enrol));
        assert_eq!(asked(0), Ok(()));
        assert_eq!(asked(300), Ok(()));
        assert_eq!(asked(301), Err(StepUpNeeded::Show));
        assert_eq!(asked(-1), Err(StepUpNeeded::Show), "one from the future says nothing");
    }

    #[test]
    fn the_operator_needs_no_factor() {
        let ctx = Context::operator(None, Timestamp::UNIX_EPOCH);
        assert_eq!(ctx.require_recent_factor(), Ok(()));
    }
}
