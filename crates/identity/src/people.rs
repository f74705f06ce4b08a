//! Making people, and changing what they may do.
//!
//! Nobody gives what they lack: a role can be given or taken only by somebody who may do everything that it allows,
//! and an account granted only by its managers, by owners, and by whoever runs the server. Nor can anybody take over
//! somebody who may do more, by sending themselves that person's invitation: inviting and activating need as much.
//! Disabling needs less, since it must be quick: only owners are out of reach of people who are none.

use domain::{
    Access, AccountId, AuditEntry, Context, Credential, Denied, KeyId, Permission, RequestId, Resource, Role,
    SessionId, Timestamp, UserId,
};
use serde_json::{Value, json};
use storage::{StorageError, Tx};

use crate::error::PeopleError;
use crate::once::{self, Once, Recall};
use crate::user::{self, Invitation, User, UserStatus};
use crate::username::Username;
use crate::{Identity, covers, is_owner, session, set_up, store};

/// Somebody to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUser {
    /// The name for the log-in.
    pub username: String,
    /// The name for people.
    pub display_name: String,
    /// May be empty: then the person can sign in and see nothing.
    pub roles: Vec<Role>,
}

/// Somebody who was made.
#[derive(Clone, Debug)]
pub struct Created {
    /// The person.
    pub user: User,
    /// The link to send; `None` when the request was repeated and the person has taken up the first one meanwhile.
    pub invitation: Option<Invitation>,
    /// Whether the same request was there before. The link then is a new one: the first is stored nowhere.
    pub repeated: bool,
}

/// What is to be changed; `None` stays as it is. All of it is done, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The name for people.
    pub display_name: Option<String>,
    /// `Active` or `Disabled`. Disabling ends all sessions and invitations.
    pub status: Option<UserStatus>,
    /// All roles there are to be.
    pub roles: Option<Vec<Role>>,
}

/// Gives whoever adds an account the management of it, inside the write job that adds it; whoever runs the server has
/// everything anyway. Real money is not among it: that is granted by itself.
///
/// # Errors
/// The database failed.
pub async fn entrust(tx: &mut Tx, ctx: &Context, account: AccountId) -> Result<(), StorageError> {
    let Some(user) = ctx.user_id() else { return Ok(()) };
    store::set_grant(tx.sql(), user, account, Access::Manage).await?;
    let detail = json!({ "account": account, "before": null, "after": Access::Manage });
    tx.record(AuditEntry::by(ctx, "grant.given").on("user", user).with(detail));
    Ok(())
}

