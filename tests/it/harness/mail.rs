//! Mail as it was sent: files of the outbox, or what an SMTP server of the test's own took.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

use super::{App, eventually};

/// The mails to an address in the outbox, once there are so many.
pub async fn to(app: &App, address: &str, count: usize) -> Vec<String> {
    let folder = app.folder.join("outbox");
    eventually(&format!("{count} mails to {address}"), Duration::from_secs(20), || async {
        let files = std::fs::read_dir(&folder).ok()?.flatten();
        let mut mails: Vec<(std::time::SystemTime, String)> = files
            .filter_map(|file| {
                let text = std::fs::read_to_string(file.path()).ok()?;
                text.contains(&format!("To: {address}"))
                    .then(|| (file.metadata().unwrap().modified().unwrap(), text))
            })
            .collect();
        mails.sort();
        (mails.len() >= count).then(|| mails.into_iter().map(|(_, text)| text).collect())
    })
    .await
}

/// What stands out in a mail's text: a code, or a token.
pub fn code(mail: &str) -> String {
    let plain = mail.split("Content-Type: text/html").next().unwrap();
    let line = plain.lines().rev().find(|line| line.starts_with("    ")).unwrap_or_else(|| panic!("{mail}"));
    line.trim().to_owned()
}

/// An SMTP server that takes everything, and remembers it.
pub struct Smtp {
    pub port: u16,
    taken: Arc<Mutex<Vec<String>>>,
}

impl Smtp {
    /// The first `refuse` deliveries are put off with 451.
    pub async fn start(refuse: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken: Arc<Mutex<Vec<String>>> = Arc::default();
        let (all, refused) = (Arc::clone(&taken), Arc::new(Mutex::new(refuse)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (all, refused) = (Arc::clone(&all), Arc::clone(&refused));
                tokio::spawn(async move {
                    let _ = talk(stream, &all, &refused).await;
                });
            }
        });
        Self { port, taken }
    }

    pub fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }
}

async fn talk(
    stream: tokio::net::TcpStream,
    all: &Mutex<Vec<String>>,
    refused: &Mutex<usize>,
) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 test ESMTP\r\n").await?;
    let mut data: Option<String> = None;
    while let Some(line) = lines.next_line().await? {
        if let Some(mail) = &mut data {
            if line != "." {
                mail.push_str(&line);
                mail.push('\n');
                continue;
            }
            all.lock().unwrap().push(data.take().unwrap());
            write.write_all(b"250 taken\r\n").await?;
            continue;
        }
        let verb = line.split(' ').next().unwrap().to_uppercase();
        let reply = match verb.as_str() {
            "EHLO" => "250 test\r\n",
            "MAIL" if std::mem::replace(&mut *refused.lock().unwrap(), 0) > 0 => "451 come again\r\n",
            "DATA" => {
                data = Some(String::new());
                "354 go on\r\n"
            }
            "QUIT" => "221 bye\r\n",
            _ => "250 ok\r\n",
        };
        write.write_all(reply.as_bytes()).await?;
    }
    Ok(())
}
