//! The world: a server, devices, the network between them, the disk under it, and what one seed makes of them.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use automerge::{Automerge, ChangeHash, sync};
use happierwork::legacy::RENDERINGS;
use plan::fields::{BUDGET, DEPARTMENT, LOCATION};
use plan::{Author, Budget, Done, Edit, NewPosition, PlanPatch, PositionPatch, SharedView, View, read_view};
use primitives::DocumentId;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use runtime::hub::{Caller, EditFailure, FarewellKind, Outgoing};
use store::check::judge;
use store::faults::{FaultyDisk, Op};
use store::{Damage, Loss};
use tokio::task::JoinHandle;

use super::intruder::{self, Attack};
use super::life::{Life, STATE, empty_disk};
use super::link::Link;
use super::mutants::Mutant;
use super::promises::Promises;
use super::replica::{Flavor, Replica};
use super::rows::{self, Rows};

/// What may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Connections are slow, stall, break, and break without the server noticing.
    Network,
    /// Besides, the disk fails, is full, is slow, and the server crashes at any step.
    NetworkAndDisk,
    /// All of it on a disk that says that it has synced and has not.
    LyingDisk,
}

/// Rounds, of a second each, in which everybody has to agree once nothing fails any more.
const PATIENCE: usize = 60;

type Violation = String;

/// One who looks at rows.
struct Onlooker {
    link: Link,
    rows: Rows,
}

/// An edit by a caller who waits to hear that it was made.
struct Pending {
    added: Option<String>,
    result: JoinHandle<Result<Done, EditFailure>>,
}

pub struct World {
    rng: StdRng,
    /// Chooses what the intruder does, and nothing else.
    malice: StdRng,
    trouble: Trouble,
    mutant: Mutant,
    id: DocumentId,
    disk: FaultyDisk,
    life: Life,
    lives: u64,
    replicas: Vec<Replica>,
    onlookers: Vec<Onlooker>,
    /// The connection of one who means harm.
    intruder: Option<Link>,
    pending: Vec<Pending>,
    promises: Promises,
    names: u64,
    /// Positions that somebody has tried to add.
    positions: Vec<String>,
    /// The server is going to fail at everything: a crash is near.
    doomed: bool,
    tell: bool,
}

impl World {
    /// Runs a seed to its end.
    pub fn run(seed: u64, trouble: Trouble, mutant: Mutant) -> Result<(), Violation> {
        Self::new(seed, trouble, mutant, false).and_then(Self::play)
    }

    /// The same, told step by step.
    pub fn told(seed: u64, trouble: Trouble, mutant: Mutant) -> Result<(), Violation> {
        Self::new(seed, trouble, mutant, true).and_then(Self::play)
    }

    fn new(seed: u64, trouble: Trouble, mutant: Mutant, tell: bool) -> Result<Self, Violation> {
        let mut rng = StdRng::seed_from_u64(seed);
        let id = DocumentId::from_random(rng.random());
        let disk = empty_disk();
        let life = Life::begin(&disk, &id, 0, mutant)?;
        let replicas = (0..rng.random_range(2..6))
            .map(|number| {
                let flavor = if rng.random_bool(0.7) { Flavor::Repo } else { Flavor::Plain };
                Replica::new(format!("device-{number}"), flavor, seed)
            })
            .collect();
        let mut world = Self {
            rng,
            malice: StdRng::seed_from_u64(!seed),
            trouble,
            mutant,
            id,
            disk,
            life,
            lives: 1,
            replicas,
            onlookers: Vec::new(),
            intruder: None,
            pending: Vec::new(),
            promises: Promises::default(),
            names: 0,
            positions: Vec::new(),
            doomed: false,
            tell,
        };
        world.found()?;
        if trouble == Trouble::LyingDisk || mutant == Mutant::NoSync {
            world.disk.lie();
        }
        Ok(world)
    }

