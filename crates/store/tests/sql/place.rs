//! A database for one test, in each of the engines.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use store::sql::{
    DatabaseOpenError, DatabaseUrl, Engine, MySql, Postgres, PostgresOptions, ServerUrl, SqlOptions, SqlStore, Sqlite,
};
use tempfile::TempDir;

use crate::servers::{self, PASSWORD, USER};

/// An empty database.
pub trait Place: Sized + Send + Sync {
    type Engine: Engine;

    async fn new() -> Self;

    /// Another node that uses the database.
    async fn open(&self) -> SqlStore<Self::Engine> {
        self.try_open().await.expect("opens")
    }

    async fn try_open(&self) -> Result<SqlStore<Self::Engine>, DatabaseOpenError> {
        self.try_open_with(options()).await
    }

    async fn try_open_with(&self, options: SqlOptions) -> Result<SqlStore<Self::Engine>, DatabaseOpenError>;

    /// Changes rows without the store.
    async fn sql(&self, sql: &str);
}

pub fn options() -> SqlOptions {
    SqlOptions { patience: Duration::from_secs(20), ..SqlOptions::default() }
}

fn fresh_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("plan_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub fn server_url(url: &str) -> ServerUrl {
    match url.parse().expect("valid") {
        DatabaseUrl::Postgres(url) | DatabaseUrl::MySql(url) => url,
        DatabaseUrl::Sqlite(_) => panic!("a file"),
    }
}

pub struct PostgresPlace {
    pub name: String,
}

impl PostgresPlace {
    pub fn url(&self) -> ServerUrl {
        self.url_at(servers::postgres().port)
    }

    pub fn url_at(&self, port: u16) -> ServerUrl {
        server_url(&format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{port}/{}", self.name))
    }

    pub async fn open_at(&self, port: u16) -> SqlStore<Postgres> {
        let engine = Postgres::open(&self.url_at(port), PostgresOptions::default()).await.expect("connects");
        SqlStore::open(engine, options()).await.expect("opens")
    }
}

/// A plain connection as the superuser.
pub async fn postgres_client(database: &str) -> tokio_postgres::Client {
    postgres_client_at(database, servers::postgres().port).await
}

/// A connection through the server, or the pooler, at this port.
pub async fn postgres_client_at(database: &str, port: u16) -> tokio_postgres::Client {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user(USER).password(PASSWORD).dbname(database);
    // The server accepts connections some moments before it is ready.
    for _ in 0..100 {
        if let Ok((client, connection)) = config.connect(tokio_postgres::NoTls).await {
            tokio::spawn(connection);
            return client;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no connection to PostgreSQL");
}

impl Place for PostgresPlace {
    type Engine = Postgres;

    async fn new() -> Self {
        let name = fresh_name();
        let client = postgres_client("postgres").await;
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("creates");
        Self { name }
    }

    async fn try_open_with(&self, options: SqlOptions) -> Result<SqlStore<Postgres>, DatabaseOpenError> {
        SqlStore::open(Postgres::open(&self.url(), PostgresOptions::default()).await?, options).await
    }

    async fn sql(&self, sql: &str) {
        postgres_client(&self.name).await.batch_execute(sql).await.expect("runs");
    }
}

pub struct MySqlPlace {
    pub name: String,
}

impl MySqlPlace {
    pub fn url(&self) -> ServerUrl {
        self.url_at(servers::mariadb().port)
    }

    pub fn url_at(&self, port: u16) -> ServerUrl {
        server_url(&format!("mysql://{USER}:{PASSWORD}@127.0.0.1:{port}/{}", self.name))
    }

    pub async fn open_at(&self, port: u16) -> SqlStore<MySql> {
        let engine = MySql::open(&self.url_at(port), 16).await.expect("connects");
        SqlStore::open(engine, options()).await.expect("opens")
    }
}

pub async fn mysql_connection(database: Option<&str>) -> mysql_async::Conn {
    let options = mysql_async::OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(servers::mariadb().port)
        .user(Some(USER))
        .pass(Some(PASSWORD))
        .prefer_socket(false)
        .db_name(database);
    for _ in 0..100 {
        if let Ok(connection) = mysql_async::Conn::new(options.clone()).await {
            return connection;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no connection to MariaDB");
}

impl Place for MySqlPlace {
    type Engine = MySql;

    async fn new() -> Self {
        let name = fresh_name();
        mysql_connection(None).await.query_drop(format!("CREATE DATABASE {name}")).await.expect("creates");
        Self { name }
    }

    async fn try_open_with(&self, options: SqlOptions) -> Result<SqlStore<MySql>, DatabaseOpenError> {
        SqlStore::open(MySql::open(&self.url(), 16).await?, options).await
    }

    async fn sql(&self, sql: &str) {
        mysql_connection(Some(&self.name)).await.query_drop(sql).await.expect("runs");
    }
}

pub struct SqlitePlace {
    pub folder: TempDir,
}

impl SqlitePlace {
    pub fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("plan.db")
    }
}

impl Place for SqlitePlace {
    type Engine = Sqlite;

    async fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("made") }
    }

    async fn try_open_with(&self, options: SqlOptions) -> Result<SqlStore<Sqlite>, DatabaseOpenError> {
        SqlStore::open(Sqlite::open(&self.path()).await?, options).await
    }

    async fn sql(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.path()).expect("opens");
        connection.busy_timeout(Duration::from_secs(5)).expect("set");
        connection.execute_batch(sql).expect("runs");
    }
}
