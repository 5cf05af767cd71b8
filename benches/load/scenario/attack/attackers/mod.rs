//! One hostile user who knows the protocols and the source code, as a separate process that the load generator
//! starts.
//!
//! It reads a [`Brief`] from standard input, prepares, and prints `ready`. Each line `attack SECONDS` then starts a
//! round. At its end, it prints lines `NAME COUNT` with how many times each attack was started, and `done`.
//!
//! | module | attack |
//! |---|---|
//! | [`actors`] | changes of many actors, in one chain and interleaved |
//! | [`heads`] | many concurrent changes |
//! | [`inflating`] | a viewer's changes that inflate to a thousand times their size |
//! | [`slices`] | small messages in large frames, to documents and to sockets that do not read |
//! | [`waits`] | requests for documents that do not exist, and new documents |
//! | [`exports`] | expensive responses: exports, lists, static files |
//! | [`presence`] | legacy presence with the longest name |
//! | [`identities`] | the peer id of another user, and passwords from many addresses |
//! | [`uploads`] | messages and requests that never end |
//! | [`line`] | the connection that all of these use |

mod actors;
mod exports;
mod heads;
mod identities;
mod inflating;
mod line;
mod presence;
mod slices;
mod uploads;
mod waits;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::BufRead;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture};
use primitives::DocumentId;
use serde::{Deserialize, Serialize};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, timeout};

use crate::Fallible;

/// Interval between two actions of one connection.
const BREATH: Duration = Duration::from_millis(50);
/// Longest duration of the preparation.
const PREPARATION: Duration = Duration::from_secs(120);

/// Parameters of the attackers.
#[derive(Serialize, Deserialize)]
pub struct Brief {
    /// Port of the server on loopback.
    pub port: u16,
    /// Token that may read the watched and the edited document.
    pub viewer: String,
    /// Token that may edit the edited document, and create documents.
    pub editor: String,
    /// Another user's document that the hostile user may only read: the default document.
    pub watched: String,
    /// Another user's document that the hostile user may edit.
    pub edited: String,
    /// Peer id with which an honest client reconnects regularly.
    pub peer_id: String,
    /// Name of an honest user's account.
    pub account: String,
    /// Names of the attacks; empty for all.
    pub attacks: Vec<String>,
}

/// How an attacker connects.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// By WebSocket, with the viewer's token.
    Viewer,
    /// By WebSocket, with the editor's token.
    Editor,
    /// Over HTTP, with a token or without.
    Http,
}

type Act = fn(Rc<Gang>, usize) -> LocalBoxFuture<'static, Fallible<()>>;

/// A kind of attack.
pub struct Attack {
    /// Name of the attack and of its figure.
    pub name: &'static str,
    /// Number of concurrent connections.
    connections: usize,
    by: By,
    /// The repeated action of each connection. Returns an error if it was refused or closed.
    act: Act,
}

const fn attack(name: &'static str, connections: usize, by: By, act: Act) -> Attack {
    Attack { name, connections, by, act }
}

/// All attacks.
pub const ALL: &[Attack] = &[
    attack("actors", 3, By::Editor, |gang, number| actors::chain(gang, number).boxed_local()),
    attack("interleaved", 2, By::Editor, |gang, number| actors::interleave(gang, number).boxed_local()),
    attack("heads", 2, By::Editor, |gang, number| heads::diverge(gang, number).boxed_local()),
    attack("new_documents", 3, By::Editor, |gang, number| waits::bring(gang, number).boxed_local()),
    attack("posted_documents", 2, By::Http, |gang, number| waits::post(gang, number).boxed_local()),
    attack("waits", 4, By::Viewer, |gang, number| waits::ask(gang, number).boxed_local()),
    attack("slices", 8, By::Viewer, |gang, number| slices::pin(gang, number).boxed_local()),
    attack("ephemerals", 6, By::Viewer, |gang, number| slices::shout(gang, number).boxed_local()),
    attack("inflating", 10, By::Viewer, |gang, number| inflating::inflate(gang, number).boxed_local()),
    attack("presence", 6, By::Viewer, |gang, number| presence::flicker(gang, number).boxed_local()),
    attack("peer_ids", 2, By::Viewer, |gang, number| identities::squat(gang, number).boxed_local()),
    attack("passwords", 32, By::Http, |gang, number| identities::guess(gang, number).boxed_local()),
    attack("uploads", 4, By::Viewer, |gang, number| uploads::announce(gang, number).boxed_local()),
    attack("half_bodies", 16, By::Http, |gang, number| uploads::stop_halfway(gang, number).boxed_local()),
    attack("exports", 8, By::Http, |gang, number| exports::export(gang, number).boxed_local()),
    attack("static_files", 16, By::Http, |gang, number| exports::load_page(gang, number).boxed_local()),
    attack("lists", 2, By::Http, |gang, number| exports::list(gang, number).boxed_local()),
];

/// Number of connections of one kind with all attacks.
pub const fn connections(by: By) -> usize {
    let (mut sum, mut index) = (0, 0);
    while index < ALL.len() {
        if ALL[index].by as u8 == by as u8 {
            sum += ALL[index].connections;
        }
        index += 1;
    }
    sum
}