impl Identity {
    /// Up to `limit` people (at most 1000) after `after`, in the order in which they were made.
    ///
    /// # Errors
    /// The caller may not see people, or the database failed.
    pub async fn users(
        &self,
        ctx: &Context,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<User>, PeopleError> {
        ctx.require(Permission::UsersView, Resource::Desk)?;
        Ok(store::users(&mut *self.db.read().await.map_err(PeopleError::from)?, after, limit.min(1000))
            .await?)
    }

    /// One person; oneself always, others with the permission to see people. `None`: there is no such person.
    ///
    /// # Errors
    /// The caller may not see people, or the database failed.
    pub async fn user(&self, ctx: &Context, id: UserId) -> Result<Option<User>, PeopleError> {
        if ctx.user_id() != Some(id) {
            ctx.require(Permission::UsersView, Resource::Desk)?;
        }
        Ok(store::user(&mut *self.db.read().await?, id).await?)
    }

    /// One person, by user name in any spelling. `None`: there is no such person.
    ///
    /// # Errors
    /// The caller may not see people, or the database failed.
    pub async fn user_named(&self, ctx: &Context, username: &str) -> Result<Option<User>, PeopleError> {
        ctx.require(Permission::UsersView, Resource::Desk)?;
        let Ok(name) = Username::new(username) else { return Ok(None) };
        Ok(store::user_by_key(&mut *self.db.read().await?, &name.key).await?)
    }

    /// Makes a person without a password, and a link through which they set it.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn create_user(
        &self,
        ctx: &Context,
        new: NewUser,
        once: Option<Once>,
    ) -> Result<Created, PeopleError> {
        const ACT: &str = "user.created";
        self.require(ctx, Permission::UsersManage, ACT).await?;
        if !new.roles.is_empty() {
            self.require(ctx, Permission::RolesAssign, ACT).await?;
        }
        let username = Username::new(&new.username)?;
        let display_name = user::display_name(&new.display_name).ok_or(PeopleError::DisplayNameInvalid)?;
        let roles = sorted(new.roles);
        if let Some(role) = roles.iter().copied().find(|role| !covers(ctx, *role)) {
            return Err(self.refuse(ctx, ACT, PeopleError::MoreThanOwn { role }).await);
        }
        let user = User {
            id: UserId::new(ctx.at),
            username: username.shown,
            display_name,
            status: UserStatus::Invited,
            roles,
            grants: Vec::new(),
            created_at: ctx.at,
            last_sign_in_at: None,
        };
        let (asked, ctx) = (ctx, ctx.clone());
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                if let Some(once) = &once {
                    match once::recall(tx, &ctx, once).await? {
                        Recall::New => {}
                        Recall::Different => return Err(PeopleError::OnceConflict),
                        Recall::Same(answer) => return repeated(tx, &ctx, &answer).await,
                    }
                }
                store::insert_user(tx.sql(), &user, &username.key, None).await.map_err(taken)?;
                tx.record(AuditEntry::by(&ctx, ACT).on("user", user.id).with(json!({ "roles": user.roles })));
                let invitation = set_up::invite(tx, &ctx, user.id, ctx.at).await?;
                if let Some(once) = &once {
                    once::remember(tx, &ctx, once, &json!({ "user_id": user.id })).await?;
                }
                let user = store::user(tx.sql(), user.id).await?.ok_or(PeopleError::NotFound)?;
                Ok(Created { user, invitation: Some(invitation), repeated: false })
            })
        });
        self.recorded(asked, ACT, done.await).await
    }

    /// Changes a person.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn change_user(&self, ctx: &Context, id: UserId, change: Change) -> Result<User, PeopleError> {
        const ACT: &str = "user.changed";
        if change.display_name.is_some() || change.status.is_some() {
            self.require(ctx, Permission::UsersManage, ACT).await?;
        }
        if change.roles.is_some() {
            self.require(ctx, Permission::RolesAssign, ACT).await?;
        }
        self.require(ctx, Permission::UsersView, ACT).await?;
        let name = change
            .display_name
            .as_deref()
            .map(|name| user::display_name(name).ok_or(PeopleError::DisplayNameInvalid));
        let change = Change { display_name: name.transpose()?, roles: change.roles.map(sorted), ..change };
        let (asked, ctx) = (ctx, ctx.clone());
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                let user = store::user(tx.sql(), id).await?.ok_or(PeopleError::NotFound)?;
                if let Some(name) = change.display_name.filter(|name| *name != user.display_name) {
                    rename(tx, &ctx, &user, &name).await?;
                }
                if let Some(roles) = change.roles.filter(|roles| *roles != user.roles) {
                    set_roles(tx, &ctx, &user, roles).await?;
                }
                if let Some(status) = change.status {
                    set_status(tx, &ctx, id, status).await?;
                }
                store::user(tx.sql(), id).await?.ok_or(PeopleError::NotFound)
            })
        });
        self.recorded(asked, ACT, done.await).await
    }

    /// A new link for a person to set their password, in place of the one before it. Until it is used, the present
    /// password stays good.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn invite(&self, ctx: &Context, id: UserId) -> Result<Invitation, PeopleError> {
        const ACT: &str = "invitation.issued";
        self.require(ctx, Permission::UsersManage, ACT).await?;
        let (asked, ctx) = (ctx, ctx.clone());
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                let user = store::user(tx.sql(), id).await?.ok_or(PeopleError::NotFound)?;
                if !user.roles.iter().all(|role| covers(&ctx, *role)) {
                    return Err(PeopleError::Outranked);
                }
                if user.status == UserStatus::Disabled {
                    return Err(PeopleError::Disabled);
                }
                Ok(set_up::invite(tx, &ctx, id, ctx.at).await?)
            })
        });
        self.recorded(asked, ACT, done.await).await
    }

    /// Gives a person access to an account, in place of the access they had.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn grant(
        &self,
        ctx: &Context,
        user: UserId,
        account: AccountId,
        access: Access,
    ) -> Result<User, PeopleError> {
        self.change_grant(ctx, user, account, Some(access)).await
    }

    /// Takes a person's access to an account away. Where there is none, nothing is done.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn revoke(&self, ctx: &Context, user: UserId, account: AccountId) -> Result<User, PeopleError> {
        self.change_grant(ctx, user, account, None).await
    }

    /// Says whether a person's access to an account goes for real money.
    ///
    /// Given by owners, by whoever runs the server, and by managers of the account who have it themselves, with their
    /// second factor just shown; taken by every manager of the account.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn grant_live(
        &self,
        ctx: &Context,
        user: UserId,
        account: AccountId,
        live: bool,
    ) -> Result<User, PeopleError> {
        let act = if live { "grant.live_given" } else { "grant.live_taken" };
        self.require(ctx, Permission::GrantsManage, act).await?;
        let has_it = if live && !is_owner(ctx) { ctx.require_live(account) } else { Ok(()) };
        if let Err(denied) = may_grant(ctx, account).and(has_it) {
            return Err(self.refuse(ctx, act, denied.into()).await);
        }
        if live {
            ctx.require_recent_factor()?;
        }
        let ctx = ctx.clone();
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                let found = store::user(tx.sql(), user).await?.ok_or(PeopleError::NotFound)?;
                let grant = found.grants.iter().find(|grant| grant.account_id == account);
                let before = grant.ok_or(PeopleError::AccountNotFound)?.live;
                if before != live {
                    store::set_live(tx.sql(), user, account, live).await?;
                    tx.record(AuditEntry::by(&ctx, act).on("user", user).with(json!({ "account": account })));
                }
                store::user(tx.sql(), user).await?.ok_or(PeopleError::NotFound)
            })
        });
        done.await
    }

    /// What a person may do at the moment, without a session: for what they asked for earlier, themselves or through a
    /// key. `None` when they may not sign in (any more), or the key is good no more.
    ///
    /// # Errors
    /// The database failed.
    pub async fn person(
        &self,
        user: UserId,
        key: Option<KeyId>,
        at: Timestamp,
    ) -> Result<Option<Context>, StorageError> {
        if let Some(key) = key {
            let holder = self.recheck_key(key, None, RequestId::new(at)).await?;
            return Ok(holder.map(|holder| holder.ctx));
        }
        let user = store::user(&mut *self.db.read().await?, user).await?;
        Ok(user.filter(|user| user.status == UserStatus::Active).map(|user| {
            let mut ctx = session::context(&user, SessionId::new(at), None, RequestId::new(at), at);
            ctx.credential = Credential::None;
            ctx
        }))
    }

    async fn change_grant(
        &self,
        ctx: &Context,
        id: UserId,
        account: AccountId,
        access: Option<Access>,
    ) -> Result<User, PeopleError> {
        let act = if access.is_some() { "grant.given" } else { "grant.taken" };
        self.require(ctx, Permission::GrantsManage, act).await?;
        if let Err(denied) = may_grant(ctx, account) {
            return Err(self.refuse(ctx, act, denied.into()).await);
        }
        let ctx = ctx.clone();
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                let user = store::user(tx.sql(), id).await?.ok_or(PeopleError::NotFound)?;
                if !store::account_exists(tx.sql(), account).await? {
                    return Err(PeopleError::AccountNotFound);
                }
                let before =
                    user.grants.iter().find(|grant| grant.account_id == account).map(|grant| grant.access);
                if before != access {
                    match access {
                        Some(access) => store::set_grant(tx.sql(), id, account, access).await?,
                        None => store::delete_grant(tx.sql(), id, account).await?,
                    }
                    let entry = AuditEntry::by(&ctx, act).on("user", id);
                    tx.record(entry.with(json!({ "account": account, "before": before, "after": access })));
                }
                store::user(tx.sql(), id).await?.ok_or(PeopleError::NotFound)
            })
        });
        done.await
    }

    /// Records the refusals among what went wrong; mistakes and faults are none.
    pub(crate) async fn recorded<T>(
        &self,
        ctx: &Context,
        act: &'static str,
        done: Result<T, PeopleError>,
    ) -> Result<T, PeopleError> {
        match done {
            Err(
                refusal @ (PeopleError::MoreThanOwn { .. } | PeopleError::Outranked | PeopleError::LastOwner),
            ) => Err(self.refuse(ctx, act, refusal).await),
            other => other,
        }
    }
}

