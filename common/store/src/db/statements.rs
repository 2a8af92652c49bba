//! How statements are written: one text for both databases, or a pair; bound and run by macros.

use super::{Querier, Raw};

/// A statement whose text differs between the databases; what is bound to it does not.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    pub pg: &'static str,
    pub lite: &'static str,
}

impl Pair {
    /// The text for the database that is open.
    pub fn of(self, querier: &mut impl Querier) -> &'static str {
        match querier.raw() {
            Raw::Pg(_) => self.pg,
            Raw::Lite(_) => self.lite,
        }
    }
}

/// A list of ids as one bound value: JSON, for [`any_id`].
pub fn ids<T: Copy + Into<uuid::Uuid>>(ids: impl IntoIterator<Item = T>) -> sqlx::types::Json<Vec<String>> {
    sqlx::types::Json(ids.into_iter().map(|id| id.into().simple().to_string()).collect())
}

/// `any_id!(["select … where id in "] 2 [" and …"])`: a [`Pair`] in which parameter 2 is a list of [`ids`].
macro_rules! any_id {
    ([$($before:expr),*] $n:literal [$($after:expr),*]) => {
        $crate::db::Pair {
            pg: concat!($($before,)* "(select x::uuid from jsonb_array_elements_text($", $n, ") x)" $(, $after)*),
            lite: concat!($($before,)* "(select unhex(value) from json_each($", $n, "))" $(, $after)*),
        }
    };
}

/// The name of the unique constraint or index a statement ran into.
pub fn violated(error: &sqlx::Error) -> Option<String> {
    let database = error.as_database_error()?;
    if !database.is_unique_violation() {
        return None;
    }
    // SQLite names the columns instead: "UNIQUE constraint failed: users.email" is our index `users_email`.
    Some(match database.constraint() {
        Some(name) => name.to_owned(),
        None => database.message().rsplit(": ").next().unwrap_or_default().replace('.', "_"),
    })
}

/// Binds every value to `$sql` and runs `$method` of it on the open database, within the connection's deadline.
macro_rules! run {
    ($querier:expr, $query:expr, $method:ident $(, $bind:expr)* $(,)?) => {
        match &mut *$querier {
            querier => {
                let deadline = $crate::db::Querier::deadline(querier);
                let answer = match $crate::db::Querier::raw(querier) {
                    $crate::db::Raw::Pg(c) => $crate::db::within(deadline, $query$(.bind($bind))*.$method(c)).await,
                    $crate::db::Raw::Lite(c) => $query$(.bind($bind))*.$method(c).await,
                };
                if let Err(error) = &answer {
                    $crate::db::Querier::note(querier, error);
                }
                answer
            }
        }
    };
}

/// `execute!(querier, SQL, binds…)`: the number of rows changed.
macro_rules! execute {
    ($querier:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        match &mut *$querier {
            querier => {
                let deadline = $crate::db::Querier::deadline(querier);
                let answer = match $crate::db::Querier::raw(querier) {
                    $crate::db::Raw::Pg(c) => $crate::db::within(deadline, sqlx::query($sql)$(.bind($bind))*.execute(c)).await.map(|done| done.rows_affected()),
                    $crate::db::Raw::Lite(c) => sqlx::query($sql)$(.bind($bind))*.execute(c).await.map(|done| done.rows_affected()),
                };
                if let Err(error) = &answer {
                    $crate::db::Querier::note(querier, error);
                }
                answer
            }
        }
    };
}

/// `fetch_optional!(Row, querier, SQL, binds…)`.
macro_rules! fetch_optional {
    ($row:ty, $querier:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::db::run!($querier, sqlx::query_as::<_, $row>($sql), fetch_optional $(, $bind)*)
    };
}

/// `fetch_one!(Row, querier, SQL, binds…)`.
macro_rules! fetch_one {
    ($row:ty, $querier:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::db::run!($querier, sqlx::query_as::<_, $row>($sql), fetch_one $(, $bind)*)
    };
}

/// `fetch_all!(Row, querier, SQL, binds…)`.
macro_rules! fetch_all {
    ($row:ty, $querier:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::db::run!($querier, sqlx::query_as::<_, $row>($sql), fetch_all $(, $bind)*)
    };
}

pub(crate) use {any_id, execute, fetch_all, fetch_one, fetch_optional, run};
