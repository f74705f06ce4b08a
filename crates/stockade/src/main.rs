//! The desk as a program: joins the crates together. One file per command.
//!
//! `stockade run` is the desk itself ([`run`], put together in [`desk`]). The other commands work on the desk's home
//! folder beside it, as the operator: whoever can read the master key may do everything anyway, and it is audited.

mod broker;
mod certificate;
mod desk;
#[cfg(feature = "failpoints")]
mod failpoints;
mod home;
mod https;
mod log;
mod output;
mod prices;
mod settings;

mod account;
mod audit_log;
mod bars;
mod feed;
mod kill;
mod run;
mod setup_link;
mod user;
mod venue;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::home::Home;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A trading desk of your own.
#[derive(Parser)]
#[command(version, about, propagate_version = true)]
struct Program {
    /// The folder with the desk's database, keys and certificate.
    #[arg(long, global = true, env = "STOCKADE_HOME", default_value = "./data")]
    home: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the desk until Ctrl-C or SIGTERM
    Run(run::Run),
    /// Run the paper venue as a process of its own, for drills
    Venue(venue::Venue),
    /// List, create, change and invite people
    #[command(subcommand)]
    User(user::User),
    /// List, add, import, rename, pause, renew and remove accounts at brokers
    #[command(subcommand)]
    Account(account::Account),
    /// Keep or forget what opens a feed of prices
    #[command(subcommand)]
    Feed(feed::Feed),
    /// Pull the kill switch: stop the desk, an account, a person, a book or a strategy
    Kill(kill::Kill),
    /// Check and read the audit log
    #[command(subcommand)]
    Audit(audit_log::Audit),
    /// Print a new set-up link, if the desk has no owner yet
    SetupLink,
    /// Turn a recording into bars, as CSV on standard output
    Bars(bars::Bars),
    /// Print the OpenAPI document of the API
    Openapi,
}

fn main() -> ExitCode {
    let program = Program::parse();
    match start(program) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("stockade: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(program: Program) -> anyhow::Result<ExitCode> {
    home::close_to_others();
    let home = Home::new(program.home);
    let command = match program.command {
        Command::Bars(bars) => return bars.run(&home).map(|()| ExitCode::SUCCESS),
        Command::Openapi => {
            print!("{}", server::openapi());
            return Ok(ExitCode::SUCCESS);
        }
        other => other,
    };
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        anyhow::bail!("another TLS provider is installed");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        match command {
            Command::Run(run) => run.run(home).await.map(|()| ExitCode::SUCCESS),
            Command::Venue(venue) => venue.run(home).await.map(|()| ExitCode::SUCCESS),
            Command::User(user) => user.run(&home).await.map(|()| ExitCode::SUCCESS),
            Command::Account(account) => account.run(&home).await.map(|()| ExitCode::SUCCESS),
            Command::Feed(feed) => feed.run(&home).await.map(|()| ExitCode::SUCCESS),
            Command::Kill(kill) => kill.run(&home).await.map(|()| ExitCode::SUCCESS),
            Command::Audit(audit) => audit.run(&home).await,
            Command::SetupLink => setup_link::run(&home).await.map(|()| ExitCode::SUCCESS),
            Command::Bars(_) | Command::Openapi => unreachable!("done above"),
        }
    });
    // What is still running after an orderly end may not hold the program up.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    done
}
