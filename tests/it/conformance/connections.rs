//! Connections to PostgreSQL that are lent again without being asked in between.

use std::time::Duration;

use rapport_common::store::{Db, PoolSizes, Querier, db::Raw};
use sqlx::Executor;

use crate::harness::servers::Postgres;

async fn backend(db: &Db) -> i32 {
    let mut conn = db.read().await.unwrap();
    let Raw::Pg(c) = conn.raw() else { unreachable!() };
    let pid = sqlx::query_scalar("select pg_backend_pid()").fetch_all(c).await.unwrap()[0];
    conn.answered();
    pid
}

async fn one_connection() -> Db {
    let url = tokio::task::spawn_blocking(|| Postgres::shared().create_database()).await.unwrap();
    Db::postgres(url.as_str().into(), PoolSizes { durable: 1, relaxed: 1 }).unwrap()
}

#[tokio::test]
async fn one_that_was_given_back_is_lent_again() {
    let db = one_connection().await;
    let first = backend(&db).await;
    for _ in 0..3 {
        assert_eq!(backend(&db).await, first);
    }
    db.close().await;
    assert!(db.read().await.is_err(), "a closed pool lends nothing");
}

/// A request that its client cancels leaves a statement behind.
#[tokio::test]
async fn one_that_is_given_up_in_mid_statement_is_not_waited_for() {
    let db = one_connection().await;
    let first = backend(&db).await;
    let mut conn = db.read().await.unwrap();
    let Raw::Pg(c) = conn.raw() else { unreachable!() };
    let cut = tokio::time::timeout(Duration::from_millis(50), c.execute("select pg_sleep(5)")).await;
    assert!(cut.is_err());
    drop(conn);
    // It is closed; a read waits for the place at most.
    assert_ne!(backend(&db).await, first);
}

/// One whose server has closed it meanwhile is replaced, and nobody sees it.
#[tokio::test]
async fn one_that_was_closed_while_it_rested_is_replaced() {
    let db = one_connection().await;
    let first = backend(&db).await;
    let mut other = db.separate().await.unwrap();
    sqlx::query("select pg_terminate_backend($1)").bind(first).execute(&mut other).await.unwrap();
    // One that rested for less than a second is trusted; its statement would fail, and end the trust in all others.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_ne!(backend(&db).await, first);
}
