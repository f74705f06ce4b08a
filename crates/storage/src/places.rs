//! Placeholders of statements that insert many rows at once.

use std::fmt::Write as _;

use crate::Connection;

/// Gives the placeholders of a statement, each for one value, in the order in which the values are bound.
///
/// PostgreSQL has them numbered. SQLite looks a numbered one up by its name, one after the other, which for a thousand of
/// them takes longer than the statement; there they have no names.
#[derive(Debug)]
pub struct Places {
    numbered: bool,
    last: usize,
}

impl Places {
    /// For a statement on this connection.
    pub fn on(connection: &Connection) -> Self {
        Self { numbered: connection.backend_name() != "SQLite", last: 0 }
    }

    /// One value.
    pub fn one(&mut self) -> String {
        let mut sql = String::new();
        self.put(&mut sql);
        sql
    }

    /// Rows of values: `($1, $2), ($3, $4)`.
    pub fn rows(&mut self, rows: usize, columns: usize) -> String {
        let mut sql = String::with_capacity(rows * (columns * 7 + 4));
        for row in 0..rows {
            sql.push_str(if row == 0 { "(" } else { ", (" });
            for column in 0..columns {
                if column > 0 {
                    sql.push_str(", ");
                }
                self.put(&mut sql);
            }
            sql.push(')');
        }
        sql
    }

    fn put(&mut self, sql: &mut String) {
        self.last += 1;
        if self.numbered {
            // Writing to a string does not fail.
            let _ = write!(sql, "${}", self.last);
        } else {
            sql.push('?');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbered_through_or_have_no_names() {
        let mut numbered = Places { numbered: true, last: 0 };
        assert_eq!((numbered.one(), numbered.rows(2, 2)), ("$1".into(), "($2, $3), ($4, $5)".into()));
        assert_eq!(numbered.one(), "$6");
        let mut nameless = Places { numbered: false, last: 0 };
        assert_eq!((nameless.one(), nameless.rows(2, 2)), ("?".into(), "(?, ?), (?, ?)".into()));
    }
}
