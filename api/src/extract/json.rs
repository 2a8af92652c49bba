//! JSON bodies: unreadable is 400, readable but wrong is 422 with the field's name.

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use rapport_common::{
    Error,
    error::Code,
    plain::{Complaint, complaint, not_json},
    usecase::repeat::Repeatable,
};
use serde::de::DeserializeOwned;

use super::{Late, fields, headers::idempotency_key, query::query_complaint};
use crate::{error::Failure, state::AppState};

/// Bodies hold at most this; a message's 32,000 characters are at most 128,000 bytes, or 400,000 written as escapes.
const BODY_BYTES: usize = 512 * 1_024;
/// Images come in one body.
const WIDE_BYTES: usize = 8 * 1_024 * 1_024;
const DRAINED_BYTES: usize = 64 * 1_024 * 1_024;
/// Unknown fields that an answer names at most.
const UNREAD_NAMED: usize = 10;

pub struct Json<T>(pub T);

/// JSON of another API's clients: up to [`WIDE_BYTES`], with every field known. It may be sent again as [`Keyed`] may.
pub struct Wide<T>(pub T, pub Option<Repeatable>);

/// JSON that may be sent again, if its client gave an `Idempotency-Key`.
pub struct Keyed<T>(pub T, pub Option<Repeatable>);

/// A form (OAuth2's password grant) or JSON.
pub struct JsonOrForm<T>(pub T);

fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_lowercase()
}

fn is_json(media_type: &str) -> bool {
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

/// Reads a body of at most `most` bytes. What is beyond is read and thrown away, up to a bound: a client that is still
/// sending when the connection closes never sees the answer.
async fn bytes(request: Request, most: usize) -> Result<Bytes, Error> {
    let mut body = request.into_body().into_data_stream();
    let (mut kept, mut read) = (BytesMut::new(), 0);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(unreadable)?;
        read += chunk.len();
        if read <= most {
            kept.extend_from_slice(&chunk);
        } else if read > DRAINED_BYTES {
            break;
        }
    }
    if read > most {
        return Err(Error::new(Code::TooLarge, format!("The body is larger than {most} bytes.")));
    }
    Ok(kept.freeze())
}

/// A body that broke off, or that took too long.
pub fn unreadable(error: axum::Error) -> Error {
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    let late = causes.into_iter().any(|cause| cause.is::<Late>());
    let detail =
        if late { "The body did not arrive in time." } else { "The body could not be read to its end." };
    Error::new(Code::Malformed, detail)
}

/// Reads a body. Fields that `T` does not have are refused: a misspelt one must not pass as one that was left out.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    parse_but::<T>(bytes, &fields::SENT_ALONG)
}

/// The same, but for fields that clients send along.
fn parse_but<T: DeserializeOwned>(bytes: &[u8], sent_along: &[&str]) -> Result<T, Error> {
    let mut unread = Vec::new();
    let parsed = read::<T>(bytes, |path| {
        if unread.len() < UNREAD_NAMED && !sent_along.contains(&path.as_str()) {
            unread.push(path.chars().take(100).collect());
        }
    });
    let mut errors = fields::unknown::<T>(unread);
    match parsed {
        Ok(value) if errors.is_empty() => Ok(value),
        Ok(_) => Err(Error::fields(errors)),
        // What is missing and what is misspelt are often one and the same.
        Err(error) if error.code == Code::Invalid => {
            errors.extend(error.errors);
            Err(Error::fields(errors))
        }
        Err(error) => Err(error),
    }
}

/// Reads a file somebody sends, of a newer version perhaps, or with more in it than is taken over.
pub fn parse_file<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    read(bytes, |_| ())
}

fn read<T: DeserializeOwned>(bytes: &[u8], mut unread: impl FnMut(String)) -> Result<T, Error> {
    let deserializer = &mut serde_json::Deserializer::from_slice(bytes);
    let mut track = serde_path_to_error::Track::new();
    let mut note = |path: serde_ignored::Path<'_>| unread(fields::plain(&path));
    let parsed = T::deserialize(serde_ignored::Deserializer::new(
        serde_path_to_error::Deserializer::new(&mut *deserializer, &mut track),
        &mut note,
    ));
    let value = parsed.map_err(|inner| {
        let path = track.path().to_string();
        if inner.is_data() {
            field_error(&path, &inner.to_string())
        } else if bytes.trim_ascii().is_empty() {
            Error::new(Code::Malformed, "The body is empty: send JSON.")
        } else {
            Error::new(Code::Malformed, not_json(&inner))
        }
    })?;
    deserializer.end().map_err(|error| Error::new(Code::Malformed, not_json(&error)))?;
    Ok(value)
}

