//! One hostile user, who knows the protocols and the source: a process of its own, started by the load generator.
//!
//! It reads a [`Brief`] from standard input, prepares, and says `ready`. Then each line `attack SECONDS` is a round; at
//! its end come lines `NAME COUNT` that say how often each attack was begun, and `done`.
//!
//! | module | attacks with |
//! |---|---|
//! | [`actors`] | changes of very many actors, in one chain and in turns |
//! | [`heads`] | very many concurrent changes |
//! | [`inflating`] | changes of a viewer that inflate to a thousand times their size |
//! | [`slices`] | small messages in large frames, to documents and to sockets that do not read |
//! | [`waits`] | documents that do not exist, and new ones |
//! | [`exports`] | answers that take long to make: exports, lists, static files |
//! | [`presence`] | legacy presence with the longest name |
//! | [`identities`] | the peer id of somebody else, passwords from many addresses |
//! | [`uploads`] | messages and requests that never end |
//! | [`line`] | the connection under all of these |

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

/// Between two acts of one connection.
const BREATH: Duration = Duration::from_millis(50);
/// How long preparing may take.
const PREPARATION: Duration = Duration::from_secs(120);

/// What the attackers are told.
#[derive(Serialize, Deserialize)]
pub struct Brief {
    /// The server's, on loopback.
    pub port: u16,
    /// A token with which the watched and the edited document may be read.
    pub viewer: String,
    /// A token with which the edited document may be changed, and documents made.
    pub editor: String,
    /// Another user's document, which the hostile user may only read: the default document.
    pub watched: String,
    /// Another user's document, which the hostile user may change.
    pub edited: String,
    /// The peer id under which somebody else comes back again and again.
    pub peer_id: String,
    /// The name of somebody else's account.
    pub account: String,
    /// Names of attacks; all if there is none.
    pub attacks: Vec<String>,
}

/// How an attacker comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// On a WebSocket, with the viewer's token.
    Viewer,
    /// On a WebSocket, with the editor's token.
    Editor,
    /// Over HTTP; with a token, or as a stranger.
    Http,
}

type Act = fn(Rc<Gang>, usize) -> LocalBoxFuture<'static, Fallible<()>>;

/// A kind of attack.
pub struct Attack {
    /// Its name, also that of its figure.
    pub name: &'static str,
    /// Connections that carry it out at the same time.
    connections: usize,
    by: By,
    /// What each of them does again and again. An error: it was refused or closed.
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

/// Connections of one kind when all attacks are carried out.
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

// What the scenario is called after.
const _: () = assert!(connections(By::Viewer) == 40 && connections(By::Editor) == 10);

/// Operations of the largest message that is sent: the document with many rows.
pub const LARGEST_MESSAGE: u64 = exports::OPERATIONS;

/// What all attackers share.
struct Gang {
    server: SocketAddr,
    /// Paths with the tokens in them.
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
    /// Things that are done only so many times to one document, over all rounds.
    used: RefCell<BTreeMap<&'static str, usize>>,
}

/// What takes long to make, made before the first round.
struct Arsenal {
    actors: Vec<u8>,
    interleaved: Vec<Vec<u8>>,
    heads: Vec<u8>,
    inflating: Vec<u8>,
    /// A document of the hostile user, with many rows.
    large: Option<DocumentId>,
}

/// Attacks as the load generator says.
#[expect(clippy::print_stdout, reason = "this is how the load generator learns of it")]
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

    /// How often this was asked for before.
    fn turn(&self, what: &'static str) -> usize {
        let mut used = self.used.borrow_mut();
        let turn = used.entry(what).or_default();
        *turn += 1;
        *turn - 1
    }
}

/// The address of everything that does not come from many: a user has one.
const HOME: Ipv4Addr = Ipv4Addr::new(127, 0, 7, 1);

fn new_document() -> DocumentId {
    DocumentId::from_random(rand::random())
}

/// A peer id that nobody else has.
fn new_name() -> String {
    format!("mallory-{:016x}", rand::random::<u64>())
}
