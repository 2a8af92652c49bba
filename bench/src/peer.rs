//! A FastAPI service of the same shape (`bench/peer`), for what a chat costs there.

use std::path::Path;

use reqwest::Client;
use tokio::process::Command;

use crate::{
    beside::{Beside, free_port},
    cluster::{Cluster, production},
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peer");

/// Starts it over the same provider, with tables of its own in our database, as two processes: what two cores can use.
pub async fn start(python: &Path, cluster: &Cluster, client: &Client) -> Result<(Beside, String), String> {
    let (database, _) =
        production().ok_or("it keeps its messages in PostgreSQL: set DATABASE_URL and REDIS_URL")?;
    let database = match database.split_once("://") {
        // Parameters are for another driver.
        Some((_, place)) => format!("postgresql+asyncpg://{}", place.split('?').next().unwrap_or_default()),
        None => return Err("DATABASE_URL is no address".to_owned()),
    };
    let command = || {
        let mut command = Command::new(python);
        command.env("PEER_DATABASE_URL", &database).env("PEER_PROVIDER_URL", &cluster.mock_url);
        command
    };
    let made = command().arg(format!("{FOLDER}/app.py")).status().await.map_err(|error| error.to_string())?;
    if !made.success() {
        return Err("the peer's tables were not made".to_owned());
    }
    let port = free_port()?;
    let mut serve = command();
    serve.args(["-m", "uvicorn", "--app-dir", FOLDER, "app:app", "--host", "127.0.0.1"]);
    serve.args(["--port", &port.to_string(), "--workers", "2", "--log-level", "warning", "--no-access-log"]);
    let url = format!("http://127.0.0.1:{port}");
    Ok((Beside::start(serve, client, &format!("{url}/healthz")).await?, url))
}
