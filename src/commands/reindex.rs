//! Rebuilds the vector index from the database, without asking a provider again.

use rapport_common::{
    settings::Settings,
    store::{terms::Corpus, vectors},
    usecase::memory::embed,
    wiring,
};

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

const PAGE: i64 = 1_000;

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
    ctx.vectors.reset().await.map_err(|error| error.to_string())?;
    for corpus in Corpus::ALL {
        let read = async || vectors::count(&mut ctx.db.read().await?, corpus, &model).await;
        let total = read().await.map_err(|error| error.to_string())?;
        let (mut after, mut done) = (uuid::Uuid::nil(), 0);
        loop {
            let page = async || vectors::page(&mut ctx.db.read().await?, corpus, &model, after, PAGE).await;
            let points = page().await.map_err(|error| error.to_string())?;
            let Some(last) = points.last() else { break };
            after = last.doc_id;
            embed::put(&ctx, corpus, &points).await.map_err(|error| error.to_string())?;
            done += points.len() as i64;
            commands::print(&format!("{}: {done} of {total}\n", corpus.as_str()))?;
        }
    }
    let count = ctx.vectors.count().await.map_err(|error| error.to_string())?;
    commands::print(&format!("the index holds {count} points of {model}\n"))
}
