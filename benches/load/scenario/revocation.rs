//! A key is retired and an account disabled during edits: measures how soon the affected connections are closed, and
//! whether others are disturbed.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::task::LocalPoolHandle;

use super::stage::{Cast, Stage};
use crate::Fallible;
use crate::client::answers::Answers;
use crate::client::ledger::Ledger;
use crate::client::{Hello, Http, Language, Order, Socket, Viewer};
use crate::figures::Figures;
use crate::kind::{Address, Kind};
use crate::measure::Board;
use crate::plan::Plan;
use crate::run::{Run, Subject};
use crate::server::{Server, Workplace};

/// Number of unaffected clients.
const OTHERS: u32 = 100;
/// Number of clients affected by each of the two: half of them sync, half are legacy sockets.
const CONCERNED: usize = 50;
const RATE: u32 = 20;
const SECONDS: u32 = 4;
/// Time after the first edit of the second phase.
const RETIRED_AFTER: Duration = Duration::from_secs(1);
const PASSWORD: &str = "a password for an hour";

/// Phases of the board.
const BEFORE: usize = 1;
const DURING: usize = 2;

pub fn run(run: &mut Run) -> Fallible<()> {
    let plan = run.small()?;
    let case = "150 viewers and 50 legacy sockets, 20 edits/s; the key of 50 is retired, the account of 50 is disabled";
    let subject = Subject { scenario: "revocation", case, viewers: Some(OTHERS) };
    // Only our server has users.
    run.measure(subject, &Kind::OURS, async |_, place| measure(&plan, place).await);
    Ok(())
}

async fn measure(plan: &Plan, place: &Workplace) -> Fallible<Figures> {
    let cast = Cast { plans: std::slice::from_ref(plan), writers: 1, viewers: OTHERS, sleepers: None };
    let mut stage = Stage::set(Kind::WithUsers, &cast, place).await?;
    let server = &stage.server;
    let patience = server.address.kind.patience();

    let key = server.run(&["key", "new"], "")?;
    let guest = server.run(&["token", "--user", "guest", "--role", "editor", "--documents", "*"], "")?;
    // A new key signs all other tokens, so that no other client is affected.
    server.run(&["key", "new"], "")?;
    server.run(&["user", "add", "intern", "--role", "editor", "--documents", "*"], PASSWORD)?;
    let intern = timeout(patience, login(server)).await.map_err(|_| "the login fails")??;
    timeout(patience, until_known(server, &guest)).await.map_err(|_| "the new key is not known")?;
    let thread = LocalPoolHandle::new(1);
    let guests = Concerned::gather(&thread, &server.address, plan, "guest", &guest).await?;
    let interns = Concerned::gather(&thread, &server.address, plan, "intern", &intern).await?;

    let mut figures = Figures::new();
    stage.board.set_phase(BEFORE);
    edit(&stage).await?;
    stage.board.set_phase(DURING);
    let revoke = async {
        tokio::time::sleep(RETIRED_AFTER).await;
        for (concerned, command, name) in [
            (guests, ["key", "retire", &key], "retired_key_all_closed_ms"),
            (interns, ["user", "disable", "intern"], "disabled_user_all_closed_ms"),
        ] {
            let begun = Instant::now();
            stage.server.run(&command, "")?;
            let last = timeout(patience, concerned.until_all_closed()).await.map_err(|_| "some stayed")??;
            figures.insert(name.to_owned(), (last - begun).as_secs_f64() * 1e3);
        }
        Fallible::Ok(())
    };
    let (edited, revoked) = tokio::join!(edit(&stage), revoke);
    edited.and(revoked).map_err(|error| stage.explain(&error))?;
    for (phase, name) in [(BEFORE, "p99_before_ms"), (DURING, "p99_during_ms")] {
        figures.insert(name.to_owned(), stage.board.latencies(phase).percentile_ms(0.99));
    }
    let agreed = stage.agrees().await;
    figures.insert("converged".to_owned(), f64::from(u8::from(agreed)));
    Ok(figures)
}

