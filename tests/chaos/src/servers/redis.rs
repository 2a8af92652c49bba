//! A Redis that keeps nothing on disk: killed, it comes back empty.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{free_port, program, wait_for_port};
use crate::process::{Process, tied};

pub struct Redis {
    pub port: u16,
    dir: PathBuf,
    process: Option<Process>,
}

impl Redis {
    pub async fn start(dir: &Path) -> Result<Self, String> {
        let mut redis = Self { port: free_port()?, dir: dir.to_owned(), process: None };
        redis.start_again().await?;
        Ok(redis)
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Empty, on the same port.
    pub async fn start_again(&mut self) -> Result<(), String> {
        let mut command = tied();
        command.arg(program("redis-server")?).args([
            "--save",
            "",
            "--appendonly",
            "no",
            "--bind",
            "127.0.0.1",
        ]);
        command.args(["--port", &self.port.to_string()]);
        self.process = Some(Process::start(command, &self.dir.join("redis.log"))?);
        wait_for_port(self.port, Duration::from_secs(20)).await
    }

    pub async fn flush(&self) -> Result<(), String> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let connected = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await;
        let mut stream = connected.map_err(|error| error.to_string())?;
        stream.write_all(b"FLUSHALL\r\n").await.map_err(|error| error.to_string())?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.map_err(|error| error.to_string())?;
        Ok(())
    }
}
