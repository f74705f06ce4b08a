//! What is written to the audit log.

use std::net::IpAddr;

use serde_json::Value;

use crate::{Context, KeyId, PrincipalKind, RequestId, Timestamp};

/// How an act ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// A rule forbade it.
    Refused,
    /// It was allowed, and did not work.
    Failed,
}

impl Outcome {
    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// One act, as it goes to the audit log: who, what, on what, from where, how it ended.
///
/// Never holds a secret. Names of people are not stored, only their ids.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// What sort of actor.
    pub actor_kind: PrincipalKind,
    /// Which one: a user's id; `None` for the system and for people who are not signed in.
    pub actor_id: Option<String>,
    /// The API key with which a program acted for that user. In the log it is the field `key` of the details.
    pub key: Option<KeyId>,
    /// The act, as `order.accepted`: noun, full stop, past participle.
    pub act: &'static str,
    /// On what, as `order/0192…`.
    pub resource: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// Where the request came from.
    pub address: Option<IpAddr>,
    /// The request that asked for it.
    pub request_id: Option<RequestId>,
    /// The rest, by act: before and after, limits applied, reasons.
    pub detail: Value,
}

impl AuditEntry {
    /// An act of the one who asks, done now.
    pub fn by(ctx: &Context, act: &'static str) -> Self {
        Self {
            at: ctx.at,
            actor_kind: ctx.principal.kind,
            actor_id: ctx.principal.id.clone(),
            key: ctx.key_id(),
            act,
            resource: None,
            outcome: Outcome::Done,
            address: ctx.address,
            request_id: Some(ctx.request_id),
            detail: Value::Object(serde_json::Map::new()),
        }
    }

    /// An act of the desk itself.
    pub fn by_system(at: Timestamp, act: &'static str) -> Self {
        Self {
            at,
            actor_kind: PrincipalKind::System,
            actor_id: None,
            key: None,
            act,
            resource: None,
            outcome: Outcome::Done,
            address: None,
            request_id: None,
            detail: Value::Object(serde_json::Map::new()),
        }
    }

    /// The same, on a thing.
    pub fn on(mut self, kind: &str, id: impl std::fmt::Display) -> Self {
        self.resource = Some(format!("{kind}/{id}"));
        self
    }

    /// The same, with an outcome other than done.
    pub fn ended(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// The same, with details: a JSON object.
    pub fn with(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }
}
