//! Databases that cannot be used: each error states the cause and the remedy.

use std::os::unix::fs::PermissionsExt;

use mysql_async::prelude::Queryable;
use store::sql::{DatabaseOpenError, MySql, Postgres, PostgresOptions, SqlOptions, SqlStore, Sqlite};
use tokio::net::TcpListener;

use crate::place::{MySqlPlace, Place, PostgresPlace, SqlitePlace, mysql_connection, postgres_client, server_url};
use crate::servers::{self, PASSWORD, USER};

async fn open_postgres(url: &str) -> DatabaseOpenError {
    let opened = async {
        let engine = Postgres::open(&server_url(url), PostgresOptions::default()).await?;
        SqlStore::open(engine, SqlOptions::default()).await
    };
    let error = opened.await.err().unwrap_or_else(|| panic!("{url} was opened"));
    assert!(!format!("{error} {error:?}").contains(PASSWORD), "{error:?}");
    error
}

async fn open_mysql(url: &str) -> DatabaseOpenError {
    let opened = async {
        let engine = MySql::open(&server_url(url), 4).await?;
        SqlStore::open(engine, SqlOptions::default()).await
    };
    let error = opened.await.err().unwrap_or_else(|| panic!("{url} was opened"));
    assert!(!format!("{error} {error:?}").contains(PASSWORD), "{error:?}");
    error
}

