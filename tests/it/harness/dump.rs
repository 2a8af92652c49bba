//! Everything that is stored, as text: for looking for what must not be there.

use rapport_common::store::{Conn, Db, Querier, db::Raw};
use sqlx::AssertSqlSafe;

/// The names of all tables but the migrations'.
pub async fn tables(db: &Db) -> Vec<String> {
    let mut conn = db.read().await.unwrap();
    let rows: Vec<(String,)> = match conn.raw() {
        Raw::Pg(c) => sqlx::query_as("select table_name::text from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'")
            .fetch_all(c)
            .await,
        Raw::Lite(c) => sqlx::query_as("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'").fetch_all(c).await,
    }
    .unwrap();
    rows.into_iter().map(|row| row.0).filter(|name| name != "_sqlx_migrations").collect()
}

/// One line a row; ids as hexadecimal.
pub async fn rows(db: &Db, table: &str) -> Vec<String> {
    let mut conn = db.read().await.unwrap();
    let rows: Vec<(String,)> = match conn.raw() {
        Raw::Pg(c) => {
            let sql = format!("select replace(row_to_json(t)::text, '-', '') from {table} t");
            sqlx::query_as(AssertSqlSafe(sql)).fetch_all(c).await.unwrap()
        }
        Raw::Lite(c) => {
            let sql = format!("select name from pragma_table_info('{table}')");
            let columns: Vec<(String,)> =
                sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut *c).await.unwrap();
            let quoted: Vec<String> = columns.iter().map(|(name,)| format!("quote(\"{name}\")")).collect();
            let sql = format!("select lower({}) from {table}", quoted.join(" || ' ' || "));
            sqlx::query_as(AssertSqlSafe(sql)).fetch_all(c).await.unwrap()
        }
    };
    rows.into_iter().map(|row| row.0).collect()
}

pub async fn everything(db: &Db) -> String {
    let mut all = String::new();
    for table in tables(db).await {
        for row in rows(db, &table).await {
            all.push_str(&format!("{table}: {row}\n"));
        }
    }
    all
}

pub async fn count(conn: &mut Conn, sql: &'static str) -> i64 {
    let row: (i64,) = match conn.raw() {
        Raw::Pg(c) => sqlx::query_as(sql).fetch_one(c).await,
        Raw::Lite(c) => sqlx::query_as(sql).fetch_one(c).await,
    }
    .unwrap();
    row.0
}
