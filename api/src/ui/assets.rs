//! The files of the web UI: part of the binary, or read from `UI_DIR` by who works on them.

use std::{
    borrow::Cow,
    io::Write,
    path::{Component, Path},
    sync::{LazyLock, OnceLock},
};

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use data_encoding::BASE32_NOPAD;
use flate2::{Compression, write::GzEncoder};
use rapport_common::auth::token_hash;

include!(concat!(env!("OUT_DIR"), "/ui_files.rs"));

/// The page, whose `{version}` is put in when it is sent.
pub const PAGE: &str = "index.html";
/// A version that no file is kept under: files of a folder change.
const IN_WORK: &str = "work";

struct File {
    name: &'static str,
    bytes: &'static [u8],
    /// Made once, when somebody first asks for it.
    gzip: OnceLock<Vec<u8>>,
}

static ALL: LazyLock<Vec<File>> =
    LazyLock::new(|| FILES.iter().map(|(name, bytes)| File { name, bytes, gzip: OnceLock::new() }).collect());

/// What all files together are called by: part of each address, so that what a browser keeps never mixes.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let all: String = FILES.iter().map(|(name, bytes)| format!("{name}\0{}\0", digest(bytes))).collect();
    digest(all.as_bytes())[..16].to_owned()
});

/// The first half of a SHA-256, in base32.
fn digest(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    BASE32_NOPAD.encode(&token_hash(&text)[..16]).to_lowercase()
}

pub fn version(folder: Option<&Path>) -> &'static str {
    if folder.is_some() { IN_WORK } else { &VERSION }
}

/// The page's text.
pub async fn page(folder: Option<&Path>) -> Option<String> {
    let text = match folder {
        Some(folder) => tokio::fs::read_to_string(folder.join(PAGE)).await.ok()?,
        None => String::from_utf8_lossy(ALL.iter().find(|file| file.name == PAGE)?.bytes).into_owned(),
    };
    Some(text.replace("{version}", version(folder)))
}

/// One file of one version, as a browser may keep it for ever; 404 for another version, so that an old page notices.
pub async fn file(folder: Option<&Path>, of: &str, name: &str, headers: &HeaderMap) -> Response {
    if of != version(folder) {
        return StatusCode::NOT_FOUND.into_response();
    }
    if let Some(folder) = folder {
        let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        let read = if inside { tokio::fs::read(folder.join(name)).await.ok() } else { None };
        return match read {
            Some(bytes) => answer(name, Cow::Owned(bytes), false, "no-store"),
            None => StatusCode::NOT_FOUND.into_response(),
        };
    }
    const FOR_EVER: &str = "public, max-age=31536000, immutable";
    let Some(file) = ALL.iter().find(|file| file.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if takes_gzip(headers) && !name.ends_with(".woff2") {
        let gzip = file.gzip.get_or_init(|| gzip(file.bytes));
        return answer(name, Cow::Borrowed(gzip), true, FOR_EVER);
    }
    answer(name, Cow::Borrowed(file.bytes), false, FOR_EVER)
}

pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("gzip"))
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory does not fail.
    let _done = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

fn answer(name: &str, bytes: Cow<'static, [u8]>, is_gzip: bool, keep: &'static str) -> Response {
    let mut response = Response::new(match bytes {
        Cow::Borrowed(bytes) => axum::body::Body::from(bytes),
        Cow::Owned(bytes) => axum::body::Body::from(bytes),
    });
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media(name)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if is_gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn media(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        Some("webmanifest" | "json") => "application/json",
        _ => "text/plain; charset=utf-8",
    }
}
