//! `stockade audit`: checks the audit log without a running desk, and reads it.

use std::process::ExitCode;

use audit::Filter;
use clap::Subcommand;
use serde_json::json;
use vault::{AUDIT_PUBLIC_KEY_FILE, PublicKey};

use crate::home::Home;
use crate::output;

/// The audit log
#[derive(Subcommand)]
pub(crate) enum Audit {
    /// Check every row, signature and anchor; says which row is wrong, and ends with 1
    Verify {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// The latest acts, newest first
    List {
        /// Text that occurs in the row
        #[arg(long)]
        search: Option<String>,
        /// A person's id, or a kind of actor: user, operator, system, anonymous
        #[arg(long)]
        actor: Option<String>,
        /// An act or its first part, as order or order.accepted
        #[arg(long)]
        act: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

impl Audit {
    pub(crate) async fn run(self, home: &Home) -> anyhow::Result<ExitCode> {
        match self {
            Self::Verify { json } => verify(home, json).await,
            Self::List { search, actor, act, limit, json } => {
                list(home, Filter { search, actor, act, ..Filter::default() }, limit, json).await
            }
        }
    }
}

async fn verify(home: &Home, json: bool) -> anyhow::Result<ExitCode> {
    let opened = home.visit().await?;
    // The public key is enough; it may be kept elsewhere and copied here.
    let key = PublicKey::open(&home.path(AUDIT_PUBLIC_KEY_FILE))?;
    let report = audit::verify(&opened.db, &key, &opened.anchors).await?;
    opened.db.close().await;
    if json {
        let problem = report.problem.as_ref().map(
            |problem| json!({ "seq": problem.seq, "kind": problem.kind.as_str(), "detail": problem.detail }),
        );
        let report = json!({
            "ok": report.problem.is_none(),
            "rows": report.rows,
            "head_seq": report.head_seq,
            "head_hash": report.head_hash,
            "signed_heads": report.signed_heads,
            "problem": problem,
        });
        println!("{report:#}");
    } else {
        match &report.problem {
            None => println!(
                "The audit log is unaltered: {} rows, {} signatures, last row {} ({}).",
                report.rows, report.signed_heads, report.head_seq, report.head_hash
            ),
            Some(problem) => {
                println!("The audit log is NOT as it was written.");
                println!("Row {}: {}: {}", problem.seq, problem.kind.as_str(), problem.detail);
            }
        }
    }
    Ok(if report.problem.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn list(home: &Home, filter: Filter, limit: u32, json: bool) -> anyhow::Result<ExitCode> {
    let opened = home.visit().await?;
    let records = audit::list(&opened.operator(), &opened.db, &filter, None, limit).await?;
    let row = |one: audit::Record| {
        vec![
            json!(one.seq),
            json!(one.at),
            json!(one.actor_name.or(one.actor_id).unwrap_or(one.actor_kind)),
            json!(one.act),
            json!(one.resource),
            json!(one.outcome),
            one.detail,
        ]
    };
    let headings = ["seq", "at", "actor", "act", "resource", "outcome", "detail"];
    output::rows(json, &headings, records.into_iter().map(row).collect())?;
    opened.db.close().await;
    Ok(ExitCode::SUCCESS)
}
