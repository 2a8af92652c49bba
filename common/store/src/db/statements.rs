//! How statements are written, listed, and run.

use data_encoding::HEXLOWER_PERMISSIVE;

/// A statement: its text for each database. What is bound to it is the same. Only `statements!` makes one, and lists it.
#[derive(Debug, Clone, Copy)]
pub struct Sql {
    pub(crate) pg: &'static str,
    pub(crate) lite: &'static str,
}

/// In place of a text that one database does not have: it fails there, instead of doing nothing.
const ELSEWHERE: &str = "this statement is for the other database";

impl Sql {
    /// The text for PostgreSQL.
    pub const fn pg(self) -> &'static str {
        if self.pg.is_empty() { ELSEWHERE } else { self.pg }
    }

    /// The text for SQLite.
    pub const fn lite(self) -> &'static str {
        if self.lite.is_empty() { ELSEWHERE } else { self.lite }
    }

    /// Whether PostgreSQL runs it.
    pub const fn is_for_pg(self) -> bool {
        !self.pg.is_empty()
    }

    /// Whether SQLite runs it.
    pub const fn is_for_lite(self) -> bool {
        !self.lite.is_empty()
    }
}

/// `statements! { GET = "select … where id in ", ids!(2); … }`: a constant for each statement, and `STATEMENTS`, the list of them all
/// with their names. A text is a row of parts: literals, the module's own macros, and those of [`super::dialect`], which differ
/// between the databases. A module's list that [`crate::STATEMENTS`] lacks, and a statement that nothing runs, are dead code, which
/// does not compile: so the list holds the texts once more, and not the constants.
macro_rules! statements {
    ($($(#[$about:meta])* $visible:vis $name:ident = $($part:expr),+;)*) => {
        $(
            $(#[$about])*
            $visible const $name: $crate::db::Sql = $crate::db::sql!($($part),+);
        )*
        pub(crate) const STATEMENTS: $crate::db::Listed =
            &[$((concat!(module_path!(), "::", stringify!($name)), $crate::db::sql!($($part),+))),*];
    };
}

/// One text among the macros of each database.
macro_rules! sql {
    ($($part:expr),+) => {
        $crate::db::Sql {
            pg: {
                use $crate::db::dialect::pg::*;
                concat!(begin!(), $($part),+)
            },
            lite: {
                use $crate::db::dialect::lite::*;
                concat!(begin!(), $($part),+)
            },
        }
    };
}

/// Names and statements of a module.
pub type Listed = &'static [(&'static str, Sql)];

/// A list of ids as one bound value: JSON, for `ids!` in a statement.
pub fn ids<T: Copy + Into<uuid::Uuid>>(ids: impl IntoIterator<Item = T>) -> sqlx::types::Json<Vec<String>> {
    sqlx::types::Json(ids.into_iter().map(|id| id.into().simple().to_string()).collect())
}

/// The ids that `gathered!` put together; none of `None`, which is what it makes of no rows.
pub fn from_gathered(bytes: Option<&[u8]>) -> Result<Vec<uuid::Uuid>, sqlx::Error> {
    let Some(bytes) = bytes else { return Ok(Vec::new()) };
    let bytes = HEXLOWER_PERMISSIVE.decode(bytes).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let ids = bytes.chunks(16).map(uuid::Uuid::from_slice);
    ids.collect::<Result<_, _>>().map_err(|error| sqlx::Error::Decode(error.into()))
}

/// One column of several rows: a value that `unnest` takes, on PostgreSQL.
pub fn column<'a, R, T>(rows: &'a [R], of: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
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

/// Binds every value to a statement and runs `$method` of it on the open database, within the connection's deadline, in a
/// transaction of its own where it needs one.
macro_rules! run {
    ($querier:expr, $query:path, $sql:expr, $method:ident($($then:tt)*) $(, $bind:expr)* $(,)?) => {
        match &mut *$querier {
            querier => {
                let sql: $crate::db::Sql = $sql;
                let deadline = $crate::db::Querier::deadline(querier);
                let is_named = !$crate::db::Querier::is_pooled(querier);
                let is_alone = $crate::db::Querier::is_alone(querier);
                let begun = if is_alone { $crate::db::Querier::enter(querier).await } else { Ok(()) };
                let answer = match (begun, $crate::db::Querier::raw(querier)) {
                    (Err(error), _) => Err(error),
                    (Ok(()), $crate::db::Raw::Pg(c)) => $crate::db::within(
                        deadline, $query(sql.pg()).persistent(is_named)$(.bind($bind))*.$method(c)).await$($then)*,
                    (Ok(()), $crate::db::Raw::Lite(c)) => $query(sql.lite())$(.bind($bind))*.$method(c).await$($then)*,
                };
                $crate::db::Querier::answered(querier);
                if let Err(error) = &answer {
                    $crate::db::Querier::note(querier, error);
                }
                let left = if is_alone { $crate::db::Querier::leave(querier, answer.is_ok()).await } else { Ok(()) };
                answer.and_then(|answer| left.map(|()| answer))
            }
        }
    };
}

/// `execute!(querier, SQL, binds…)`: the number of rows changed.
macro_rules! execute {
    ($querier:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::db::run!($querier, sqlx::query, $sql, execute(.map(|done| done.rows_affected())) $(, $bind)*)
    };
}

/// `fetch_optional!(Row, querier, SQL, binds…)`.
macro_rules! fetch_optional {
    ($row:ty, $querier:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::db::run!($querier, sqlx::query_as::<_, $row>, $sql, fetch_optional() $(, $bind)*)
    };
}

/// `fetch_one!(Row, querier, SQL, binds…)`.
macro_rules! fetch_one {
    ($row:ty, $querier:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::db::run!($querier, sqlx::query_as::<_, $row>, $sql, fetch_one() $(, $bind)*)
    };
}

/// `fetch_all!(Row, querier, SQL, binds…)`.
macro_rules! fetch_all {
    ($row:ty, $querier:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::db::run!($querier, sqlx::query_as::<_, $row>, $sql, fetch_all() $(, $bind)*)
    };
}

pub(crate) use {execute, fetch_all, fetch_one, fetch_optional, run, sql, statements};
