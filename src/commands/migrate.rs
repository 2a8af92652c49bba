//! Brings the schema up to date. Safe to run from many processes at once.

use rapport_common::{settings::Settings, store::db::NEWER, wiring};

use crate::commands;

pub async fn run(settings: Settings) -> Result<(), String> {
    let db = wiring::database(&settings).await?;
    wiring::wait_for_database(&db).await?;
    let before = db.missing_migrations().await.map_err(|error| error.to_string())?;
    wiring::migrate(&db).await?;
    db.close().await;
    match before {
        Some(0) => commands::print("The schema is current.\n"),
        Some(applied) => commands::print(&format!("Applied {applied} migration(s).\n")),
        None => Err(NEWER.to_owned()),
    }
}
