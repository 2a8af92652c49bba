use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use rand::{Rng, SeedableRng};
use rapport_common::{
    clock,
    domain::{
        ids::{JobId, UserId},
        job::{Lane, Queue},
    },
    store::jobs::Ready,
    wire::{LocalWire, RedisWire, SpreadWire, Taking, Wire},
};

async fn suite(wire: Arc<dyn Wire>) {
    let lane = Lane::normal(Queue::Chat);
    let now = clock::now();
    let ready = |priority: i64, millis: i64| Ready {
        id: JobId::new(),
        user_id: None,
        lane,
        priority,
        run_at: now + TimeDelta::milliseconds(millis),
    };
    let mut receiver = wire.receiver(lane).await.unwrap();
    assert!(
        receiver.pop(5, Duration::from_millis(50)).await.unwrap().is_empty(),
        "an empty wire gives nothing"
    );
    // The most urgent first: by priority, then as they came.
    let (early, late, urgent) = (ready(0, 0), ready(0, 5), ready(-1, 9));
    wire.announce(&[early, late, urgent], Taking::New).await.unwrap();
    let elsewhere = Ready { run_at: early.run_at + TimeDelta::seconds(9), ..early };
    wire.announce(&[early, elsewhere], Taking::New).await.unwrap();
    assert_eq!(wire.depth(lane).await.unwrap(), 3, "announced twice is there once");
    assert_eq!(receiver.pop(2, Duration::from_secs(5)).await.unwrap(), [urgent.id, early.id]);
    assert_eq!(receiver.pop(9, Duration::from_secs(5)).await.unwrap(), [late.id]);
    assert_eq!(wire.depth(lane).await.unwrap(), 0);
    // Lanes do not mix.
    let other = Ready { lane: Lane::quarantine(Queue::Chat), ..ready(0, 0) };
    wire.announce(&[other], Taking::New).await.unwrap();
    assert!(receiver.pop(1, Duration::from_millis(50)).await.unwrap().is_empty());
    let mut quarantine = wire.receiver(other.lane).await.unwrap();
    assert_eq!(quarantine.pop(1, Duration::from_secs(5)).await.unwrap(), [other.id]);
    // A waiting receiver is woken.
    let one = ready(0, 0);
    let waiting = tokio::spawn(async move { receiver.pop(1, Duration::from_secs(20)).await.unwrap() });
    tokio::task::yield_now().await;
    wire.announce(&[one], Taking::New).await.unwrap();
    assert_eq!(waiting.await.unwrap(), [one.id]);
    wire.ping().await.unwrap();
}

/// Many jobs of one user do not keep others waiting.
async fn turns(wire: Arc<dyn Wire>) {
    let lane = Lane::normal(Queue::Background);
    let (busy, other, third) = (UserId::new(), UserId::new(), UserId::new());
    let of = |user| Ready { id: JobId::new(), user_id: Some(user), lane, priority: 0, run_at: clock::now() };
    let mut receiver = wire.receiver(lane).await.unwrap();
    let mut pop = async |count| receiver.pop(count, Duration::from_secs(5)).await.unwrap();
    let many: Vec<Ready> = (0..100).map(|_| of(busy)).collect();
    wire.announce(&many[..50], Taking::New).await.unwrap();
    for one in &many[50..] {
        wire.announce(&[*one], Taking::New).await.unwrap();
    }
    // Whoever comes stands beside the first, and behind it; so does who comes when many were served.
    let ids = |some: &[Ready]| -> Vec<JobId> { some.iter().map(|one| one.id).collect() };
    let one = of(other);
    wire.announce(&[one], Taking::New).await.unwrap();
    assert_eq!(pop(3).await, [many[0].id, one.id, many[1].id]);
    assert_eq!(pop(58).await, ids(&many[2..60]));
    let late = [of(third), of(third)];
    wire.announce(&late, Taking::New).await.unwrap();
    assert_eq!(pop(4).await, [many[60].id, late[0].id, many[61].id, late[1].id]);
    // What the sweep brings again pushes nobody back, wherever it stood.
    wire.announce(&many[62..], Taking::Again).await.unwrap();
    wire.announce(&many[62..], Taking::Again).await.unwrap();
    assert_eq!(pop(38).await, ids(&many[62..]));
    // However many are announced at once: they are one user's.
    let many: Vec<Ready> = (0..60).map(|_| of(busy)).collect();
    let all = many.iter().map(|one| {
        let wire = Arc::clone(&wire);
        async move { wire.announce(&[*one], Taking::New).await.unwrap() }
    });
    futures::future::join_all(all).await;
    let one = of(other);
    wire.announce(&[one], Taking::New).await.unwrap();
    assert!(pop(2).await.contains(&one.id));
    assert_eq!(pop(59).await.len(), 59);
    // Nor do those that are nobody's.
    let nobody = |_| Ready { user_id: None, ..of(busy) };
    wire.announce(&(0..60).map(nobody).collect::<Vec<_>>(), Taking::New).await.unwrap();
    let two = [of(other), of(other)];
    wire.announce(&two, Taking::New).await.unwrap();
    let first = pop(4).await;
    assert!(ids(&two).iter().all(|id| first.contains(id)), "{first:?}");
    assert_eq!(pop(58).await.len(), 58);
    // Who was served while nobody else wanted to run owes nothing.
    let again = [of(busy), of(other)];
    wire.announce(&again, Taking::New).await.unwrap();
    assert_eq!(pop(2).await, ids(&again));
    assert_eq!(wire.depth(lane).await.unwrap(), 0);
}

