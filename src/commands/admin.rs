//! Accounts from the command line: the first admin, and whoever locked themselves out.

use std::io::BufRead;

use rapport_common::{
    auth::Auth,
    domain::user::UserRole,
    settings::Settings,
    store::Db,
    usecase::admin::{self, Holdings},
    wiring,
};

use super::password;
use crate::commands;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Make an admin with a name that nobody has. Asks for the password, or reads it from a pipe.
    Create {
        /// An email or a username.
        name: String,
    },
    /// Set an account's password; its logins end, its API keys and webhooks are deleted. Asks for the password, or reads it
    /// from a pipe.
    ResetPassword { name: String },
    /// Make an account an admin: shows what it holds, asks, and revokes its API keys, logins and webhooks.
    Promote {
        name: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Take an account's admin role away.
    Demote { name: String },
    /// Let an account in again.
    Activate { name: String },
    /// Shut an account out.
    Deactivate { name: String },
}

fn line() -> Result<String, String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|error| error.to_string())?;
    Ok(line.trim().to_owned())
}

pub async fn run(settings: Settings, arguments: Arguments) -> Result<(), String> {
    let db = wiring::database(&settings).await?;
    wiring::wait_for_database(&db).await?;
    if settings.postgres_url.is_none() {
        wiring::migrate(&db).await?;
    }
    wiring::check_schema(&db).await?;
    let auth = Auth::new(&settings.auth);
    let failed = |error: rapport_common::Error| error.detail;
    match arguments.what {
        What::Create { name } => {
            admin::check_free(&db, &name).await.map_err(failed)?; // before anybody types a password
            let user = admin::create(&db, &auth, &name, &password::read()?).await.map_err(failed)?;
            commands::print(&format!("{name} is an admin now ({})\n", user.id))
        }
        What::ResetPassword { name } => {
            admin::reset_password(&db, &auth, &name, &password::read()?).await.map_err(failed)?;
            commands::print(&format!(
                "{name} has another password, is signed out everywhere, and has no API keys or webhooks any more\n"
            ))
        }
        What::Promote { name, yes } => promote(&db, &name, yes).await,
        What::Demote { name } => role(&db, &name, UserRole::User).await,
        What::Activate { name } => active(&db, &name, true).await,
        What::Deactivate { name } => active(&db, &name, false).await,
    }
}

/// Whoever registered the name may not be who is meant: what they left behind is shown first, and taken back.
async fn promote(db: &Db, name: &str, yes: bool) -> Result<(), String> {
    let holdings = admin::holdings(db, name).await.map_err(|error| error.detail)?;
    let user = &holdings.user;
    if user.role == UserRole::Admin {
        return Err(format!("{name} is an admin already"));
    }
    commands::print(&described(&holdings))?;
    if !yes {
        commands::print("Make this account an admin, and delete these keys, logins and webhooks? [y/N] ")?;
        if !["y", "yes"].contains(&line()?.to_lowercase().as_str()) {
            return Err("nothing was changed".to_owned());
        }
    }
    let taken = admin::promote(db, user.id).await.map_err(|error| error.detail)?;
    commands::print(&format!(
        "{name} is an admin now. {} and {} deleted, every login ended.\n\
         Its password is as it was: if somebody else may know it, run `rapport admin reset-password {name}`.\n",
        some(taken.api_keys, "API key"),
        some(taken.webhooks, "webhook")
    ))
}

fn some(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn described(holdings: &Holdings) -> String {
    let Holdings { user, keys, webhooks, logins } = holdings;
    let mail = match (&user.email, user.is_verified) {
        (None, _) => "no mail address".to_owned(),
        (Some(email), true) => format!("mail address {email}, verified"),
        (Some(email), false) => format!("mail address {email}, not verified"),
    };
    let mut text = format!(
        "{} was registered on {} and holds:\n  {mail}\n  {}\n",
        user.display_name(),
        user.created_at.format("%Y-%m-%d %H:%M UTC"),
        some((*logins).unsigned_abs(), "login"),
    );
    let list = |what: &str, lines: Vec<String>| {
        let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
        format!("  {what}\n{lines}")
    };
    let names = keys.iter().map(|key| format!("{} ({}…)", key.name, key.prefix)).collect();
    text += &list(&some(keys.len() as u64, "API key"), names);
    let urls = webhooks.iter().map(|hook| hook.url.clone()).collect();
    text += &list(&some(webhooks.len() as u64, "webhook"), urls);
    text
}

async fn role(db: &Db, name: &str, role: UserRole) -> Result<(), String> {
    admin::set_role(db, name, role).await.map_err(|error| error.detail)?;
    commands::print(&format!("{name} has the role {role}\n"))
}

async fn active(db: &Db, name: &str, active: bool) -> Result<(), String> {
    admin::set_active_by_name(db, name, active).await.map_err(|error| error.detail)?;
    commands::print(&format!("{name} is {}\n", if active { "active" } else { "deactivated" }))
}
