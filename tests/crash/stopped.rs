//! The program is stopped while clients write.

use std::time::{Duration, Instant};

use primitives::DocumentId;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::sleep;

use super::support::process::{Running, folder, names, run, serve};
use super::support::promises::Promises;
use super::writers::{Told, Writers};
use super::{ROUNDS_PER_FOLDER, number};

/// Default number of rounds; `ROUNDS` overrides it.
const ROUNDS: u32 = 10;
/// The program's grace period.
const GRACE: Duration = Duration::from_secs(8);

fn document(server: &Running) -> DocumentId {
    let url = server.printed.iter().find_map(|line| line.strip_prefix("url       automerge:"));
    url.expect("said at the start").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_under_load_is_graceful() {
    let mut rng = StdRng::seed_from_u64(number("SEED", 1).into());
    let (mut place, mut promises) = (folder(), Promises::default());
    let (mut kept, mut told, mut longest) = (0, 0, Duration::ZERO);
    let rounds = number("ROUNDS", ROUNDS);
    for round in 0..rounds {
        if round % ROUNDS_PER_FOLDER == 0 {
            kept += promises.len();
            (place, promises) = (folder(), Promises::default());
        }
        let state = place.path().join("state.automerge");
        let (server, address) = Running::server(serve(&state, &["--grace", &GRACE.as_secs().to_string()]));
        let writers = Writers::start_all(address, &document(&server), round).await;
        sleep(Duration::from_millis(rng.random_range(20..700))).await;
        let begun = Instant::now();
        server.signal("TERM");
        let ended = tokio::task::spawn_blocking(move || server.ended()).await.unwrap();
        let took = begun.elapsed();
        longest = longest.max(took);
        let Told { promises: more, ends } = writers.stop().await;
        assert_eq!(ended.code, Some(0), "round {round}, after {took:?}: {ended:?}; {ends:?}");
        assert!(took < GRACE, "round {round}: {took:?}");
        for end in &ends {
            assert_eq!(end.close, Some(1001), "round {round}: {end:?}");
        }
        told += ends.len();
        promises.add(more);
        let check = run(&["check", state.to_str().unwrap()]);
        assert_eq!(check.code, Some(0), "round {round}: {check:?}");
        promises.are_kept_by(&state, round + 1);
        let names = names(place.path());
        assert_eq!(names, ["documents", "state.automerge", "state.automerge.lock"], "round {round}");
    }
    kept += promises.len();
    assert!(told > rounds as usize, "too few sockets were connected: {told}");
    assert!(kept > rounds as usize, "the writers have hardly written: {kept}");
    println!("{rounds} rounds: {kept} promises kept, {told} sockets told; the longest end took {longest:?}");
}
