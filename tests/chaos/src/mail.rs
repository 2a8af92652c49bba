//! A mail server that takes every mail, or takes connections and says nothing.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

pub struct MailServer {
    pub port: u16,
    hangs: Arc<AtomicBool>,
}

impl MailServer {
    pub async fn start() -> Result<Self, String> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| error.to_string())?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let hangs = Arc::new(AtomicBool::new(false));
        let server = Self { port, hangs: Arc::clone(&hangs) };
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                if hangs.load(Ordering::SeqCst) {
                    held.push(stream);
                } else {
                    tokio::spawn(talk(stream));
                }
            }
        });
        Ok(server)
    }

    /// Whoever connects from now on hears nothing, for ever; or is answered again.
    pub fn hang(&self, hangs: bool) {
        self.hangs.store(hangs, Ordering::SeqCst);
    }
}

/// As much of SMTP as it takes to be given a mail.
async fn talk(mut stream: TcpStream) -> std::io::Result<()> {
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 chaos\r\n").await?;
    let mut is_data = false;
    while let Some(line) = lines.next_line().await? {
        let verb = line.get(..4).unwrap_or(&line).to_ascii_uppercase();
        let answer: &[u8] = match verb.as_str() {
            _ if is_data && line != "." => continue,
            _ if is_data => {
                is_data = false;
                b"250 taken\r\n"
            }
            "DATA" => {
                is_data = true;
                b"354 go on\r\n"
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => b"250 fine\r\n",
        };
        write.write_all(answer).await?;
    }
    Ok(())
}