    /// The plan is made, before anything goes wrong.
    fn found(&mut self) -> Result<(), Violation> {
        let create = Edit::Create { id: self.id.clone(), plan: PlanPatch::default(), positions: Vec::new() };
        let made = self.life.run(self.life.hub.edit(&Caller::server(), &self.id, create, author()));
        // (The mutant that writes later: it does, now.)
        self.life.settle();
        made.map(drop).map_err(|error| error.to_string())
    }

    fn play(mut self) -> Result<(), Violation> {
        self.most_connect();
        for _ in 0..self.rng.random_range(40..160) {
            self.step()?;
        }
        self.make_peace()?;
        // And all of that survives the next power cut.
        if self.trouble != Trouble::LyingDisk {
            self.crash()?;
            self.make_peace()?;
        }
        Ok(())
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        if self.tell {
            println!("{}", what());
        }
    }

    fn step(&mut self) -> Result<(), Violation> {
        match self.rng.random_range(0..100) {
            0..22 => self.a_device_edits(),
            22..40 => self.something_arrives_at_the_server(),
            40..60 => self.a_socket_takes_something(),
            60..76 => self.something_arrives_at_a_device()?,
            76..82 => self.somebody_calls_the_api(),
            82..87 => self.a_connection_comes_or_goes(),
            87..89 => self.an_onlooker_comes_or_goes()?,
            89..91 => self.time_passes(),
            91..96 if self.trouble != Trouble::Network => self.the_disk_misbehaves(),
            96..98 if self.trouble != Trouble::Network => {
                self.crash()?;
                self.most_connect();
            }
            98..100 => self.an_intruder_attacks(),
            _ => {}
        }
        // Or not: then things happen at once.
        if self.rng.random_bool(0.6) {
            self.life.settle();
        }
        self.hear_of_edits()?;
        self.end_what_the_server_ends()
    }

    fn some_replica(&mut self) -> usize {
        self.rng.random_range(0..self.replicas.len())
    }

    fn some_position(&mut self) -> Option<String> {
        if self.positions.is_empty() {
            return None;
        }
        let index = self.rng.random_range(0..self.positions.len());
        Some(self.positions[index].clone())
    }

    fn new_name(&mut self) -> String {
        self.names += 1;
        format!("position-{:04}", self.names)
    }

    fn a_device_edits(&mut self) {
        let (index, choice, budget) = (self.some_replica(), self.rng.random_range(0..10), self.rng.random_range(1..99));
        if choice < 4 {
            let id = self.new_name();
            if self.replicas[index].add(&id, budget) {
                self.note(|| format!("device {index} adds {id}"));
                self.positions.push(id);
            }
        } else if let Some(id) = self.some_position() {
            if choice < 9 {
                self.note(|| format!("device {index} sets {id} to {budget}"));
                self.replicas[index].change(&id, budget);
            } else {
                self.note(|| format!("device {index} deletes {id}"));
                self.promises.may_be_deleted(&id);
                self.replicas[index].delete(&id);
            }
        }
    }

    fn something_arrives_at_the_server(&mut self) {
        let index = self.some_replica();
        self.arrive_at_server(index);
        // What was sent before the connection broke may still arrive.
        if let Some(link) = &mut self.replicas[index].half_open {
            link.arrive();
        }
    }

    fn arrive_at_server(&mut self, index: usize) -> bool {
        let Some(link) = &mut self.replicas[index].link else { return false };
        let Some(message) = link.up.front().map(|up| told(&up.bytes)) else { return false };
        link.arrive();
        self.note(|| format!("the server gets {message} from device {index}"));
        true
    }

    fn a_socket_takes_something(&mut self) {
        let (index, most) = (self.some_replica(), self.rng.random_range(1..20));
        self.drain(index, most);
        if let Some(link) = &mut self.replicas[index].half_open {
            // Into the void; but it has left the server.
            let taken = link.drain(&self.life, most);
            self.shown(&taken);
        }
        if !self.onlookers.is_empty() {
            let index = self.rng.random_range(0..self.onlookers.len());
            self.look(index, most);
        }
    }

