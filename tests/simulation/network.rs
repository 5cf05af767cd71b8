//! The network between nodes and database: calls in three steps (request, execution, answer), each of which can be late or
//! lost, and hints from node to node.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use primitives::DocumentId;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::News;
use store::sql::{EngineError, Failure};
use tokio::sync::{broadcast, oneshot};

use super::database::{Answer, Database, Request};

/// Maximum number of hints that wait for a frozen node.
const HINTS: usize = 256;

/// Returns the result of a call to its caller.
pub type Reply = oneshot::Sender<Result<Answer, EngineError>>;

/// One process that uses the database: the number of a node, and of its earlier starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life {
    pub node: usize,
    pub number: u64,
}

/// Probability of each fault, between 0 and 1. The default is 0 for all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// The request of a call is lost.
    pub request_lost: f64,
    /// The call is executed, and its answer is lost.
    pub answer_lost: f64,
    /// The call is executed long after its caller has given up.
    pub late: f64,
    /// The answer takes seconds.
    pub slow: f64,
    /// The database asks the caller to try again.
    pub retry: f64,
    pub hint_lost: f64,
    pub hint_doubled: f64,
    pub hint_late: f64,
}

/// Whether calls reach the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Reachable,
    /// Calls fail at once.
    Refusing,
    /// Calls get no answer.
    Silent,
}

/// The database and the network around it. Clones share them.
#[derive(Clone)]
pub struct Network(Arc<Mutex<Inner>>);

pub struct Inner {
    pub database: Database,
    pub weather: Weather,
    rng: StdRng,
    /// Milliseconds since the start.
    now: u64,
    /// Messages in transit, by their time of arrival.
    events: BTreeMap<(u64, u64), Event>,
    next_event: u64,
    reach: Reach,
    endpoints: BTreeMap<usize, Endpoint>,
    /// Replies that never arrive. The caller waits until its deadline.
    unanswered: Vec<Reply>,
}

struct Endpoint {
    life: Life,
    news: broadcast::Sender<News>,
    /// No hint arrives.
    is_deaf: bool,
    /// No call gets through.
    is_cut_off: bool,
}

enum Event {
    Execute { call: Call, answer: Fate },
    Answer { reply: Reply, result: Result<Answer, EngineError> },
    Hint { to: usize, news: News },
    Reach(Reach),
}

struct Call {
    request: Request,
    reply: Reply,
}

/// The fate of an answer.
#[derive(Clone, Copy)]
enum Fate {
    After(u64),
    /// The connection breaks.
    Broken,
    /// No answer arrives.
    Lost,
}

impl Network {
    pub fn new(seed: u64, document: DocumentId) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            database: Database::new(document),
            weather: Weather::default(),
            rng: StdRng::seed_from_u64(seed ^ 0xdb),
            now: 0,
            events: BTreeMap::new(),
            next_event: 0,
            reach: Reach::Reachable,
            endpoints: BTreeMap::new(),
            unanswered: Vec::new(),
        })))
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock()
    }
}

impl Inner {
    pub fn now(&self) -> u64 {
        self.now
    }

    /// A process starts to use the database. Returns the channel of its hints.
    pub fn join(&mut self, life: Life) -> broadcast::Sender<News> {
        let news = broadcast::channel(HINTS).0;
        let endpoint = Endpoint { life, news: news.clone(), is_deaf: false, is_cut_off: false };
        self.endpoints.insert(life.node, endpoint);
        news
    }

    /// A process ends. Its requests in transit still arrive.
    pub fn leave(&mut self, node: usize) {
        self.endpoints.remove(&node);
    }

    pub fn set_deaf(&mut self, node: usize, is_deaf: bool) {
        if let Some(endpoint) = self.endpoints.get_mut(&node) {
            endpoint.is_deaf = is_deaf;
        }
    }

    pub fn set_cut_off(&mut self, node: usize, is_cut_off: bool) {
        if let Some(endpoint) = self.endpoints.get_mut(&node) {
            endpoint.is_cut_off = is_cut_off;
        }
    }

    /// Restores all connections.
    pub fn heal(&mut self) {
        self.weather = Weather::default();
        self.reach = Reach::Reachable;
        self.events.retain(|_, event| !matches!(event, Event::Reach(_)));
        for endpoint in self.endpoints.values_mut() {
            (endpoint.is_deaf, endpoint.is_cut_off) = (false, false);
        }
        self.database.set_full(false);
    }

    /// Makes the database unreachable for a while.
    pub fn interrupt(&mut self, reach: Reach, ms: u64) {
        self.reach = reach;
        self.after(ms, Event::Reach(Reach::Reachable));
    }

