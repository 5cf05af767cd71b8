//! One authenticated hostile user with 40 viewer connections, 10 editor connections and HTTP requests, next to fifty
//! honest clients of another user. Measures whether these are disturbed, how much memory the server uses, and whether
//! it stops on command and starts again.

use std::time::{Duration, Instant};

use super::attackers::{ALL, Brief, LARGEST_MESSAGE};
use super::process::Attackers;
use super::stage_of_others::{Others, PLANS};
use super::visitor::{self, Visitor, Visits};
use crate::Fallible;
use crate::figures::{Figures, Taken};
use crate::kind::Kind;
use crate::plan::Plan;
use crate::report::memory_bound;
use crate::run::{Run, Subject};
use crate::server::Workplace;

/// The longest user name, which other users see.
const NAME: usize = 200;
/// When the server is told to stop during the second round.
const STOP_AFTER: Duration = Duration::from_secs(3);
const SECOND_ROUND: u32 = 6;
/// Longest time to stop before the server is killed.
const STOPPING: Duration = Duration::from_secs(30);
/// Longest response time of a responsive server.
const PATIENCE: Duration = Duration::from_secs(30);

/// Phases of the board.
const QUIET: usize = 1;
const ATTACKED: usize = 2;

/// All attacks at once.
pub fn run(run: &mut Run) -> Fallible<()> {
    let (quiet, attack) = if run.quick { (3, 10) } else { (20, 60) };
    let plans = run.many_small(PLANS)?;
    let names = run.attacks.clone();
    let what = if names.is_empty() { "all attacks".to_owned() } else { names.join(", ") };
    let case = format!(
        "one user's 40 viewer and 10 editor connections, {what} at once for {attack} s, beside 50 clients of another user"
    );
    let subject = Subject { scenario: "hostile-user", case: &case, viewers: None };
    run.measure_once(subject, &Kind::OURS, async |_, place| measure(&plans, place, &names, quiet, attack).await);
    Ok(())
}

/// Each attack alone.
pub fn one_by_one(run: &mut Run) -> Fallible<()> {
    let (quiet, attack) = if run.quick { (2, 5) } else { (5, 15) };
    let plans = run.many_small(PLANS)?;
    let wanted = run.attacks.clone();
    for name in ALL.iter().map(|attack| attack.name) {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            let case = format!("{name} for {attack} s");
            let subject = Subject { scenario: "attacks", case: &case, viewers: None };
            let names = [name.to_owned()];
            run.measure_once(subject, &Kind::OURS, async |_, place| {
                measure(&plans, place, &names, quiet, attack).await
            });
        }
    }
    Ok(())
}

