//! The answers that are kept for repeated requests: bounded in number, size and time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use limits::Payer;
use tokio::time::Instant;

/// How long an answer is kept.
pub const LIFETIME: Duration = Duration::from_secs(24 * 3_600);
/// Most keys of one user. A further one forgets the oldest.
pub const MAX_PER_USER: usize = 1_000;
/// Most keys of all users.
const MAX_TOTAL: usize = 10_000;
/// Largest body that is kept, in bytes.
pub const MAX_ANSWER: usize = 1 << 20;
/// Largest size of all bodies together, in bytes.
const MAX_BYTES: usize = 64 << 20;

/// The requesters among whom a key is unique: a user, or without authentication an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope(Option<Payer>);

impl Scope {
    /// The scope of a requester.
    #[must_use]
    pub fn of(payer: Option<Payer>) -> Self {
        Self(payer)
    }
}

/// Identifies the content of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// The answer of the first request.
#[derive(Debug, Clone)]
pub struct KeptAnswer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// `None` if it was too large.
    pub body: Option<Bytes>,
}

/// What becomes of a request with a key.
#[derive(Debug)]
pub enum Claim {
    /// It is the first: run it. The number names it.
    New(u64),
    /// It was answered.
    Kept(KeptAnswer),
    /// The first one is running.
    Running,
    /// The first one was another request.
    Different,
}

/// A request with a key.
#[derive(Debug)]
struct Entry {
    scope: Scope,
    key: String,
    fingerprint: Fingerprint,
    started: Instant,
    /// `None` while it runs.
    answer: Option<KeptAnswer>,
}

impl Entry {
    fn size(&self) -> usize {
        self.answer.as_ref().and_then(|answer| answer.body.as_ref()).map_or(0, Bytes::len)
    }
}

/// The requests with a key, in the order of their numbers: the oldest first. Running ones are not forgotten; limits of connections
/// bound them.
#[derive(Debug, Default)]
pub struct IdempotencyStore {
    entries: BTreeMap<u64, Entry>,
    numbers: HashMap<(Scope, String), u64>,
    by_scope: HashMap<Scope, BTreeSet<u64>>,
    bytes: usize,
    next: u64,
}

impl IdempotencyStore {
    /// Looks up a key, and takes it if it is new.
    pub fn claim(&mut self, scope: &Scope, key: &str, fingerprint: Fingerprint, now: Instant) -> Claim {
        self.forget_expired(now);
        let place = (scope.clone(), key.to_owned());
        if let Some(entry) = self.numbers.get(&place).and_then(|number| self.entries.get(number)) {
            return match &entry.answer {
                _ if entry.fingerprint != fingerprint => Claim::Different,
                Some(answer) => Claim::Kept(answer.clone()),
                None => Claim::Running,
            };
        }
        if self.by_scope.get(scope).is_some_and(|numbers| numbers.len() >= MAX_PER_USER) {
            self.forget_oldest(Some(scope));
        }
        if self.entries.len() >= MAX_TOTAL {
            self.forget_oldest(None);
        }
        let number = self.next;
        self.next += 1;
        let (key, scope) = (key.to_owned(), scope.clone());
        self.by_scope.entry(scope.clone()).or_default().insert(number);
        self.entries.insert(number, Entry { scope, key, fingerprint, started: now, answer: None });
        self.numbers.insert(place, number);
        Claim::New(number)
    }

