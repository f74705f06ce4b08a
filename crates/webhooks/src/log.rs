//! What was told to a webhook, and what came of it.

use std::time::Duration;

use domain::{AccountId, Timestamp};
use serde_json::{Value, json};
use trading::Scope;

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// It is to be told, now or again.
    Waiting,
    /// The receiver took it.
    Delivered,
    /// It was tried for as long as anything is, or the webhook was switched off.
    Failed,
    /// The owner may not see it any more: it was not told.
    Withheld,
}

impl DeliveryStatus {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Waiting, Self::Delivered, Self::Failed, Self::Withheld];

    /// The name in storage and interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Withheld => "withheld",
        }
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.as_str() == text)
    }
}

/// An event on its way to one webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// 1, 2, … within the webhook.
    pub seq: i64,
    /// The event's id: the same for every webhook and every attempt.
    pub event: String,
    /// The event's kind; also `ping`, and `events.missed`.
    pub kind: String,
    /// The account that it is about.
    pub account: Option<AccountId>,
    /// The scope that it is about.
    pub(crate) scope: Option<Scope>,
    /// As it is sent.
    pub body: String,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Since when it is tried.
    pub first_at: Timestamp,
    /// When it is tried next, while it waits.
    pub next_at: Option<Timestamp>,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
    /// How often it was tried.
    pub tried: u32,
    /// The last attempts, oldest first.
    pub attempts: Vec<Attempt>,
}

/// One attempt to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// 1, 2, … within the delivery.
    pub nth: u32,
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// The status of the answer; `None`: there was none.
    pub http_status: Option<u16>,
    /// Why it does not count as told; `None`: it does.
    pub error: Option<String>,
    /// The beginning of the answer, with what could act in it written out.
    pub answer: Option<String>,
}

impl Delivery {
    /// An event that is to be told at once. Its body is as Standard Webhooks recommends: type, time and data.
    pub(crate) fn new(event: String, kind: &str, at: Timestamp, data: &Value) -> Self {
        let body = json!({ "id": event, "type": kind, "timestamp": format!("{at:.6}"), "data": data });
        Self {
            seq: 0,
            event,
            kind: kind.to_owned(),
            account: None,
            scope: None,
            body: body.to_string(),
            status: DeliveryStatus::Waiting,
            first_at: at,
            next_at: Some(at),
            finished_at: None,
            tried: 0,
            attempts: Vec::new(),
        }
    }

    /// Brings it to its end.
    pub(crate) fn end(&mut self, status: DeliveryStatus, at: Timestamp) {
        (self.status, self.next_at, self.finished_at) = (status, None, Some(at));
    }
}
