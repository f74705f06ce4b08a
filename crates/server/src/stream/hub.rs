//! Where events wait for the connections that want them.
//!
//! Each topic has one ring of its latest events, numbered without holes. A connection keeps its place in the ring
//! and reads on from there when it is woken; nothing is queued per connection, so a slow reader costs no memory:
//! it loses its place, and is told which numbers it missed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use domain::Timestamp;
use rustc_hash::FxHashMap;
use serde::Serialize;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::api::words::At;
use crate::stream::topic::Topic;

/// An event as it goes out.
pub(crate) struct Event {
    pub seq: u64,
    at: Timestamp,
    pub frame: Utf8Bytes,
}

/// All topics that were ever asked for.
pub(crate) struct Hub {
    /// Names this run of the desk: numbers of another run mean nothing.
    pub epoch: Uuid,
    channels: Mutex<FxHashMap<Topic, Arc<Channel>>>,
}

/// One topic.
pub(crate) struct Channel {
    pub topic: Topic,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    /// Number of the last event; 0 before the first.
    last: u64,
    listeners: Vec<Arc<Notify>>,
    /// When the last listener left.
    left_at: Option<Timestamp>,
    /// Nobody listened for so long that events are not even numbered.
    asleep: bool,
}

/// What there is after a place in the ring.
pub(crate) struct Since {
    /// First and last number of the events that are gone.
    pub lost: Option<(u64, u64)>,
    /// The next ones, in order.
    pub events: Vec<Arc<Event>>,
}

#[derive(Serialize)]
struct Frame<'a, T> {
    r#type: &'static str,
    topic: &'a str,
    seq: u64,
    at: At,
    data: &'a T,
}

impl Hub {
    /// A hub without events.
    pub(crate) fn new() -> Self {
        Self { epoch: Uuid::new_v4(), channels: Mutex::default() }
    }

    /// The topic's channel, made if nobody asked for it before.
    pub(crate) fn channel(&self, topic: &Topic) -> Arc<Channel> {
        let mut channels = lock(&self.channels);
        let channel = channels
            .entry(topic.clone())
            .or_insert_with(|| Arc::new(Channel { topic: topic.clone(), ring: Mutex::default() }));
        Arc::clone(channel)
    }

    /// Whether anybody listens, or left so recently that he may come back for what he missed.
    pub(crate) fn is_wanted(&self, topic: &Topic, at: Timestamp) -> bool {
        self.existing(topic).is_some_and(|channel| channel.is_wanted(at))
    }

    /// Numbers an event, keeps it for a while and wakes who listens. Costs nothing when nobody wants it.
    pub(crate) fn publish(&self, topic: &Topic, at: Timestamp, data: &impl Serialize) {
        if let Some(channel) = self.existing(topic) {
            channel.publish(at, data);
        }
    }

    /// Says of every topic of the market that events were lost before they had a number.
    pub(crate) fn skip_market(&self) {
        self.skip(|topic| topic.symbol().is_some());
    }

    /// Says of everything that the gateway tells that events were lost before they had a number.
    pub(crate) fn skip_trading(&self) {
        self.skip(|topic| !matches!(topic, Topic::Feed) && topic.symbol().is_none());
    }

    /// Says of some topics that something changed that each listener may see a different part of: a gap, after which
    /// they take a snapshot.
    pub(crate) fn ask_again(&self, of: impl Fn(&Topic) -> bool) {
        self.skip(of);
    }

    fn skip(&self, of: impl Fn(&Topic) -> bool) {
        for (topic, channel) in lock(&self.channels).iter() {
            if of(topic) {
                channel.skip();
            }
        }
    }

    fn existing(&self, topic: &Topic) -> Option<Arc<Channel>> {
        lock(&self.channels).get(topic).cloned()
    }
}

impl Channel {
    /// Number of the last event.
    pub(crate) fn last(&self) -> u64 {
        lock(&self.ring).last
    }

    /// Starts waking `wake` on each event.
    pub(crate) fn join(&self, wake: &Arc<Notify>) {
        let mut ring = lock(&self.ring);
        ring.asleep = false;
        ring.left_at = None;
        ring.listeners.push(Arc::clone(wake));
    }

    /// Ends it.
    pub(crate) fn leave(&self, wake: &Arc<Notify>, at: Timestamp) {
        let mut ring = lock(&self.ring);
        ring.listeners.retain(|one| !Arc::ptr_eq(one, wake));
        if ring.listeners.is_empty() {
            ring.left_at = Some(at);
        }
    }

    /// Whether all events after `seq` are still there.
    pub(crate) fn can_resume(&self, seq: u64) -> bool {
        let ring = lock(&self.ring);
        seq <= ring.last && ring.oldest() <= seq + 1
    }

    /// The events after `seq`, at most `most`.
    pub(crate) fn after(&self, seq: u64, most: usize) -> Since {
        let ring = lock(&self.ring);
        let oldest = ring.oldest();
        let lost = (oldest > seq + 1).then(|| (seq + 1, oldest - 1));
        let next = seq.max(oldest - 1) + 1;
        let skip = usize::try_from(next - oldest).unwrap_or(usize::MAX);
        Since { lost, events: ring.events.iter().skip(skip).take(most).cloned().collect() }
    }

