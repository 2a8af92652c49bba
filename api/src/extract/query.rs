//! Query parameters, pages and cursors.

use axum::{extract::FromRequestParts, http::request::Parts};
use data_encoding::BASE64URL_NOPAD;
use rapport_common::{
    Error,
    error::{Code, Wrong},
    plain::complaint,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{error::Failure, state::AppState};

pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<AppState> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Failure> {
        let bad = |detail: String| Failure(Error::new(Code::BadQuery, detail));
        if parts.uri.query().is_some_and(|query| query.contains("%00")) {
            return Err(bad("A query parameter contains a NUL character.".to_owned()));
        }
        axum::extract::Query::<T>::try_from_uri(&parts.uri).map(|query| Self(query.0)).map_err(|error| {
            let (field, wrong) = query_complaint(&error.body_text());
            bad(match field {
                Some(field) => format!("`{field}` {wrong}."),
                None => "The query could not be read.".to_owned(),
            })
        })
    }
}

/// The parameter and what is wrong with it, from axum's "Failed to deserialize query string: limit: invalid digit …".
pub fn query_complaint(text: &str) -> (Option<String>, Wrong) {
    let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(text);
    let (path, reason) = match text.split_once(": ") {
        Some((path, reason)) if !path.contains([' ', '`']) => (Some(path.to_owned()), reason),
        _ => (None, text),
    };
    let found = complaint(reason);
    (found.field.or(path), found.wrong)
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Start<P> {
    /// Behind so many; 0 is the beginning.
    Skip(i64),
    /// Behind the place that a cursor named.
    After(P),
}

impl<P> Start<P> {
    /// The place, and how many to leave out: at most one of them says something.
    pub fn parts(self) -> (Option<P>, i64) {
        match self {
            Start::Skip(skip) => (None, skip),
            Start::After(place) => (Some(place), 0),
        }
    }
}

/// Which page of a list: `limit` with `skip` or `cursor`.
pub struct ListQuery<P> {
    pub limit: i64,
    pub start: Start<P>,
}

/// The same of a list without a cursor.
pub struct SkipQuery {
    pub limit: i64,
    pub skip: i64,
}

/// The same of a list that cannot skip.
pub struct CursorQuery<P> {
    pub limit: i64,
    pub after: Option<P>,
}

/// Of a list without either. A client that asks for pages by them would get the same one for ever: it is told.
pub struct NoPages;

/// What a list may be asked with.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// How many at most: 1-200, 50 by default.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
    /// How many to leave out first. Not together with `cursor`.
    #[param(minimum = 0)]
    skip: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What a list without a cursor may be asked with.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described: ListParams reads them")]
pub struct SkipParams {
    /// How many at most: 1-200, 50 by default.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
    /// How many to leave out first.
    #[param(minimum = 0)]
    skip: Option<i64>,
}

/// What a list that cannot skip may be asked with.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described: ListParams reads them")]
pub struct CursorParams {
    /// How many at most: 1-200, 50 by default.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

fn bad<T>(detail: &str) -> Result<T, Error> {
    Err(Error::new(Code::BadQuery, detail))
}

impl ListParams {
    fn limit(&self) -> Result<i64, Error> {
        let limit = self.limit.unwrap_or(50);
        if (1..=200).contains(&limit) { Ok(limit) } else { bad("`limit` must be from 1 to 200.") }
    }

    fn skip(&self) -> Result<i64, Error> {
        let skip = self.skip.unwrap_or(0);
        if (0..=10_000_000).contains(&skip) { Ok(skip) } else { bad("`skip` must be from 0 to 10000000.") }
    }

    fn start<P: DeserializeOwned>(&self) -> Result<Start<P>, Error> {
        match (&self.cursor, self.skip()?) {
            (Some(_), _) if self.skip.is_some() => bad("Give `skip` or `cursor`, not both."),
            (Some(cursor), _) => Ok(Start::After(decode_cursor(cursor)?)),
            (None, skip) => Ok(Start::Skip(skip)),
        }
    }

    fn without_cursor(&self) -> Result<(), Error> {
        if self.cursor.is_some() { bad("This list has no `cursor`: use `skip`.") } else { Ok(()) }
    }

    fn without_skip(&self) -> Result<(), Error> {
        if self.skip.is_some() { bad("This list has no `skip`: use `cursor`.") } else { Ok(()) }
    }
}

impl<P: DeserializeOwned> TryFrom<ListParams> for ListQuery<P> {
    type Error = Error;

    fn try_from(params: ListParams) -> Result<Self, Error> {
        Ok(Self { limit: params.limit()?, start: params.start()? })
    }
}

impl TryFrom<ListParams> for SkipQuery {
    type Error = Error;

    fn try_from(params: ListParams) -> Result<Self, Error> {
        params.without_cursor()?;
        Ok(Self { limit: params.limit()?, skip: params.skip()? })
    }
}

impl<P: DeserializeOwned> TryFrom<ListParams> for CursorQuery<P> {
    type Error = Error;

    fn try_from(params: ListParams) -> Result<Self, Error> {
        params.without_skip()?;
        Ok(Self { limit: params.limit()?, after: params.start()?.parts().0 })
    }
}

impl TryFrom<ListParams> for NoPages {
    type Error = Error;

    fn try_from(params: ListParams) -> Result<Self, Error> {
        if params.cursor.is_some() || params.skip.is_some() {
            return bad("This list takes neither `skip` nor `cursor`.");
        }
        Ok(Self)
    }
}

macro_rules! from_params {
    ($($name:ty $(, $place:ident)?;)*) => {$(
        impl$(<$place: DeserializeOwned>)? FromRequestParts<AppState> for $name {
            type Rejection = Failure;

            async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Failure> {
                let Query(params) = Query::<ListParams>::from_request_parts(parts, state).await?;
                Ok(params.try_into()?)
            }
        }
    )*};
}

from_params! {
    ListQuery<P>, P;
    SkipQuery;
    CursorQuery<P>, P;
    NoPages;
}

/// Cursors are JSON in base64url: opaque to clients, readable to us.
pub fn encode_cursor<T: Serialize>(place: &T) -> String {
    BASE64URL_NOPAD.encode(&serde_json::to_vec(place).unwrap_or_default())
}

fn decode_cursor<T: DeserializeOwned>(cursor: &str) -> Result<T, Error> {
    let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok();
    let place = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    place.ok_or_else(|| Error::new(Code::BadQuery, "`cursor` is not one this list gave."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code)]
    struct Wanted {
        limit: Option<i64>,
        wait: Option<f64>,
        flag: Option<bool>,
        q: String,
    }

    #[test]
    fn a_query_is_refused_in_our_words() {
        let said = |query: &str| {
            let uri = format!("/?{query}").parse().unwrap();
            let error = axum::extract::Query::<Wanted>::try_from_uri(&uri).err().unwrap();
            let (field, wrong) = query_complaint(&error.body_text());
            format!("`{}` {wrong}", field.unwrap_or_default())
        };
        assert_eq!(said("limit=x&q="), "`limit` must be a whole number");
        assert_eq!(said("limit=99999999999999999999&q="), "`limit` must be a whole number within its limits");
        assert_eq!(said("wait=x&q="), "`wait` must be a number");
        assert_eq!(said("flag=x&q="), "`flag` must be true or false");
        assert_eq!(said("limit=1"), "`q` is required");
        assert_eq!(said("q=1&q=2"), "`q` is given more than once");
    }

    #[test]
    fn what_a_list_does_not_take_is_refused_and_not_ignored() {
        let asked = |query: &str| {
            axum::extract::Query::<ListParams>::try_from_uri(&format!("/?{query}").parse().unwrap())
                .unwrap()
                .0
        };
        let list =
            |query: &str| ListQuery::<i64>::try_from(asked(query)).map(|list| (list.limit, list.start));
        let cursor = format!("cursor={}", encode_cursor(&17));
        assert_eq!(list("").unwrap(), (50, Start::Skip(0)));
        assert_eq!(list("limit=3&skip=4").unwrap(), (3, Start::Skip(4)));
        assert_eq!(list(&cursor).unwrap(), (50, Start::After(17)));
        for bad in [&format!("skip=0&{cursor}"), "limit=0", "limit=201", "skip=-1", "cursor=x"] {
            assert_eq!(list(bad).unwrap_err().code, Code::BadQuery, "{bad}");
        }
        assert!(SkipQuery::try_from(asked(&cursor)).is_err() && SkipQuery::try_from(asked("skip=9")).is_ok());
        let after = |query: &str| CursorQuery::<i64>::try_from(asked(query)).map(|list| list.after);
        assert!(after("skip=0").is_err() && after(&cursor).unwrap() == Some(17));
        assert!(NoPages::try_from(asked("skip=0")).is_err() && NoPages::try_from(asked(&cursor)).is_err());
        assert!(NoPages::try_from(asked("limit=5")).is_ok());
    }
}
