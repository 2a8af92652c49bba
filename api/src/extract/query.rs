//! Query parameters, pages and cursors.

use axum::{extract::FromRequestParts, http::request::Parts};
use data_encoding::BASE64URL_NOPAD;
use rapport_common::{Error, error::Code};
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
        axum::extract::Query::<T>::try_from_uri(&parts.uri)
            .map(|query| Self(query.0))
            .map_err(|error| bad(format!("A query parameter is wrong: {}.", error.body_text())))
    }
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