/// The answer to a request that was there before: the same person, and a new link if they still need one.
async fn repeated(tx: &mut Tx, ctx: &Context, answer: &Value) -> Result<Created, PeopleError> {
    let id = answer["user_id"].as_str().unwrap_or_default();
    let id: UserId = StorageError::parse("idempotency_keys.answer", id)?;
    let user = store::user(tx.sql(), id).await?.ok_or(PeopleError::NotFound)?;
    // Roles may have been given since, by somebody who may do more.
    let may = user.roles.iter().all(|role| covers(ctx, *role));
    let invitation = match user.status {
        UserStatus::Invited if may => Some(set_up::invite(tx, ctx, id, ctx.at).await?),
        _ => None,
    };
    Ok(Created { user, invitation, repeated: true })
}

async fn rename(tx: &mut Tx, ctx: &Context, user: &User, name: &str) -> Result<(), PeopleError> {
    owner_only_by_owner(ctx, user)?;
    store::set_display_name(tx.sql(), user.id, name).await?;
    // That it was changed, not from what to what: names of people are not in the log.
    tx.record(AuditEntry::by(ctx, "user.renamed").on("user", user.id));
    Ok(())
}

async fn set_roles(tx: &mut Tx, ctx: &Context, user: &User, roles: Vec<Role>) -> Result<(), PeopleError> {
    let changes = |role: &Role| user.roles.contains(role) != roles.contains(role);
    if let Some(role) = Role::ALL.iter().copied().find(|role| changes(role) && !covers(ctx, *role)) {
        return Err(PeopleError::MoreThanOwn { role });
    }
    if !roles.contains(&Role::SuperAdmin) {
        keep_an_owner(tx, user).await?;
    }
    store::set_roles(tx.sql(), user.id, &roles).await?;
    let entry = AuditEntry::by(ctx, "user.roles_set").on("user", user.id);
    tx.record(entry.with(json!({ "before": user.roles, "after": roles })));
    Ok(())
}

