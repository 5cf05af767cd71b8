//! An honest user with a browser and a laptop who edits over HTTP, exports, logs in, creates plans, and reconnects
//! with the same peer id. Counts refused requests.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use primitives::DocumentId;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::Fallible;
use crate::client::envelope::Envelope;
use crate::client::{Http, Socket};
use crate::kind::Address;
use crate::measure::Latencies;

/// Peer id of the visitor's reconnects.
pub const PEER_ID: &str = "laptop-of-the-ceo";
/// Account of the visitor.
pub const ACCOUNT: &str = "ceo@example.com";
pub const PASSWORD: &str = "a password for an hour";

/// Interval between two edits. Each other action follows a fixed number of edits.
const EVERY: Duration = Duration::from_millis(200);
const EXPORT: u32 = 5;
const RECONNECT: u32 = 5;
const LOG_IN: u32 = 20;
const MAKE: u32 = 20;
/// Requests that take longer count as refused.
const PATIENCE: Duration = Duration::from_secs(10);

/// The visitor.
#[derive(Clone)]
pub struct Visitor {
    server: Address,
    token: String,
    /// The visitor's own plan, which it edits.
    plan: String,
    edits: u32,
}

/// Results of visits.
#[derive(Default)]
pub struct Visits {
    pub done: u32,
    pub refused: u32,
    /// Latencies of edits over HTTP.
    pub latencies: Latencies,
    /// The first refusal of each kind.
    pub refusals: BTreeMap<&'static str, String>,
}

impl Visitor {
    /// First visit: creates a plan.
    pub async fn come(server: &Address, token: &str) -> Fallible<Self> {
        let mut visitor = Self { server: server.clone(), token: token.to_owned(), plan: String::new(), edits: 0 };
        visitor.plan = visitor.make_plan().await?;
        Ok(visitor)
    }

    /// Visits for this duration.
    pub async fn visit(&mut self, time: Duration) -> Visits {
        let mut visits = Visits::default();
        let begun = Instant::now();
        let mut turn = 0;
        while begun.elapsed() < time {
            let edit = Instant::now();
            let plan = self.plan.clone();
            let edited = self.edit(&plan).await;
            visits.latencies.0.push(u32::try_from(edit.elapsed().as_micros()).unwrap_or(u32::MAX));
            visits.note("an edit", edited);
            if turn % EXPORT == 1 {
                let path = format!("/api/documents/{}/export.csv", self.plan);
                visits.note("an export", self.ask(Method::GET, &path, None).await.map(drop));
            }
            if turn % RECONNECT == 2 {
                visits.note("a connection", self.reconnect().await);
            }
            if turn % LOG_IN == 3 {
                visits.note("a login", self.log_in().await);
            }
            if turn % MAKE == 4 {
                visits.note("a new plan", self.make_plan().await.map(drop));
            }
            turn += 1;
            tokio::time::sleep(EVERY.saturating_sub(edit.elapsed())).await;
        }
        visits
    }

    /// Changes the budget of a plan.
    pub async fn edit(&mut self, plan: &str) -> Fallible<()> {
        self.edits += 1;
        let body = json!({ "totalBudget": 1_000 + self.edits });
        self.ask(Method::PATCH, &format!("/api/documents/{plan}"), Some(&body)).await.map(drop)
    }

    /// Requests the list of documents.
    pub async fn list(&self) -> Fallible<()> {
        self.ask(Method::GET, "/api/documents", None).await.map(drop)
    }

    /// Logs in.
    pub async fn log_in(&self) -> Fallible<()> {
        let body = json!({ "email": ACCOUNT, "password": PASSWORD });
        self.ask(Method::POST, "/accounts/api/login/", Some(&body)).await.map(drop)
    }

    async fn make_plan(&self) -> Fallible<String> {
        let answer = self.ask(Method::POST, "/api/documents", Some(&json!({ "name": "Growth 2028" }))).await?;
        Ok(answer["id"].as_str().ok_or("a document without an id")?.to_owned())
    }

    /// Joins with its peer id, and leaves.
    async fn reconnect(&self) -> Fallible<()> {
        let join = async {
            let mut socket = Socket::connect(Ipv4Addr::LOCALHOST, self.server.socket, self.server.path).await?;
            // The document of the envelope is irrelevant for joining.
            Envelope::join(&mut socket, PEER_ID, &DocumentId::from_random([0; 16])).await.map(drop)
        };
        timeout(PATIENCE, join).await?
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Fallible<Value> {
        let answer = async {
            let mut http = Http::connect(self.server.socket).await?;
            let mut request = http.request(method, path).header(AUTHORIZATION, format!("Bearer {}", self.token));
            if body.is_some() {
                request = request.header(CONTENT_TYPE, "application/json");
            }
            http.send(request.body(body.map(Value::to_string).unwrap_or_default().into())?).await
        };
        let answer = timeout(PATIENCE, answer).await??;
        if !(200..300).contains(&answer.status) {
            return Err(format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)).into());
        }
        Ok(serde_json::from_slice(&answer.body).unwrap_or_default())
    }
}

impl Visits {
    fn note(&mut self, what: &'static str, result: Fallible<()>) {
        match result {
            Ok(()) => self.done += 1,
            Err(error) => {
                self.refused += 1;
                self.refusals.entry(what).or_insert_with(|| error.to_string());
            }
        }
    }
}