    fn drain(&mut self, index: usize, most: usize) -> bool {
        let Some(link) = &mut self.replicas[index].link else { return false };
        let mut taken = link.drain(&self.life, most);
        if self.mutant == Mutant::DroppedMessage && !taken.is_empty() && self.rng.random_bool(0.05) {
            taken.pop();
        }
        self.shown(&taken);
        let any = !taken.is_empty();
        if let Some(link) = &mut self.replicas[index].link {
            link.down.extend(taken);
        }
        any
    }

    fn look(&mut self, index: usize, most: usize) -> bool {
        let taken = self.onlookers[index].link.drain(&self.life, most);
        for outgoing in &taken {
            rows::follow(&mut self.onlookers[index].rows, outgoing);
        }
        !taken.is_empty()
    }

    /// This has left the server: it must be durable.
    fn shown(&mut self, outgoing: &[Outgoing]) {
        for outgoing in outgoing {
            if let Outgoing::Sync { data, .. } = outgoing
                && let Ok(message) = sync::Message::decode(data)
            {
                self.promises.named(&message.heads);
            }
        }
    }

    fn something_arrives_at_a_device(&mut self) -> Result<(), Violation> {
        let index = self.some_replica();
        self.arrive(index).map(drop)
    }

    fn arrive(&mut self, index: usize) -> Result<bool, Violation> {
        let Some(outgoing) = self.replicas[index].link.as_mut().and_then(|link| link.down.pop_front()) else {
            return Ok(false);
        };
        match outgoing {
            Outgoing::Sync { data, .. } => {
                self.note(|| format!("device {index} gets {}", told(&data)));
                self.replicas[index].receive(&data).map_err(|error| format!("device {index}: {error}"))?;
            }
            Outgoing::Refused { kind: FarewellKind::BadMessage, message, .. } => {
                return Err(format!("device {index} is honest, and was refused: {message}"));
            }
            Outgoing::Refused { message, .. } => self.note(|| format!("device {index} is told: {message}")),
            _ => {}
        }
        Ok(true)
    }

    fn somebody_calls_the_api(&mut self) {
        let budget = Budget::Int(self.rng.random_range(1..99));
        let choice = self.rng.random_range(0..10);
        let mut added = None;
        let edit = match (choice, self.some_position()) {
            (0..4, _) | (_, None) => {
                let id = self.new_name();
                self.positions.push(id.clone());
                added = Some(id.clone());
                Edit::Add(
                    NewPosition::new(id, "by the API")
                        .with(DEPARTMENT, "HR")
                        .with(BUDGET, budget)
                        .with(LOCATION, "Pune"),
                )
            }
            (4..9, Some(id)) => Edit::Patch { id, patch: PositionPatch::set(BUDGET, budget) },
            (_, Some(id)) => {
                self.promises.may_be_deleted(&id);
                Edit::Delete { id }
            }
        };
        self.note(|| format!("a call: {edit:?}"));
        let (hub, id) = (self.life.hub.clone(), self.id.clone());
        let result = self.life.spawn(async move { hub.edit(&Caller::server(), &id, edit, author()).await });
        self.pending.push(Pending { added, result });
    }

    fn hear_of_edits(&mut self) -> Result<(), Violation> {
        let (over, pending) = std::mem::take(&mut self.pending).into_iter().partition(|edit| edit.result.is_finished());
        self.pending = pending;
        for Pending { added, result } in over {
            match self.life.run(result) {
                Ok(Ok(_)) => {
                    self.note(|| format!("a call is answered: {added:?}"));
                    if let Some(id) = added {
                        self.promises.added(&id);
                    }
                }
                // A position may be gone, or the disk have failed.
                Ok(Err(error)) => self.note(|| format!("a call fails: {error}")),
                Err(error) => return Err(format!("a call was never answered: {error}")),
            }
        }
        Ok(())
    }

    fn a_connection_comes_or_goes(&mut self) {
        let index = self.some_replica();
        match self.replicas[index].link.take() {
            None => self.connect(index),
            Some(link) if self.rng.random_bool(0.5) => {
                self.note(|| format!("device {index} is cut off"));
                link.close(&self.life, &self.id);
            }
            Some(link) => {
                self.note(|| format!("device {index} is cut off, and the server does not notice"));
                if let Some(old) = self.replicas[index].half_open.replace(link) {
                    old.close(&self.life, &self.id);
                }
            }
        }
    }

