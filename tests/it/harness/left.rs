//! What a test leaves behind: no job may be open at its end, unless it says so (`App::leaves_jobs`).

use std::time::{Duration, Instant};

use rapport_common::{
    clock,
    domain::{ids::JobId, job::JobKind},
    store::{
        Db, PoolSizes,
        db::{Querier, Raw},
    },
};

use super::app::{App, Stack};

/// How long what was begun may take to end.
const LIMIT: Duration = Duration::from_secs(20);
/// Not those that are due later: the service makes such for itself.
const OPEN: &str = "select id, kind from jobs where status in ('queued', 'running') and run_at <= $1";

/// Waits until every job of the app has ended. Gives those that have not.
pub fn open_jobs(app: &App) -> Vec<String> {
    let (stack, file, url) = (app.stack, app.folder.join("rapport.db"), app.database_url().to_owned());
    // A test ends inside its runtime, which cannot wait: another one does.
    let wait = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let db = match stack {
                Stack::Embedded => Db::sqlite(&file).await.unwrap(),
                Stack::Production => {
                    Db::postgres(url.as_str().into(), PoolSizes { durable: 1, relaxed: 1 }).unwrap()
                }
            };
            let begin = Instant::now();
            loop {
                let open = open(&db).await;
                if open.is_empty() || begin.elapsed() > LIMIT {
                    return open;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    };
    std::thread::spawn(wait)
        .join()
        .expect("the database of a test is there at its end, or the test says `leaves_jobs`")
}

async fn open(db: &Db) -> Vec<String> {
    let mut conn = db.read().await.unwrap();
    let rows: Result<Vec<(JobId, JobKind)>, _> = match conn.raw() {
        Raw::Pg(postgres) => sqlx::query_as(OPEN).bind(clock::now()).fetch_all(postgres).await,
        Raw::Lite(sqlite) => sqlx::query_as(OPEN).bind(clock::now()).fetch_all(sqlite).await,
    };
    rows.unwrap().into_iter().map(|(id, kind)| format!("{id} ({kind:?})")).collect()
}
