//! The audit log: read, and checked.

use std::time::Duration;

use audit::{AuditError, Filter};
use axum::extract::State;
use domain::{Permission, Resource, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::words::{self, At};
use super::{millis, page};
use crate::Desk;
use crate::json::Query;
use crate::problem::{Problem, ProblemBody};
use crate::session::SignedIn;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(audit_log)).routes(routes!(verify_audit))
}

/// One act.
#[derive(Serialize, ToSchema)]
struct AuditRow {
    /// 1, 2, … without holes.
    seq: i64,
    at: At,
    actor: AuditActor,
    /// As `order.accepted`.
    act: String,
    /// On what, as `order/0192…`.
    #[schema(required)]
    resource: Option<String>,
    #[schema(value_type = words::ActOutcome)]
    outcome: String,
    /// Where the request came from.
    #[schema(required)]
    address: Option<String>,
    #[schema(required)]
    request_id: Option<String>,
    /// The rest, by act.
    #[schema(value_type = std::collections::HashMap<String, serde_json::Value>)]
    detail: serde_json::Value,
    /// SHA-256 over the row before and this one, hexadecimal.
    hash: String,
}

/// Who acted.
#[derive(Serialize, ToSchema)]
struct AuditActor {
    /// `user`, `operator`, `system` or `anonymous`.
    kind: String,
    #[schema(required)]
    id: Option<String>,
    name: String,
}

impl From<audit::Record> for AuditRow {
    fn from(record: audit::Record) -> Self {
        let name = record.actor_name.or_else(|| record.actor_id.clone());
        Self {
            seq: record.seq,
            at: At(record.at),
            actor: AuditActor {
                name: name.unwrap_or_else(|| record.actor_kind.clone()),
                kind: record.actor_kind,
                id: record.actor_id,
            },
            act: record.act,
            resource: record.resource,
            outcome: record.outcome,
            address: record.address,
            request_id: record.request_id,
            detail: record.detail,
            hash: record.hash,
        }
    }
}

/// A page of acts.
#[derive(Serialize, ToSchema)]
struct AuditList {
    items: Vec<AuditRow>,
    #[schema(required)]
    next_cursor: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct AuditQuery {
    /// Text that occurs in the row.
    search: Option<String>,
    /// A person's id, or a kind of actor.
    actor: Option<String>,
    /// An act or its first part: `order` finds `order.accepted`.
    act: Option<String>,
    /// Not before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// At most so many, 1 to 1000.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What was done
///
/// Newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "Audit", params(AuditQuery), operation_id = "audit",
    responses((status = 200, body = AuditList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn audit_log(
    State(desk): State<Desk>,
    who: SignedIn,
    Query(query): Query<AuditQuery>,
) -> Result<axum::Json<AuditList>, Problem> {
    let limit = page::limit(query.limit)?;
    let before: Option<i64> = page::start("audit", query.cursor.as_deref())?;
    let AuditQuery { search, actor, act, from, to, .. } = query;
    let filter = Filter { search, actor, act, from, to };
    let mut rows = audit::list(who.context(), &desk.db, &filter, before, limit + 1).await?;
    let next_cursor = page::cut(&mut rows, limit, "audit", |row| row.seq);
    Ok(axum::Json(AuditList { items: rows.into_iter().map(AuditRow::from).collect(), next_cursor }))
}

/// What checking the audit log found.
#[derive(Serialize, ToSchema)]
struct AuditVerification {
    /// Whether the log is as it was written.
    ok: bool,
    rows: u64,
    /// Number and hash of the last row.
    head_seq: i64,
    head_hash: String,
    /// Signatures that were checked.
    signed_heads: u64,
    /// The first thing that is wrong.
    #[schema(required)]
    problem: Option<AuditProblem>,
    took_ms: u64,
}

/// Something wrong with the audit log.
#[derive(Serialize, ToSchema)]
struct AuditProblem {
    /// The row.
    seq: i64,
    /// As `altered`, `removed`, `cut_off`.
    kind: String,
    detail: String,
}

/// Check the audit log
///
/// Reads all of it: every hash, every signature, and the anchors outside of the database.
#[utoipa::path(post, path = "/api/v1/audit/verify", tag = "Audit",
    responses((status = 200, body = AuditVerification), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn verify_audit(
    State(desk): State<Desk>,
    who: SignedIn,
) -> Result<axum::Json<AuditVerification>, Problem> {
    who.context().require(Permission::AuditVerify, Resource::Desk)?;
    let started = desk.clock.now();
    let report = audit::verify(&desk.db, &desk.audit_key, &desk.anchors).await?;
    let took: Duration = desk.clock.now().duration_since(started).try_into().unwrap_or_default();
    Ok(axum::Json(AuditVerification {
        ok: report.problem.is_none(),
        rows: report.rows,
        head_seq: report.head_seq,
        head_hash: report.head_hash,
        signed_heads: report.signed_heads,
        problem: report.problem.map(|problem| AuditProblem {
            seq: problem.seq,
            kind: problem.kind.as_str().to_owned(),
            detail: problem.detail,
        }),
        took_ms: millis(took),
    }))
}

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Denied(denied) => denied.into(),
            AuditError::Storage(error) => error.into(),
            other => Self::internal("the audit log could not be checked", &other),
        }
    }
}
