//! Measures this build.
#[derive(clap::Args)]
pub struct Arguments {}
pub async fn run(_: Arguments) -> Result<(), String> {
    Err("not yet".to_owned())
}
