//! How many requests are taken: of an address, of a person, with a key, and of an endpoint.
//!
//! Each budget fills up evenly, a minute's worth in a minute, and holds no more than that. What is refused costs nothing
//! and changes nothing: it is refused before anybody looks at it.

use std::fmt::Write as _;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use domain::{KeyId, UserId};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::settings::{Budgets, PerMinute};

/// Most addresses, people and keys of which the state is kept; the others share one budget.
const MOST: usize = 50_000;
const WINDOW: Duration = Duration::from_secs(60);

/// What a request does, as far as budgets are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Takes risk away, or says that the desk lives: never limited.
    Free,
    Read,
    Order,
    Write,
}

/// Where a budget stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Which budget, as programs see it.
    name: &'static str,
    /// Requests a minute.
    quota: u32,
    /// Requests that are left now.
    left: u32,
    /// How long to wait until there is one, when there is none.
    wait: Option<Duration>,
}

type Keyed<K, C> = RateLimiter<K, DefaultKeyedStateStore<K>, C, StateInformationMiddleware>;

/// One budget for each of many.
struct Budget<K: Hash + Eq + Clone, C: Clock> {
    name: &'static str,
    quota: NonZeroU32,
    limiter: Keyed<K, C>,
}

impl<K: Hash + Eq + Clone, C: Clock + Clone> Budget<K, C> {
    /// `None`: without a limit.
    fn new(name: &'static str, per_minute: u32, clock: &C) -> Option<Self> {
        let quota = NonZeroU32::new(per_minute)?;
        let limiter = RateLimiter::dashmap_with_clock(Quota::per_minute(quota), clock.clone());
        let limiter = limiter.with_middleware::<StateInformationMiddleware>();
        Some(Self { name, quota, limiter })
    }

    /// Counts a request of `key`, of `rest` when there are too many to tell apart.
    fn spend(&self, key: K, rest: K) -> Standing {
        let key = if self.limiter.len() < MOST { key } else { rest };
        let quota = self.quota.get();
        let (left, wait) = match self.limiter.check_key(&key) {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(refused) => (0, Some(refused.wait_time_from(self.limiter.clock().now()))),
        };
        Standing { name: self.name, quota, left, wait }
    }

    /// Forgets whoever has used nothing up.
    fn tidy(&self) {
        self.limiter.retain_recent();
    }
}

/// The three budgets of a person or a key.
struct Three<K: Hash + Eq + Clone, C: Clock> {
    reads: Option<Budget<K, C>>,
    orders: Option<Budget<K, C>>,
    writes: Option<Budget<K, C>>,
}

impl<K: Hash + Eq + Clone, C: Clock + Clone> Three<K, C> {
    fn new(names: [&'static str; 3], budgets: Budgets, clock: &C) -> Self {
        Self {
            reads: Budget::new(names[0], budgets.reads, clock),
            orders: Budget::new(names[1], budgets.orders, clock),
            writes: Budget::new(names[2], budgets.writes, clock),
        }
    }

    fn of(&self, class: Class) -> Option<&Budget<K, C>> {
        match class {
            Class::Free => None,
            Class::Read => self.reads.as_ref(),
            Class::Order => self.orders.as_ref(),
            Class::Write => self.writes.as_ref(),
        }
    }

    fn tidy(&self) {
        [&self.reads, &self.orders, &self.writes].into_iter().flatten().for_each(Budget::tidy);
    }
}

/// All budgets but those of single endpoints.
pub(crate) struct Rates<C: Clock = DefaultClock> {
    addresses: Option<Budget<IpAddr, C>>,
    users: Three<Option<UserId>, C>,
    keys: Three<Option<KeyId>, C>,
}

impl<C: Clock + Clone> Rates<C> {
    pub(crate) fn new(per_minute: &PerMinute, clock: &C) -> Self {
        Self {
            addresses: Budget::new("address", per_minute.address, clock),
            users: Three::new(["user-reads", "user-orders", "user-writes"], per_minute.user, clock),
            keys: Three::new(["key-reads", "key-orders", "key-writes"], per_minute.key, clock),
        }
    }

    /// Counts a request from an address, before anybody asks who sends it.
    pub(crate) fn arrive(&self, class: Class, address: Option<IpAddr>) -> Option<Standing> {
        let budget = self.addresses.as_ref().filter(|_| class != Class::Free)?;
        let rest = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        Some(budget.spend(address.map_or(rest, household), rest))
    }

    /// Counts a request of somebody who was let in.
    pub(crate) fn spend(&self, class: Class, user: Option<UserId>, key: Option<KeyId>) -> Vec<Standing> {
        let of_user = self.users.of(class).filter(|_| user.is_some()).map(|budget| budget.spend(user, None));
        let of_key = self.keys.of(class).filter(|_| key.is_some()).map(|budget| budget.spend(key, None));
        of_user.into_iter().chain(of_key).collect()
    }

    /// Forgets all whose budgets are full again; now and then, so that there is room for others.
    pub(crate) fn tidy(&self) {
        self.addresses.iter().for_each(Budget::tidy);
        self.users.tidy();
        self.keys.tidy();
    }
}

/// What one customer of a provider has: an IPv4 address, or a /64 of IPv6.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

/// The budget of one endpoint, shared by everybody.
pub(crate) struct Shared<C: Clock = DefaultClock> {
    quota: NonZeroU32,
    limiter: RateLimiter<NotKeyed, InMemoryState, C, StateInformationMiddleware>,
}

impl<C: Clock + Clone> Shared<C> {
    pub(crate) fn new(per_minute: NonZeroU32, clock: &C) -> Self {
        let limiter = RateLimiter::direct_with_clock(Quota::per_minute(per_minute), clock.clone());
        let limiter = limiter.with_middleware::<StateInformationMiddleware>();
        Self { quota: per_minute, limiter }
    }

