//! Another service, which ours is measured beside.

use std::{net::TcpListener, process::Stdio, time::Duration};

use reqwest::Client;
use tokio::process::{Child, Command};

use crate::cluster::until_ready;

pub struct Beside {
    child: Child,
}

pub fn free_port() -> Result<u16, String> {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    free.map(|address| address.port()).map_err(|error| error.to_string())
}

impl Beside {
    /// Starts it, and waits until this address answers.
    pub async fn start(mut command: Command, client: &Client, ready: &str) -> Result<Self, String> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let program = command.as_std().get_program().display().to_string();
        let child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
        let started = Self { child };
        match until_ready(client, ready).await {
            Ok(_) => Ok(started),
            Err(error) => {
                started.stop().await?;
                Err(error)
            }
        }
    }

    /// Asks it to stop: its workers are processes of its own, which it takes along.
    pub async fn stop(mut self) -> Result<(), String> {
        if let Some(id) = self.child.id() {
            let killed = Command::new("kill").arg(id.to_string()).status().await;
            killed.map_err(|error| error.to_string())?;
        }
        let _late = tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await;
        Ok(())
    }
}
