//! A connection with the statements that were prepared on it.
//!
//! PostgreSQL parses and plans an unnamed statement each time, which takes it as long as running an append. A frequent statement
//! is prepared instead, but only where connections are known to be sessions of the server: a pooler in transaction mode sends
//! each transaction over another one, on which the statement does not exist.

use std::collections::HashMap;
use std::ops::Deref;

use parking_lot::Mutex;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};

/// A connection.
pub(super) struct Session {
    client: Client,
    prepared: Mutex<HashMap<String, tokio_postgres::Statement>>,
}

impl Session {
    /// A session in which nothing is prepared.
    pub(super) fn new(client: Client) -> Self {
        Self { client, prepared: Mutex::default() }
    }

    /// Runs a statement as a prepared one, and prepares it if it is not. Returns the number of affected rows.
    pub(super) async fn execute_prepared(
        &self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<u64, Error> {
        let known = self.prepared.lock().get(sql).cloned();
        let statement = match known {
            Some(statement) if statement.params().iter().eq(parameters.iter().map(|(_, ty)| ty)) => statement,
            _ => {
                let types: Vec<Type> = parameters.iter().map(|(_, ty)| ty.clone()).collect();
                let statement = self.client.prepare_typed(sql, &types).await?;
                self.prepared.lock().insert(sql.to_owned(), statement.clone());
                statement
            }
        };
        let values: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|(value, _)| *value).collect();
        self.client.execute(&statement, &values).await
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// Whether a prepared statement was not run because the connection is not one session of the server.
pub(super) fn is_not_a_session(error: &Error) -> bool {
    let codes = [SqlState::INVALID_SQL_STATEMENT_NAME, SqlState::DUPLICATE_PSTATEMENT];
    error.code().is_some_and(|code| codes.contains(code))
}
