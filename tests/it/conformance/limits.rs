use std::{sync::Arc, time::Duration};

use rapport_common::limits::{Limits, LocalLimits, Rate, RedisLimits};

async fn suite(limits: Arc<dyn Limits>) {
    let rate = Rate::per_minute(60, 5);
    for n in 0..5 {
        let decision = limits.check("a", rate).await;
        assert_eq!((decision.allowed, decision.limit), (true, 60));
        assert!(decision.remaining >= 4 - n);
    }
    let refused = limits.check("a", rate).await;
    assert!(!refused.allowed && refused.remaining == 0);
    assert!(refused.retry_after > Duration::ZERO && refused.retry_after <= Duration::from_secs(1));
    assert!(limits.check("b", rate).await.allowed, "keys do not share");
    assert!(limits.once("t", Duration::from_secs(5)).await.unwrap());
    assert!(!limits.once("t", Duration::from_secs(5)).await.unwrap());
    // What is given back is there again, and no more than was taken.
    let slow = Rate::per_day(24, 3);
    for _ in 0..3 {
        assert!(limits.check("d", slow).await.allowed);
    }
    let refused = limits.check("d", slow).await;
    assert!(!refused.allowed && refused.retry_after > Duration::from_secs(3_000), "{refused:?}");
    limits.give_back("d", slow).await;
    assert!(limits.check("d", slow).await.allowed);
    assert!(!limits.check("d", slow).await.allowed);
    for _ in 0..5 {
        limits.give_back("d", slow).await;
    }
    limits.give_back("never taken", slow).await;
    for key in ["d", "never taken"] {
        for _ in 0..3 {
            assert!(limits.check(key, slow).await.allowed, "{key}");
        }
        assert!(!limits.check(key, slow).await.allowed, "{key}");
    }
    // Many at once: no more than the burst (and what flows in meanwhile) pass.
    let many = (0..50).map(|_| limits.check("c", rate));
    let passed = futures::future::join_all(many).await.iter().filter(|decision| decision.allowed).count();
    assert!((5..=7).contains(&passed), "{passed}");
}

#[tokio::test]
async fn in_process() {
    suite(Arc::new(LocalLimits::new())).await;
}

#[tokio::test]
async fn on_redis() {
    suite(Arc::new(RedisLimits::new(super::redis()))).await;
}

#[tokio::test]
async fn on_a_redis_cluster() {
    suite(Arc::new(RedisLimits::new(super::redis_cluster()))).await;
}

#[tokio::test]
async fn without_redis_each_process_counts_for_itself() {
    let link = rapport_common::redis_link::RedisLink::new("redis://127.0.0.1:1").unwrap();
    let limits = RedisLimits::new(link);
    let rate = Rate::per_minute(60, 2);
    assert!(limits.check("a", rate).await.allowed);
    assert!(limits.check("a", rate).await.allowed);
    assert!(!limits.check("a", rate).await.allowed);
    assert!(limits.once("t", Duration::from_secs(5)).await.is_err(), "a ticket must not pass twice");
}
