//! Accounts from the command line: the first admin, and whoever locked themselves out.

use rapport_common::{auth::Auth, settings::Settings, usecase::admin};

use super::password;
use crate::{commands, wiring};

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Make an admin, or make an account one. Asks for the password, or reads it from a pipe.
    Create {
        /// An email or a username.
        name: String,
    },
    /// Set an account's password; all its logins end. Asks for the password, or reads it from a pipe.
    ResetPassword { name: String },
    /// Make an account an admin.
    Promote { name: String },
    /// Take an account's admin role away.
    Demote { name: String },
    /// Let an account in again.
    Activate { name: String },
    /// Shut an account out.
    Deactivate { name: String },
}

pub async fn run(settings: Settings, arguments: Arguments) -> Result<(), String> {
    let db = wiring::database(&settings).await?;
    wiring::wait_for_database(&db).await?;
    if settings.postgres_url.is_none() {
        db.migrate().await?;
    }
    wiring::check_schema(&db).await?;
    let auth = Auth::new(&settings.auth);
    let failed = |error: rapport_common::Error| error.detail;
    match arguments.what {
        What::Create { name } => {
            let user = admin::create(&db, &auth, &name, &password::read()?).await.map_err(failed)?;
            commands::print(&format!("{name} is an admin now ({})\n", user.id))
        }
        What::ResetPassword { name } => {
            admin::reset_password(&db, &auth, &name, &password::read()?).await.map_err(failed)?;
            commands::print(&format!("{name} has another password, and is signed out everywhere\n"))
        }
        What::Promote { name } => role(&db, &name, "admin").await,
        What::Demote { name } => role(&db, &name, "user").await,
        What::Activate { name } => active(&db, &name, true).await,
        What::Deactivate { name } => active(&db, &name, false).await,
    }
}

async fn role(db: &rapport_common::store::Db, name: &str, role: &str) -> Result<(), String> {
    admin::set_role(db, name, role).await.map_err(|error| error.detail)?;
    commands::print(&format!("{name} has the role {role}\n"))
}

async fn active(db: &rapport_common::store::Db, name: &str, active: bool) -> Result<(), String> {
    admin::set_active_by_name(db, name, active).await.map_err(|error| error.detail)?;
    commands::print(&format!("{name} is {}\n", if active { "active" } else { "deactivated" }))
}
