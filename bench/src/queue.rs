//! The way of a job from its announcement to its handler's start, at an idle and a loaded rate, beside a raw blocking
//! pop in the same run; then a backlog: how fast it drains, and what Redis holds before and after.

use std::{collections::HashMap, time::Duration};

use rapport_common::{
    clock,
    domain::{
        ids::JobId,
        job::{JobKind, Lane},
    },
    jobs::payload::ProbePayload,
    redis_link::RedisLink,
    store::{
        self, Db, PoolSizes, Querier,
        db::Raw,
        jobs::{NewJob, Ready},
    },
    wire::{RedisWire, Taking, Wire},
};
use tokio::time::Instant;

use crate::{
    cluster::{Cluster, Options, production},
    report::{Latencies, Report},
};

#[derive(clap::Args)]
pub struct Arguments {
    /// Jobs per second when idle.
    #[arg(long, default_value_t = 20.0)]
    idle: f64,
    /// Jobs per second under load.
    #[arg(long, default_value_t = 1_500.0)]
    loaded: f64,
    /// Seconds each rate runs.
    #[arg(long, default_value_t = 10)]
    duration: u64,
    /// Jobs queued at once.
    #[arg(long, default_value_t = 100_000)]
    backlog: usize,
    #[arg(long, default_value_t = 1)]
    workers: usize,
}

pub async fn run(arguments: Arguments, report: &mut Report) -> Result<(), String> {
    let (database, redis) =
        production().ok_or("`rapport-bench queue` needs DATABASE_URL (PostgreSQL) and REDIS_URL")?;
    // Nothing but the announcements under measurement may bring a job out.
    let env = vec![("QUEUE__SWEEP_SECONDS".to_owned(), "600".to_owned())];
    let mut cluster = Cluster::start(Options { workers: 0, concurrency: 64, mock: Vec::new(), env }).await?;
    for _ in 0..arguments.workers {
        cluster.add_worker().await?;
    }
    let db = Db::postgres(database.as_str().into(), PoolSizes { durable: 4, relaxed: 2 })
        .map_err(|error| error.to_string())?;
    let link = RedisLink::new(&redis).map_err(|error| error.to_string())?;
    let wire = RedisWire::new(link.clone());
    for (name, rate) in [("idle", arguments.idle), ("loaded", arguments.loaded)] {
        let count = (rate * arguments.duration as f64) as usize;
        let label = format!("{name}, {rate}/s");
        report.latencies(&format!("{label}: raw BLPOP"), &raw(&link, rate, count).await?)?;
        report.latencies(&format!("{label}: announce to handler"), &hops(&db, &wire, rate, count).await?)?;
    }
    drop(cluster);
    backlog(&arguments, &db, &link, report).await
}

const LIST: &str = "rapport:bench:raw";

/// A value pushed at a rate, popped by a blocking reader.
async fn raw(link: &RedisLink, rate: f64, count: usize) -> Result<Latencies, String> {
    let failed = |error: redis::RedisError| error.to_string();
    let mut reader = link.blocking_connection(LIST, Duration::from_secs(30)).await.map_err(failed)?;
    let mut writer = link.blocking_connection(LIST, Duration::from_secs(5)).await.map_err(failed)?;
    let epoch = Instant::now();
    let reading = tokio::spawn(async move {
        let mut latencies = Latencies::new()?;
        for _ in 0..count {
            let mut pop = redis::cmd("BLPOP");
            pop.arg(LIST).arg(20);
            let (_, sent): (String, u64) = pop.query_async(&mut reader).await.map_err(failed)?;
            latencies.add(epoch.elapsed().saturating_sub(Duration::from_nanos(sent)));
        }
        Ok::<_, String>(latencies)
    });
    for number in 0..count {
        tokio::time::sleep_until(epoch + Duration::from_secs_f64(number as f64 / rate)).await;
        let mut push = redis::cmd("RPUSH");
        push.arg(LIST).arg(epoch.elapsed().as_nanos() as u64);
        push.query_async::<()>(&mut writer).await.map_err(failed)?;
    }
    reading.await.map_err(|error| error.to_string())?
}

async fn insert(db: &Db, count: usize) -> Result<Vec<Ready>, String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let payload = ProbePayload::default();
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        let mut tx = db.begin().await.map_err(|error| failed(&error))?;
        for _ in 0..(count - all.len()).min(1_000) {
            let job = NewJob::new(&payload, 3).map_err(|error| failed(&error))?;
            all.extend(store::jobs::enqueue(&mut tx, job).await.map_err(|error| failed(&error))?);
        }
        tx.commit().await.map_err(|error| failed(&error))?;
    }
    Ok(all)
}

