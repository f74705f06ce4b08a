//! Where events wait for the connections that want them.
//!
//! Each topic has one ring of its latest events, numbered without holes. A connection keeps its place in the ring
//! and reads on from there when it is woken; nothing is queued per connection, so a slow reader costs no memory:
//! it loses its place, and is told which numbers it missed.
//!
//! Events are kept for ten minutes, so that whoever was cut off misses nothing. Each ring is bounded by count and bytes, and
//! all of them together by bytes; when a bound is met, the oldest events of the ring that grows go first.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use domain::Timestamp;
use rustc_hash::FxHashMap;
use serde::Serialize;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::api::words::At;
use crate::stream::topic::Topic;

/// Most bytes of all rings together.
const MOST_BYTES: usize = 256 << 20;
/// What an event takes beside its text.
const OVERHEAD: usize = 96;

/// An event as it goes out.
pub(crate) struct Event {
    pub seq: u64,
    at: Timestamp,
    pub frame: Utf8Bytes,
}

impl Event {
    fn bytes(&self) -> usize {
        self.frame.len() + OVERHEAD
    }
}

/// All topics that were ever asked for.
pub(crate) struct Hub {
    /// Names this run of the desk: numbers of another run mean nothing.
    pub epoch: Uuid,
    channels: Mutex<FxHashMap<Topic, Arc<Channel>>>,
    /// Bytes of all rings.
    bytes: Arc<AtomicUsize>,
}

/// One topic.
pub(crate) struct Channel {
    pub topic: Topic,
    ring: Mutex<Ring>,
}

struct Ring {
    events: VecDeque<Arc<Event>>,
    /// Of its events.
    bytes: usize,
    /// Of those of all rings.
    bytes_of_all: Arc<AtomicUsize>,
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
        Self { epoch: Uuid::new_v4(), channels: Mutex::default(), bytes: Arc::default() }
    }

    /// The topic's channel, made if nobody asked for it before.
    pub(crate) fn channel(&self, topic: &Topic) -> Arc<Channel> {
        let mut channels = lock(&self.channels);
        let channel = channels
            .entry(topic.clone())
            .or_insert_with(|| Arc::new(Channel::new(topic.clone(), Arc::clone(&self.bytes))));
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

    /// Lets go of what is too old, also where nothing happens any more.
    pub(crate) fn tidy(&self, now: Timestamp) {
        let channels: Vec<_> = lock(&self.channels).values().cloned().collect();
        for channel in channels {
            lock(&channel.ring).drop_old(channel.topic.keep().age, now);
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
    fn new(topic: Topic, bytes_of_all: Arc<AtomicUsize>) -> Self {
        let ring = Ring {
            events: VecDeque::new(),
            bytes: 0,
            bytes_of_all,
            last: 0,
            listeners: Vec::new(),
            left_at: None,
            asleep: false,
        };
        Self { topic, ring: Mutex::new(ring) }
    }

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
        ring.clear();
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
                ring.clear();
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
        ring.push(Event { seq, at, frame });
        let keep = self.topic.keep();
        ring.drop_old(keep.age, at);
        while ring.events.len() > keep.events
            || ring.bytes > keep.bytes
            || (ring.events.len() > 1 && ring.bytes_of_all.load(Ordering::Relaxed) > MOST_BYTES)
        {
            ring.pop();
        }
        for wake in &ring.listeners {
            wake.notify_one();
        }
    }
}

impl Ring {
    fn push(&mut self, event: Event) {
        self.bytes += event.bytes();
        self.bytes_of_all.fetch_add(event.bytes(), Ordering::Relaxed);
        self.events.push_back(Arc::new(event));
    }

    fn pop(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.bytes -= event.bytes();
            self.bytes_of_all.fetch_sub(event.bytes(), Ordering::Relaxed);
        }
    }

    fn clear(&mut self) {
        self.events.clear();
        self.bytes_of_all.fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
    }

    fn drop_old(&mut self, age: Duration, now: Timestamp) {
        let too_old =
            |event: &Arc<Event>| event.at < now && now.duration_since(event.at).unsigned_abs() > age;
        while self.events.front().is_some_and(too_old) {
            self.pop();
        }
    }

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
        let topic: Topic = "feed".parse().expect("a topic");
        let channel = hub.channel(&topic);
        channel.join(&Arc::new(Notify::new()));
        for n in 1..=2_050 {
            hub.publish(&topic, second(10), &n);
        }
        let since = channel.after(7, 2);
        assert_eq!((numbers(&since), since.lost), (vec![51, 52], Some((8, 50))));
        assert!(channel.can_resume(50) && !channel.can_resume(49) && !channel.can_resume(2_051));
    }

    #[test]
    fn whoever_was_away_for_nine_minutes_under_load_misses_nothing() {
        let hub = Hub::new();
        let topic: Topic = "orders:01938f1e-7a00-7000-8000-000000000001".parse().expect("a topic");
        let channel = hub.channel(&topic);
        let wake = Arc::new(Notify::new());
        channel.join(&wake);
        let order = "an order with all of its fields ".repeat(16);
        hub.publish(&topic, second(0), &order);
        channel.leave(&wake, second(0));
        for n in 0..540 * 100 {
            hub.publish(&topic, second(n / 100), &order);
        }
        assert!(channel.can_resume(1));
        channel.join(&wake);
        let mut seen = 1;
        loop {
            let since = channel.after(seen, 64);
            assert_eq!(since.lost, None);
            if since.events.is_empty() {
                break;
            }
            for event in &since.events {
                assert_eq!(event.seq, seen + 1);
                seen = event.seq;
            }
        }
        assert_eq!(seen, 1 + 540 * 100);
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes_and_given_back() {
        let hub = Hub::new();
        let channel = hub.channel(&quotes());
        channel.join(&Arc::new(Notify::new()));
        let large = "x".repeat(1 << 20);
        for _ in 0..40 {
            hub.publish(&quotes(), second(10), &large);
        }
        let kept = channel.after(0, 100).events.len();
        assert_eq!(kept, 31, "32 MiB, each a little more than one");
        assert_eq!(hub.bytes.load(Ordering::Relaxed), lock(&channel.ring).bytes);
        hub.tidy(second(10 + 601));
        assert_eq!(hub.bytes.load(Ordering::Relaxed), 0);
        assert!(channel.can_resume(40) && !channel.can_resume(39));
    }

    #[test]
    fn old_events_are_dropped() {
        let hub = Hub::new();
        let channel = hub.channel(&quotes());
        channel.join(&Arc::new(Notify::new()));
        hub.publish(&quotes(), second(0), &0);
        hub.publish(&quotes(), second(601), &1);
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
        hub.publish(&quotes(), second(500), &1);
        assert!(channel.can_resume(1), "he came back in time");
        hub.publish(&quotes(), second(1 + 601), &2);
        assert!(!hub.is_wanted(&quotes(), second(602)));
        channel.join(&wake);
        hub.publish(&quotes(), second(700), &3);
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
        assert_eq!(Duration::from_secs(600), quotes().keep().age);
    }
}
