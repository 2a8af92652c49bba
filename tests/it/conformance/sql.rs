//! Every statement is prepared on both databases, and the two schemas are the same.

use std::collections::BTreeMap;

use rapport_common::store::{
    Db, PoolSizes, Querier, STATEMENTS,
    db::{Raw, Sql},
};
use sqlx::{Executor, SqlSafeStr};

use crate::harness::servers::{Postgres, folder, unique};

pub async fn postgres() -> Db {
    let url = tokio::task::spawn_blocking(|| Postgres::shared().create_database()).await.unwrap();
    let db = Db::postgres(url.as_str().into(), PoolSizes { durable: 2, relaxed: 1 }).unwrap();
    db.migrate().await.unwrap();
    db
}

pub async fn sqlite() -> Db {
    let db = Db::sqlite(&folder().join(unique("prepare")).with_extension("db")).await.unwrap();
    db.migrate().await.unwrap();
    db
}

fn statements() -> impl Iterator<Item = (&'static str, Sql)> {
    STATEMENTS.iter().flat_map(|module| module.iter().copied())
}

#[tokio::test]
async fn every_statement_is_prepared_on_both() {
    let (pg, lite) = (postgres().await, sqlite().await);
    let (mut pg, mut lite) = (pg.read().await.unwrap(), lite.relaxed().await.unwrap());
    let (Raw::Pg(pg), Raw::Lite(lite)) = (pg.raw(), lite.raw()) else { panic!() };
    let mut wrong = Vec::new();
    for (name, sql) in statements() {
        // PostgreSQL cannot guess the type of a parameter that is only compared with null: our binds name theirs.
        if sql.is_for_pg()
            && let Err(error) = pg.prepare(sql.pg().into_sql_str()).await
            && !error.to_string().contains("could not determine data type")
        {
            wrong.push(format!("{name} on PostgreSQL: {error}\n{}", sql.pg()));
        }
        if sql.is_for_lite()
            && let Err(error) = lite.prepare(sql.lite().into_sql_str()).await
        {
            wrong.push(format!("{name} on SQLite: {error}\n{}", sql.lite()));
        }
        assert!(sql.is_for_pg() || sql.is_for_lite(), "{name} is for no database");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(statements().count() > 300, "only {} statements are listed", statements().count());
}

#[tokio::test]
async fn both_schemas_have_the_same_tables_and_columns() {
    let pg_sql =
        "select table_name::text, column_name::text, (is_nullable = 'YES') from information_schema.columns
        where table_schema = 'public' and table_name not like '\\_%' and table_name not in (select table_name from information_schema.views) order by 1, 2";
    let lite_sql = "select m.name, c.name, not c.\"notnull\" and not c.pk from sqlite_master m, pragma_table_info(m.name) c
        where m.type = 'table' and m.name not like '\\_%' escape '\\' and m.name not like 'sqlite%' order by 1, 2";
    let (pg, lite) = (postgres().await, sqlite().await);
    let (mut pg, mut lite) = (pg.read().await.unwrap(), lite.read().await.unwrap());
    let (Raw::Pg(pg), Raw::Lite(lite)) = (pg.raw(), lite.raw()) else { panic!() };
    let on_pg: Vec<(String, String, bool)> = sqlx::query_as(pg_sql).fetch_all(pg).await.unwrap();
    let on_lite: Vec<(String, String, bool)> = sqlx::query_as(lite_sql).fetch_all(lite).await.unwrap();
    let map = |rows: Vec<(String, String, bool)>| -> BTreeMap<(String, String), bool> {
        rows.into_iter().map(|(table, column, nullable)| ((table, column), nullable)).collect()
    };
    assert_eq!(map(on_pg), map(on_lite));
}

/// A database as the migrations up to one leave it, with these statements run.
async fn as_of(db: &Db, folder: &str, version: i64, sql: String) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(folder);
    let mut migrator = sqlx::migrate::Migrator::new(folder).await.unwrap();
    migrator.migrations.to_mut().retain(|migration| migration.version <= version);
    let mut conn = db.relaxed().await.unwrap();
    match conn.raw() {
        Raw::Pg(conn) => {
            migrator.run(&mut *conn).await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(conn).await.unwrap();
        }
        Raw::Lite(conn) => {
            migrator.run(&mut *conn).await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(conn).await.unwrap();
        }
    }
}

