//! Models that run in this process: fetches one.

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
};

use rapport_common::{
    embeddings::Embedder,
    providers::hub::{Hub, Name, Progress},
    settings::Settings,
};

use crate::commands;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Fetch a sentence-transformers model, once. What came is kept if it breaks off.
    Pull {
        /// all-MiniLM-L6-v2, or OWNER/NAME, or OWNER/NAME@REVISION
        name: String,
        /// Where to put it [default: models/NAME in the data folder]
        #[arg(long, value_name = "FOLDER")]
        to: Option<PathBuf>,
    },
}

pub async fn run(settings: &Settings, arguments: Arguments) -> Result<(), String> {
    let What::Pull { name, to } = arguments.what;
    let name = Name::parse(&name).map_err(|error| error.to_string())?;
    let folder = to.unwrap_or_else(|| settings.data_dir.join("models").join(name.folder()));
    let embedding = &settings.embedding;
    let hub = Hub::new(&embedding.mirror, embedding.model_max_bytes).map_err(|error| error.to_string())?;
    let mut bar = Bar::default();
    hub.pull(&name, &folder, |progress| bar.show(&progress)).await.map_err(|error| error.to_string())?;
    let mut settings = settings.clone();
    settings.embedding.provider = "model".to_owned();
    settings.embedding.model_dir = Some(folder.clone());
    let embedder = Embedder::from_settings(&settings).map_err(|error| error.to_string())?;
    embedder.query("Does it answer?").await.map_err(|error| error.message)?;
    commands::print(&format!(
        "{}\n\nSet EMBEDDING__MODEL_DIR={} for every process, and start them again.\nTexts that have vectors of another \
         model get new ones by `rapport reindex --reembed`.\n",
        embedder.describe(),
        std::path::absolute(&folder).unwrap_or(folder).display(),
    ))
}

/// What is shown while files come: a line that moves on a terminal, a line a file elsewhere.
#[derive(Default)]
struct Bar {
    shown: u64,
}

impl Bar {
    fn show(&mut self, progress: &Progress<'_>) {
        let percent = progress.done.saturating_mul(100).checked_div(progress.total).unwrap_or(100);
        let ends = progress.done >= progress.total;
        let moves = std::io::stderr().is_terminal();
        if percent == self.shown || !moves && !ends {
            return;
        }
        self.shown = if ends { 0 } else { percent };
        let (begin, end) = if moves { ("\r", if ends { "\n" } else { "" }) } else { ("", "\n") };
        let (file, megabytes) = (progress.file, progress.total as f64 / 1e6);
        // Nobody is there to read it if this fails.
        let _closed = write!(std::io::stderr(), "{begin}{file:<40} {percent:>3} % of {megabytes:.1} MB{end}");
    }
}
