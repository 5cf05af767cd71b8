//! Clients of all kinds that connect, act, and leave: with a close frame, without one, or closed by the server.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use hyper::Method;
use parking_lot::Mutex;
use primitives::DocumentId;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};
use tokio_util::task::LocalPoolHandle;

use crate::Fallible;
use crate::client::newcomer::Newcomer;
use crate::client::{Http, Socket};
use crate::kind::Address;

/// Interval between two visits.
const EVERY: Duration = Duration::from_millis(100);
/// Longest duration of a visit.
const STAY: Duration = Duration::from_secs(15);
/// Longest time until a visitor is served.
const PATIENCE: Duration = Duration::from_secs(30);
/// Documents created by visitors, which other visitors may open.
const REMEMBERED: usize = 50;

#[derive(Default)]
struct Notes {
    visits: AtomicU64,
    documents: AtomicU64,
    failure: Mutex<Option<String>>,
}

/// Visits continue until this is dropped.
pub struct Churn {
    notes: Arc<Notes>,
    _thread: LocalPoolHandle,
}

/// State shared by all visitors.
struct Town {
    server: Address,
    looked_at: Vec<DocumentId>,
    made: RefCell<Vec<DocumentId>>,
    notes: Arc<Notes>,
}

impl Churn {
    pub fn begin(server: &Address, looked_at: Vec<DocumentId>) -> Self {
        let notes = Arc::new(Notes::default());
        let thread = LocalPoolHandle::new(1);
        let (server, told) = (server.clone(), Arc::clone(&notes));
        thread.spawn_pinned(move || async move {
            let town = Rc::new(Town { server, looked_at, made: RefCell::default(), notes: told });
            let (mut visitors, mut coming) = (JoinSet::new(), interval(EVERY));
            for number in 0_usize.. {
                coming.tick().await;
                visitors.spawn_local(Rc::clone(&town).visit(number));
                while visitors.try_join_next().is_some() {}
            }
        });
        Self { notes, _thread: thread }
    }

    /// Number of visits.
    pub fn visits(&self) -> u64 {
        self.notes.visits.load(Relaxed)
    }

    /// Number of created documents.
    pub fn documents(&self) -> u64 {
        self.notes.documents.load(Relaxed)
    }

    /// The first failure.
    pub fn failure(&self) -> Option<String> {
        self.notes.failure.lock().clone()
    }
}

impl Town {
    async fn visit(self: Rc<Self>, number: usize) {
        let visit = async {
            match number % 10 {
                0..4 => self.looks(number, &self.looked_at).await,
                4..6 => {
                    let made = self.made.borrow().clone();
                    self.looks(number, &made).await
                }
                6..8 => self.makes().await,
                8 => self.talks().await,
                _ => self.babbles().await,
            }
        };
        let result = timeout(PATIENCE + STAY, visit).await.unwrap_or_else(|_| Err("not served in time".into()));
        self.notes.visits.fetch_add(1, Relaxed);
        if let Err(error) = result {
            let mut failure = self.notes.failure.lock();
            failure.get_or_insert_with(|| format!("visitor {number}: {error}"));
        }
    }

    /// Requests some documents, stays a while, and drops the connection.
    async fn looks(&self, number: usize, documents: &[DocumentId]) -> Fallible<()> {
        let mut newcomer = Newcomer::connect(&self.server, number % 10_000).await?;
        for _ in 0..3.min(documents.len()) {
            newcomer.fetch_any(&documents[rand::random_range(0..documents.len())]).await?;
        }
        sleep(STAY.mul_f64(rand::random())).await;
        Ok(())
    }

    /// Creates a document, fills it, and deletes a part.
    async fn makes(&self) -> Fallible<()> {
        let mut http = Http::connect(self.server.socket).await?;
        let made = http.send_json(Method::POST, "/api/documents", &json!({ "name": "A short life" })).await?;
        let made: serde_json::Value = serde_json::from_slice(&made.body)?;
        let id: DocumentId = made["id"].as_str().ok_or("a document without an id")?.parse()?;
        self.notes.documents.fetch_add(1, Relaxed);
        let positions = format!("/api/documents/{id}/positions");
        for row in 0..5 {
            let position = json!({ "id": row.to_string(), "designation": "Designer", "department": "Product",
                "budget": row, "location": "Pune" });
            http.send_json(Method::POST, &positions, &position).await?;
        }
        http.send_json(Method::DELETE, &format!("{positions}/3"), &json!(null)).await?;
        http.get(&format!("/api/documents/{id}/export.csv"), None).await?;
        let mut others = self.made.borrow_mut();
        if others.len() >= REMEMBERED {
            others.remove(0);
        }
        others.push(id);
        Ok(())
    }

    /// A legacy client: logs in, receives messages, and leaves.
    async fn talks(&self) -> Fallible<()> {
        let mut socket = Socket::connect([127, 0, 0, 1].into(), self.server.socket, "/").await?;
        // A frame of the old page: JSON within a JSON string.
        socket.outbox.text(&json!(json!(["login", "CFO"]).to_string()).to_string());
        while socket.inbox.next(&mut socket.outbox)?.is_none() {
            socket.turn().await?;
        }
        sleep(STAY.mul_f64(rand::random())).await;
        Ok(())
    }

    /// Sends an invalid message, and is closed.
    async fn babbles(&self) -> Fallible<()> {
        let mut socket = Socket::connect([127, 0, 0, 1].into(), self.server.socket, self.server.path).await?;
        socket.outbox.binary(&[&rand::random::<[u8; 32]>()]);
        loop {
            if socket.turn().await.is_err() || socket.inbox.next(&mut socket.outbox).is_err() {
                return Ok(());
            }
        }
    }
}
