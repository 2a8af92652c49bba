//! How far the clocks of this machine and of running processes are from the database's. Rapport goes by the database's, so a
//! wrong one does no harm; but it makes logs hard to read, and says that something is wrong with a machine.

use chrono::TimeDelta;
use rapport_common::{
    clock,
    settings::Settings,
    store::{PoolSizes, presence},
    wiring,
};
use tokio::time::Instant;

/// Less is no news.
const FAR_MILLIS: i64 = 2_000;

/// One line each for clocks that are far off; one line if none is. Nothing where there is one process, or no database.
pub async fn lines(settings: &Settings) -> Vec<String> {
    let Ok(Some(db)) = wiring::postgres(settings, PoolSizes { durable: 1, relaxed: 1 }) else {
        return Vec::new();
    };
    let look = async {
        let asked = Instant::now();
        clock::learn(asked, presence::time(&mut db.separate().await?).await?);
        let mut conn = db.read().await?;
        presence::noted(&mut conn, clock::now() - TimeDelta::minutes(1)).await
    };
    let Ok(noted) = look.await else { return Vec::new() };
    let mut far: Vec<String> = Vec::new();
    let mut tell = |whose: String, millis: i64| {
        if millis.abs() >= FAR_MILLIS {
            let word = if millis > 0 { "ahead of" } else { "behind" };
            far.push(format!(
                "the clock of {whose} is {:.1} s {word} the database's",
                millis.abs() as f64 / 1_000.0
            ));
        }
    };
    tell("this machine".to_owned(), clock::skew().num_milliseconds());
    for process in &noted {
        tell(format!("{} {}", process.role, process.name), process.skew_millis);
    }
    if far.is_empty() {
        return vec![format!(
            "ok      clocks: {} processes and this machine agree with the database",
            noted.len()
        )];
    }
    far.into_iter().map(|line| format!("warn    {line}")).collect()
}
