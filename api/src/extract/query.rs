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

/// `limit` with `skip` or `cursor`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// How many at most: 1-200, 50 by default.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
    /// How many to leave out first. Not together with `cursor`.
    #[param(minimum = 0)]
    skip: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl Page {
    /// (limit, skip, cursor).
    pub fn check(&self) -> Result<(i64, i64, Option<&str>), Error> {
        let bad = |detail: &str| Err(Error::new(Code::BadQuery, detail));
        let limit = self.limit.unwrap_or(50);
        let skip = self.skip.unwrap_or(0);
        if !(1..=200).contains(&limit) {
            return bad("`limit` must be from 1 to 200.");
        }
        if !(0..=10_000_000).contains(&skip) {
            return bad("`skip` must be from 0 to 10000000.");
        }
        if self.cursor.is_some() && self.skip.is_some() {
            return bad("Give `skip` or `cursor`, not both.");
        }
        Ok((limit, skip, self.cursor.as_deref()))
    }
}

/// `limit` and `skip`, for lists without a cursor.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Skips {
    /// How many at most: 1-200, 50 by default.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
    /// How many to leave out first.
    #[param(minimum = 0)]
    skip: Option<i64>,
    #[param(ignore)]
    cursor: Option<String>,
}

impl Skips {
    /// (limit, skip).
    pub fn check(self) -> Result<(i64, i64), Error> {
        if self.cursor.is_some() {
            return Err(Error::new(Code::BadQuery, "This list has no `cursor`: use `skip`."));
        }
        let page = Page { limit: self.limit, skip: self.skip, cursor: None };
        page.check().map(|(limit, skip, _)| (limit, skip))
    }
}

/// `limit` and `cursor`, for lists that cannot skip.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Cursors {
    /// How many at most: 1-200, 50 by default.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    #[param(ignore)]
    skip: Option<i64>,
}

impl Cursors {
    /// The limit, and where the page begins.
    pub fn check<T: DeserializeOwned>(self) -> Result<(i64, Option<T>), Error> {
        if self.skip.is_some() {
            return Err(Error::new(Code::BadQuery, "This list has no `skip`: use `cursor`."));
        }
        let page = Page { limit: self.limit, skip: None, cursor: self.cursor };
        let (limit, _, cursor) = page.check()?;
        Ok((limit, decode_cursor(cursor)?))
    }
}

/// Cursors are JSON in base64url: opaque to clients, readable to us.
pub fn encode_cursor<T: Serialize>(place: &T) -> String {
    BASE64URL_NOPAD.encode(&serde_json::to_vec(place).unwrap_or_default())
}

pub fn decode_cursor<T: DeserializeOwned>(cursor: Option<&str>) -> Result<Option<T>, Error> {
    let Some(cursor) = cursor else { return Ok(None) };
    let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok();
    let place = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    place.map(Some).ok_or_else(|| Error::new(Code::BadQuery, "`cursor` is not one this list gave."))
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
}