/// Edits at a steady rate until all edits have arrived. Fails if an unaffected client fails.
async fn edit(stage: &Stage) -> Fallible<()> {
    let every = Duration::from_secs(1) / RATE;
    let order = Order::Paced { first: Instant::now() + every, every, edits: RATE * SECONDS };
    let (_, delivered) = stage.carry_out(|_| order.clone(), every * RATE * SECONDS).await;
    match stage.board.failure() {
        None if delivered => Ok(()),
        failure => Err(failure.unwrap_or_else(|| "not all edits arrived".to_owned()).into()),
    }
}

/// Logs in once the server knows the account.
async fn login(server: &Server) -> Fallible<String> {
    loop {
        let mut http = Http::connect(server.address.socket).await?;
        let body = json!({ "email": "intern", "password": PASSWORD });
        if let Ok(answer) = http.send_json(Method::POST, "/accounts/api/login/", &body).await {
            let answer: Value = serde_json::from_slice(&answer.body)?;
            return Ok(answer["token"].as_str().ok_or("a login without a token")?.to_owned());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn until_known(server: &Server, token: &str) {
    let path = format!("/api/documents?token={token}");
    loop {
        if let Ok(mut http) = Http::connect(server.address.socket).await
            && let Ok(answer) = http.get(&path, None).await
            && answer.status == 200
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Connections that the server will close.
struct Concerned {
    closed: mpsc::UnboundedReceiver<Fallible<Instant>>,
}

impl Concerned {
    /// Connects them all, and waits until each has joined.
    async fn gather(
        thread: &LocalPoolHandle,
        server: &Address,
        plan: &Plan,
        user: &'static str,
        token: &str,
    ) -> Fallible<Self> {
        let (say, closed) = mpsc::unbounded_channel();
        let (board, ledger) = (Arc::new(Board::default()), Arc::new(Ledger::new(1)));
        let sync = Language::Repo { document: plan.id.clone(), hello: Hello::Nothing };
        let ways: [(Language, &str); 2] = [
            (sync, format!("/sync?token={token}").leak()),
            (Language::Legacy, format!("/ws/dashboard/?token={token}").leak()),
        ];
        let (server, notes) = (server.clone(), Arc::clone(&board));
        thread.spawn_pinned(move || async move {
            let answers = Rc::new(RefCell::new(Answers::new(ledger)));
            let mut all = JoinSet::new();
            for number in 0..CONCERNED {
                let (language, path) = ways[number % ways.len()].clone();
                let address = Address { path, ..server.clone() };
                let (answers, board, say) = (Rc::clone(&answers), Arc::clone(&notes), say.clone());
                all.spawn_local(async move {
                    let name = format!("{user}-{number}");
                    let joined = join(&address, &name, &language, answers, board).await;
                    let _ = say.send(match joined {
                        Ok(mut viewer) => viewer.until_closed().await,
                        Err(error) => Err(error),
                    });
                });
            }
            all.join_all().await;
        });
        if !board.until_ready(CONCERNED as u64, Kind::WithUsers.patience()).await {
            return Err(format!("{} of {CONCERNED} joined", board.ready()).into());
        }
        Ok(Self { closed })
    }

    /// When the last connection was closed.
    async fn until_all_closed(mut self) -> Fallible<Instant> {
        let mut last = Instant::now();
        while let Some(closed) = self.closed.recv().await {
            last = closed?;
        }
        Ok(last)
    }
}

async fn join(
    server: &Address,
    name: &str,
    language: &Language,
    answers: Rc<RefCell<Answers>>,
    board: Arc<Board>,
) -> Fallible<Viewer> {
    let socket = Socket::connect([127, 0, 0, 2].into(), server.socket, server.path).await?;
    Viewer::join(socket, name, language, answers, board, false).await
}
