//! One fault: load, break, heal, wait until all is well, and check.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use chrono::SecondsFormat;

use crate::{
    check::{
        Violation,
        database::{Reader, Stored, text},
        deadlocks::Deadlocks,
        outcomes,
        processes::{Logged, Logs, Sample, compare, sample},
        sessions, usage,
    },
    clients::World,
    fleet,
    history::now,
    nemeses::{self, Nemesis, Scene},
    table::{self, Row},
};

/// What must not take longer after a fault.
const WITHIN: Duration = Duration::from_secs(60);
/// How long clients may take to come to an end after that.
const QUIET: Duration = Duration::from_secs(140);

pub struct Rounds {
    pub scene: Scene,
    pub reader: Reader,
    pub logs: Logs,
    pub deadlocks: Deadlocks,
    /// Of an idle service, before anything was broken.
    pub idle: BTreeMap<String, Sample>,
    pub idle_lines: f64,
    /// Failed jobs that an earlier round has told of.
    pub known_failed: HashSet<String>,
    /// Calls that were counted and never made, as told before.
    pub surplus: i64,
    /// Jobs that an earlier fault left open, and that were told then.
    pub stuck: HashSet<String>,
}

/// Waits until a condition holds; gives how long that took.
async fn within<F: Future<Output = bool>>(limit: Duration, mut holds: impl FnMut() -> F) -> Option<Duration> {
    let start = Instant::now();
    loop {
        if holds().await {
            return Some(start.elapsed());
        }
        if start.elapsed() > limit {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

impl Rounds {
    fn world(&self) -> &Arc<World> {
        &self.scene.world
    }

    /// Runs these faults at once under load, and gives a row of the table with what was found.
    pub async fn run(&mut self, faults: &[Nemesis], seed: u64) -> Result<(Row, Vec<Violation>), String> {
        let world = Arc::clone(self.world());
        let round = world.round.fetch_add(1, Ordering::SeqCst) + 1;
        world.history.begin_round();
        let since = now().to_rfc3339_opts(SecondsFormat::Millis, true);
        world.gate.open();
        nemeses::sleep(2.5).await;
        let mut found = Vec::new();
        let broken = faults
            .iter()
            .enumerate()
            .map(|(index, &fault)| nemeses::run(fault, &self.scene, seed.wrapping_add(index as u64)));
        let broken = futures::future::join_all(broken);
        let (results, uncounted) = tokio::join!(broken, self.uncounted(faults));
        found.extend(uncounted);
        for error in results.into_iter().filter_map(Result::err) {
            found.push(Violation::new("driver", error));
        }
        if world.history.failover().is_some() {
            self.reader = Reader::open(&self.scene.topology.store().await).await?;
        }
        if faults.is_empty() {
            nemeses::sleep(5.0).await;
        }
        let (ready, drained) = self.recover(&world, &mut found).await;
        world.gate.close();
        let is_well = ready.is_some() && drained.is_some();
        let limit = if is_well { QUIET } else { Duration::from_secs(10) };
        if within(limit, || async { world.gate.busy() == 0 }).await.is_none() {
            let what = format!("{} clients still wait; every process is restarted", world.gate.busy());
            found.push(Violation::new("I4 wedged", what));
            self.scene.topology.restart_all().await?;
            // What comes back with the new processes may end; the rest never does.
            within(Duration::from_secs(25), || async { world.gate.busy() == 0 }).await;
            world.giving_up.store(true, Ordering::SeqCst);
            within(QUIET, || async { world.gate.busy() == 0 }).await;
            world.giving_up.store(false, Ordering::SeqCst);
        }
        self.scene.topology.supervise().await?;
        let stored = self.stored(round).await?;
        let sent = world.history.take_sent();
        let around = outcomes::Around { faults, failover: world.history.failover() };
        found.extend(outcomes::check(&sent, &stored, around));
        found.extend(sessions::check(&sent, &stored, faults));
        found.extend(self.usage().await?);
        found.extend(self.leavers().await);
        let failed = self.failed(&since, &stored, faults, &mut found).await?;
        let (requests, errors, wrong) = world.history.take_counts();
        found.extend(wrong.into_iter().map(|(marker, what)| Violation::new("I7 error", what).about(&marker)));
        let mut logged = Logged::default();
        found.extend(self.back_to_normal(&mut logged).await);
        let theirs = &self.scene.topology.violations;
        found.append(&mut theirs.lock().unwrap_or_else(PoisonError::into_inner));
        for violation in &mut found {
            violation.explain(&world.history, &stored);
        }
        let names: Vec<&str> = faults.iter().map(|fault| fault.name).collect();
        let deadlocks = self.deadlocks.look();
        for deadlock in deadlocks.iter().take(1) {
            println!(
                "  .. deadlock, {} in all: {}",
                deadlocks.len(),
                deadlock.chars().take(900).collect::<String>()
            );
        }
        let stops = &self.scene.topology.stops;
        let row = Row {
            fault: if names.is_empty() { table::NONE.to_owned() } else { names.join(" + ") },
            messages: sent.len(),
            requests,
            errors,
            failed,
            ready,
            drained,
            stops: std::mem::take(&mut stops.lock().unwrap_or_else(PoisonError::into_inner)),
            warnings: logged.warnings,
            log_errors: logged.errors,
            deadlocks: deadlocks.len(),
            lost: outcomes::lost_in_failover(&sent, &stored, around),
            violations: found.len(),
        };
        Ok((row, found))
    }

    /// While nobody listens at the provider's address, nothing is counted; unless something holds up the storing of what was
    /// answered before.
    async fn uncounted(&self, faults: &[Nemesis]) -> Option<Violation> {
        let of_provider = |fault: &Nemesis| fault.name.starts_with("provider_");
        if !faults.iter().any(|fault| fault.name == "provider_refuse") || !faults.iter().all(of_provider) {
            return None;
        }
        nemeses::sleep(3.0).await;
        let before = usage::counted(&self.reader).await.ok()?;
        nemeses::sleep(4.0).await;
        let after = usage::counted(&self.reader).await.ok()?;
        let what = format!("{} calls were counted while nobody listened", after - before);
        (after != before).then(|| Violation::new("I6 usage", what))
    }

    /// Waits until every API answers a fresh message, and until all that could have run at the fault's end is final.
    async fn recover(
        &mut self,
        world: &Arc<World>,
        found: &mut Vec<Violation>,
    ) -> (Option<Duration>, Option<Duration>) {
        let at_heal: HashSet<String> = match self.reader.open_jobs().await {
            Ok(jobs) => {
                let ids = jobs.iter().map(|job| text(job, "id").to_owned());
                ids.filter(|id| !self.stuck.contains(id)).collect()
            }
            Err(error) => {
                found.push(Violation::new("driver", error));
                HashSet::new()
            }
        };
        let drained = within(WITHIN, || async {
            let open = self.reader.open_jobs().await;
            open.is_ok_and(|open| !open.iter().any(|job| at_heal.contains(text(job, "id"))))
        });
        let (ready, drained) = tokio::join!(fleet::ready(world, WITHIN), drained);
        let ready = ready.map_err(|error| found.push(Violation::new("I4 wedged", error).about("probe"))).ok();
        if drained.is_none() {
            let open = self.reader.open_jobs().await.unwrap_or_default();
            let left: Vec<String> = open
                .iter()
                .filter(|job| at_heal.contains(text(job, "id")))
                .map(|job| format!("{} STORED job {job}", text(job, "created_at")))
                .collect();
            let ids = open.iter().map(|job| text(job, "id"));
            self.stuck.extend(ids.filter(|id| at_heal.contains(*id)).map(str::to_owned));
            let what = format!("{} jobs are still open {WITHIN:?} after the fault", left.len());
            found.push(Violation::new("I4 wedged", what).with(left.into_iter().take(5)));
        }
        (ready, drained)
    }

    async fn stored(&self, round: u64) -> Result<Stored, String> {
        let mut last = String::new();
        for _ in 0..20 {
            match self.reader.stored(round).await {
                Ok(stored) => return Ok(stored),
                Err(error) => last = error,
            }
            nemeses::sleep(0.5).await;
        }
        Err(last)
    }

    async fn usage(&mut self) -> Result<Vec<Violation>, String> {
        let topology = &self.scene.topology;
        let ports = [topology.mock_port, topology.broken_mock_port];
        // What was sent and swallowed is a call too, as far as anybody can know.
        let calls =
            usage::calls(&self.world().web.client, &ports).await? + topology.links.provider.swallowed();
        let found = usage::check(&self.reader, calls, &mut { self.surplus }).await?;
        if found.is_empty() {
            return Ok(found);
        }
        // A title or an extraction may have ended between the two looks.
        nemeses::sleep(2.0).await;
        let calls =
            usage::calls(&self.world().web.client, &ports).await? + topology.links.provider.swallowed();
        usage::check(&self.reader, calls, &mut self.surplus).await
    }

    async fn leavers(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        for name in std::mem::take(&mut *self.world().leavers.lock().await) {
            let gone =
                within(WITHIN, || async { self.reader.left_of(&name).await.is_ok_and(|left| left == 0) });
            if gone.await.is_none() {
                found.push(Violation::new("erasure", format!("{name} is still there")).about(&name));
            }
        }
        found
    }

    /// Failed jobs of every kind; those of no user's message are judged here.
    async fn failed(
        &mut self,
        since: &str,
        stored: &Stored,
        faults: &[Nemesis],
        found: &mut Vec<Violation>,
    ) -> Result<BTreeMap<String, u64>, String> {
        let mut failed: BTreeMap<String, u64> = BTreeMap::new();
        for job in self.reader.failed_since(since).await? {
            // Its clock may be ahead of ours: what failed in the round before could have failed "since".
            if !self.known_failed.insert(text(&job, "id").to_owned()) {
                continue;
            }
            let code = job["error"]["code"].as_str().unwrap_or_default();
            *failed.entry(format!("{} {code}", text(&job, "kind"))).or_default() += 1;
            if stored.jobs.contains_key(text(&job, "id")) {
                continue;
            }
            let excused = match code {
                "job_crashed" => faults.iter().any(|fault| fault.kills),
                _ if text(&job, "kind") == "webhook" => true,
                _ => faults.iter().any(Nemesis::is_of_provider),
            };
            if !excused {
                let kind = if code == "job_crashed" { "innocent_crash" } else { "innocent_failure" };
                found.push(Violation::new(kind, format!("a {} job: {job}", text(&job, "kind"))));
            }
        }
        Ok(failed)
    }

    /// Looks at every process, idle: memory, files, and that the logs are quiet again.
    async fn back_to_normal(&mut self, logged: &mut Logged) -> Vec<Violation> {
        let mut found = Vec::new();
        self.look(logged).await;
        // Connections to the provider are kept for a minute, in case they are needed again, and the client looks for old ones
        // once a minute: two, and some.
        let deadline = Instant::now() + Duration::from_secs(135);
        loop {
            let (start, mut calm) = (Instant::now(), Logged::default());
            nemeses::sleep(2.0).await;
            let samples = self.samples().await;
            self.look(&mut calm).await;
            let rate = calm.lines as f64 / start.elapsed().as_secs_f64();
            logged.panics.append(&mut calm.panics);
            if self.idle.is_empty() {
                (self.idle, self.idle_lines) = (samples, rate);
                break;
            }
            found.clear();
            for (name, after) in &samples {
                if let Some(before) = self.idle.get(name) {
                    found.extend(compare(name, before, after));
                }
            }
            if rate > self.idle_lines * 10.0 + 20.0 {
                let mut most: Vec<_> = calm.messages.into_iter().collect();
                most.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
                let what =
                    format!("{rate:.0} lines a second are logged when idle; before: {:.0}", self.idle_lines);
                let most = most.into_iter().take(5).map(|(line, count)| format!("{count} × {line}"));
                found.push(Violation::new("I7 not back", what).with(most));
            }
            if found.is_empty() || Instant::now() > deadline {
                break;
            }
        }
        found.extend(logged.panics.iter().map(|line| Violation::new("I7 panic", line.clone())));
        found
    }

    async fn samples(&self) -> BTreeMap<String, Sample> {
        let mut samples = BTreeMap::new();
        for service in self.scene.topology.services() {
            let service = service.lock().await;
            samples.insert(service.name.clone(), sample(service.process.pid));
        }
        samples
    }

    async fn look(&mut self, logged: &mut Logged) {
        for service in self.scene.topology.services() {
            let path = service.lock().await.process.log.clone();
            self.logs.look(&path, logged);
        }
    }
}
