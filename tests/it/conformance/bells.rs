use std::{collections::BTreeSet, sync::Arc, time::Duration};

use rapport_common::{
    bells::{Bells, Heard, Listener},
    domain::ids::{JobId, UserId},
    events::{EventLog, LocalEvents, RedisEvents},
};

const LONG: Duration = Duration::from_secs(20);

/// What is heard until all these jobs were; whether anything may have been missed.
async fn until(listener: &mut Listener, jobs: &[JobId]) -> BTreeSet<JobId> {
    let mut all = BTreeSet::new();
    while !jobs.iter().all(|job| all.contains(job)) {
        let Heard { jobs, missed } = listener.heard(LONG).await.expect("a bell");
        assert!(!missed);
        all.extend(jobs);
    }
    all
}

/// `here` and `there` are two processes.
async fn suite(here: Arc<dyn EventLog>, there: Arc<dyn EventLog>) {
    let (here, there) = (Bells::start(here), Bells::start(there));
    let (user, other) = (UserId::new(), UserId::new());
    let (mut listener, mut others) = (here.listen(user), here.listen(other));
    // Whoever begins to listen looks at everything first: what was rung for before may be lost.
    for listener in [&mut listener, &mut others] {
        assert!(listener.heard(LONG).await.expect("it listens").missed);
    }
    let jobs = [JobId::new(), JobId::new(), JobId::new()];
    for job in jobs {
        there.ring(user, Some(job));
    }
    here.ring(other, None);
    assert_eq!(until(&mut listener, &jobs).await, BTreeSet::from(jobs));
    // Another's bell names no job of this one's, and says that something changed.
    assert_eq!(others.heard(LONG).await, Some(Heard::default()));
    // What one listener took, another of the same user has too.
    let mut second = there.listen(user);
    assert!(second.heard(LONG).await.expect("it listens").missed);
    let job = JobId::new();
    here.ring(user, Some(job));
    assert!(until(&mut listener, &[job]).await.contains(&job));
    assert!(until(&mut second, &[job]).await.contains(&job));
    // Who falls far behind is told to look at everything.
    let many: Vec<JobId> = (0..2_000).map(|_| JobId::new()).collect();
    many.iter().for_each(|&job| there.ring(user, Some(job)));
    let last = JobId::new();
    there.ring(other, Some(last));
    until(&mut others, &[last]).await;
    assert!(listener.heard(LONG).await.expect("a bell").missed);
}

#[tokio::test]
async fn in_process() {
    let events = Arc::new(LocalEvents::new(LONG));
    suite(Arc::clone(&events) as _, events).await;
}

#[tokio::test]
async fn on_redis() {
    let link = super::redis();
    suite(Arc::new(RedisEvents::new(link.clone(), LONG)), Arc::new(RedisEvents::new(link, LONG))).await;
}

/// Published at one server, and heard at another.
#[tokio::test]
async fn on_a_redis_cluster() {
    let link = super::redis_cluster;
    suite(Arc::new(RedisEvents::new(link(), LONG)), Arc::new(RedisEvents::new(link(), LONG))).await;
}
