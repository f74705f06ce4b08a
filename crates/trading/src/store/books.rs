//! The SQL of virtual books.

use domain::{AccountId, from_micros, micros};
use storage::{Connection, RowExt as _, StorageError, Tx, query};

use crate::book::BookChange;
use crate::books::{BookKind, VirtualBook};

/// The books of an account other than its own, closed ones too, oldest first.
pub(crate) async fn books(
    connection: &mut Connection,
    account: AccountId,
) -> Result<Vec<VirtualBook>, StorageError> {
    let sql = "SELECT id, name, kind, owner, cost_method, created_at, closed_at FROM books WHERE account_id = $1 \
               ORDER BY created_at, id";
    let rows = query(sql).bind(account.to_string()).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            Ok(VirtualBook {
                id: StorageError::parse_column(row, 0, "book id")?,
                account,
                name: row.try_get(1)?,
                kind: StorageError::parse_column::<BookKind>(row, 2, "kind of book")?,
                owner: row.try_get(3)?,
                cost_method: StorageError::parse_column(row, 4, "cost method")?,
                opened_at: from_micros(row.try_get(5)?),
                closed_at: row.try_get::<Option<i64>, _>(6)?.map(from_micros),
            })
        })
        .collect()
}

/// Writes a change of a book.
pub(super) async fn write(tx: &mut Tx, account: AccountId, change: &BookChange) -> Result<(), StorageError> {
    let change = match change {
        BookChange::Opened(book) => query(
            "INSERT INTO books (id, account_id, name, kind, owner, cost_method, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(book.id.to_string())
        .bind(account.to_string())
        .bind(book.name.as_str())
        .bind(book.kind.as_str())
        .bind(book.owner.as_deref())
        .bind(book.cost_method.as_str())
        .bind(micros(book.opened_at)),
        BookChange::Closed { book, at } => {
            query("UPDATE books SET closed_at = $2 WHERE id = $1").bind(book.to_string()).bind(micros(*at))
        }
        BookChange::Reckoned { book: Some(book), method } => {
            query("UPDATE books SET cost_method = $2 WHERE id = $1")
                .bind(book.to_string())
                .bind(method.as_str())
        }
        BookChange::Reckoned { book: None, method } => {
            query("UPDATE accounts SET cost_method = $2 WHERE id = $1")
                .bind(account.to_string())
                .bind(method.as_str())
        }
    };
    change.execute(tx.sql()).await?;
    Ok(())
}
