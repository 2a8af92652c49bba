//! What the person asks for.

use std::path::PathBuf;

#[derive(clap::Parser, Debug, Clone)]
#[command(about = "Breaks a running Rapport in many ways and checks that its promises hold")]
pub struct Settings {
    /// Bounds the whole run.
    #[arg(long, default_value_t = 10.0)]
    pub minutes: f64,
    /// Everything random comes from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Only these faults, separated by commas.
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    #[arg(long, value_enum, default_value_t = Stack::Production)]
    pub stack: Stack,
    /// A fixed choice of faults that touches everything once, in about three minutes, with few users: for every change.
    #[arg(long, conflicts_with_all = ["only", "overlap", "minutes"])]
    pub quick: bool,
    /// Two or three faults at once.
    #[arg(long)]
    pub overlap: bool,
    /// Writes the table here, as Markdown.
    #[arg(long)]
    pub table: Option<PathBuf>,
    /// The binary to break. Default: built by cargo.
    #[arg(long)]
    pub bin: Option<PathBuf>,
    /// Default: 24, or 10 when it is quick.
    #[arg(long)]
    pub users: Option<usize>,
    /// How loud the services log.
    #[arg(long, default_value = "info")]
    pub log: String,
    /// Lists the faults.
    #[arg(long)]
    pub list: bool,
}

#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    Production,
    Embedded,
}

impl Stack {
    pub fn name(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Embedded => "embedded",
        }
    }
}

impl Settings {
    pub fn users(&self) -> usize {
        self.users.unwrap_or(if self.quick { 10 } else { 24 })
    }
}