#[tokio::test]
async fn shares_of_before_get_the_names_of_their_readers() {
    use rapport_common::{
        domain::ids::{MemoryId, UserId},
        store::memories,
    };
    let url = tokio::task::spawn_blocking(|| Postgres::shared().create_database()).await.unwrap();
    let pg = Db::postgres(url.as_str().into(), PoolSizes { durable: 2, relaxed: 1 }).unwrap();
    let lite = Db::sqlite(&folder().join(unique("shares")).with_extension("db")).await.unwrap();
    for (db, folder, quote) in [(pg, "postgres", "'"), (lite, "sqlite", "x'")] {
        let id = |n: u8| format!("{quote}{}'", uuid::Uuid::from_bytes([n; 16]).simple());
        let now = "'2026-01-01T00:00:00.000Z'";
        let mut sql = String::new();
        for (n, email, username) in
            [(1, "null", "'owner'"), (2, "'b@example.org'", "'bee'"), (3, "'c@example.org'", "null")]
        {
            sql += &format!(
                "insert into users (id, email, username, password_hash, created_at, updated_at)
                    values ({}, {email}, {username}, '', {now}, {now});",
                id(n)
            );
        }
        sql += &format!(
            "insert into memories (id, user_id, content, norm, memory_type, importance, confidence, status, explicit,
                    contexts, created_at, updated_at)
                values ({}, {}, 'a', 'a', 'fact', 0.5, 0.5, 'confirmed', true, '[]', {now}, {now});",
            id(9),
            id(1)
        );
        for reader in [3, 2] {
            sql += &format!("insert into memory_shares values ({}, {});", id(9), id(reader));
        }
        as_of(&db, folder, 8, sql).await;
        db.migrate().await.unwrap();
        let of = |n: u8| uuid::Uuid::from_bytes([n; 16]);
        let (owner, memory) = (UserId(of(1)), MemoryId(of(9)));
        let mut conn = db.relaxed().await.unwrap();
        let shares = memories::shares(&mut conn, owner, &[memory]).await.unwrap();
        let names: Vec<&str> = shares.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["bee", "c@example.org"], "{folder}");
        for reader in [2, 3] {
            assert!(memories::readable(&mut conn, UserId(of(reader)), memory).await.unwrap().is_some());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_may_migrate_at_once() {
    let url = tokio::task::spawn_blocking(|| Postgres::shared().create_database()).await.unwrap();
    let racing = (0..6).map(|_| {
        let db = Db::postgres(url.as_str().into(), PoolSizes { durable: 2, relaxed: 1 }).unwrap();
        tokio::spawn(async move { db.migrate().await })
    });
    for migrated in futures::future::join_all(racing).await {
        migrated.unwrap().unwrap();
    }
}

/// How PostgreSQL runs a statement whose values it does not know.
async fn generic_plan(pg: &Db, sql: &str, settings: &str) -> String {
    let mut conn = pg.read().await.unwrap();
    let Raw::Pg(conn) = conn.raw() else { panic!() };
    let parameters = (1..=40).rev().find(|n| sql.contains(&format!("${n}"))).unwrap();
    let script = format!(
        "set plan_cache_mode = force_generic_plan; {settings} prepare p as {sql}; explain execute p({})",
        vec!["null"; parameters].join(", ")
    );
    let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(script)).fetch_all(&mut *conn).await.unwrap();
    let plan: Vec<String> = rows.iter().map(|row| sqlx::Row::get::<String, _>(row, 0)).collect();
    sqlx::raw_sql("deallocate all; reset all").execute(conn).await.unwrap();
    plan.join("\n")
}

