//! `stockade user`: people, from the command line. Works beside a running desk.

use anyhow::Context as _;
use clap::Subcommand;
use domain::{Access, Role};
use identity::{Change, Identity, Invitation, NewUser, User as Person, UserStatus};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::home::{Home, Opened};
use crate::output;

/// People
#[derive(Subcommand)]
pub(crate) enum User {
    /// List people
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Create somebody and print the one-time link with which they choose a password
    Create {
        /// What they sign in with
        username: String,
        /// The name that others see; the user name if left out
        #[arg(long)]
        name: Option<String>,
        /// A role; may be repeated
        #[arg(long = "role", required = true, value_parser = role)]
        roles: Vec<Role>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// End somebody's sessions and let them in no more
    Disable {
        /// Who
        username: String,
    },
    /// Let somebody in again
    Enable {
        /// Who
        username: String,
    },
    /// Set somebody's roles, all of them
    Roles {
        /// Who
        username: String,
        /// The roles from now on
        #[arg(required = true, value_parser = role)]
        roles: Vec<Role>,
    },
    /// Print a new one-time link: for a forgotten password, or a lost first link
    Invite {
        /// Who
        username: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove somebody's second factor, which they have lost, and end their sessions
    ResetFactor {
        /// Who
        username: String,
    },
    /// Grant somebody an account
    Grant {
        /// Who
        username: String,
        /// The account's name or id
        account: String,
        /// view, trade or manage
        #[arg(value_parser = access)]
        access: Access,
    },
    /// Take an account away from somebody
    Revoke {
        /// Who
        username: String,
        /// The account's name or id
        account: String,
    },
}

fn role(text: &str) -> Result<Role, String> {
    text.parse().map_err(|e: domain::UnknownName| e.to_string())
}

fn access(text: &str) -> Result<Access, String> {
    text.parse().map_err(|e: domain::UnknownName| e.to_string())
}

impl User {
    pub(crate) async fn run(self, home: &Home) -> anyhow::Result<()> {
        let opened = home.visit().await?;
        let identity = opened.identity(home.vault(&opened).await?);
        let desk = People { opened: &opened, identity, public_url: home.public_url()? };
        desk.act(self).await?;
        opened.db.close().await;
        Ok(())
    }
}

struct People<'o> {
    opened: &'o Opened,
    identity: Identity,
    public_url: String,
}

impl People<'_> {
    async fn act(&self, wish: User) -> anyhow::Result<()> {
        let (identity, ctx) = (&self.identity, self.opened.operator());
        match wish {
            User::List { json } => self.list(json).await,
            User::Create { username, name, roles, json } => {
                let new = NewUser { display_name: name.unwrap_or_else(|| username.clone()), username, roles };
                let created = identity.create_user(&ctx, new, None).await?;
                self.show_link(&created.user, created.invitation.as_ref(), json)
            }
            User::Invite { username, json } => {
                let person = self.named(&username).await?;
                let invitation = identity.invite(&ctx, person.id).await?;
                self.show_link(&person, Some(&invitation), json)
            }
            User::ResetFactor { username } => {
                let person = self.named(&username).await?;
                if identity.reset_factor(&ctx, person.id).await? {
                    println!(
                        "{0} has no second factor any more, and no session. {0} signs in with the password alone.",
                        person.username
                    );
                } else {
                    println!("{} has no second factor. Nothing was done.", person.username);
                }
                Ok(())
            }
            User::Disable { username } => self.set_status(&username, UserStatus::Disabled).await,
            User::Enable { username } => self.set_status(&username, UserStatus::Active).await,
            User::Roles { username, roles } => {
                let change = Change { roles: Some(roles), ..Change::default() };
                let person = identity.change_user(&ctx, self.named(&username).await?.id, change).await?;
                println!("{} is now {}.", person.username, names(&person.roles).join(", "));
                Ok(())
            }
            User::Grant { username, account, access } => {
                let (person, account) = (self.named(&username).await?, self.account(&account).await?);
                identity.grant(&ctx, person.id, account.id, access).await?;
                println!("{} has {access} access to {}.", person.username, account.name);
                Ok(())
            }
            User::Revoke { username, account } => {
                let (person, account) = (self.named(&username).await?, self.account(&account).await?);
                identity.revoke(&ctx, person.id, account.id).await?;
                println!("{} has no access to {}.", person.username, account.name);
                Ok(())
            }
        }
    }

    async fn list(&self, json: bool) -> anyhow::Result<()> {
        let mut rows = Vec::new();
        let mut after = None;
        loop {
            let people = self.identity.users(&self.opened.operator(), after, 500).await?;
            let Some(last) = people.last() else { break };
            after = Some(last.id);
            rows.extend(people.into_iter().map(row));
        }
        let headings = ["id", "username", "display_name", "status", "roles", "grants", "last_sign_in_at"];
        output::rows(json, &headings, rows)
    }

    async fn set_status(&self, username: &str, status: UserStatus) -> anyhow::Result<()> {
        let person = self.named(username).await?;
        let change = Change { status: Some(status), ..Change::default() };
        let person = self.identity.change_user(&self.opened.operator(), person.id, change).await?;
        println!("{} is {}.", person.username, person.status);
        Ok(())
    }

    async fn named(&self, username: &str) -> anyhow::Result<Person> {
        let found = self.identity.user_named(&self.opened.operator(), username).await?;
        found.with_context(|| format!("there is nobody called {username:?}; `stockade user list` lists them"))
    }

    async fn account(&self, wanted: &str) -> anyhow::Result<trading::Account> {
        let accounts = trading::accounts::list(&self.opened.db).await?;
        let names = accounts.iter().map(|one| one.name.clone()).collect::<Vec<_>>().join(", ");
        let found = accounts.into_iter().find(|one| one.name == wanted || one.id.to_string() == wanted);
        found.with_context(|| format!("there is no account {wanted:?}; there are: {names}"))
    }

    fn show_link(&self, person: &Person, invitation: Option<&Invitation>, json: bool) -> anyhow::Result<()> {
        let link =
            invitation.map(|one| format!("{}/welcome?code={}", self.public_url, one.code.expose_secret()));
        if json {
            let shown = json!({
                "id": person.id,
                "username": person.username,
                "status": person.status.as_str(),
                "invite_url": link,
                "invite_expires_at": invitation.map(|one| one.expires_at),
            });
            println!("{shown:#}");
        } else if let (Some(link), Some(invitation)) = (link, invitation) {
            println!(
                "{} chooses a password with this link, once, until {:.0}:",
                person.username, invitation.expires_at
            );
            println!("{link}");
        }
        Ok(())
    }
}

fn row(person: Person) -> Vec<Value> {
    let grants: Vec<_> =
        person.grants.iter().map(|grant| format!("{}: {}", grant.account_name, grant.access)).collect();
    vec![
        json!(person.id),
        json!(person.username),
        json!(person.display_name),
        json!(person.status.as_str()),
        json!(names(&person.roles)),
        json!(grants),
        json!(person.last_sign_in_at.map(|at| format!("{at:.0}"))),
    ]
}

fn names(roles: &[Role]) -> Vec<&'static str> {
    roles.iter().map(|role| role.as_str()).collect()
}