async fn set_status(tx: &mut Tx, ctx: &Context, id: UserId, status: UserStatus) -> Result<(), PeopleError> {
    // Read again: the roles may just have been changed.
    let user = store::user(tx.sql(), id).await?.ok_or(PeopleError::NotFound)?;
    match (status, user.status) {
        (UserStatus::Invited, _) => Err(PeopleError::StatusInvalid),
        (UserStatus::Disabled, UserStatus::Disabled)
        | (UserStatus::Active, UserStatus::Active | UserStatus::Invited) => Ok(()),
        (UserStatus::Disabled, _) => {
            owner_only_by_owner(ctx, &user)?;
            keep_an_owner(tx, &user).await?;
            store::set_status(tx.sql(), id, UserStatus::Disabled).await?;
            store::delete_invitations(tx.sql(), Some(id)).await?;
            let ended = store::end_sessions(tx.sql(), id, None, ctx.at).await?;
            let entry = AuditEntry::by(ctx, "user.disabled").on("user", id);
            tx.record(entry.with(json!({ "sessions_ended": ended })));
            Ok(())
        }
        (UserStatus::Active, UserStatus::Disabled) => {
            if !user.roles.iter().all(|role| covers(ctx, *role)) {
                return Err(PeopleError::Outranked);
            }
            let has_password = store::has_password(tx.sql(), id).await?;
            let status = if has_password { UserStatus::Active } else { UserStatus::Invited };
            store::set_status(tx.sql(), id, status).await?;
            tx.record(AuditEntry::by(ctx, "user.enabled").on("user", id));
            Ok(())
        }
    }
}

fn owner_only_by_owner(ctx: &Context, user: &User) -> Result<(), PeopleError> {
    if user.roles.contains(&Role::SuperAdmin) && !is_owner(ctx) {
        return Err(PeopleError::Outranked);
    }
    Ok(())
}

/// Asked inside the transaction, so that two owners cannot remove each other at the same moment.
async fn keep_an_owner(tx: &mut Tx, user: &User) -> Result<(), PeopleError> {
    let is_one = user.status == UserStatus::Active && user.roles.contains(&Role::SuperAdmin);
    if is_one && store::other_owners(tx.sql(), Some(user.id)).await? == 0 {
        return Err(PeopleError::LastOwner);
    }
    Ok(())
}

/// Managers of an account, owners, and whoever runs the server. They have all there is to give.
fn may_grant(ctx: &Context, account: AccountId) -> Result<(), Denied> {
    match ctx.access(account) {
        _ if is_owner(ctx) => Ok(()),
        Some(Access::Manage) => Ok(()),
        Some(granted) => Err(Denied::Access { needed: Access::Manage, granted }),
        None => Err(Denied::NoGrant { account }),
    }
}

fn sorted(mut roles: Vec<Role>) -> Vec<Role> {
    roles.sort_unstable();
    roles.dedup();
    roles
}

fn taken(error: StorageError) -> PeopleError {
    if error.is_unique_violation() { PeopleError::UsernameTaken } else { error.into() }
}
