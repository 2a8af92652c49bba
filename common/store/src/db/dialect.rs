//! What the two databases say differently, named once: a macro of the same name for each. A statement's text is put together
//! twice, once among the macros of `pg` and once among those of `lite` (see `statements!`).
//!
//! - `ids!(2)`: the ids in parameter 2, a list made by [`super::ids`];
//! - `texts!(2)`: the texts in parameter 2, a list as JSON;
//! - `rows!(4, t, term text, tf int)`: the objects in parameter 4, a list as JSON, as a table `t` with these columns;
//! - `day!("m.created_at")`: the day of a time, as YYYY-MM-DD in UTC;
//! - `hour!("$3")`: the hour of a time, counted since 1970 began;
//! - `by_clock!(2, 4)`: the moment in parameter 2, where 4 is now, by the database's own clock. SQLite has one process, and its clock;
//! - `gathered!("v.doc_id")`: the ids of all rows as one value, see [`super::from_gathered`];
//! - `someone!(1)`: the user in parameter 1, whom PostgreSQL does not know when it plans: of one who has a good part of a table it would
//!   read the whole table, with what everybody else has;
//! - `checked!("user_id = $1")`: a condition that is checked, and not searched by. All that one user has is taken for less than a list
//!   of ids otherwise: by SQLite, which has no statistics, and by PostgreSQL while it has none of that user;
//! - `pg!(…)`, `lite!(…)`: text for one of them alone.

/// `a`, `b`, `c`.
macro_rules! list {
    ($first:expr $(, $rest:expr)*) => {
        concat!($first $(, ", ", $rest)*)
    };
}
pub(crate) use list;

pub(crate) mod pg {
    /// Says nothing. Every text begins with it, so that no text leaves these macros unused.
    macro_rules! begin {
        () => {
            ""
        };
    }
    macro_rules! ids {
        ($n:literal) => {
            concat!("(select x::uuid from jsonb_array_elements_text($", $n, ") x)")
        };
    }
    macro_rules! texts {
        ($n:literal) => {
            concat!("(select jsonb_array_elements_text($", $n, "))")
        };
    }
    /// Equal to one of the texts.
    macro_rules! any_of {
        ($n:literal) => {
            concat!("= any(array(select jsonb_array_elements_text($", $n, ")))")
        };
    }
    /// Contains, in whatever case, what the pattern says. For a pattern of ASCII the letters of ASCII alone are made small, as SQLite does
    /// always: all that there are take five times as long.
    macro_rules! contains {
        ($text:literal, $n:literal) => {
            concat!(
                "(case when octet_length($",
                $n,
                ") = char_length($",
                $n,
                ") then lower(",
                $text,
                " collate \"C\") else lower(",
                $text,
                ") end) like $",
                $n,
                " escape '\\'"
            )
        };
    }
    macro_rules! rows {
        ($n:literal, $alias:ident, $($column:ident $type:ident),+) => {
            concat!(
                "jsonb_to_recordset($", $n, ") as ", stringify!($alias), "(",
                $crate::db::dialect::list!($(concat!(stringify!($column), " ", stringify!($type))),+),
                ")"
            )
        };
    }
    macro_rules! day {
        ($time:literal) => {
            concat!("to_char(", $time, " at time zone 'UTC', 'YYYY-MM-DD')")
        };
    }
    macro_rules! hour {
        ($time:literal) => {
            concat!("floor(extract(epoch from ", $time, "::timestamptz) / 3600)::bigint")
        };
    }
    macro_rules! by_clock {
        ($until:literal, $now:literal) => {
            concat!("clock_timestamp() + ($", $until, "::timestamptz - $", $now, "::timestamptz)")
        };
    }
    macro_rules! checked {
        ($condition:literal) => {
            concat!("(", $condition, ") is true")
        };
    }
    macro_rules! someone {
        ($n:literal) => {
            concat!("(select $", $n, "::uuid)")
        };
    }
    macro_rules! gathered {
        ($id:literal) => {
            concat!("convert_to(encode(string_agg(uuid_send(", $id, "), ''), 'hex'), 'UTF8')")
        };
    }
    macro_rules! pg {
        ($($text:expr),+) => {
            concat!($($text),+)
        };
    }
    macro_rules! lite {
        ($($text:expr),+) => {
            ""
        };
    }
    pub(crate) use {
        any_of, begin, by_clock, checked, contains, day, gathered, hour, ids, lite, pg, rows, someone, texts,
    };
}

pub(crate) mod lite {
    macro_rules! begin {
        () => {
            ""
        };
    }
    macro_rules! ids {
        ($n:literal) => {
            concat!("(select unhex(value) from json_each($", $n, "))")
        };
    }
    macro_rules! texts {
        ($n:literal) => {
            concat!("(select value from json_each($", $n, "))")
        };
    }
    macro_rules! any_of {
        ($n:literal) => {
            concat!("in (select value from json_each($", $n, "))")
        };
    }
    macro_rules! contains {
        ($text:literal, $n:literal) => {
            concat!("lower(", $text, ") like $", $n, " escape '\\'")
        };
    }
    macro_rules! rows {
        ($n:literal, $alias:ident, $($column:ident $type:ident),+) => {
            concat!(
                "(select ",
                $crate::db::dialect::list!($($crate::db::dialect::lite::column!($column $type)),+),
                " from json_each($", $n, ")) ", stringify!($alias)
            )
        };
    }
    macro_rules! column {
        ($column:ident uuid) => {
            concat!("unhex(value ->> '", stringify!($column), "') as ", stringify!($column))
        };
        ($column:ident $type:ident) => {
            concat!("value ->> '", stringify!($column), "' as ", stringify!($column))
        };
    }
    macro_rules! day {
        ($time:literal) => {
            concat!("substr(", $time, ", 1, 10)")
        };
    }
    macro_rules! hour {
        ($time:literal) => {
            concat!("unixepoch(", $time, ") / 3600")
        };
    }
    macro_rules! by_clock {
        ($until:literal, $now:literal) => {
            concat!("$", $until)
        };
    }
    macro_rules! checked {
        ($condition:literal) => {
            concat!("+", $condition)
        };
    }
    macro_rules! someone {
        ($n:literal) => {
            concat!("$", $n)
        };
    }
    macro_rules! gathered {
        ($id:literal) => {
            concat!("cast(group_concat(hex(", $id, "), '') as blob)")
        };
    }
    macro_rules! pg {
        ($($text:expr),+) => {
            ""
        };
    }
    macro_rules! lite {
        ($($text:expr),+) => {
            concat!($($text),+)
        };
    }
    pub(crate) use {
        any_of, begin, by_clock, checked, column, contains, day, gathered, hour, ids, lite, pg, rows,
        someone, texts,
    };
}