/// Announces committed jobs at a rate; each handler writes down when it started.
async fn hops(db: &Db, wire: &RedisWire, rate: f64, count: usize) -> Result<Latencies, String> {
    let jobs = insert(db, count).await?;
    let mut announced: HashMap<JobId, i64> = HashMap::with_capacity(count);
    let epoch = Instant::now();
    for (number, ready) in jobs.iter().enumerate() {
        tokio::time::sleep_until(epoch + Duration::from_secs_f64(number as f64 / rate)).await;
        announced.insert(ready.id, clock::now().timestamp_micros());
        wire.announce(&[*ready], Taking::New).await.map_err(|error| error.to_string())?;
    }
    until_drained(db, wire).await?;
    let mut latencies = Latencies::new()?;
    for (id, started) in started(db).await? {
        if let Some(at) = announced.get(&id) {
            latencies.add(Duration::from_micros((started - at).max(0) as u64));
        }
    }
    if latencies.count() as usize == count {
        Ok(latencies)
    } else {
        Err(format!("{} of {count} ran", latencies.count()))
    }
}

async fn started(db: &Db) -> Result<Vec<(JobId, i64)>, String> {
    const STARTED: &str = "select id, (result->>'started_micros')::bigint from jobs
        where kind = 'probe' and status = 'succeeded'";
    let mut conn = db.read().await.map_err(|error| error.to_string())?;
    match conn.raw() {
        Raw::Pg(c) => sqlx::query_as(STARTED).fetch_all(c).await.map_err(|error| error.to_string()),
        Raw::Lite(_) => Err("PostgreSQL only".to_owned()),
    }
}

async fn open(db: &Db) -> Result<i64, String> {
    const OPEN: &str = "select count(*) from jobs where kind = 'probe' and status in ('queued', 'running')";
    let mut conn = db.read().await.map_err(|error| error.to_string())?;
    let (count,): (i64,) = match conn.raw() {
        Raw::Pg(c) => sqlx::query_as(OPEN).fetch_one(c).await.map_err(|error| error.to_string())?,
        Raw::Lite(_) => return Err("PostgreSQL only".to_owned()),
    };
    Ok(count)
}

async fn until_drained(db: &Db, wire: &RedisWire) -> Result<(), String> {
    let started = Instant::now();
    while open(db).await? > 0 {
        if started.elapsed() > Duration::from_secs(120) {
            let waiting = wire.depth(Lane::normal(JobKind::Probe.queue())).await;
            return Err(format!("the queue does not drain: {waiting:?} on the wire"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn redis_memory(link: &RedisLink) -> Result<f64, String> {
    let mut info = redis::pipe();
    info.cmd("INFO").arg("memory");
    let (text,): (String,) = link.query(&info).await.map_err(|error| error.to_string())?;
    let line = text.lines().find_map(|line| line.strip_prefix("used_memory:"));
    line.and_then(|number| number.trim().parse::<f64>().ok())
        .map(|bytes| bytes / 1e6)
        .ok_or("no memory figure".to_owned())
}

/// Queues everything, then starts the workers; the sweeper brings the jobs out.
async fn backlog(
    arguments: &Arguments,
    db: &Db,
    link: &RedisLink,
    report: &mut Report,
) -> Result<(), String> {
    let before = redis_memory(link).await?;
    insert(db, arguments.backlog).await?;
    let options = Options { workers: 0, concurrency: 64, mock: Vec::new(), env: Vec::new() };
    let mut cluster = Cluster::start(options).await?;
    for _ in 0..arguments.workers {
        cluster.add_worker().await?;
    }
    let started = Instant::now();
    let mut marks = Vec::new();
    let total = arguments.backlog as f64;
    loop {
        let left = open(db).await? as f64;
        let done = 1.0 - left / total;
        while marks.len() < 4 && done >= (marks.len() + 1) as f64 * 0.25 {
            marks.push(started.elapsed().as_secs_f64());
        }
        if left == 0.0 {
            break;
        }
        if started.elapsed() > Duration::from_secs(900) {
            return Err(format!("{left} jobs are left after 15 minutes"));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    report.number("backlog: jobs", total, "")?;
    report.number("backlog: drained at", total / started.elapsed().as_secs_f64(), "per s")?;
    let mut last = 0.0;
    for (index, mark) in marks.iter().enumerate() {
        report.number(&format!("backlog: quarter {}", index + 1), total / 4.0 / (mark - last), "per s")?;
        last = *mark;
    }
    report.number("Redis memory before", before, "MB")?;
    report.number("Redis memory after", redis_memory(link).await?, "MB")
}