    fn most_connect(&mut self) {
        for index in 0..self.replicas.len() {
            if self.rng.random_bool(0.7) {
                self.connect(index);
            }
        }
    }

    fn connect(&mut self, index: usize) {
        self.note(|| format!("device {index} connects"));
        let replica = &mut self.replicas[index];
        // The same peer id joins again: the old connection has left before the new one begins.
        if let Some(old) = replica.half_open.take() {
            old.close(&self.life, &self.id);
            self.life.settle();
        }
        let replica = &mut self.replicas[index];
        let link = Link::open(&self.life, &self.id, replica.storage());
        if replica.flavor == Flavor::Plain {
            let (hub, id, peer) = (self.life.hub.clone(), self.id.clone(), link.peer.clone());
            self.life.spawn(async move { hub.greet(&id, peer).await });
            self.life.settle();
        }
        replica.connected(link);
    }

    fn an_intruder_attacks(&mut self) {
        let attack = Attack::pick(&mut self.malice);
        self.note(|| format!("an intruder attacks: {attack:?}"));
        // One that was refused comes again, as another.
        if self.malice.random_bool(0.5)
            && let Some(old) = self.intruder.take()
        {
            old.close(&self.life, &self.id);
        }
        let mut link = self.intruder.take().unwrap_or_else(|| Link::open(&self.life, &self.id, None));
        intruder::send(&mut link, attack, &mut self.malice);
        let taken = intruder::look(&mut link, &self.life, &mut self.malice);
        self.shown(&taken);
        self.intruder = Some(link);
    }

    fn an_onlooker_comes_or_goes(&mut self) -> Result<(), Violation> {
        if self.onlookers.len() > 1 || (!self.onlookers.is_empty() && self.rng.random_bool(0.3)) {
            self.note(|| "an onlooker goes".to_owned());
            self.onlookers.remove(0).link.close(&self.life, &self.id);
            return Ok(());
        }
        // It would wait for the disk to be read, or for a batch: and here nobody else could open the gate.
        if !self.life.is_open() || self.doomed {
            return Ok(());
        }
        self.onlooker_comes()
    }

    fn onlooker_comes(&mut self) -> Result<(), Violation> {
        self.note(|| "an onlooker comes".to_owned());
        let link = Link::open(&self.life, &self.id, None);
        let watched =
            self.life.run(self.life.hub.watch(&Caller::server(), &self.id, link.key, link.peer.outbox.clone()));
        match watched {
            Ok(view) => {
                let rows = self.read(&view);
                self.onlookers.push(Onlooker { link, rows });
                Ok(())
            }
            // The disk has failed, and the document is not to be had for the moment.
            Err(error) if self.trouble != Trouble::Network => {
                self.note(|| format!("… and is turned away: {error}"));
                Ok(())
            }
            Err(error) => Err(format!("the document could not be opened: {error}")),
        }
    }

    fn read(&mut self, view: &SharedView) -> Rows {
        let view = read_view(view);
        self.promises.named(view.heads());
        rows::of(&view)
    }

    fn time_passes(&mut self) {
        let seconds = self.rng.random_range(1..15);
        self.note(|| format!("{seconds} s pass"));
        self.life.pass(Duration::from_secs(seconds));
    }

    fn the_disk_misbehaves(&mut self) {
        let skip = self.rng.random_range(0..4);
        match self.rng.random_range(0..8) {
            0 => {
                self.note(|| "a write is going to fail".to_owned());
                self.disk.fail(Op::Write, skip, ErrorKind::Other);
            }
            1 => {
                let bytes = self.rng.random_range(0..200);
                self.note(|| format!("a write is going to end after {bytes} bytes"));
                self.disk.short_write(bytes, ErrorKind::StorageFull);
            }
            2 => {
                self.note(|| "a sync is going to fail".to_owned());
                self.disk.fail(Op::Sync, skip, ErrorKind::Other);
            }
            3 => {
                self.note(|| "the disk is full".to_owned());
                self.disk.break_op(Op::Write, ErrorKind::StorageFull);
            }
            4 => {
                self.note(|| "the disk does not answer".to_owned());
                self.life.gate(false);
            }
            5 => {
                let skip = self.rng.random_range(0..12);
                self.note(|| format!("after {skip} more calls nothing works, until the crash"));
                self.disk.break_after(skip);
                self.doomed = true;
            }
            6 => {
                self.note(|| "one call is going to fail".to_owned());
                self.disk.fail_any(skip * 3, ErrorKind::Other);
            }
            _ => {
                self.note(|| "the disk is well again".to_owned());
                if !self.doomed {
                    self.disk.heal();
                }
                self.life.gate(true);
            }
        }
    }