/// A statement about one job goes by its primary key, also when the table's statistics say that it is empty: a partial
/// index then looks smaller, and is full of dead entries after a burst.
#[tokio::test]
async fn jobs_are_found_by_their_key_and_not_by_a_partial_index() {
    let pg = postgres().await;
    let by_id = statements()
        .filter(|(name, _)| {
            ["ledger", "jobs", "chats"].iter().any(|module| name.contains(&format!("::{module}::")))
        })
        .filter(|(_, sql)| sql.is_for_pg())
        .map(|(_, sql)| sql.pg())
        .filter(|sql| {
            sql.trim_start().starts_with("update jobs") || sql.contains("update jobs set status = $3")
        })
        .filter(|sql| sql.contains("id = $1 and"));
    let mut checked = 0;
    for sql in by_id {
        let plan = generic_plan(&pg, sql, "").await;
        for index in ["jobs_worker", "jobs_leases", "jobs_ready", "jobs_one_running"] {
            assert!(!plan.contains(index), "{sql}\n{plan}");
        }
        checked += 1;
    }
    assert!(checked >= 8, "{checked}");
}

/// What a session has open is read by an index of its own. When nothing was open while PostgreSQL last looked, another partial index
/// looks as small, and after a burst holds the open jobs of everybody.
#[tokio::test]
async fn open_jobs_of_a_session_are_not_looked_for_among_those_of_all() {
    let pg = postgres().await;
    let asks = |sql: &str| sql.contains("finished_at is null") && sql.contains("session_order");
    let asked: Vec<_> = statements().filter(|(_, sql)| asks(sql.pg())).collect();
    assert!(asked.len() >= 6, "{}", asked.len());
    for (name, sql) in asked {
        let plan = generic_plan(&pg, sql.pg(), "set enable_seqscan = off;").await;
        assert!(plan.contains("jobs_open"), "{name}\n{plan}");
    }
}

/// Who has a job of a kind already is looked up in a hash. When hardly any was open while PostgreSQL last looked, it would go through all
/// of them once more for each user, or for each session.
#[tokio::test]
async fn users_with_open_jobs_are_looked_up_in_a_hash() {
    let pg = postgres().await;
    let asks = |sql: &str| sql.contains("j.status in ('queued', 'running')") && !sql.starts_with("delete");
    let asked: Vec<_> = statements().filter(|(_, sql)| asks(sql.pg())).collect();
    assert!(asked.len() >= 3, "{}", asked.len());
    for (name, sql) in asked {
        let plan = generic_plan(&pg, sql.pg(), "").await;
        assert!(plan.contains("hashed SubPlan") && !plan.contains("Anti Join"), "{name}\n{plan}");
    }
}

/// Vectors of somebody who has most of a table are found by whose they are: else all of everybody's are read with them.
#[tokio::test]
async fn vectors_of_somebody_with_very_many_are_not_looked_for_among_all() {
    let pg = postgres().await;
    let user = "01900000-0000-7000-8000-000000000001";
    let filled: Vec<String> = ["memory", "message", "chunk"]
        .map(|table| {
            format!(
                "insert into {table}_vectors (doc_id, user_id, model, vector, version) select gen_random_uuid(), \
                 case when n > 300 then '{user}' else gen_random_uuid() end, 'm', '', n from generate_series(1, 2000) n; \
                 analyze {table}_vectors;"
            )
        })
        .into();
    let named = |name: &str| {
        ["::CHANGED", "::CHANGED_LATELY", "::PART", "::IDS"].iter().any(|end| name.ends_with(end))
    };
    let asked: Vec<_> =
        statements().filter(|(name, _)| name.contains("::vectors::of_") && named(name)).collect();
    assert_eq!(asked.len(), 12);
    let mut conn = pg.read().await.unwrap();
    let Raw::Pg(conn) = conn.raw() else { panic!() };
    let filled = format!("set session_replication_role = replica; {}", filled.concat());
    sqlx::raw_sql(sqlx::AssertSqlSafe(filled)).execute(&mut *conn).await.unwrap();
    for (name, sql) in asked {
        let values = ["'m'", "0, 'm'", "0, 'm', 9999", "0"];
        let parameters = (1..=4).rev().find(|n| sql.pg().contains(&format!("${n}"))).unwrap();
        let values = match parameters {
            2 if name.ends_with("IDS") => values[0],
            2 => values[3],
            3 => values[1],
            _ => values[2],
        };
        let script = format!(
            "set plan_cache_mode = force_custom_plan; prepare p as {}; explain execute p('{user}', {values})",
            sql.pg()
        );
        let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(script)).fetch_all(&mut *conn).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| sqlx::Row::get::<String, _>(row, 0)).collect();
        let is_whole = plan.iter().any(|line| line.contains("Seq Scan on") && line.contains("_vectors"));
        assert!(!is_whole, "{name}\n{}", plan.join("\n"));
        sqlx::raw_sql("deallocate p").execute(&mut *conn).await.unwrap();
    }
}

