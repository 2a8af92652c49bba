//! Breakers that open, rest and close; keys that take turns.

use super::*;
use crate::rates::{RateHeaders, Window};

fn health() -> Health {
    Health::new(Breaker { failures: 3, rest: Duration::from_secs(10) }, None)
}

#[tokio::test(start_paused = true)]
async fn a_breaker_opens_rests_lets_one_try_and_closes() {
    let health = health();
    let fail = async |times: usize, pass| {
        for _ in 0..times {
            health.failed("p", pass).await;
        }
    };
    fail(2, Pass::Free).await;
    health.succeeded("p");
    fail(2, Pass::Free).await;
    assert_eq!(health.admit("p", false).await, Ok(Pass::Free), "a success between starts the count again");
    fail(1, Pass::Free).await;
    assert_eq!(health.admit("p", false).await, Err(Duration::from_secs(10)));
    assert_eq!(health.admit("p", true).await, Err(Duration::from_secs(1)), "sooner, with nobody else to ask");
    assert_eq!(health.admit("other", false).await, Ok(Pass::Free));
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(health.admit("p", false).await, Ok(Pass::Probe), "one may try");
    assert!(health.admit("p", false).await.is_err(), "only one");
    fail(1, Pass::Probe).await;
    assert_eq!(health.admit("p", false).await, Err(Duration::from_secs(20)), "and it rests for longer");
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(health.admit("p", true).await, Ok(Pass::Probe));
    let closes = health.closes();
    health.began("p");
    closes.await;
    assert_eq!(health.standing("p"), Standing::Closed);
    assert_eq!(health.admit("p", false).await, Ok(Pass::Free));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_does_not_hold_up_who_has_nobody_else() {
    let health = health();
    for _ in 0..3 {
        health.failed("p", Pass::Free).await;
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(health.admit("p", true).await, Ok(Pass::Probe));
    assert_eq!(health.wait("p"), Duration::from_secs(2));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(health.admit("p", true).await, Ok(Pass::Probe));
}

#[tokio::test(start_paused = true)]
async fn keys_take_turns_and_rest() {
    let health = health();
    assert_eq!(health.keys("p", 3, 1), Ok(vec![0, 1, 2]));
    assert_eq!(health.keys("p", 3, 1), Ok(vec![1, 2, 0]));
    health.rest("p", 2, Duration::from_secs(5));
    assert_eq!(health.keys("p", 3, 1), Ok(vec![0, 1]));
    health.rest("p", 0, Duration::from_secs(9));
    health.rest("p", 1, Duration::from_secs(9));
    assert_eq!(health.keys("p", 3, 1), Err(Duration::from_secs(5)));
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(health.keys("p", 3, 1), Ok(vec![2]));
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_is_used_up_is_waited_for() {
    let health = health();
    let window = |limit, remaining| Window { limit, remaining, reset: Duration::from_secs(10) };
    let limits = RateHeaders { requests: Some(window(10.0, 1.0)), tokens: Some(window(1_000.0, 500.0)) };
    health.note("p", 0, limits);
    assert_eq!(health.keys("p", 1, 400), Ok(vec![0]));
    health.spend("p", 0, 400);
    let wait = health.keys("p", 1, 10).unwrap_err();
    assert!(wait > Duration::from_millis(500) && wait <= Duration::from_secs(2), "{wait:?}");
    tokio::time::advance(wait + Duration::from_millis(50)).await;
    assert_eq!(health.keys("p", 1, 10), Ok(vec![0]));
    assert!(health.keys("p", 1, 900).is_err(), "not so many tokens yet");
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(health.keys("p", 1, 5_000), Ok(vec![0]), "more than the limit is the provider's to refuse");
}
