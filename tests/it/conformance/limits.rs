use std::{sync::Arc, time::Duration};

use rapport_common::limits::{Limits, LocalLimits, Rate, RedisLimits};

async fn suite(limits: Arc<dyn Limits>) {
    let rate = Rate { per_minute: 60, burst: 5 };
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
async fn without_redis_each_process_counts_for_itself() {
    let link = rapport_common::redis_link::RedisLink::new("redis://127.0.0.1:1").unwrap();
    let limits = RedisLimits::new(link);
    let rate = Rate { per_minute: 60, burst: 2 };
    assert!(limits.check("a", rate).await.allowed);
    assert!(limits.check("a", rate).await.allowed);
    assert!(!limits.check("a", rate).await.allowed);
    assert!(limits.once("t", Duration::from_secs(5)).await.is_err(), "a ticket must not pass twice");
}
