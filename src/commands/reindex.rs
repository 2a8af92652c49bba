//! Rebuilds the vector index from the database, without asking a provider again, while searches and changes go on.

use std::fs::File;

use rapport_common::{
    settings::Settings,
    store::{Db, terms::Corpus, vector_index, vectors},
    usecase::memory::{embed, rebuild},
    wiring,
};
use sqlx::PgConnection;

use crate::commands;

#[derive(clap::Args)]
pub struct Arguments {
    /// Have everything embedded again that another model embedded: after a change of the model. Workers do it.
    #[arg(long)]
    reembed: bool,
    /// Only look for drift, and repair what is found.
    #[arg(long)]
    reconcile: bool,
}

pub async fn run(settings: Settings, arguments: Arguments) -> Result<(), String> {
    let db = wiring::database(&settings).await?;
    wiring::wait_for_database(&db).await?;
    wiring::check_schema(&db).await?;
    let ctx = wiring::context(settings, db)?;
    let model = ctx.embedder.model();
    if arguments.reembed {
        let mut conn = ctx.db.relaxed().await.map_err(|error| error.to_string())?;
        let count = vectors::reembed_others(&mut conn, &model).await.map_err(|error| error.to_string())?;
        return commands::print(&format!("{count} texts wait for vectors of {model}: workers make them\n"));
    }
    if !ctx.vectors.is_outside() {
        return commands::print(
            "Search is exact, in the database: there is no index to rebuild. QDRANT_URL names one.\n",
        );
    }
    if arguments.reconcile {
        let wrong = embed::reconcile(&ctx).await.map_err(|error| error.to_string())?;
        return commands::print(&format!("{wrong} points were not as the database says, and are now\n"));
    }
    let _turn = alone(&ctx.db, &ctx.settings).await?;
    let told = |corpus: Corpus, done, total| {
        // Nobody listens any more: no reason to stop.
        let _unheard = commands::print(&format!("{}: {done} of {total}\n", corpus.as_str()));
    };
    let built = rebuild::rebuild(&ctx, told).await.map_err(|error| error.to_string())?;
    if built.repaired > 0 {
        commands::print(&format!(
            "{} points were missing or too many at the end, and were put right\n",
            built.repaired
        ))?;
    }
    commands::print(&format!("the index holds {} points of {model}\n", built.points))
}

/// Holds others off as long as it lives, and not a moment longer: a killed process lets go of both.
enum Turn {
    Connection(#[expect(dead_code, reason = "its lock is all that it is for")] Box<PgConnection>),
    File(#[expect(dead_code, reason = "its lock is all that it is for")] File),
}

/// One reindex at a time: the next would drop what this one fills.
async fn alone(db: &Db, settings: &Settings) -> Result<Turn, String> {
    let mine = if let Db::Pg(_) = db {
        let mut connection = db.separate().await.map_err(|error| error.to_string())?;
        let mine = vector_index::reindex_alone(&mut connection).await.map_err(|error| error.to_string())?;
        mine.then(|| Turn::Connection(Box::new(connection)))
    } else {
        commands::lock(commands::database_folder(settings), "reindex.lock")?.map(Turn::File)
    };
    mine.ok_or_else(|| "another reindex is under way".to_owned())
}