#[tokio::test]
async fn postgres_says_why_it_was_not_opened() {
    let (place, port) = (PostgresPlace::new().await, servers::postgres().port);
    let name = &place.name;
    let error = open_postgres(&format!("postgres://{USER}:{PASSWORD}x@127.0.0.1:{port}/{name}")).await;
    assert!(matches!(error, DatabaseOpenError::Login { .. }), "{error:?}");
    let error = open_postgres(&format!("postgres://{USER}@127.0.0.1:{port}/{name}")).await;
    assert!(matches!(error, DatabaseOpenError::Login { .. }), "{error:?}");
    let error = open_postgres(&format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{port}/missing")).await;
    assert!(matches!(&error, DatabaseOpenError::NoSuchDatabase { name, .. } if name == "missing"), "{error:?}");
    let error = open_postgres(&format!("postgres://{USER}:{PASSWORD}@127.0.0.1:1/{name}")).await;
    assert!(error.is_temporary(), "{error:?}");
    let error = open_postgres(&format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{port}/{name}?sslmode=require")).await;
    assert!(matches!(error, DatabaseOpenError::Tls { .. }), "{error:?}");
    let url = format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{port}/{name}?sslmode=require&sslrootcert=/none");
    assert!(open_postgres(&url).await.to_string().contains("`/none`"));
    // A server that accepts connections and sends nothing.
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.expect("binds");
    let silent = silent.local_addr().expect("bound").port();
    let error =
        open_postgres(&format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{silent}/{name}?connect_timeout=1")).await;
    assert!(error.is_temporary(), "{error:?}");
}

#[tokio::test]
async fn postgres_refuses_unsafe_settings_and_missing_rights() {
    let (place, port) = (PostgresPlace::new().await, servers::postgres().port);
    let name = &place.name;
    let client = postgres_client(name).await;
    client.batch_execute(&format!("CREATE USER weak_{name} PASSWORD '{PASSWORD}'")).await.expect("creates");
    let weak = format!("postgres://weak_{name}:{PASSWORD}@127.0.0.1:{port}/{name}");
    let error = open_postgres(&weak).await;
    assert!(matches!(&error, DatabaseOpenError::NoPrivilege { user, .. } if user.starts_with("weak")), "{error:?}");
    // Without the right to create tables, a node can use existing ones.
    place.open().await;
    client
        .batch_execute(&format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO weak_{name}"))
        .await
        .expect("grants");
    let engine = Postgres::open(&server_url(&weak), PostgresOptions::default()).await.expect("connects");
    SqlStore::open(engine, SqlOptions::default()).await.expect("opens").probe().await.expect("writes");
    client.batch_execute(&format!("ALTER DATABASE {name} SET synchronous_commit = off")).await.expect("set");
    let error = open_postgres(&weak).await;
    assert!(
        matches!(&error, DatabaseOpenError::UnsafeSetting { setting, .. } if setting == "synchronous_commit = off"),
        "{error:?}"
    );
    assert!(error.to_string().contains("Set synchronous_commit = on"), "{error}");
}

#[tokio::test]
async fn postgres_skips_servers_that_are_read_only() {
    let (place, port) = (PostgresPlace::new().await, servers::postgres().port);
    let client = postgres_client(&place.name).await;
    let read_only = PostgresPlace::new().await;
    let alter = format!("ALTER DATABASE {} SET default_transaction_read_only = on", read_only.name);
    client.batch_execute(&alter).await.expect("set");
    let error = open_postgres(&format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{port}/{}", read_only.name)).await;
    assert!(error.is_temporary(), "a failover may be under way: {error:?}");
    let url = format!("postgres://{USER}:{PASSWORD}@127.0.0.1:1,127.0.0.1:{port}/{}", place.name);
    let engine = Postgres::open(&server_url(&url), PostgresOptions::default()).await.expect("the second host");
    SqlStore::open(engine, SqlOptions::default()).await.expect("opens").probe().await.expect("writes");
}

#[tokio::test]
async fn mariadb_says_why_it_was_not_opened() {
    let (place, port) = (MySqlPlace::new().await, servers::mariadb().port);
    let name = &place.name;
    mysql_connection(None).await;
    let error = open_mysql(&format!("mysql://{USER}:{PASSWORD}x@127.0.0.1:{port}/{name}")).await;
    assert!(matches!(error, DatabaseOpenError::Login { .. }), "{error:?}");
    let error = open_mysql(&format!("mysql://{USER}:{PASSWORD}@127.0.0.1:{port}/missing")).await;
    assert!(matches!(&error, DatabaseOpenError::NoSuchDatabase { name, .. } if name == "missing"), "{error:?}");
    let error = open_mysql(&format!("mysql://{USER}:{PASSWORD}@127.0.0.1:1/{name}")).await;
    assert!(error.is_temporary(), "{error:?}");
    let error = open_mysql(&format!("mysql://{USER}:{PASSWORD}@127.0.0.1:{port}/{name}?sslmode=require")).await;
    assert!(matches!(error, DatabaseOpenError::Tls { .. }), "{error:?}");
    let mut connection = mysql_connection(None).await;
    for sql in [
        format!("CREATE USER weak_{name} IDENTIFIED BY '{PASSWORD}'"),
        format!("GRANT SELECT ON {name}.* TO weak_{name}"),
    ] {
        connection.query_drop(sql).await.expect("runs");
    }
    let error = open_mysql(&format!("mysql://weak_{name}:{PASSWORD}@127.0.0.1:{port}/{name}")).await;
    assert!(matches!(error, DatabaseOpenError::NoPrivilege { .. }), "{error:?}");
    let via_socket =
        format!("mysql://{USER}:{PASSWORD}@localhost/{name}?socket={}", servers::mariadb().socket.display());
    let engine = MySql::open(&server_url(&via_socket), 4).await.expect("connects");
    SqlStore::open(engine, SqlOptions::default()).await.expect("opens");
}

#[tokio::test]
async fn certificates_are_verified() {
    let (place, server) = (PostgresPlace::new().await, servers::postgres());
    let url = |host: &str, database: &str, server: &servers::Server| {
        let (port, certificate) = (server.port, server.certificate.display());
        format!("{USER}:{PASSWORD}@{host}:{port}/{database}?sslmode=verify-full&sslrootcert={certificate}")
    };
    let trusted = format!("postgres://{}&channel_binding=require", url("127.0.0.1", &place.name, server));
    let engine = Postgres::open(&server_url(&trusted), PostgresOptions::default()).await.expect("connects");
    let store = SqlStore::open(engine, SqlOptions::default()).await.expect("opens");
    store.probe().await.expect("writes");
    let is_encrypted = "SELECT COUNT(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND datname = $1";
    let client = postgres_client("postgres").await;
    let encrypted: i64 = client.query_one(is_encrypted, &[&place.name]).await.expect("reads").get(0);
    assert!(encrypted > 0);
    drop(store);
    let error = open_postgres(&format!("postgres://{}", url("localhost", &place.name, server))).await;
    assert!(matches!(error, DatabaseOpenError::Tls { .. }), "another name: {error:?}");

    let (place, server) = (MySqlPlace::new().await, servers::mariadb());
    let trusted = format!("mysql://{}", url("127.0.0.1", &place.name, server));
    let engine = MySql::open(&server_url(&trusted), 2).await.expect("connects");
    SqlStore::open(engine, SqlOptions::default()).await.expect("opens").probe().await.expect("writes");
    let error = open_mysql(&format!("mysql://{}", url("localhost", &place.name, server))).await;
    assert!(matches!(error, DatabaseOpenError::Tls { .. }), "another name: {error:?}");
}

#[tokio::test]
async fn postgres_opens_over_a_unix_socket() {
    let place = PostgresPlace::new().await;
    let server = servers::postgres();
    let socket = server.socket.display();
    let url = format!("postgres://{USER}:{PASSWORD}@/{}?host={socket}&port={}", place.name, server.port);
    let url = server_url(&url);
    let engine = Postgres::open(&url, PostgresOptions::default()).await.expect("connects");
    SqlStore::open(engine, SqlOptions::default()).await.expect("opens");
}

#[tokio::test]
async fn sqlite_says_why_it_was_not_opened() {
    let place = SqlitePlace::new().await;
    let open = async |path: &std::path::Path| match Sqlite::open(path).await {
        Ok(engine) => SqlStore::open(engine, SqlOptions::default()).await.err().expect("refused"),
        Err(error) => error,
    };
    let text = place.folder.path().join("text");
    std::fs::write(&text, "not a database, and longer than a header of SQLite needs to be. ".repeat(20))
        .expect("written");
    let error = open(&text).await;
    assert!(matches!(&error, DatabaseOpenError::File { path, .. } if *path == text), "{error:?}");
    let missing = place.folder.path().join("missing/plan.db");
    let error = open(&missing).await;
    assert!(error.to_string().contains("missing/plan.db"), "{error}");
    let error = open(place.folder.path()).await;
    assert!(matches!(error, DatabaseOpenError::File { .. }), "{error:?}");
    place.open().await;
    let mode = std::fs::metadata(place.path()).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "other users cannot read it");
}
