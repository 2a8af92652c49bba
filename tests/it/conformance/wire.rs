use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use rapport_common::{
    clock,
    domain::{
        ids::JobId,
        job::{Lane, Queue},
    },
    store::jobs::Ready,
    wire::{LocalWire, RedisWire, Wire},
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
    // The most urgent first: by priority, then by time.
    let (late, early, urgent) = (ready(0, 5), ready(0, 0), ready(-1, 9));
    wire.announce(&[late, early, urgent]).await.unwrap();
    let elsewhere = Ready { run_at: early.run_at + TimeDelta::seconds(9), ..early };
    wire.announce(&[early, elsewhere]).await.unwrap();
    assert_eq!(wire.depth(lane).await.unwrap(), 3, "announced twice is there once");
    assert_eq!(receiver.pop(2, Duration::from_secs(5)).await.unwrap(), [urgent.id, early.id]);
    assert_eq!(receiver.pop(9, Duration::from_secs(5)).await.unwrap(), [late.id]);
    assert_eq!(wire.depth(lane).await.unwrap(), 0);
    // Lanes do not mix.
    let other = Ready { lane: Lane::quarantine(Queue::Chat), ..ready(0, 0) };
    wire.announce(&[other]).await.unwrap();
    assert!(receiver.pop(1, Duration::from_millis(50)).await.unwrap().is_empty());
    let mut quarantine = wire.receiver(other.lane).await.unwrap();
    assert_eq!(quarantine.pop(1, Duration::from_secs(5)).await.unwrap(), [other.id]);
    // A waiting receiver is woken.
    let one = ready(0, 0);
    let waiting = tokio::spawn(async move { receiver.pop(1, Duration::from_secs(20)).await.unwrap() });
    tokio::task::yield_now().await;
    wire.announce(&[one]).await.unwrap();
    assert_eq!(waiting.await.unwrap(), [one.id]);
    wire.ping().await.unwrap();
}

#[tokio::test]
async fn in_process() {
    suite(Arc::new(LocalWire::default())).await;
}

#[tokio::test]
async fn on_redis() {
    suite(Arc::new(RedisWire::new(super::redis()))).await;
}