    pub(crate) fn spend(&self) -> Standing {
        let (left, wait) = match self.limiter.check() {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(refused) => (0, Some(refused.wait_time_from(self.limiter.clock().now()))),
        };
        Standing { name: "endpoint", quota: self.quota.get(), left, wait }
    }
}

/// How long whoever was refused has to wait: until the slowest of the budgets has something again.
pub(crate) fn wait(standings: &[Standing]) -> Option<Duration> {
    standings.iter().filter_map(|standing| standing.wait).max()
}

/// Says on an answer where the budgets stand (draft-ietf-httpapi-ratelimit-headers).
pub(crate) fn tell(headers: &mut HeaderMap, standings: &[Standing]) {
    if standings.is_empty() {
        return;
    }
    let (mut policy, mut state) = (String::new(), String::new());
    for (nth, Standing { name, quota, left, .. }) in standings.iter().enumerate() {
        let comma = if nth == 0 { "" } else { ", " };
        let window = WINDOW.as_secs();
        // Until all of it is there again, rounded up.
        let full_in = (u64::from(quota - (*left).min(*quota)) * window).div_ceil(u64::from(*quota));
        let _ = write!(policy, "{comma}\"{name}\";q={quota};w={window}");
        let _ = write!(state, "{comma}\"{name}\";r={left};t={full_in}");
    }
    for (name, value) in [("ratelimit-policy", policy), ("ratelimit", state)] {
        let value = HeaderValue::from_str(&value).expect("names and numbers are plain text");
        headers.insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn rates(address: u32, user: u32, key: u32) -> (Rates<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let budgets = |reads| Budgets { reads, orders: 1, writes: 0 };
        let per_minute = PerMinute { address, user: budgets(user), key: budgets(key) };
        (Rates::new(&per_minute, &clock), clock)
    }

    fn user() -> Option<UserId> {
        Some(UserId::new(Timestamp::UNIX_EPOCH))
    }

    fn header(standings: &[Standing], name: &str) -> String {
        let mut headers = HeaderMap::new();
        tell(&mut headers, standings);
        headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    #[test]
    fn a_budget_ends_and_fills_up_again() {
        let (rates, clock) = rates(0, 3, 0);
        let user = user();
        for left in [2, 1, 0] {
            let standings = rates.spend(Class::Read, user, None);
            assert_eq!((standings[0].left, wait(&standings)), (left, None));
        }
        let refused = rates.spend(Class::Read, user, None);
        assert_eq!(wait(&refused), Some(Duration::from_secs(20)));
        assert_eq!(header(&refused, "ratelimit"), "\"user-reads\";r=0;t=60");
        clock.advance(Duration::from_secs(20));
        assert_eq!(wait(&rates.spend(Class::Read, user, None)), None);
        assert!(wait(&rates.spend(Class::Read, user, None)).is_some());
        clock.advance(Duration::from_secs(600));
        let standings = rates.spend(Class::Read, user, None);
        assert_eq!(header(&standings, "ratelimit-policy"), "\"user-reads\";q=3;w=60");
        assert_eq!(header(&standings, "ratelimit"), "\"user-reads\";r=2;t=20");
    }

    #[test]
    fn whoever_has_read_too_often_still_trades_and_what_takes_risk_away_is_never_limited() {
        let (rates, _) = rates(1, 1, 0);
        let user = user();
        for _ in 0..3 {
            rates.spend(Class::Read, user, None);
        }
        assert!(wait(&rates.spend(Class::Read, user, None)).is_some());
        assert_eq!(wait(&rates.spend(Class::Order, user, None)), None);
        assert!(wait(&rates.spend(Class::Order, user, None)).is_some());
        for _ in 0..100 {
            assert!(rates.spend(Class::Free, user, None).is_empty());
            assert_eq!(rates.arrive(Class::Free, Some(IpAddr::from([10, 0, 0, 1]))), None);
            assert!(rates.spend(Class::Write, user, None).is_empty(), "0 is without a limit");
        }
    }

    #[test]
    fn a_key_has_a_budget_of_its_own_within_its_owners() {
        let (rates, _) = rates(0, 3, 1);
        let (user, key) = (user(), "PKQ3ZJ7T2MXK5VBW4N6D".parse().ok());
        assert!(key.is_some());
        assert_eq!(wait(&rates.spend(Class::Read, user, key)), None);
        assert!(wait(&rates.spend(Class::Read, user, key)).is_some(), "the key's is used up");
        assert_eq!(wait(&rates.spend(Class::Read, user, None)), None, "the owner's is not");
        assert!(wait(&rates.spend(Class::Read, user, None)).is_some());
    }

    #[test]
    fn one_network_of_ipv6_is_one_address() {
        let (rates, _) = rates(1, 0, 0);
        let arrive = |address: &str| {
            let standing = rates.arrive(Class::Read, address.parse().ok());
            standing.is_some_and(|standing| standing.wait.is_none())
        };
        assert!(arrive("2001:db8:1:2::1") && !arrive("2001:db8:1:2:ffff::9") && arrive("2001:db8:1:3::1"));
        assert!(arrive("192.0.2.1") && !arrive("::ffff:192.0.2.1") && arrive("192.0.2.2"));
    }
}
