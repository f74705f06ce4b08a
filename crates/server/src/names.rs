//! Names of people for lists, kept for a while: a page of orders is not a hundred questions to the database.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::{Context, Timestamp};

use crate::Desk;

/// A changed name shows after this long.
const FRESH: Duration = Duration::from_secs(60);
/// A name is a courtesy: the kill switch's answer does not wait longer for one.
const PATIENCE: Duration = Duration::from_millis(250);
const MOST: usize = 10_000;

/// Display names by id.
#[derive(Default)]
pub(crate) struct Names(Mutex<HashMap<String, (String, Timestamp)>>);

impl Names {
    /// The name of whoever has this id; the id itself where there is none, as for the command line.
    pub(crate) async fn of(&self, desk: &Desk, id: &str) -> String {
        let now = desk.clock.now();
        if let Some((name, at)) = self.lock().get(id)
            && now.duration_since(*at).unsigned_abs() < FRESH
        {
            return name.clone();
        }
        let found = match id.parse() {
            // Whoever may see an order may see the name of who placed it.
            Ok(user) => {
                let everything = Context::operator(None, now);
                let asking = desk.identity.user(&everything, user);
                tokio::time::timeout(PATIENCE, asking).await.ok().and_then(Result::ok).flatten()
            }
            Err(_) => None,
        };
        let Some(user) = found else { return id.to_owned() };
        let name = user.display_name;
        let mut names = self.lock();
        if names.len() >= MOST {
            names.clear();
        }
        names.insert(id.to_owned(), (name.clone(), now));
        name
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (String, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
