//! Mail: over SMTP when it is configured, else as files in `outbox/` of the data folder.

use std::{path::PathBuf, time::Duration};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, MultiPart},
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};

use crate::{
    domain::ids::{JobId, UserId},
    files, settings,
};

#[derive(Clone)]
pub struct Mailer {
    from: Mailbox,
    way: Way,
}

#[derive(Clone)]
enum Way {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Folder(PathBuf),
}

#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error("the address is not one: {0}")]
    Address(String),
    #[error("the server refused it for good: {0}")]
    Refused(String),
    #[error("not sent: {0}")]
    Away(String),
}

/// What a mail says, in both its parts.
pub struct Letter {
    pub subject: String,
    /// Paragraphs.
    pub lines: Vec<String>,
    /// What stands out: a code or a token; empty when there is none.
    pub code: String,
}

impl Letter {
    fn text(&self) -> String {
        let code = if self.code.is_empty() { String::new() } else { format!("\n    {}\n", self.code) };
        format!("{}\n{code}", self.lines.join("\n\n"))
    }

    fn html(&self) -> String {
        let paragraphs: String = self.lines.iter().map(|line| format!("<p>{}</p>", escaped(line))).collect();
        let code = match escaped(&self.code) {
            none if none.is_empty() => none,
            code => format!("<p style=\"font-size:1.5em;font-family:monospace\">{code}</p>"),
        };
        format!(
            "<!doctype html><html><body style=\"font-family:sans-serif\">{paragraphs}{code}</body></html>"
        )
    }
}

async fn in_time<T>(
    limit: Duration,
    asked: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
) -> Result<T, MailError> {
    let answered = tokio::time::timeout(limit, asked).await;
    let answered = answered.map_err(|_| MailError::Away("the server did not answer in time".to_owned()))?;
    answered.map_err(|error| {
        let text = error.to_string();
        if error.is_permanent() { MailError::Refused(text) } else { MailError::Away(text) }
    })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// How long a server may take until it has greeted us and taken our name and password.
const GREETING: Duration = Duration::from_secs(10);
/// And for a letter: some look through it before they say that they have it.
const LETTER: Duration = Duration::from_secs(45);

impl Mailer {
    pub fn new(settings: &settings::Settings) -> Result<Self, String> {
        let mail = &settings.email;
        let from = mail.from.parse().map_err(|_| "EMAIL__FROM is no address".to_owned())?;
        let Some(server) = &mail.smtp_server else {
            return Ok(Self { from, way: Way::Folder(settings.data_dir.join("outbox")) });
        };
        let mut smtp = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server).port(mail.smtp_port);
        if mail.tls != "none" {
            let parameters = TlsParameters::new(server.clone()).map_err(|error| error.to_string())?;
            smtp = smtp.tls(if mail.tls == "tls" {
                Tls::Wrapper(parameters)
            } else {
                Tls::Required(parameters)
            });
        }
        if let Some(username) = &mail.username {
            let password =
                mail.password.as_ref().map(|secret| secret.expose().to_owned()).unwrap_or_default();
            smtp = smtp.credentials(Credentials::new(username.clone(), password));
        }
        Ok(Self { from, way: Way::Smtp(smtp.timeout(Some(GREETING)).build()) })
    }

    /// Sends a letter. The job's id is the mail's, so that one sent twice after a crash can be told by its reader.
    pub async fn send(&self, job: JobId, user: UserId, to: &str, letter: &Letter) -> Result<(), MailError> {
        let to: Mailbox = to.parse().map_err(|error| MailError::Address(format!("{error}")))?;
        let domain = self.from.email.domain().to_owned();
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(&letter.subject)
            .message_id(Some(format!("<{job}@{domain}>")))
            .multipart(MultiPart::alternative_plain_html(letter.text(), letter.html()))
            .map_err(|error| MailError::Address(error.to_string()))?;
        match &self.way {
            Way::Smtp(smtp) => {
                // The library's timeout is for connecting alone: a server that takes connections and says nothing is left
                // here. It is asked first whether it is there, so that it need not be waited for as long as for a letter.
                in_time(GREETING, smtp.test_connection()).await?;
                in_time(LETTER, smtp.send(message)).await.map(drop)
            }
            Way::Folder(folder) => {
                let away = |error: std::io::Error| MailError::Away(error.to_string());
                let (folder, name) = (folder.clone(), format!("{user}-{job}.eml"));
                let written = tokio::task::spawn_blocking(move || {
                    files::folder(&folder)?;
                    files::write(&folder.join(name), &message.formatted())
                });
                written.await.map_err(|error| MailError::Away(error.to_string()))?.map_err(away)
            }
        }
    }

    /// Deletes what waits in the folder for a user.
    pub async fn erase(&self, user: UserId) -> std::io::Result<()> {
        let Way::Folder(folder) = &self.way else { return Ok(()) };
        let mut files = match tokio::fs::read_dir(folder).await {
            Ok(files) => files,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let start = format!("{user}-");
        while let Some(file) = files.next_entry().await? {
            if file.file_name().to_string_lossy().starts_with(&start) {
                tokio::fs::remove_file(file.path()).await?;
            }
        }
        Ok(())
    }
}
