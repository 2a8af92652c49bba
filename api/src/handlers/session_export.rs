//! A conversation to take away, as JSON or as Markdown.

use async_stream::try_stream;
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, header},
    response::Response,
};
use rapport_common::{
    Context, Error,
    domain::{
        ids::UserId,
        message::{Image, Message},
        session::Session,
    },
    error::Code,
    store,
    usecase::files::images,
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    error::Result,
    extract::{Caller, Query, SessionPath},
    state::AppState,
};

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// `json` (default) or `md` (also `markdown`).
    format: Option<String>,
}

/// Export a conversation
///
/// As JSON, which `POST /chat/sessions/import` takes, or as Markdown.
#[utoipa::path(get, path = "/chat/sessions/{id}/export", tag = "sessions", params(("id" = String, Path), ExportQuery),
    responses((status = 200, description = "The conversation", content(
        (Object = "application/json"), (String = "text/markdown")))))]
pub async fn export(
    State(state): State<AppState>,
    Caller(caller): Caller,
    SessionPath(id): SessionPath,
    Query(query): Query<ExportQuery>,
) -> Result<Response> {
    let format = query.format.unwrap_or_else(|| "json".to_owned());
    let format = match format.as_str() {
        "json" => "json",
        "md" | "markdown" => "md",
        _ => return Err(Error::new(Code::BadQuery, "`format` must be json or md.").into()),
    };
    let session = store::sessions::get(&mut state.ctx.db.read().await?, caller.user, id).await?;
    let session = session.ok_or_else(|| Error::not_found("session"))?;
    let media = if format == "md" { "text/markdown; charset=utf-8" } else { "application/json" };
    let body = Body::from_stream(pieces(state.ctx.clone(), caller.user, session, format == "md"));
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    let name = format!("attachment; filename=\"{id}.{format}\"");
    if let Ok(name) = HeaderValue::from_str(&name) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// What a model or a user wrote stays text: a fence longer than any in it.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{text}\n{fence}\n")
}

/// What images came with a message. A name stays text, too.
fn pictures(message: &Message) -> String {
    let images = message.details.images.iter();
    let one = |image: &Image| format!("({}) {}", image.file_id, image.name.as_deref().unwrap_or("deleted"));
    images.map(|image| fenced(&one(image))).collect()
}

/// The conversation, piece by piece.
pub fn pieces(
    ctx: Context,
    user: UserId,
    session: Session,
    markdown: bool,
) -> impl futures::Stream<Item = std::result::Result<Bytes, Error>> {
    let time = |message: &Message| message.created_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    try_stream! {
        let title = session.title.replace(['\n', '\r', '#'], " ");
        if markdown {
            yield Bytes::from(format!("# {title}\n"));
        } else {
            let created = session.created_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
            let head = json!({"session_id": session.id, "title": session.title, "created_at": created}).to_string();
            yield Bytes::from(format!("{},\"messages\":[", head.trim_end_matches('}')));
        }
        let (mut after, mut first) = (0, true);
        loop {
            let mut conn = ctx.db.read().await?;
            let page = store::messages::page(&mut conn, user, session.id, after, 200, 0).await?;
            let (mut messages, Some(last)) = page else { break };
            images::name(&mut conn, user, &mut messages).await?;
            drop(conn);
            after = last;
            let mut piece = String::new();
            for message in messages.iter().filter(|message| !message.content.is_empty()) {
                if markdown {
                    let said = fenced(&message.content);
                    piece.push_str(&format!("\n**{}** ({})\n\n{}{said}", message.role, time(message), pictures(message)));
                } else {
                    let comma = if std::mem::take(&mut first) { "" } else { "," };
                    let mut one = json!({"role": message.role, "content": message.content, "created_at": time(message)});
                    if !message.details.images.is_empty() {
                        one["images"] = json!(message.details.images);
                    }
                    piece.push_str(&format!("{comma}{one}"));
                }
            }
            yield Bytes::from(piece);
        }
        if !markdown {
            yield Bytes::from_static(b"]}");
        }
    }
}
