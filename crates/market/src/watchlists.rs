//! Lists of instruments that people and their programs keep.

use std::collections::BTreeSet;

use domain::{Symbol, Timestamp, UserId, WatchlistId, from_micros, micros};
use storage::{Connection, Database, Row, RowExt as _, StorageError, query};

/// Lists that one person may have.
const MOST_LISTS: i64 = 200;
/// Instruments on a list.
const MOST_SYMBOLS: usize = 500;
/// Letters of a name.
const LONGEST_NAME: usize = 64;

/// A list of instruments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watchlist {
    /// Its id.
    pub id: WatchlistId,
    /// Whose it is.
    pub owner: UserId,
    /// Unique among the owner's, 1 to 64 characters.
    pub name: String,
    /// In the order in which they were put there, each once.
    pub symbols: Vec<Symbol>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Why a list is not kept.
#[derive(Debug, thiserror::Error)]
pub enum WatchlistError {
    /// The name is empty, too long, or not on one line.
    #[error("the name of a watchlist has 1 to {LONGEST_NAME} characters on one line")]
    NameInvalid,
    /// The owner has another list of this name.
    #[error("a watchlist of this name exists already")]
    NameTaken,
    /// The list would be too long.
    #[error("a watchlist has at most {MOST_SYMBOLS} instruments")]
    TooLong,
    /// The owner has too many lists.
    #[error("nobody has more than {MOST_LISTS} watchlists")]
    TooMany,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Watchlist {
    /// A new list, not kept yet.
    pub fn new(owner: UserId, name: &str, symbols: Vec<Symbol>, now: Timestamp) -> Self {
        let mut list = Self {
            id: WatchlistId::new(now),
            owner,
            name: name.trim().to_owned(),
            symbols: Vec::new(),
            created_at: now,
            updated_at: now,
        };
        for symbol in symbols {
            list.add(symbol);
        }
        list
    }

    /// Puts an instrument at the end, unless it is there.
    pub fn add(&mut self, symbol: Symbol) {
        if !self.symbols.contains(&symbol) {
            self.symbols.push(symbol);
        }
    }

    fn check(&self) -> Result<(), WatchlistError> {
        let good = (1..=LONGEST_NAME).contains(&self.name.chars().count());
        if !good || self.name.chars().any(char::is_control) {
            return Err(WatchlistError::NameInvalid);
        }
        if self.symbols.len() > MOST_SYMBOLS { Err(WatchlistError::TooLong) } else { Ok(()) }
    }

    fn symbols_as_text(&self) -> String {
        self.symbols.iter().map(Symbol::as_str).collect::<Vec<_>>().join(",")
    }
}

/// The lists of a person, oldest first.
///
/// # Errors
/// The database failed.
pub async fn of(db: &Database, owner: UserId) -> Result<Vec<Watchlist>, StorageError> {
    let sql = "SELECT id, user_id, name, symbols, created_at, updated_at FROM watchlists \
               WHERE user_id = $1 ORDER BY created_at, id";
    let rows = query(sql).bind(owner.to_string()).fetch_all(&mut *db.read().await?).await?;
    rows.iter().map(read).collect()
}

/// Every instrument that is on anybody's list, in order of their names.
///
/// # Errors
/// The database failed.
pub async fn all_symbols(db: &Database) -> Result<BTreeSet<Symbol>, StorageError> {
    let sql = "SELECT id, user_id, name, symbols, created_at, updated_at FROM watchlists";
    let rows = query(sql).fetch_all(&mut *db.read().await?).await?;
    let lists = rows.iter().map(read).collect::<Result<Vec<Watchlist>, _>>()?;
    Ok(lists.into_iter().flat_map(|list| list.symbols).collect())
}

/// Keeps a new list.
///
/// # Errors
/// See [`WatchlistError`].
pub async fn create(db: &Database, list: Watchlist) -> Result<(), WatchlistError> {
    list.check()?;
    db.write(move |tx| {
        Box::pin(async move {
            if count(tx.sql(), list.owner).await? >= MOST_LISTS {
                return Err(WatchlistError::TooMany);
            }
            let sql = "INSERT INTO watchlists (id, user_id, name, symbols, created_at, updated_at) \
                       VALUES ($1, $2, $3, $4, $5, $6)";
            let insert = query(sql)
                .bind(list.id.to_string())
                .bind(list.owner.to_string())
                .bind(&list.name)
                .bind(list.symbols_as_text())
                .bind(micros(list.created_at))
                .bind(micros(list.updated_at));
            insert.execute(tx.sql()).await.map_err(|error| taken(error.into()))?;
            Ok(())
        })
    })
    .await
}

/// Keeps what was changed of a list: its name, its instruments, and when that was.
///
/// # Errors
/// See [`WatchlistError`].
pub async fn update(db: &Database, list: Watchlist) -> Result<(), WatchlistError> {
    list.check()?;
    db.write(move |tx| {
        Box::pin(async move {
            let sql = "UPDATE watchlists SET name = $3, symbols = $4, updated_at = $5 WHERE id = $1 AND user_id = $2";
            let update = query(sql)
                .bind(list.id.to_string())
                .bind(list.owner.to_string())
                .bind(&list.name)
                .bind(list.symbols_as_text())
                .bind(micros(list.updated_at));
            update.execute(tx.sql()).await.map_err(|error| taken(error.into()))?;
            Ok(())
        })
    })
    .await
}

/// Throws a list of a person away; `false` when there was none.
///
/// # Errors
/// The database failed.
pub async fn delete(db: &Database, owner: UserId, id: WatchlistId) -> Result<bool, StorageError> {
    db.write(move |tx| {
        Box::pin(async move {
            let delete = query("DELETE FROM watchlists WHERE id = $1 AND user_id = $2");
            let done = delete.bind(id.to_string()).bind(owner.to_string()).execute(tx.sql()).await?;
            Ok(done.rows_affected() == 1)
        })
    })
    .await
}

async fn count(connection: &mut Connection, owner: UserId) -> Result<i64, StorageError> {
    let sql = "SELECT COUNT(*) AS n FROM watchlists WHERE user_id = $1";
    Ok(query(sql).bind(owner.to_string()).fetch_one(connection).await?.try_get("n")?)
}

fn taken(error: StorageError) -> WatchlistError {
    if error.is_unique_violation() { WatchlistError::NameTaken } else { error.into() }
}

fn read(row: &Row) -> Result<Watchlist, StorageError> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let symbols = text("symbols")?;
    let symbols = symbols.split(',').filter(|symbol| !symbol.is_empty());
    let symbols: Result<_, StorageError> =
        symbols.map(|symbol| StorageError::parse("watchlists.symbols", symbol)).collect();
    Ok(Watchlist {
        id: StorageError::parse("watchlists.id", &text("id")?)?,
        owner: StorageError::parse("watchlists.user_id", &text("user_id")?)?,
        name: text("name")?,
        symbols: symbols?,
        created_at: from_micros(row.try_get("created_at")?),
        updated_at: from_micros(row.try_get("updated_at")?),
    })
}
