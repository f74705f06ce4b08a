//! A desk with people, for tests.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use audit::{ANCHORS_FILE, Anchors, Chain, Filter, Record};
use domain::{AccountId, Clock, Context, ManualClock, RequestId, Role, Timestamp};
use identity::{
    Authenticated, Created, Hashing, Identity, NewUser, PeopleError, SignIn, SignInError, SignedIn, User,
};
use storage::testing::{TestDatabase, databases};
use storage::{Database, StorageError, query};
use tempfile::TempDir;
use vault::{ExposeSecret as _, MASTER_KEY_FILE, MasterKey, SigningKey, Vault};

pub(crate) const HOME: &str = "192.0.2.1";
pub(crate) const ELSEWHERE: &str = "198.51.100.9";

pub(crate) struct Desk {
    pub people: Identity,
    pub vault: Vault,
    pub clock: Arc<ManualClock>,
    pub db: Database,
    key: SigningKey,
    home: TempDir,
    database: TestDatabase,
}

/// A desk on each engine there is.
pub(crate) async fn desks() -> Vec<Desk> {
    let mut desks = Vec::new();
    for database in databases().await {
        let home = tempfile::tempdir().unwrap();
        let key = SigningKey::open_or_create(home.path()).unwrap();
        let db = database.open(Some(Arc::new(Chain::new(key.clone())))).await;
        let clock = Arc::new(ManualClock::new("2026-03-02T09:00:00Z".parse().unwrap()));
        let master = MasterKey::open_or_create(&home.path().join(MASTER_KEY_FILE)).unwrap();
        let vault = Vault::open(db.clone(), master, clock.now()).await.unwrap();
        let people = Identity::new(db.clone(), vault.clone(), clock.clone(), Hashing::weak_for_tests());
        desks.push(Desk { people, vault, clock, db, key, home, database });
    }
    desks
}

/// A good password, another for each person.
pub(crate) fn password_of(name: &str) -> vault::SecretString {
    format!("marmalade {} tuba glacier", vault::crypto::hex(&vault::crypto::sha256(name.as_bytes())[..4]))
        .into()
}

impl Desk {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn pass(&self, minutes: u64) {
        self.clock.advance(Duration::from_secs(60 * minutes));
    }

    pub(crate) fn anonymous(&self, address: &str) -> Context {
        Context::anonymous(Some(address.parse().unwrap()), RequestId::new(self.now()), self.now())
    }

    pub(crate) fn operator(&self) -> Context {
        Context::operator(None, self.now())
    }

    pub(crate) async fn account(&self, name: &'static str) -> AccountId {
        let (id, at) = (AccountId::new(self.now()), domain::micros(self.now()));
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO accounts (id, name, broker, mode, currency, router_epoch, created_at) \
                           VALUES ($1, $2, 'paper', 'paper', 'USD', 0, $3)";
                query(sql).bind(id.to_string()).bind(name).bind(at).execute(tx.sql()).await?;
                Ok::<_, StorageError>(())
            })
        });
        done.await.unwrap();
        id
    }

    pub(crate) async fn create(
        &self,
        ctx: &Context,
        name: &str,
        roles: &[Role],
    ) -> Result<Created, PeopleError> {
        let new =
            NewUser { username: name.to_owned(), display_name: format!("The {name}"), roles: roles.to_vec() };
        self.people.create_user(ctx, new, None).await
    }

    /// An active person.
    pub(crate) async fn person(&self, name: &str, roles: &[Role]) -> User {
        let created = self.create(&self.operator(), name, roles).await.unwrap();
        let code = created.invitation.unwrap().code;
        let ctx = self.anonymous(HOME);
        self.people.accept_invitation(&ctx, code.expose_secret(), &password_of(name)).await.unwrap()
    }

    pub(crate) async fn try_sign_in(
        &self,
        name: &str,
        password: &vault::SecretString,
        address: &str,
    ) -> Result<SignedIn, SignInError> {
        match self.begin_sign_in(name, password, address).await? {
            SignIn::Complete(signed_in) => Ok(*signed_in),
            SignIn::CodeNeeded(_) => panic!("{name} has a second factor"),
        }
    }

    pub(crate) async fn begin_sign_in(
        &self,
        name: &str,
        password: &vault::SecretString,
        address: &str,
    ) -> Result<SignIn, SignInError> {
        self.people.sign_in(&self.anonymous(address), name, password, Some("a browser")).await
    }

    pub(crate) async fn sign_in(&self, name: &str) -> SignedIn {
        self.try_sign_in(name, &password_of(name), HOME).await.unwrap()
    }

    /// The context of a new request of a signed-in person.
    pub(crate) async fn request(&self, signed_in: &SignedIn) -> Option<Authenticated> {
        self.request_with(signed_in.token.expose_secret()).await
    }

    pub(crate) async fn request_with(&self, token: &str) -> Option<Authenticated> {
        let address: IpAddr = HOME.parse().unwrap();
        self.people.authenticate(token, Some(address), RequestId::new(self.now())).await.unwrap()
    }

    /// The same people, as after a restart.
    pub(crate) fn restarted(&self, hashing: Hashing) -> Identity {
        Identity::new(self.db.clone(), self.vault.clone(), self.clock.clone(), hashing)
    }

    /// A person with these roles, made and signed in.
    pub(crate) async fn acting(&self, name: &str, roles: &[Role]) -> Context {
        self.person(name, roles).await;
        self.sign_in(name).await.authenticated.ctx
    }

    /// The audit log, newest first, as `act outcome`.
    pub(crate) async fn acts(&self) -> Vec<String> {
        self.log().await.iter().map(|row| format!("{} {}", row.act, row.outcome)).collect()
    }

    pub(crate) async fn log(&self) -> Vec<Record> {
        audit::list(&self.operator(), &self.db, &Filter::default(), None, 1000).await.unwrap()
    }

    /// That the log is whole, and that none of `secrets` is in it or anywhere else in the database.
    pub(crate) async fn assert_clean(self, secrets: &[&str]) {
        let anchors = Anchors::new(self.home.path().join(ANCHORS_FILE));
        let report = audit::verify(&self.db, &self.key.public_key(), &anchors).await.unwrap();
        assert_eq!(report.problem, None);
        let mut log = Vec::new();
        audit::export(&self.db, &mut log).await.unwrap();
        self.db.close().await;
        let mut bytes = log;
        if let Some(folder) = self.database.folder() {
            for file in std::fs::read_dir(folder).unwrap() {
                bytes.extend(std::fs::read(file.unwrap().path()).unwrap());
            }
        }
        for secret in secrets {
            assert!(
                !bytes.windows(secret.len()).any(|part| part == secret.as_bytes()),
                "{secret} is stored in plain"
            );
        }
    }
}