    /// The power goes, and comes back.
    fn crash(&mut self) -> Result<(), Violation> {
        self.note(|| "a crash".to_owned());
        let rng = &mut self.rng;
        let disk = self.disk.crash(|most| rng.random_range(0..=most));
        self.pending.clear();
        self.onlookers.clear();
        self.intruder = None;
        for replica in &mut self.replicas {
            replica.link = None;
            replica.half_open = None;
        }
        self.disk = disk;
        self.doomed = false;
        self.cut_what_an_operator_may();
        let life = Life::begin(&self.disk, &self.id, self.lives, self.mutant)
            .map_err(|error| format!("after a crash the server does not start: {error}"))?;
        self.life = life;
        self.lives += 1;
        if self.trouble == Trouble::LyingDisk {
            // What is gone is gone; the rest was never promised by this disk.
            self.promises = Promises::default();
        } else {
            self.keeps_its_promises("after a crash")?;
        }
        if self.trouble == Trouble::LyingDisk || self.mutant == Mutant::NoSync {
            self.disk.lie();
        }
        Ok(())
    }

    /// A crash that tears the first edits of a plan without positions leaves what an interrupted copy of a plan leaves, so
    /// the server does not start. The operator cuts the torn tail, as `check` tells.
    fn cut_what_an_operator_may(&self) {
        let bytes = self.disk.content(STATE).unwrap_or_default();
        if let Err(Damage::Remnant { torn, loss: Loss::Positions }) = judge(Path::new(STATE), &bytes) {
            self.disk.put(STATE, &bytes[..usize::try_from(torn.at).expect("a length in memory")]);
        }
    }

    /// The document in the file.
    fn stored(&self) -> Result<Automerge, Violation> {
        let bytes = self.disk.content(STATE).unwrap_or_default();
        Automerge::load(&bytes).map_err(|error| format!("the file cannot be read: {error}"))
    }

    fn keeps_its_promises(&self, when: &str) -> Result<(), Violation> {
        match self.promises.broken_by(&self.stored()?) {
            Some(broken) => Err(format!("{when}: {broken}")),
            None => Ok(()),
        }
    }

    /// Connections that the server wants to end do so.
    fn end_what_the_server_ends(&mut self) -> Result<(), Violation> {
        if self.intruder.as_ref().is_some_and(|link| link.farewell().is_some())
            && let Some(link) = self.intruder.take()
        {
            self.note(|| "the intruder is sent away".to_owned());
            link.close(&self.life, &self.id);
        }
        for index in 0..self.replicas.len() {
            let replica = &mut self.replicas[index];
            let farewell = replica.link.as_ref().and_then(Link::farewell);
            if let Some(farewell) = farewell {
                if farewell.kind == FarewellKind::BadMessage {
                    return Err(format!("device {index} is honest, and was sent away: {}", farewell.message));
                }
                if let Some(link) = replica.link.take() {
                    link.close(&self.life, &self.id);
                }
                self.note(|| format!("device {index} is sent away: {}", farewell.message));
            }
            let replica = &mut self.replicas[index];
            if replica.half_open.as_ref().is_some_and(|link| link.farewell().is_some())
                && let Some(link) = replica.half_open.take()
            {
                link.close(&self.life, &self.id);
            }
        }
        Ok(())
    }