async fn measure(plans: &[Plan], place: &Workplace, attacks: &[String], quiet: u32, attack: u32) -> Fallible<Taken> {
    let mut others = Others::gather(plans, place).await?;
    let server = &others.stage.server;
    server.run(&["user", "add", visitor::ACCOUNT, "--role", "editor", "--documents", "*"], visitor::PASSWORD)?;
    let mut attackers = Attackers::start(&brief(plans, &others, attacks)?).await?;
    let mut visitor = Visitor::come(&server.address, others.token()).await?;
    until_known(&visitor).await?;

    let mut figures = Figures::new();
    let mut failures: Vec<String> = Vec::new();
    let (mut calm, _) = others.work(QUIET, quiet, &mut visitor).await;
    let rss_before = others.stage.server.process().rss_mib()?;
    attackers.attack(attack)?;
    let (worked, counts) = tokio::join!(others.work(ATTACKED, attack, &mut visitor), attackers.done(attack));
    let (mut visits, all_delivered) = worked;
    for (name, count) in counts? {
        figures.insert(name, count);
    }
    for (what, error) in calm.refusals.iter().chain(&visits.refusals) {
        eprintln!("the visitor was refused {what}: {error}");
    }
    latencies(&others, &mut calm, &mut visits, &mut figures);
    let process = others.stage.server.process();
    let (Ok(rss), Ok(peak)) = (process.rss_mib(), process.peak_rss_mib()) else {
        return Err(others.stage.explain(&"the server is gone").into());
    };
    // The document with many rows is applied once and stays in memory.
    let bound = memory_bound::mib(others.connections(), others.documents()? as u64, 2 * LARGEST_MESSAGE);
    let writable = others.writable(&mut visitor).await;
    let agreed = all_delivered && others.stage.agrees().await;
    for (name, figure) in [
        ("dropped_clients", others.stage.board.failures() as f64),
        ("refused_requests", f64::from(visits.refused + calm.refused)),
        ("requests", f64::from(visits.done + calm.done + visits.refused + calm.refused)),
        ("unwritable_documents", (plans.len() - writable) as f64),
        ("documents", others.documents()? as f64),
        ("rss_before_mib", rss_before),
        ("rss_mib", rss),
        ("peak_rss_mib", peak),
        ("rss_bound_mib", bound),
        ("peak_rss_to_bound", peak / bound),
        ("converged", f64::from(u8::from(agreed))),
    ] {
        figures.insert(name.to_owned(), figure);
    }
    if let Some(failure) = others.stage.board.failure() {
        failures.push(failure);
    }
    // The server is told to stop during the attack.
    attackers.attack(SECOND_ROUND)?;
    tokio::time::sleep(STOP_AFTER).await;
    let (code, took) = others.stage.server.terminate(STOPPING).await?;
    figures.insert("stopped_in_s".to_owned(), took.as_secs_f64());
    match code {
        Some(code) => drop(figures.insert("exit_code".to_owned(), code.into())),
        None => failures.push(format!("it had to be killed after {STOPPING:?}")),
    }
    attackers.done(SECOND_ROUND).await?;
    let begun = Instant::now();
    others.stage.server.restart()?;
    others.stage.server.until_ready().await?;
    figures.insert("ready_again_s".to_owned(), begun.elapsed().as_secs_f64());
    match tokio::time::timeout(PATIENCE, visitor.list()).await {
        Ok(Ok(())) => drop(figures.insert("first_list_s".to_owned(), begun.elapsed().as_secs_f64())),
        Ok(Err(error)) => failures.push(format!("after the restart: {error}")),
        Err(_) => failures.push("after the restart: no answer".to_owned()),
    }
    figures.retain(|_, figure| figure.is_finite());
    let failure = if failures.is_empty() { None } else { Some(failures.join("; ")) };
    Ok(Taken { figures, failure: failure.map(|failure| others.stage.explain(&failure)) })
}

/// Creates keys, tokens and the grants of documents.
fn brief(plans: &[Plan], others: &Others, attacks: &[String]) -> Fallible<Brief> {
    let (watched, edited) = (plans[0].id.to_string(), plans[1].id.to_string());
    let user = format!("mallory-{}", "m".repeat(NAME - 8));
    let server = &others.stage.server;
    let token = |role: &str, documents: &str| {
        server.run(&["token", "--user", &user, "--role", role, "--documents", documents], "")
    };
    Ok(Brief {
        port: server.address.socket.port(),
        viewer: token("viewer", &format!("{watched},{edited}"))?,
        editor: token("editor", &edited)?,
        watched,
        edited,
        peer_id: visitor::PEER_ID.to_owned(),
        account: visitor::ACCOUNT.to_owned(),
        attacks: attacks.to_owned(),
    })
}

/// Waits until the server knows the visitor's account, and has accepted its login.
async fn until_known(visitor: &Visitor) -> Fallible<()> {
    let begun = Instant::now();
    while let Err(error) = visitor.log_in().await {
        if begun.elapsed() > PATIENCE {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

fn latencies(others: &Others, calm: &mut Visits, visits: &mut Visits, figures: &mut Figures) {
    for (phase, name) in [(QUIET, "quiet"), (ATTACKED, "attacked")] {
        let mut latencies = others.stage.board.latencies(phase);
        for (part, percentile) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            figures.insert(format!("{part}_{name}_ms"), latencies.percentile_ms(percentile));
        }
    }
    for (visits, name) in [(calm, "quiet"), (visits, "attacked")] {
        figures.insert(format!("request_p99_{name}_ms"), visits.latencies.percentile_ms(0.99));
    }
    figures.insert("p99_attacked_to_quiet".to_owned(), figures["p99_attacked_ms"] / figures["p99_quiet_ms"]);
}