    /// Keeps the answer of a running request.
    pub fn finish(&mut self, number: u64, answer: KeptAnswer) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        entry.answer = Some(answer);
        self.bytes += entry.size();
        // The user whose answers take the most room makes room. Only the content is dropped: a request with the key never runs again.
        while self.bytes > MAX_BYTES {
            let most = self.by_scope.keys().max_by_key(|scope| self.bytes_of(scope)).cloned();
            if !most.is_some_and(|scope| self.drop_oldest_body(&scope)) {
                break;
            }
        }
    }

    /// Size of the answers of one scope in bytes.
    fn bytes_of(&self, scope: &Scope) -> usize {
        let entries = self.by_scope.get(scope).into_iter().flatten().filter_map(|number| self.entries.get(number));
        entries.map(Entry::size).sum()
    }

    /// Drops the content of the oldest answer of a scope that has one. Returns false if there is none.
    fn drop_oldest_body(&mut self, scope: &Scope) -> bool {
        for number in self.by_scope.get(scope).into_iter().flatten() {
            let answer = self.entries.get_mut(number).and_then(|entry| entry.answer.as_mut());
            if let Some(body) = answer.and_then(|answer| answer.body.take_if(|body| !body.is_empty())) {
                self.bytes -= body.len();
                return true;
            }
        }
        false
    }

    /// Forgets a request that has no answer, so that it may run again.
    pub fn release_unfinished(&mut self, number: u64) {
        if self.entries.get(&number).is_some_and(|entry| entry.answer.is_none()) {
            self.forget(number);
        }
    }

    fn forget_expired(&mut self, now: Instant) {
        let is_expired = |entry: &Entry| entry.answer.is_some() && now.duration_since(entry.started) >= LIFETIME;
        // Numbers grow with time, so the expired ones are at the front, behind running ones at most.
        let expired: Vec<u64> = self
            .entries
            .iter()
            .take_while(|(_, entry)| entry.answer.is_none() || is_expired(entry))
            .filter(|(_, entry)| is_expired(entry))
            .map(|(number, _)| *number)
            .collect();
        expired.into_iter().for_each(|number| self.forget(number));
    }

    /// Forgets the oldest answer, of one scope or of all. Returns false if there is none.
    fn forget_oldest(&mut self, scope: Option<&Scope>) -> bool {
        let is_answered = |number: &u64| self.entries.get(number).is_some_and(|entry| entry.answer.is_some());
        let oldest = match scope {
            Some(scope) => self.by_scope.get(scope).and_then(|numbers| numbers.iter().copied().find(is_answered)),
            None => self.entries.keys().copied().find(is_answered),
        };
        if let Some(number) = oldest {
            self.forget(number);
        }
        oldest.is_some()
    }

    fn forget(&mut self, number: u64) {
        let Some(entry) = self.entries.remove(&number) else { return };
        self.bytes -= entry.size();
        if let Some(numbers) = self.by_scope.get_mut(&entry.scope) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_scope.remove(&entry.scope);
            }
        }
        self.numbers.remove(&(entry.scope, entry.key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Fingerprint = Fingerprint([1; 32]);

    fn scope(user: &str) -> Scope {
        Scope::of(Some(Payer::User(user.into())))
    }

    fn answer(bytes: usize) -> KeptAnswer {
        KeptAnswer { status: StatusCode::CREATED, headers: HeaderMap::new(), body: Some(vec![0; bytes].into()) }
    }

    /// Runs a request that is the first with its key.
    fn run(store: &mut IdempotencyStore, user: &str, key: &str, bytes: usize, now: Instant) {
        let Claim::New(number) = store.claim(&scope(user), key, FIRST, now) else { panic!("{key} is taken") };
        store.finish(number, answer(bytes));
        store.release_unfinished(number);
    }

    fn is_kept(store: &mut IdempotencyStore, user: &str, key: &str, now: Instant) -> bool {
        match store.claim(&scope(user), key, FIRST, now) {
            Claim::Kept(_) => true,
            Claim::New(number) => {
                store.release_unfinished(number);
                false
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn key_belongs_to_one_request_of_one_user() {
        let (mut store, now) = (IdempotencyStore::default(), Instant::now());
        let Claim::New(number) = store.claim(&scope("ceo"), "k", FIRST, now) else { panic!("new") };
        assert!(matches!(store.claim(&scope("ceo"), "k", FIRST, now), Claim::Running));
        store.finish(number, answer(3));
        store.release_unfinished(number);
        assert!(matches!(store.claim(&scope("ceo"), "k", FIRST, now), Claim::Kept(_)));
        assert!(matches!(store.claim(&scope("ceo"), "k", Fingerprint([2; 32]), now), Claim::Different));
        assert!(!is_kept(&mut store, "cfo", "k", now));
    }

    #[test]
    fn request_without_an_answer_may_run_again() {
        let (mut store, now) = (IdempotencyStore::default(), Instant::now());
        let Claim::New(number) = store.claim(&scope("ceo"), "k", FIRST, now) else { panic!("new") };
        store.release_unfinished(number);
        assert!(matches!(store.claim(&scope("ceo"), "k", FIRST, now), Claim::New(_)));
    }

    #[test]
    fn answers_expire_and_running_requests_do_not() {
        let (mut store, now) = (IdempotencyStore::default(), Instant::now());
        let Claim::New(_) = store.claim(&scope("ceo"), "running", FIRST, now) else { panic!("new") };
        run(&mut store, "ceo", "done", 3, now);
        let later = now + LIFETIME;
        assert!(is_kept(&mut store, "ceo", "done", later - Duration::from_secs(1)));
        assert!(!is_kept(&mut store, "ceo", "done", later));
        assert!(matches!(store.claim(&scope("ceo"), "running", FIRST, later), Claim::Running));
        assert_eq!(store.bytes, 0);
    }

    #[test]
    fn one_user_does_not_push_out_the_answers_of_others() {
        let (mut store, now) = (IdempotencyStore::default(), Instant::now());
        run(&mut store, "cfo", "k", 3, now);
        for number in 0..=MAX_PER_USER {
            run(&mut store, "mallory", &number.to_string(), 3, now);
        }
        assert_eq!(store.entries.len(), MAX_PER_USER + 1);
        assert!(is_kept(&mut store, "cfo", "k", now) && is_kept(&mut store, "mallory", "1", now));
        assert!(!is_kept(&mut store, "mallory", "0", now));
    }

    #[test]
    fn number_and_size_of_all_answers_are_bounded() {
        let (mut store, now) = (IdempotencyStore::default(), Instant::now());
        for number in 0..MAX_TOTAL + 5 {
            run(&mut store, &(number / 500).to_string(), &number.to_string(), 0, now);
        }
        assert_eq!(store.entries.len(), MAX_TOTAL);
        for number in 0..80 {
            run(&mut store, "large", &number.to_string(), MAX_ANSWER, now);
        }
        assert!(store.bytes <= MAX_BYTES && is_kept(&mut store, "large", "79", now));
        assert_eq!(store.numbers.len(), store.entries.len());
        assert_eq!(store.by_scope.values().map(BTreeSet::len).sum::<usize>(), store.entries.len());
    }
}