    /// Nothing goes wrong any more: everybody has to agree, and soon.
    fn make_peace(&mut self) -> Result<(), Violation> {
        self.note(|| "peace".to_owned());
        if self.doomed {
            self.crash()?;
        }
        self.disk.heal();
        self.life.gate(true);
        for _ in 0..PATIENCE {
            self.life.settle();
            self.hear_of_edits()?;
            self.end_what_the_server_ends()?;
            for index in 0..self.replicas.len() {
                if self.replicas[index].link.is_none() {
                    self.connect(index);
                }
            }
            let moved = self.deliver_everything()?;
            if !moved && self.pending.is_empty() && self.disagreement()?.is_none() {
                return self.check();
            }
            self.life.pass(Duration::from_secs(1));
        }
        let disagreement = self.disagreement()?.unwrap_or_else(|| "there is no end to the messages".to_owned());
        Err(format!("{disagreement}, {PATIENCE} s after everything was well"))
    }

    fn deliver_everything(&mut self) -> Result<bool, Violation> {
        let mut any = false;
        for _ in 0..200 {
            let mut moved = false;
            self.life.settle();
            for index in 0..self.replicas.len() {
                moved |= self.drain(index, usize::MAX);
                while self.arrive(index)? {
                    moved = true;
                }
                while self.arrive_at_server(index) {
                    moved = true;
                }
            }
            for index in 0..self.onlookers.len() {
                moved |= self.look(index, usize::MAX);
            }
            if !moved {
                return Ok(any);
            }
            any = true;
        }
        Ok(any)
    }

    /// Who has something else than the server's file, if anybody.
    fn disagreement(&mut self) -> Result<Option<String>, Violation> {
        let heads = self.stored()?.get_heads();
        for (index, replica) in self.replicas.iter_mut().enumerate() {
            let theirs = replica.heads();
            if theirs != heads {
                return Ok(Some(format!("device {index} has {theirs:?}, the file {heads:?}")));
            }
        }
        Ok(None)
    }

    fn check(&mut self) -> Result<(), Violation> {
        self.keeps_its_promises("in the end")?;
        if self.onlookers.is_empty() {
            self.onlooker_comes()?;
        }
        let fresh = rows::of(&View::new(&self.stored()?, RENDERINGS));
        let view = self.life.run(self.life.hub.view(&Caller::server(), &self.id)).map_err(|error| error.to_string())?;
        let shown = view.map(|view| self.read(&view)).unwrap_or_default();
        if let Some(difference) = difference(&shown, &fresh) {
            return Err(format!("the view is not what a fresh reading gives: {difference}"));
        }
        for onlooker in &self.onlookers {
            if let Some(difference) = difference(&onlooker.rows, &fresh) {
                return Err(format!("what an onlooker was told does not add up: {difference}"));
            }
        }
        Ok(())
    }
}

/// A sync message in short.
fn told(bytes: &[u8]) -> String {
    fn short(hashes: &[ChangeHash]) -> String {
        hashes.iter().map(|hash| hash.to_string()[..6].to_owned()).collect::<Vec<_>>().join(" ")
    }
    let Ok(sync::Message { heads, need, have, changes, .. }) = sync::Message::decode(bytes) else {
        return "rubbish".to_owned();
    };
    let have: Vec<String> = have
        .iter()
        .map(|have| format!("{} and {} bytes", short(&have.last_sync), have.bloom.to_bytes().len()))
        .collect();
    let bytes: usize = changes.iter().map(<[u8]>::len).sum();
    format!("heads [{}], need [{}], have [{}], {bytes} bytes of changes", short(&heads), short(&need), have.join(", "))
}

fn author() -> Author {
    Author { name: "the API".to_owned(), now: 1_795_357_260_000 }
}

fn difference(told: &Rows, there: &Rows) -> Option<String> {
    if told == there {
        return None;
    }
    let ids: BTreeMap<&String, ()> = told.keys().chain(there.keys()).map(|id| (id, ())).collect();
    let id = ids.into_keys().find(|id| told.get(*id) != there.get(*id))?;
    Some(format!("{id} is {:?} instead of {:?}", told.get(id), there.get(id)))
}
