//! Presence, clicks, and the total budget.

use std::sync::Arc;

use happierwork::server::Limits;
use runtime::hub::Requester;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::support::{Socket, TestServer, wrapped};

/// Reads `Data processed`, which answers every readable frame.
pub async fn processed(socket: &mut Socket) {
    assert_eq!(socket.json().await, json!({"status": "Data processed"}));
}

fn presence(names: &[&str]) -> Value {
    let users: serde_json::Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), json!({"status": "online"}))).collect();
    json!({"type": "login_update", "login_update": true, "logged_in_users": users})
}

fn tracking(element: &str) -> Value {
    json!({"status": "tracking successfully", "elementID": element, "loginData": null})
}

async fn track(socket: &mut Socket, element: &str) {
    socket.send(wrapped(&json!(["tracking", element]))).await;
    processed(socket).await;
}

/// Logs in, and reads the frames that all clients get.
async fn login(socket: &mut Socket, name: &str) {
    socket.send(wrapped(&json!(["login", name]))).await;
    processed(socket).await;
    assert_eq!(socket.json().await["type"], "login_update");
    assert_eq!(socket.json().await["loginData"], name.trim());
}

/// The names in the next `login_update`, which the trailer of a login may precede.
async fn names(socket: &mut Socket) -> Vec<String> {
    loop {
        let frame = socket.json().await;
        if frame["type"] == "login_update" {
            assert_eq!(frame["login_update"], true, "the key that the client looks for (P-4)");
            return frame["logged_in_users"].as_object().expect("names").keys().cloned().collect();
        }
        assert!(frame.get("loginData").is_some(), "{frame}");
    }
}

#[tokio::test]
async fn new_client_gets_presence_without_being_announced() {
    let server = TestServer::start().await;
    let mut jane = server.legacy().await;
    login(&mut jane, "jane doe").await;
    let mut newcomer = server.connect("/ws/dashboard/").await;
    assert_eq!(newcomer.json().await, presence(&["jane doe"]));
    track(&mut newcomer, "searchInput").await;
    assert_eq!(jane.json().await, tracking("searchInput"), "her first frame");
}

#[tokio::test]
async fn presence_broadcasts_are_rate_limited() {
    let folder = Arc::new(TempDir::new().unwrap());
    let limits = Limits { ephemerals_per_second: 1, ..Limits::default() };
    let server = TestServer::start_in(folder, |options| options.limits = limits).await;
    let mut observer = server.legacy().await;
    let mut jane = server.legacy().await;
    for element in 0..20 {
        jane.send(wrapped(&json!(["tracking", format!("button{element}")]))).await;
    }
    jane.send(wrapped(&json!(["add", "UI", "IT", "1", "Pune"]))).await;
    let mut acknowledged = 0;
    while acknowledged < 21 {
        acknowledged += u32::from(jane.json().await == json!({"status": "Data processed"}));
    }
    let mut shown = 0;
    while observer.json().await.get("elementID").is_some() {
        shown += 1;
    }
    // Two at once, and one for each elapsed second.
    assert!((2..20).contains(&shown), "{shown}");
}

#[tokio::test]
async fn name_is_removed_when_its_socket_ends() {
    let server = TestServer::start().await;
    let mut observer = server.legacy().await;
    for way in ["close", "drop", "logout", "logout without a name"] {
        let mut jane = server.legacy().await;
        login(&mut jane, "  jane doe ").await;
        assert_eq!(names(&mut observer).await, ["jane doe"], "{way}");
        match way {
            "close" => jane.close().await,
            "drop" => jane.abort(),
            "logout" => jane.send(wrapped(&json!({"action": "logout", "userID": "jane"}))).await,
            _ => jane.send(wrapped(&json!({"action": "logout"}))).await,
        }
        assert!(names(&mut observer).await.is_empty(), "{way}");
    }
}

#[tokio::test]
async fn logout_keeps_the_socket_open() {
    let server = TestServer::start().await;
    let (mut jane, mut observer) = (server.legacy().await, server.legacy().await);
    let logout = || wrapped(&json!({"action": "logout"}));
    jane.send(logout()).await;
    processed(&mut jane).await;
    login(&mut jane, "jane").await;
    assert_eq!(names(&mut observer).await, ["jane"], "the first frame: a logout without a login sends none");
    jane.send(logout()).await;
    processed(&mut jane).await;
    assert_eq!(jane.json().await, presence(&[]));
    login(&mut jane, "jane").await;
}

#[tokio::test]
async fn two_tabs_of_one_person_are_one_name() {
    let server = TestServer::start().await;
    let mut observer = server.legacy().await;
    let mut one = server.legacy().await;
    login(&mut one, "jane").await;
    let mut two = server.legacy().await;
    login(&mut two, "jane").await;
    assert_eq!(names(&mut observer).await, ["jane"]);
    assert_eq!(names(&mut observer).await, ["jane"], "every login is sent");
    assert_eq!(observer.json().await["loginData"], "jane");
    one.close().await;
    let mut third = server.legacy().await;
    login(&mut third, "john").await;
    assert_eq!(names(&mut observer).await, ["jane", "john"], "the next frame: the end of the first tab sends none");
    two.close().await;
    assert_eq!(names(&mut observer).await, ["john"]);
}

