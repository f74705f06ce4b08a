//! What the venue does wrong on request: the fate of each request, and what becomes of the events that it tells. Pure:
//! time is passed in, chance comes from a seed.

use std::collections::VecDeque;
use std::time::Duration;

use domain::{AccountId, Timestamp};

use super::random::Dice;
use super::settings::Misbehave;
use crate::broker::BrokerEvent;

/// How long an event waits for others to change places with.
const LINGER: Duration = Duration::from_millis(20);

/// What somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To place an order.
    Submit,
    /// To change or end one.
    Change,
    /// A question.
    Question,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is done and answered.
    Answer,
    /// It is acknowledged, and then rejected.
    Lie,
    /// It waits, undone.
    HangBefore,
    /// It is done, and its answer waits.
    HangAfter,
    /// It is done, and never answered.
    LoseAnswer,
    /// Nobody is there.
    Dead,
    /// It is refused: too many requests.
    RateLimited,
    /// It is refused: out of order.
    Unavailable,
}

/// The venue's bad side.
#[derive(Debug)]
pub(crate) struct Mischief {
    settings: Misbehave,
    dice: Dice,
    /// Events on their way, and when they arrive.
    under_way: VecDeque<(Timestamp, AccountId, BrokerEvent)>,
}

impl Mischief {
    pub(crate) fn new(settings: Misbehave, seed: u64) -> Self {
        Self { settings, dice: Dice::new(seed), under_way: VecDeque::new() }
    }

    /// From now on it behaves like this. What is on its way stays so.
    pub(crate) fn set(&mut self, settings: Misbehave) {
        self.settings = settings;
    }

    pub(crate) fn settings(&self) -> &Misbehave {
        &self.settings
    }

    /// What becomes of the next request.
    pub(crate) fn fate(&mut self, asked: Asked) -> Fate {
        let Self { settings, dice, .. } = self;
        match asked {
            _ if settings.dead => Fate::Dead,
            _ if dice.says(settings.rate_limited) => Fate::RateLimited,
            _ if dice.says(settings.unavailable) => Fate::Unavailable,
            _ if dice.says(settings.hang_before) => Fate::HangBefore,
            _ if dice.says(settings.hang_after) => Fate::HangAfter,
            _ if dice.says(settings.lose_answer) => Fate::LoseAnswer,
            Asked::Submit if dice.says(settings.lie) => Fate::Lie,
            _ => Fate::Answer,
        }
    }

    /// Sends an event on its way: never, once or twice.
    pub(crate) fn tell(&mut self, account: AccountId, event: BrokerEvent, now: Timestamp) {
        if self.settings.dead || self.dice.says(self.settings.drop_events) {
            return;
        }
        let at = now + self.settings.delay_events;
        if self.dice.says(self.settings.duplicate_events) {
            self.under_way.push_back((at, account, event.clone()));
        }
        self.under_way.push_back((at, account, event));
    }

    /// The events that arrive by now, in the order in which they do.
    pub(crate) fn due(&mut self, now: Timestamp) -> Vec<(AccountId, BrokerEvent)> {
        let window = self.settings.reorder_within + 1;
        let mut arrived = Vec::new();
        while self.is_due(window, now) {
            let count = window.min(self.under_way.len());
            let mut together: Vec<_> = self.under_way.drain(..count).collect();
            // Fisher-Yates, within the window only: so nobody is moved further than asked.
            for last in (1..together.len()).rev() {
                together.swap(last, self.dice.below(last + 1));
            }
            arrived.extend(together.into_iter().map(|(_, account, event)| (account, event)));
        }
        arrived
    }

    fn is_due(&self, window: usize, now: Timestamp) -> bool {
        let Some((first, ..)) = self.under_way.front() else { return false };
        if window == 1 {
            return *first <= now;
        }
        let is_full = self.under_way.get(window - 1).is_some_and(|(at, ..)| *at <= now);
        is_full || *first + LINGER <= now
    }

    /// When an event arrives next, at the latest.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        let linger = if self.settings.reorder_within > 0 { LINGER } else { Duration::ZERO };
        self.under_way.front().map(|(at, ..)| *at + linger)
    }
}

#[cfg(test)]
mod tests {
    use domain::OrderEvent;

    use super::*;

    fn told(settings: Misbehave, count: usize) -> Vec<usize> {
        let mut mischief = Mischief::new(settings, 7);
        let start = Timestamp::UNIX_EPOCH;
        let account = AccountId::new(start);
        let mut seen = Vec::new();
        for nth in 0..count {
            let event = BrokerEvent {
                client_order_id: nth.to_string(),
                broker_order_id: String::new(),
                event: Some(OrderEvent::Canceled),
            };
            mischief.tell(account, event, start);
            seen.extend(mischief.due(start));
        }
        seen.extend(mischief.due(start + Duration::from_secs(60)));
        seen.iter().map(|(_, event)| event.client_order_id.parse().unwrap()).collect()
    }

    #[test]
    fn a_venue_that_behaves_tells_everything_once_and_in_order() {
        assert_eq!(told(Misbehave::default(), 100), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn events_are_dropped_and_doubled_as_asked() {
        assert_eq!(told(Misbehave { drop_events: 1.0, ..Misbehave::default() }, 10), [] as [usize; 0]);
        assert_eq!(told(Misbehave { duplicate_events: 1.0, ..Misbehave::default() }, 2), [0, 0, 1, 1]);
        let some = told(Misbehave { drop_events: 0.5, ..Misbehave::default() }, 1_000).len();
        assert!((400..600).contains(&some), "{some} of 1000 for a half");
    }

    #[test]
    fn events_change_places_but_never_go_far_and_none_is_lost() {
        let seen = told(Misbehave { reorder_within: 3, ..Misbehave::default() }, 102);
        assert!(seen.iter().enumerate().any(|(place, nth)| place != *nth), "nothing changed places");
        assert!(seen.iter().enumerate().all(|(place, nth)| place.abs_diff(*nth) <= 3), "{seen:?}");
        let mut sorted = seen;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..102).collect::<Vec<_>>());
    }

    #[test]
    fn a_delayed_event_waits_for_its_time() {
        let settings = Misbehave { delay_events: Duration::from_secs(1), ..Misbehave::default() };
        let mut mischief = Mischief::new(settings, 1);
        let start = Timestamp::UNIX_EPOCH;
        let event = BrokerEvent { client_order_id: "a".into(), broker_order_id: String::new(), event: None };
        mischief.tell(AccountId::new(start), event, start);
        assert_eq!(mischief.due(start + Duration::from_millis(999)).len(), 0);
        assert_eq!(mischief.next_at(), Some(start + Duration::from_secs(1)));
        assert_eq!(mischief.due(start + Duration::from_secs(1)).len(), 1);
    }
}
