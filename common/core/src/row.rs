//! Structs that are read from a row, by the names of its columns.

/// `row!(Job: id, payload as json, attempt as number)` makes a struct one that sqlx reads from a row of either database: each field from the
/// column of its name. All fields must be named, or it does not compile. A field may say how it is read:
///
/// - `json`: as JSON; of a column that may be null `optional_json`, or `default_json` for what null stands for;
/// - `number`: from a `bigint`, which must fit;
/// - `flat`: it is a struct of the same row.
///
/// sqlx's derive does the same, but has sqlx, rustls and SQLite compiled once more for the compiler: a minute of every fresh build.
#[macro_export]
macro_rules! row {
    ($name:ident: $($field:ident $(as $how:ident)?),*) => {
        $crate::row!(@of sqlx::postgres::PgRow, $name { $($field $($how)?),* });
        $crate::row!(@of sqlx::sqlite::SqliteRow, $name { $($field $($how)?),* });
    };
    (@of $row:ty, $name:ident { $($field:ident $($how:ident)?),* }) => {
        impl sqlx::FromRow<'_, $row> for $name {
            fn from_row(row: &$row) -> Result<Self, sqlx::Error> {
                Ok(Self { $($field: $crate::row!(@get row $field $($how)?)),* })
            }
        }
    };
    (@get $row:ident $field:ident) => {
        sqlx::Row::try_get($row, stringify!($field))?
    };
    (@get $row:ident $field:ident json) => {
        sqlx::Row::try_get::<sqlx::types::Json<_>, _>($row, stringify!($field))?.0
    };
    (@get $row:ident $field:ident optional_json) => {
        sqlx::Row::try_get::<Option<sqlx::types::Json<_>>, _>($row, stringify!($field))?.map(|json| json.0)
    };
    (@get $row:ident $field:ident default_json) => {
        sqlx::Row::try_get::<Option<sqlx::types::Json<_>>, _>($row, stringify!($field))?.map(|json| json.0).unwrap_or_default()
    };
    (@get $row:ident $field:ident number) => {
        $crate::row::fitting(sqlx::Row::try_get($row, stringify!($field))?, stringify!($field))?
    };
    (@get $row:ident $field:ident flat) => {
        sqlx::FromRow::from_row($row)?
    };
}

/// A number of the database as the type of its field.
pub fn fitting<T: TryFrom<i64, Error: std::error::Error + Send + Sync + 'static>>(
    number: i64,
    column: &str,
) -> Result<T, sqlx::Error> {
    number
        .try_into()
        .map_err(|error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(error) })
}
