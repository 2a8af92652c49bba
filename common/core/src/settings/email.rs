//! Where mail goes.

use super::Env;
use crate::secret::Secret;

#[derive(Debug, Clone)]
pub struct Email {
    /// `None`: mail goes into files.
    pub smtp_server: Option<String>,
    pub smtp_port: u16,
    /// `starttls`, `tls` or `none`.
    pub tls: String,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub from: String,
}

pub fn email(env: &mut Env) -> Email {
    let port = env.number("EMAIL__SMTP_PORT", 587, 1..=65_535) as u16;
    let tls = env.text("EMAIL__TLS", if port == 465 { "tls" } else { "starttls" });
    if !["starttls", "tls", "none"].contains(&tls.as_str()) {
        env.problem("EMAIL__TLS must be starttls, tls or none");
    }
    // An address at Gmail says the server, the user and the sender at once.
    let gmail = env.elsewhere("EMAIL__GMAIL_FROM_EMAIL");
    let server = gmail.as_ref().map(|_| "smtp.gmail.com".to_owned());
    let from = gmail.clone().unwrap_or_else(|| "Rapport <rapport@localhost.localdomain>".to_owned());
    Email {
        smtp_server: env.optional("EMAIL__SMTP_SERVER").or(server),
        smtp_port: port,
        tls,
        username: env.optional("EMAIL__USERNAME").or(gmail),
        password: env.optional("EMAIL__PASSWORD").map(Secret::new),
        from: env.text("EMAIL__FROM", &from),
    }
}