// The numbers in the scenario's title.
const _: () = assert!(connections(By::Viewer) == 40 && connections(By::Editor) == 10);

/// Operations of the largest message: the document with many rows.
pub const LARGEST_MESSAGE: u64 = exports::OPERATIONS;

/// State that all attackers share.
struct Gang {
    server: SocketAddr,
    /// Paths that contain the tokens.
    viewer_sync: String,
    editor_sync: String,
    legacy: String,
    viewer_token: String,
    editor_token: String,
    watched: DocumentId,
    edited: DocumentId,
    peer_id: String,
    account: String,
    attacks: Vec<&'static Attack>,
    arsenal: Arsenal,
    done: RefCell<BTreeMap<&'static str, u64>>,
    /// Counts actions that are limited in number per document, over all rounds.
    used: RefCell<BTreeMap<&'static str, usize>>,
}

/// Data that is expensive to create, created before the first round.
struct Arsenal {
    actors: Vec<u8>,
    interleaved: Vec<Vec<u8>>,
    heads: Vec<u8>,
    inflating: Vec<u8>,
    /// A document of the hostile user, with many rows.
    large: Option<DocumentId>,
}

/// Attacks on command of the load generator.
#[expect(clippy::print_stdout, reason = "the load generator reads this output")]
pub fn obey() -> Fallible<()> {
    let mut lines = std::io::stdin().lock().lines();
    let brief: Brief = serde_json::from_str(&lines.next().ok_or("no brief")??)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let gang = Rc::new(Gang::prepare(brief, &runtime)?);
    println!("ready");
    for line in lines {
        let line = line?;
        let seconds: u64 = line.strip_prefix("attack ").ok_or("not an order")?.parse()?;
        let all = Rc::clone(&gang);
        LocalSet::new().block_on(&runtime, async move {
            let _ = timeout(Duration::from_secs(seconds), all.act()).await;
        });
        for (name, count) in std::mem::take(&mut *gang.done.borrow_mut()) {
            println!("{name} {count}");
        }
        println!("done");
    }
    Ok(())
}

impl Gang {
    fn prepare(brief: Brief, runtime: &tokio::runtime::Runtime) -> Fallible<Self> {
        let wanted =
            |attack: &&Attack| brief.attacks.is_empty() || brief.attacks.iter().any(|name| name == attack.name);
        let attacks: Vec<&Attack> = ALL.iter().filter(wanted).collect();
        let needed = |name: &str| attacks.iter().any(|attack| attack.name == name);
        let arsenal = Arsenal {
            actors: if needed("actors") { actors::in_one_chain() } else { Vec::new() },
            interleaved: if needed("interleaved") { actors::in_turns() } else { Vec::new() },
            heads: if needed("heads") { heads::of_many() } else { Vec::new() },
            inflating: if needed("inflating") { inflating::change()? } else { Vec::new() },
            large: None,
        };
        let mut gang = Self {
            server: (Ipv4Addr::LOCALHOST, brief.port).into(),
            viewer_sync: format!("/sync?token={}", brief.viewer),
            editor_sync: format!("/sync?token={}", brief.editor),
            legacy: format!("/ws/dashboard/?token={}", brief.viewer),
            viewer_token: brief.viewer,
            editor_token: brief.editor,
            watched: brief.watched.parse()?,
            edited: brief.edited.parse()?,
            peer_id: brief.peer_id,
            account: brief.account,
            attacks,
            arsenal,
            done: RefCell::default(),
            used: RefCell::default(),
        };
        if gang.attacks.iter().any(|attack| attack.name == "exports") {
            let made = async { timeout(PREPARATION, exports::make_large(&gang)).await };
            gang.arsenal.large = Some(LocalSet::new().block_on(runtime, made)??);
        }
        Ok(gang)
    }

    async fn act(self: Rc<Self>) {
        let mut all = JoinSet::new();
        for attack in &self.attacks {
            for number in 0..attack.connections {
                let (gang, attack) = (Rc::clone(&self), *attack);
                all.spawn_local(async move {
                    loop {
                        gang.count(attack.name);
                        if (attack.act)(Rc::clone(&gang), number).await.is_err() {
                            gang.count("refused_or_closed");
                        }
                        sleep(BREATH).await;
                    }
                });
            }
        }
        while all.join_next().await.is_some() {}
    }

    fn count(&self, what: &'static str) {
        *self.done.borrow_mut().entry(what).or_default() += 1;
    }

    /// How many times this was requested before.
    fn turn(&self, what: &'static str) -> usize {
        let mut used = self.used.borrow_mut();
        let turn = used.entry(what).or_default();
        *turn += 1;
        *turn - 1
    }
}

/// The source address of attacks that use only one: a user usually has one.
const HOME: Ipv4Addr = Ipv4Addr::new(127, 0, 7, 1);

fn new_document() -> DocumentId {
    DocumentId::from_random(rand::random())
}

/// A unique peer id.
fn new_name() -> String {
    format!("mallory-{:016x}", rand::random::<u64>())
}
