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

/// Gives `rows` the length that their statement has room for: the last one comes again, marked with 0 where the others
/// have 1. The lengths are few, so that there are few different statements and each stays prepared.
pub fn padded<T>(rows: &[T]) -> Vec<(i64, &T)> {
    let room = match rows.len().next_power_of_two() {
        // In larger steps too many would be padding.
        room if room >= 8 && rows.len() <= room / 4 * 3 => room / 4 * 3,
        room => room,
    };
    let padding = rows.last().into_iter().cycle().map(|row| (0, row));
    rows.iter().map(|row| (1, row)).chain(padding).take(room).collect()
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
    fn rows_are_padded_to_few_lengths_and_nothing_stays_nothing() {
        let lengths = |upto: usize| (0..=upto).map(|length| padded(&vec![(); length]).len());
        assert_eq!(lengths(9).collect::<Vec<_>>(), [0, 1, 2, 4, 4, 6, 6, 8, 8, 12]);
        assert_eq!(lengths(64).collect::<std::collections::BTreeSet<_>>().len(), 12);
        assert_eq!(padded(&['a', 'b', 'c']), [(1, &'a'), (1, &'b'), (1, &'c'), (0, &'c')]);
    }

    #[test]
    fn values_are_numbered_through_or_have_no_names() {
        let mut numbered = Places { numbered: true, last: 0 };
        assert_eq!((numbered.one(), numbered.rows(2, 2)), ("$1".into(), "($2, $3), ($4, $5)".into()));
        assert_eq!(numbered.one(), "$6");
        let mut nameless = Places { numbered: false, last: 0 };
        assert_eq!((nameless.one(), nameless.rows(2, 2)), ("?".into(), "(?, ?), (?, ?)".into()));
    }
}