    /// Takes a number for events that nobody will see: every listener is told of the gap.
    fn skip(&self) {
        let mut ring = lock(&self.ring);
        ring.events.clear();
        ring.last += 1;
        for wake in &ring.listeners {
            wake.notify_one();
        }
    }

    fn is_wanted(&self, at: Timestamp) -> bool {
        lock(&self.ring).is_wanted(&self.topic, at)
    }

    fn publish(&self, at: Timestamp, data: &impl Serialize) {
        let mut ring = lock(&self.ring);
        if !ring.is_wanted(&self.topic, at) {
            if !ring.asleep {
                // A number of its own for what is left out from here on, so that nobody resumes across it.
                ring.asleep = true;
                ring.events.clear();
                ring.last += 1;
            }
            return;
        }
        let (seq, topic) = (ring.last + 1, self.topic.to_string());
        let frame = Frame { r#type: "event", topic: &topic, seq, at: At(at), data };
        let frame = match serde_json::to_string(&frame) {
            Ok(text) => Utf8Bytes::from(text),
            Err(error) => return tracing::error!(%error, topic, "an event cannot be written"),
        };
        ring.last = seq;
        ring.events.push_back(Arc::new(Event { seq, at, frame }));
        let keep = self.topic.keep();
        let too_old =
            |event: &Arc<Event>| at.duration_since(event.at).unsigned_abs() > keep.age && event.at < at;
        while ring.events.len() > keep.events || ring.events.front().is_some_and(too_old) {
            ring.events.pop_front();
        }
        for wake in &ring.listeners {
            wake.notify_one();
        }
    }
}

impl Ring {
    /// Number of the oldest event there is; of the next one when there is none.
    fn oldest(&self) -> u64 {
        self.events.front().map_or(self.last + 1, |event| event.seq)
    }

    fn is_wanted(&self, topic: &Topic, at: Timestamp) -> bool {
        let recently = |left_at: Timestamp| at.duration_since(left_at).unsigned_abs() <= topic.keep().age;
        !self.listeners.is_empty() || (!self.asleep && self.left_at.is_some_and(recently))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing here panics half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn quotes() -> Topic {
        "quotes:BTC-USD".parse().expect("a topic")
    }

    fn second(n: i64) -> Timestamp {
        Timestamp::from_second(n).expect("in range")
    }

    fn numbers(since: &Since) -> Vec<u64> {
        since.events.iter().map(|event| event.seq).collect()
    }

    #[test]
    fn events_are_numbered_and_read_from_any_place() {
        let hub = Hub::new();
        let channel = hub.channel(&quotes());
        let wake = Arc::new(Notify::new());
        channel.join(&wake);
        for n in 1..=3 {
            hub.publish(&quotes(), second(n), &n);
        }
        assert_eq!(channel.last(), 3);
        let since = channel.after(1, 10);
        assert_eq!((numbers(&since), since.lost), (vec![2, 3], None));
        assert_eq!(
            since.events[0].frame.as_str(),
            r#"{"type":"event","topic":"quotes:BTC-USD","seq":2,"at":"1970-01-01T00:00:02.000000Z","data":2}"#
        );
        assert!(channel.after(3, 10).events.is_empty());
    }

    #[test]
    fn who_falls_behind_is_told_what_he_missed() {
        let hub = Hub::new();
        let channel = hub.channel(&quotes());
        channel.join(&Arc::new(Notify::new()));
        for n in 1..=250 {
            hub.publish(&quotes(), second(10), &n);
        }
        let since = channel.after(7, 2);
        assert_eq!((numbers(&since), since.lost), (vec![51, 52], Some((8, 50))));
        assert!(channel.can_resume(50) && !channel.can_resume(49) && !channel.can_resume(251));
    }

    #[test]
    fn old_events_are_dropped() {
        let hub = Hub::new();
        let channel = hub.channel(&quotes());
        channel.join(&Arc::new(Notify::new()));
        hub.publish(&quotes(), second(0), &0);
        hub.publish(&quotes(), second(61), &1);
        assert!(!channel.can_resume(0) && channel.can_resume(1));
    }

    #[test]
    fn nobody_resumes_across_a_time_in_which_nobody_listened() {
        let hub = Hub::new();
        let channel = hub.channel(&quotes());
        let wake = Arc::new(Notify::new());
        channel.join(&wake);
        hub.publish(&quotes(), second(0), &0);
        channel.leave(&wake, second(1));
        hub.publish(&quotes(), second(50), &1);
        assert!(channel.can_resume(1), "he came back in time");
        hub.publish(&quotes(), second(1 + 61), &2);
        assert!(!hub.is_wanted(&quotes(), second(62)));
        channel.join(&wake);
        hub.publish(&quotes(), second(100), &3);
        assert!(!channel.can_resume(2));
        assert_eq!(channel.after(2, 9).lost, Some((3, 3)));
        assert_eq!(hub.channel(&quotes()).after(3, 9).events.len(), 1);
    }

    #[test]
    fn what_nobody_ever_asked_for_costs_nothing() {
        let hub = Hub::new();
        hub.publish(&quotes(), second(0), &0);
        assert!(!hub.is_wanted(&quotes(), second(0)));
        assert_eq!(hub.channel(&quotes()).last(), 0);
        assert_eq!(Duration::from_secs(60), quotes().keep().age);
    }
}