/// serde names what is missing under the path of what lacks it; people look for the field itself.
pub fn field_error(path: &str, message: &str) -> Error {
    let Complaint { field, wrong } = complaint(message);
    let path = if path == "." { "body" } else { path };
    Error::field(field.as_deref().unwrap_or(path), wrong)
}

impl<T: DeserializeOwned> FromRequest<AppState> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &AppState) -> Result<Self, Failure> {
        Ok(Self(parse(&json_bytes(request, BODY_BYTES).await?)?))
    }
}

impl<T: DeserializeOwned> FromRequest<AppState> for Keyed<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &AppState) -> Result<Self, Failure> {
        let key = idempotency_key(request.headers())?;
        let bytes = json_bytes(request, BODY_BYTES).await?;
        Ok(Self(parse(&bytes)?, Repeatable::of(key, bytes)))
    }
}

impl<T: DeserializeOwned> FromRequest<AppState> for Wide<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &AppState) -> Result<Self, Failure> {
        let key = idempotency_key(request.headers())?;
        let bytes = json_bytes(request, WIDE_BYTES).await?;
        Ok(Self(parse_but(&bytes, &[])?, Repeatable::of(key, bytes)))
    }
}

pub fn require_json(headers: &HeaderMap) -> Result<(), Error> {
    if is_json(&media_type(headers)) {
        return Ok(());
    }
    let detail = "The body must be JSON, with `Content-Type: application/json`.";
    Err(Error::new(Code::UnsupportedMediaType, detail))
}

/// Reads what is left of a body that is refused, up to a bound: a client that is still sending when the connection closes never
/// sees the answer.
pub async fn drain<E>(mut body: impl Stream<Item = Result<Bytes, E>> + Unpin) {
    let mut read = 0;
    while let Some(Ok(chunk)) = body.next().await {
        read += chunk.len();
        if read > DRAINED_BYTES {
            break;
        }
    }
}

async fn json_bytes(request: Request, most: usize) -> Result<Bytes, Error> {
    require_json(request.headers())?;
    bytes(request, most).await
}

impl<T: DeserializeOwned> FromRequest<AppState> for JsonOrForm<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Failure> {
        let media_type = media_type(request.headers());
        if media_type == "application/x-www-form-urlencoded" {
            let bytes = bytes(request, BODY_BYTES).await?;
            let text = std::str::from_utf8(&bytes)
                .map_err(|_| Error::new(Code::Malformed, "The form is not UTF-8."))?;
            let uri = format!("/?{text}")
                .parse()
                .map_err(|_| Error::new(Code::Malformed, "The form is unreadable."))?;
            let form = axum::extract::Query::<T>::try_from_uri(&uri);
            let form = form.map_err(|error| {
                let (field, wrong) = query_complaint(&error.body_text());
                Error::field(field.as_deref().unwrap_or("form"), wrong)
            })?;
            return Ok(Self(form.0));
        }
        let Json(value) = Json::from_request(request, state).await?;
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rapport_common::{
        domain::texts::Title,
        error::{FieldError, Wrong},
    };
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Body {
        #[expect(dead_code)]
        message: String,
        #[expect(dead_code)]
        temperature: Option<f64>,
    }

    #[test]
    fn unreadable_and_wrong_are_told_apart() {
        for bad in ["", "{", "nul", "{\"message\":\"\\ud800\"}", "{\"message\":\"x\"} {}"] {
            assert_eq!(parse::<Body>(bad.as_bytes()).unwrap_err().code, Code::Malformed, "{bad:.40}");
        }
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(parse::<serde_json::Value>(deep.as_bytes()).unwrap_err().code, Code::Malformed);
        let missing = parse::<Body>(b"{}").unwrap_err();
        assert_eq!((missing.code, missing.errors[0].field.as_str()), (Code::Invalid, "message"));
        let wrong = parse::<Body>(br#"{"message":"x","temperature":"hot"}"#).unwrap_err();
        assert_eq!((wrong.code, wrong.errors[0].field.as_str()), (Code::Invalid, "temperature"));
    }

    #[test]
    fn a_text_that_keeps_no_rule_is_told_with_its_word_and_values() {
        #[derive(Debug, Deserialize)]
        struct Named {
            title: Option<Title>,
        }
        #[derive(Debug, Deserialize)]
        #[expect(dead_code)]
        struct All {
            all: Vec<Named>,
        }
        assert_eq!(parse::<Named>(br#"{"title":" Tea "}"#).unwrap().title.as_deref(), Some("Tea"));
        let error = parse::<All>(br#"{"all":[{"title":null},{"title":"a\nb"}]}"#).unwrap_err();
        let told = serde_json::json!(error.errors);
        let expected = FieldError::new("all[1].title", Wrong::Line { min: 1, max: 200 });
        assert_eq!((error.code, told), (Code::Invalid, serde_json::json!([expected])));
    }
}
