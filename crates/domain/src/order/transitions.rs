//! Which status follows which event: the one table of the order's life.

use std::fmt::Write as _;

use super::{OrderEvent, Status};
use crate::words::words;

words! {
    /// The kind of an event, as stored.
    EventKind, "kind of event";
    /// The price of an order that the desk holds was reached.
    Triggered = "triggered";
    /// The desk let go of an order that it held.
    Released = "released";
    /// About to be sent.
    Submitting = "submitting";
    /// Definitely not delivered.
    NotReached = "not_reached";
    /// The answer was lost.
    Lost = "lost";
    /// After a lost answer: the broker does not have it.
    Absent = "absent";
    /// The broker has it.
    Acknowledged = "acknowledged";
    /// The broker refused it.
    Refused = "refused";
    /// Some of it was executed.
    Filled = "filled";
    /// An execution was corrected.
    Corrected = "corrected";
    /// An execution was taken back.
    Busted = "busted";
    /// Somebody asked to cancel it.
    CancelRequested = "cancel_requested";
    /// The broker did not cancel it.
    CancelRefused = "cancel_refused";
    /// It is canceled.
    Canceled = "canceled";
    /// It ended by time.
    Expired = "expired";
    /// Somebody asked to replace it.
    ReplaceRequested = "replace_requested";
    /// The broker did not replace it.
    ReplaceRefused = "replace_refused";
    /// Another order took its place.
    Replaced = "replaced";
    /// The broker changed its terms.
    Restated = "restated";
}

impl OrderEvent {
    /// The kind of it.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Triggered { .. } => EventKind::Triggered,
            Self::Released { .. } => EventKind::Released,
            Self::Submitting { .. } => EventKind::Submitting,
            Self::NotReached { .. } => EventKind::NotReached,
            Self::Lost { .. } => EventKind::Lost,
            Self::Absent { .. } => EventKind::Absent,
            Self::Acknowledged { .. } => EventKind::Acknowledged,
            Self::Refused { .. } => EventKind::Refused,
            Self::Filled(_) => EventKind::Filled,
            Self::Corrected { .. } => EventKind::Corrected,
            Self::Busted { .. } => EventKind::Busted,
            Self::CancelRequested => EventKind::CancelRequested,
            Self::CancelRefused { .. } => EventKind::CancelRefused,
            Self::Canceled => EventKind::Canceled,
            Self::Expired { .. } => EventKind::Expired,
            Self::ReplaceRequested { .. } => EventKind::ReplaceRequested,
            Self::ReplaceRefused { .. } => EventKind::ReplaceRefused,
            Self::Replaced { .. } => EventKind::Replaced,
            Self::Restated { .. } => EventKind::Restated,
        }
    }
}

/// What of the order besides its status decides where an event leads. As after the event, but for the broker's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// Some of it is executed.
    pub(super) any_filled: bool,
    /// All of it is executed.
    pub(super) complete: bool,
    /// The broker's id was known before the event.
    pub(super) has_broker_id: bool,
}

/// Where an event leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// To this status, or it stays there and is worth a row of the journal.
    To(Status),
    /// It says what was known already, or comes too late to matter.
    Nothing,
    /// It cannot happen there: somebody has a bug.
    Impossible,
}

/// The status after an event.
pub(super) fn next(status: Status, event: EventKind, facts: Facts) -> Next {
    use Status::*;
    let open = if facts.any_filled { PartiallyFilled } else { Working };
    match event {
        EventKind::Triggered => match status {
            Held => Next::To(Held),
            _ => Next::Nothing,
        },
        EventKind::Released => match status {
            Held => Next::To(Accepted),
            _ => Next::Impossible,
        },
        EventKind::Submitting => match status {
            Accepted => Next::To(Submitting),
            _ => Next::Impossible,
        },
        EventKind::NotReached => match status {
            Submitting => Next::To(Accepted),
            // The broker or a cancel was faster than the report that nobody was reached.
            _ => Next::Nothing,
        },
        EventKind::Lost => match status {
            Submitting => Next::To(Unknown),
            // The stream told the outcome before the answer was lost.
            _ => Next::Nothing,
        },
        EventKind::Absent => match status {
            Unknown => Next::To(Accepted),
            _ => Next::Nothing,
        },
        EventKind::Acknowledged => match status {
            Held | Accepted | Submitting | Unknown => Next::To(open),
            _ if facts.has_broker_id => Next::Nothing,
            _ => Next::To(status),
        },
        EventKind::Filled => match status {
            _ if status.is_terminal() && status != Filled => {
                Next::To(if facts.complete { Filled } else { status })
            }
            _ if facts.complete => Next::To(Filled),
            // It crossed a request on the wire: it happened, so it counts.
            CancelPending | ReplacePending => Next::To(status),
            _ => Next::To(PartiallyFilled),
        },
        EventKind::Corrected | EventKind::Busted => match status {
            _ if facts.complete => Next::To(Filled),
            // Done it was only if what is taken back came last. Whether the broker still works it, is asked.
            Filled | Working | PartiallyFilled => Next::To(open),
            _ => Next::To(status),
        },
        EventKind::CancelRequested => match status {
            CancelPending => Next::Nothing,
            _ if status.is_terminal() => Next::Impossible,
            _ => Next::To(CancelPending),
        },
        EventKind::CancelRefused => match status {
            CancelPending => Next::To(open),
            _ => Next::Nothing,
        },
        EventKind::ReplaceRequested => match status {
            Working | PartiallyFilled => Next::To(ReplacePending),
            _ => Next::Impossible,
        },
        EventKind::ReplaceRefused => match status {
            ReplacePending => Next::To(open),
            _ => Next::Nothing,
        },
        EventKind::Restated => match status {
            _ if status.is_terminal() => Next::Nothing,
            _ if facts.complete => Next::To(Filled),
            _ => Next::To(status),
        },
        EventKind::Refused | EventKind::Canceled | EventKind::Expired | EventKind::Replaced
            if status.is_terminal() =>
        {
            Next::Nothing
        }
        EventKind::Refused => Next::To(Rejected),
        EventKind::Canceled => Next::To(Canceled),
        EventKind::Expired => Next::To(Expired),
        EventKind::Replaced => Next::To(Replaced),
    }
}

/// The whole table in Markdown, made from the function that decides: a row for each event, a column for each status before it. A cell
/// names the status after it; `·` changes nothing, `✕` cannot happen; several are told apart by what is filled.
pub fn table() -> String {
    let facts = [(false, false), (true, false), (true, true)];
    let mut text = String::from("| event |");
    for status in Status::ALL {
        let _ = write!(text, " {status} |");
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(Status::ALL.len()));
    for event in EventKind::ALL {
        let _ = write!(text, "\n| **{event}** |");
        for status in Status::ALL {
            let mut outcomes: Vec<String> = Vec::new();
            for (any_filled, complete) in facts {
                for has_broker_id in [false, true] {
                    let outcome = match next(*status, *event, Facts { any_filled, complete, has_broker_id }) {
                        Next::To(after) => after.to_string(),
                        Next::Nothing => "·".to_owned(),
                        Next::Impossible => "✕".to_owned(),
                    };
                    if !outcomes.contains(&outcome) {
                        outcomes.push(outcome);
                    }
                }
            }
            let _ = write!(text, " {} |", outcomes.join(", "));
        }
    }
    text.push('\n');
    text
}