/// What is asked for by ids is found by them, and not among all that the user has. SQLite takes a list for longer than what one user
/// has, and has no statistics.
#[tokio::test]
async fn what_is_named_by_ids_is_not_looked_for_among_all_of_a_user() {
    let lite = sqlite().await;
    let mut conn = lite.read().await.unwrap();
    let Raw::Lite(conn) = conn.raw() else { panic!() };
    let mut wrong = Vec::new();
    let mut checked = 0;
    let by_ids = |sql: &str| sql.contains("in (select unhex(value) from json_each(");
    // Words as they were kept before they came in parts: each user's are read once, and then gone.
    let asked = statements().filter(|(name, sql)| by_ids(sql.lite()) && !name.contains("words::convert"));
    for (name, sql) in asked {
        let script = sqlx::AssertSqlSafe(format!("explain query plan {}", sql.lite()));
        let rows = sqlx::raw_sql(script).fetch_all(&mut *conn).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| sqlx::Row::get::<String, _>(row, "detail")).collect();
        // Files that wait to be read are few.
        let is_few = |step: &str| name.ends_with("REMOVE_UNREAD") && step.starts_with("SEARCH files ");
        if plan.iter().any(|step| step.ends_with("(user_id=?)") && !is_few(step)) {
            wrong.push(format!("{name}: {}\n  {}", sql.lite(), plan.join("\n  ")));
        }
        checked += 1;
    }
    assert!(checked >= 25, "{checked}");
    assert!(wrong.is_empty(), "{} of {checked}:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn the_ledger_tells_open_jobs_from_those_that_are_final_or_gone() {
    use rapport_common::{
        clock,
        domain::{ids::JobId, job::JobStatus},
        jobs::payload::ProbePayload,
        store::{jobs, jobs::NewJob, ledger},
    };
    for db in [postgres().await, sqlite().await] {
        let mut ids = Vec::new();
        for _ in 0..3 {
            let job = NewJob::new(&ProbePayload::default(), 3).unwrap();
            let id = job.id;
            let mut tx = db.begin().await.unwrap();
            jobs::enqueue(&mut tx, job).await.unwrap();
            tx.commit().await.unwrap();
            ids.push(id);
        }
        for id in &ids[1..] {
            let mut conn = db.relaxed().await.unwrap();
            let lease = chrono::TimeDelta::seconds(9);
            assert!(ledger::claim(&mut conn, *id, "w", lease, clock::now()).await.unwrap().is_some());
        }
        let mut tx = db.begin().await.unwrap();
        let now = clock::now();
        let ended = JobStatus::Succeeded;
        assert!(
            ledger::settle(&mut tx, ledger::AttemptOf { id: ids[2], attempt: 1 }, ended, None, None, now)
                .await
                .unwrap()
                .is_some()
        );
        let fenced =
            ledger::settle(&mut tx, ledger::AttemptOf { id: ids[1], attempt: 2 }, ended, None, None, now)
                .await
                .unwrap();
        assert!(fenced.is_none());
        tx.commit().await.unwrap();
        let gone = JobId::new();
        let mut open = ledger::which_are_open(&mut db.read().await.unwrap(), &[ids[0], ids[1], ids[2], gone])
            .await
            .unwrap();
        open.sort();
        assert_eq!(open, ids[..2], "queued and running are open, succeeded and unknown are not");
    }
}
