//! `stockade setup-link`: the one-time link that makes the first owner.

use std::fmt::Write as _;

use domain::Clock;
use identity::Identity;
use secrecy::ExposeSecret as _;

use crate::home::Home;

pub(crate) async fn run(home: &Home) -> anyhow::Result<()> {
    let opened = home.visit().await?;
    let identity = opened.identity(home.vault(&opened).await?);
    match issue(&identity, opened.clock.as_ref(), &home.public_url()?).await? {
        Some(link) => print!("{link}"),
        None => println!("The desk has an owner. `stockade user invite NAME` makes a new link for a person."),
    }
    opened.db.close().await;
    Ok(())
}

/// A new link, in words; `None` when there is an owner. Links from before stop working.
pub(crate) async fn issue(
    identity: &Identity,
    clock: &dyn Clock,
    public_url: &str,
) -> anyhow::Result<Option<String>> {
    let Some(code) = identity.issue_setup_code().await? else { return Ok(None) };
    let minutes = (code.expires_at.duration_since(clock.now()).as_secs() + 59) / 60;
    let mut link = String::new();
    writeln!(
        link,
        "Set up the first owner (once, within {minutes} minutes): {public_url}/set-up?code={}",
        code.code.expose_secret()
    )?;
    Ok(Some(link))
}
