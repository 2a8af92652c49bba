use std::{sync::Arc, time::Duration};

use rapport_common::{
    domain::{
        event::{Event, EventId},
        ids::JobId,
    },
    events::{EventLog, EventsError, Live, LocalEvents, RedisEvents, SpreadEvents},
};
use serde_json::json;

fn event(attempt: u32, n: u32) -> Event {
    Event::new(EventId::new(attempt, n), "token", json!({"delta": format!("{attempt}-{n} \n\"ü")}))
}

async fn live(subscription: &mut rapport_common::events::Subscription) -> Event {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(10), subscription.next()).await.unwrap();
        // "Read again" may come at any time, and is harmless.
        if let Live::Event(event) = next {
            return Event::clone(&event);
        }
    }
}

async fn suite(log: Arc<dyn EventLog>) {
    let job = JobId::new();
    assert!(log.read_after(job, EventId::START).await.unwrap().is_empty());
    // The pub/sub connection is made in the background: ask until an event comes through.
    let mut first = log.subscribe(job).await.unwrap();
    let mut second = log.subscribe(job).await.unwrap();
    let mut n = 0;
    let heard = loop {
        n += 1;
        log.append(job, &[event(1, n)]).await.unwrap();
        if let Ok(Live::Event(heard)) = tokio::time::timeout(Duration::from_millis(300), first.next()).await {
            break Event::clone(&heard);
        }
        assert!(n < 50);
    };
    assert_eq!(heard, event(1, heard.id.n));
    assert_eq!(live(&mut second).await, heard, "every subscriber hears");
    drop(first);
    log.append(job, &[event(1, n + 1), event(1, n + 2)]).await.unwrap();
    assert_eq!(live(&mut second).await, event(1, n + 1));
    assert_eq!(live(&mut second).await, event(1, n + 2));
    assert_eq!(log.read_after(job, EventId::new(1, n)).await.unwrap(), [event(1, n + 1), event(1, n + 2)]);
    // A later attempt takes over: the zombie is refused, and nobody sees it.
    log.append(job, &[event(2, 1)]).await.unwrap();
    assert!(matches!(log.append(job, &[event(1, n + 3)]).await, Err(EventsError::Stale)));
    assert_eq!(live(&mut second).await, event(2, 1));
    // Whoever did not hear that an append worked repeats it, with what came since.
    log.append(job, &[event(2, 1), event(2, 2)]).await.unwrap();
    assert_eq!(live(&mut second).await, event(2, 2), "what was there is not shown again");
    assert_eq!(log.read_after(job, EventId::new(1, n + 2)).await.unwrap(), [event(2, 1), event(2, 2)]);
    assert!(log.read_after(JobId::new(), EventId::START).await.unwrap().is_empty(), "jobs do not mix");
    // What is only shown is not kept.
    let last = Event::new(EventId::last_of(2), "done", json!({}));
    log.notify(job, &last).await.unwrap();
    assert_eq!(live(&mut second).await, last);
    assert!(log.read_after(job, EventId::new(2, 2)).await.unwrap().is_empty());
}

#[tokio::test]
async fn in_process() {
    suite(Arc::new(LocalEvents::new(Duration::from_secs(60)))).await;
}

#[tokio::test]
async fn on_redis() {
    suite(Arc::new(RedisEvents::new(super::redis(), Duration::from_secs(60)))).await;
}

#[tokio::test]
async fn on_a_redis_cluster() {
    let log = Arc::new(RedisEvents::new(super::redis_cluster(), Duration::from_secs(60)));
    for _ in 0..8 {
        suite(Arc::clone(&log) as _).await;
    }
}

#[tokio::test]
async fn spread_over_several() {
    let logs: Vec<Arc<dyn EventLog>> =
        (0..3).map(|_| Arc::new(RedisEvents::new(super::redis(), Duration::from_secs(60))) as _).collect();
    let spread = Arc::new(SpreadEvents::new(Arc::clone(&logs[0]), logs[1..].to_vec()));
    for _ in 0..4 {
        suite(Arc::clone(&spread) as _).await;
    }
    // Each job's events are in one of them, and every one has some.
    let mut jobs = vec![0; logs.len()];
    for _ in 0..100 {
        let job = JobId::new();
        spread.append(job, &[event(1, 1)]).await.unwrap();
        let mut found = Vec::new();
        for (at, log) in logs.iter().enumerate() {
            found.extend((!log.read_after(job, EventId::START).await.unwrap().is_empty()).then_some(at));
        }
        let [at] = found[..] else { panic!("{found:?}") };
        jobs[at] += 1;
    }
    assert!(jobs.iter().all(|count| *count > 10), "{jobs:?}");
}

#[tokio::test]
async fn a_log_is_forgotten_after_its_retention() {
    let link = super::redis();
    let logs: [Arc<dyn EventLog>; 2] = [
        Arc::new(LocalEvents::new(Duration::from_secs(1))),
        Arc::new(RedisEvents::new(link, Duration::from_secs(1))),
    ];
    for log in logs {
        let job = JobId::new();
        log.append(job, &[event(1, 1)]).await.unwrap();
        crate::harness::eventually("it is forgotten", Duration::from_secs(10), || async {
            log.read_after(job, EventId::START).await.unwrap().is_empty().then_some(())
        })
        .await;
    }
}