#[tokio::test]
async fn in_process() {
    let wire = Arc::new(LocalWire::default());
    suite(Arc::clone(&wire) as _).await;
    turns(wire).await;
}

#[tokio::test]
async fn on_redis() {
    let wire = Arc::new(RedisWire::new(super::redis()));
    suite(Arc::clone(&wire) as _).await;
    turns(wire).await;
}

#[tokio::test]
async fn on_a_redis_cluster() {
    let wire = Arc::new(RedisWire::new(super::redis_cluster()));
    suite(Arc::clone(&wire) as _).await;
    turns(wire).await;
}

/// Both give the same turns: the one in Rust, the other in Redis' script.
#[tokio::test]
async fn both_have_the_same_order() {
    let wires: [Arc<dyn Wire>; 2] =
        [Arc::new(LocalWire::default()), Arc::new(RedisWire::new(super::redis()))];
    let lane = Lane::normal(Queue::Background);
    let users: Vec<Option<UserId>> = (0..4).map(|n| (n > 0).then(UserId::new)).collect();
    let mut receivers = Vec::new();
    for wire in &wires {
        receivers.push(wire.receiver(lane).await.unwrap());
    }
    let seed: u64 = rand::random();
    let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
    let mut known: Vec<Ready> = Vec::new();
    for step in 0..400 {
        if rng.random_bool(0.6) {
            let some: Vec<Ready> = (0..rng.random_range(1..6))
                .map(|_| {
                    let user_id = users[rng.random_range(0..users.len())];
                    let priority = rng.random_range(-1..2);
                    Ready { id: JobId::new(), user_id, lane, priority, run_at: clock::now() }
                })
                .collect();
            for wire in &wires {
                wire.announce(&some, Taking::New).await.unwrap();
            }
            known.extend(some);
        } else if rng.random_bool(0.2) {
            for wire in &wires {
                wire.announce(&known, Taking::Again).await.unwrap();
            }
        }
        let count = rng.random_range(1..6);
        let mut popped = Vec::new();
        for receiver in &mut receivers {
            popped.push(receiver.pop(count, Duration::from_millis(20)).await.unwrap());
        }
        assert_eq!(popped[0], popped[1], "step {step} of seed {seed}");
        known.retain(|one| !popped[0].contains(&one.id));
    }
}

#[tokio::test]
async fn spread_over_several() {
    let wires: Vec<Arc<dyn Wire>> =
        (0..2).map(|_| Arc::new(RedisWire::new(super::redis())) as Arc<dyn Wire>).collect();
    let spread = Arc::new(SpreadWire::new(Arc::clone(&wires[0]), wires[1..].to_vec()));
    suite(Arc::clone(&spread) as _).await;
    // Each queue is on one of them, and each of them has one.
    let run_at = clock::now();
    let of =
        |queue| Ready { id: JobId::new(), user_id: None, lane: Lane::normal(queue), priority: 0, run_at };
    let all: Vec<Ready> = Queue::ALL.into_iter().map(of).collect();
    spread.announce(&all, Taking::New).await.unwrap();
    let mut queues = [0, 0];
    for one in &all {
        let here = [wires[0].depth(one.lane).await.unwrap(), wires[1].depth(one.lane).await.unwrap()];
        assert_eq!(here.iter().sum::<u64>(), 1, "{here:?}");
        queues[usize::from(here[1] == 1)] += 1;
        let mut receiver = spread.receiver(one.lane).await.unwrap();
        assert_eq!(receiver.pop(9, Duration::from_secs(5)).await.unwrap(), [one.id]);
    }
    assert!(queues.iter().all(|count| *count > 0), "{queues:?}");
}
