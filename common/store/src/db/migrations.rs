//! The migrations of both databases, as `build.rs` found them.

use std::sync::LazyLock;

use sqlx::{
    SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

mod found {
    include!(concat!(env!("OUT_DIR"), "/migrations.rs"));
}

pub static PG: LazyLock<Migrator> = LazyLock::new(|| migrator(found::POSTGRES));
pub static LITE: LazyLock<Migrator> = LazyLock::new(|| migrator(found::SQLITE));

fn migrator(found: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migration = |&(version, what, sql): &(i64, &'static str, &'static str)| {
        Migration::new(version, what.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(found.iter().map(migration).collect())
}