#[tokio::test]
async fn last_login_of_a_socket_wins() {
    let server = TestServer::start().await;
    let mut jane = server.legacy().await;
    login(&mut jane, "jane").await;
    jane.send(wrapped(&json!(["login", "jane doe"]))).await;
    processed(&mut jane).await;
    assert_eq!(jane.json().await, presence(&["jane doe"]));
}

#[tokio::test]
async fn login_object_is_only_acknowledged() {
    let server = TestServer::start().await;
    let (mut jane, mut observer) = (server.legacy().await, server.legacy().await);
    jane.send(wrapped(&json!({"action": "login", "userID": "jane"}))).await;
    processed(&mut jane).await;
    track(&mut jane, "backBtn").await;
    for socket in [&mut jane, &mut observer] {
        assert_eq!(socket.json().await, tracking("backBtn"));
    }
}

#[tokio::test]
async fn total_budget_is_stored_and_sent_after_presence() {
    let server = TestServer::start().await;
    let (mut ceo, mut observer) = (server.legacy().await, server.legacy().await);
    // The same value once more counts as another click: it is sent to all, though nothing changes.
    for _ in 0..2 {
        ceo.send(wrapped(&json!(["tracking", "enterBudgetBtn", "31"]))).await;
        processed(&mut ceo).await;
        for socket in [&mut ceo, &mut observer] {
            assert_eq!(socket.json().await, tracking("enterBudgetBtn 31"));
        }
    }
    let mut newcomer = server.connect("/ws/dashboard/").await;
    assert_eq!(newcomer.json().await, presence(&[]));
    assert_eq!(newcomer.json().await, tracking("enterBudgetBtn 31"));

    let folder = server.folder.clone();
    drop((ceo, observer, newcomer));
    assert!(server.stop().await);
    let server = TestServer::start_in(folder, |_| {}).await;
    let plan = server.app.hub.plan(&Requester::server(), &server.document).await.unwrap().unwrap();
    assert_eq!(plan.total_budget, Some(3_100.0), "31 crore are 3100 lakh");
    let mut newcomer = server.connect("/ws/dashboard/").await;
    assert_eq!(newcomer.json().await, presence(&[]));
    assert_eq!(newcomer.json().await, tracking("enterBudgetBtn 31"));
}

#[tokio::test]
async fn accepted_totals_are_broadcast_in_crore() {
    let server = TestServer::start().await;
    let (mut ceo, mut observer) = (server.legacy().await, server.legacy().await);
    for (typed, crore) in
        [("₹ 1,200.5", "1200.5"), ("50 Cr", "50"), ("50", "50"), ("2500 lakh", "25"), ("0.29", "0.29"), ("1e2", "100")]
    {
        ceo.send(wrapped(&json!(["tracking", "enterBudgetBtn", typed]))).await;
        processed(&mut ceo).await;
        for socket in [&mut ceo, &mut observer] {
            assert_eq!(socket.json().await, tracking(&format!("enterBudgetBtn {crore}")), "{typed}");
        }
    }
}

#[tokio::test]
async fn rejected_total_returns_the_stored_total() {
    let server = TestServer::start().await;
    let (mut ceo, mut observer) = (server.legacy().await, server.legacy().await);
    // At first no total is stored: every client shows its default of 20 crore.
    for stored in ["20", "31"] {
        for frame in [
            json!(["tracking", "enterBudgetBtn"]),
            json!(["tracking", "enterBudgetBtn", "abc"]),
            json!(["tracking", "enterBudgetBtn", ""]),
            json!(["tracking", "enterBudgetBtn", null]),
            json!(["tracking", "enterBudgetBtn NaN"]),
            json!(["tracking", "enterBudgetBtn", "-5"]),
            json!(["tracking", "enterBudgetBtn", "USD 5"]),
        ] {
            ceo.send(wrapped(&frame)).await;
            let error = ceo.json().await;
            assert!(error["error"].as_str().is_some_and(|text| text.starts_with("Failed to add data: ")), "{error}");
            processed(&mut ceo).await;
            assert_eq!(ceo.json().await, tracking(&format!("enterBudgetBtn {stored}")), "{frame}");
        }
        track(&mut ceo, "editBudget").await;
        for socket in [&mut ceo, &mut observer] {
            assert_eq!(socket.json().await, tracking("editBudget"), "a refused total is not sent to others");
        }
        ceo.send(wrapped(&json!(["tracking", "enterBudgetBtn", "31"]))).await;
        processed(&mut ceo).await;
        for socket in [&mut ceo, &mut observer] {
            assert_eq!(socket.json().await, tracking("enterBudgetBtn 31"));
        }
    }
}