    /// Restarts the database: each call in transit is executed now or never, and none is answered.
    pub fn restart(&mut self, down_ms: u64) {
        for (time, event) in std::mem::take(&mut self.events) {
            match event {
                Event::Execute { call, .. } => {
                    if self.rng.random_bool(0.5) {
                        let _ = self.database.run(&call.request);
                    }
                }
                Event::Answer { .. } => {}
                event => {
                    self.events.insert(time, event);
                }
            }
        }
        self.interrupt(Reach::Refusing, down_ms);
        let nodes: Vec<usize> = self.endpoints.keys().copied().collect();
        for to in nodes {
            let ms = down_ms + self.rng.random_range(1..2_000);
            self.after(ms, Event::Hint { to, news: News::LookAtAll });
        }
    }

    fn after(&mut self, ms: u64, event: Event) {
        self.next_event += 1;
        self.events.insert((self.now + ms, self.next_event), event);
    }

    /// Sends a call of a node to the database.
    pub fn call(&mut self, node: usize, request: Request, reply: Reply) {
        let (there, back) = (self.rng.random_range(1..4), self.rng.random_range(1..3));
        let is_cut_off = self.endpoints.get(&node).is_none_or(|endpoint| endpoint.is_cut_off);
        if is_cut_off || self.reach == Reach::Silent {
            if self.rng.random_bool(0.5) {
                let result = Err(EngineError::new(Failure::NotSent, "no connection in time"));
                return self.after(5_000, Event::Answer { reply, result });
            }
            return self.unanswered.push(reply);
        }
        if self.reach == Reach::Refusing {
            let result = Err(EngineError::new(Failure::NotSent, "connection refused"));
            return self.after(there, Event::Answer { reply, result });
        }
        let Weather { request_lost, answer_lost, late, slow, retry, .. } = self.weather;
        let lost = if self.rng.random_bool(0.5) { Fate::Broken } else { Fate::Lost };
        let mut dice = self.rng.random::<f64>();
        let mut happens = |probability: f64| {
            dice -= probability;
            dice < 0.0
        };
        let call = Call { request, reply };
        if happens(request_lost) {
            match lost {
                Fate::Broken => {
                    let result = Err(EngineError::new(Failure::Unknown, "connection lost"));
                    self.after(there, Event::Answer { reply: call.reply, result });
                }
                _ => self.unanswered.push(call.reply),
            }
        } else if happens(answer_lost) {
            self.after(there, Event::Execute { call, answer: lost });
        } else if happens(late) {
            let ms = self.rng.random_range(2_000..40_000);
            self.after(ms, Event::Execute { call, answer: lost });
        } else if happens(slow) {
            let ms = self.rng.random_range(100..7_000);
            self.after(there, Event::Execute { call, answer: Fate::After(ms) });
        } else if happens(retry) {
            let result = Err(EngineError::new(Failure::Retry, "try again"));
            self.after(there, Event::Answer { reply: call.reply, result });
        } else {
            self.after(there, Event::Execute { call, answer: Fate::After(back) });
        }
    }

    /// Sends a hint from a node to all others.
    pub fn tell(&mut self, node: usize, news: &News) {
        let others: Vec<usize> = self.endpoints.keys().copied().filter(|to| *to != node).collect();
        for to in others {
            let Weather { hint_lost, hint_doubled, hint_late, .. } = self.weather;
            if self.rng.random_bool(hint_lost) {
                continue;
            }
            let copies = if self.rng.random_bool(hint_doubled) { 2 } else { 1 };
            for _ in 0..copies {
                let most = if self.rng.random_bool(hint_late) { 15_000 } else { 4 };
                let ms = self.rng.random_range(1..most);
                self.after(ms, Event::Hint { to, news: news.clone() });
            }
        }
    }

    /// The time of the next arrival.
    pub fn next_arrival(&self) -> Option<u64> {
        self.events.keys().next().map(|(time, _)| *time)
    }

    /// Advances the clock to `now`, and delivers everything that is due.
    pub fn advance(&mut self, now: u64) {
        self.now = now;
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= now) {
            match entry.remove() {
                Event::Execute { call: Call { request, reply }, answer } => {
                    let result = self.database.run(&request);
                    match answer {
                        Fate::After(ms) => self.after(ms, Event::Answer { reply, result }),
                        Fate::Broken => {
                            let result = Err(EngineError::new(Failure::Unknown, "connection lost"));
                            self.after(1, Event::Answer { reply, result });
                        }
                        Fate::Lost => self.unanswered.push(reply),
                    }
                }
                Event::Answer { reply, result } => {
                    let _ = reply.send(result);
                }
                Event::Hint { to, news } => {
                    if let Some(endpoint) = self.endpoints.get(&to).filter(|endpoint| !endpoint.is_deaf) {
                        let _ = endpoint.news.send(news);
                    }
                }
                Event::Reach(reach) => self.reach = reach,
            }
        }
        self.unanswered.retain(|reply| !reply.is_closed());
    }

    /// The running processes.
    pub fn lives(&self) -> impl Iterator<Item = Life> + '_ {
        self.endpoints.values().map(|endpoint| endpoint.life)
    }
}
