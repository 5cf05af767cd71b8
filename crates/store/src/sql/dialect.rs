//! The differences between the SQL of the databases that affect our statements.

use std::borrow::Cow;

/// An SQL dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
    /// MySQL and MariaDB.
    MySql,
}

impl Dialect {
    /// The end of an insert that skips existing keys. MySQL has no such clause without side effects (`INSERT IGNORE` also
    /// accepts truncated values): there, the engine treats the error of a duplicate key as no row.
    pub(super) const fn skip_duplicates(self) -> &'static str {
        match self {
            Self::Postgres | Self::Sqlite => " ON CONFLICT DO NOTHING",
            Self::MySql => "",
        }
    }

    /// The end of an insert that overwrites these columns of an existing row.
    pub(super) fn overwrite(self, key: &str, columns: &[&str]) -> String {
        let (start, value) = match self {
            Self::Postgres | Self::Sqlite => (format!(" ON CONFLICT ({key}) DO UPDATE SET "), ("excluded.", "")),
            Self::MySql => (" ON DUPLICATE KEY UPDATE ".to_owned(), ("VALUES(", ")")),
        };
        let set: Vec<String> =
            columns.iter().map(|column| format!("{column} = {}{column}{}", value.0, value.1)).collect();
        start + &set.join(", ")
    }

    /// A FROM clause that yields one row.
    pub(super) const fn one_row(self) -> &'static str {
        match self {
            Self::Postgres | Self::Sqlite => "",
            Self::MySql => " FROM DUAL",
        }
    }

    /// The sum of an integer expression, as an integer.
    pub(super) fn integer_sum(self, expression: &str) -> String {
        match self {
            Self::Postgres | Self::Sqlite => format!("SUM({expression})"),
            Self::MySql => format!("CAST(SUM({expression}) AS SIGNED)"),
        }
    }

    /// A statement that lists the tables of the database. Columns: name.
    pub(super) const fn tables(self) -> &'static str {
        match self {
            Self::Postgres => "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = current_schema()",
            Self::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table'",
            Self::MySql => "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()",
        }
    }

    /// A column type: `{id}` for document ids, `{name}` for short text that is compared byte by byte, `{blob}` for byte
    /// strings of any length, `{key}` for 16 bytes, `{int}` for 64-bit integers.
    pub(super) fn types(self, ddl: &str) -> String {
        let (id, name, blob, key, int) = match self {
            // Other collations are slower, and their indexes break when the C library of the server is updated.
            Self::Postgres => ("TEXT COLLATE \"C\"", "TEXT COLLATE \"C\"", "BYTEA", "BYTEA", "BIGINT"),
            Self::Sqlite => ("TEXT", "TEXT", "BLOB", "BLOB", "INTEGER"),
            // VARBINARY, since text collations ignore trailing spaces.
            Self::MySql => ("VARBINARY(100)", "VARBINARY(255)", "LONGBLOB", "BINARY(16)", "BIGINT"),
        };
        let ddl = ddl.replace("{id}", id).replace("{name}", name).replace("{blob}", blob);
        let ddl = ddl.replace("{key}", key).replace("{int}", int);
        match self {
            Self::MySql if ddl.starts_with("CREATE TABLE") => ddl + " ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
            _ => ddl,
        }
    }

    /// Replaces `$1`, `$2`, … by the placeholders of the dialect. Also returns which parameter stands at each placeholder
    /// if placeholders have no numbers.
    pub(super) fn placeholders(self, sql: &str) -> (Cow<'_, str>, Option<Vec<usize>>) {
        match self {
            Self::Postgres => (Cow::Borrowed(sql), None),
            Self::Sqlite => (Cow::Owned(sql.replace('$', "?")), None),
            Self::MySql => {
                let mut parts = sql.split('$');
                let mut text = parts.next().unwrap_or_default().to_owned();
                let mut order = Vec::new();
                for part in parts {
                    let digits = part.bytes().take_while(u8::is_ascii_digit).count();
                    order.push(part[..digits].parse::<usize>().map_or(0, |number| number.saturating_sub(1)));
                    text.push('?');
                    text.push_str(&part[digits..]);
                }
                (Cow::Owned(text), Some(order))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_follow_the_dialect() {
        let sql = "SELECT $1 WHERE a = $2 AND b = $1 OR c = $12";
        assert_eq!(Dialect::Postgres.placeholders(sql), (Cow::Borrowed(sql), None));
        assert_eq!(Dialect::Sqlite.placeholders(sql).0, "SELECT ?1 WHERE a = ?2 AND b = ?1 OR c = ?12");
        let (text, order) = Dialect::MySql.placeholders(sql);
        assert_eq!(text, "SELECT ? WHERE a = ? AND b = ? OR c = ?");
        assert_eq!(order, Some(vec![0, 1, 0, 11]));
    }

    #[test]
    fn overwriting_names_the_new_values() {
        let columns = ["record", "seen"];
        assert_eq!(
            Dialect::Postgres.overwrite("document, peer", &columns),
            " ON CONFLICT (document, peer) DO UPDATE SET record = excluded.record, seen = excluded.seen"
        );
        assert_eq!(
            Dialect::MySql.overwrite("document, peer", &columns),
            " ON DUPLICATE KEY UPDATE record = VALUES(record), seen = VALUES(seen)"
        );
    }

    #[test]
    fn every_type_of_a_table_is_replaced() {
        for dialect in [Dialect::Postgres, Dialect::Sqlite, Dialect::MySql] {
            let ddl = dialect.types("CREATE TABLE a (b {id}, c {name}, d {blob}, e {key}, f {int})");
            assert!(!ddl.contains('{'), "{ddl}");
        }
    }
}
