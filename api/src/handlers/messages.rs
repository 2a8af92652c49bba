//! One message: where it stands, which of the answers to a question is shown, and what its user thinks of it.

use std::collections::HashMap;

use axum::{Json as Answer, extract::State, http::StatusCode};
use rapport_common::{
    Error,
    auth::Caller as Account,
    domain::{
        ids::{MemoryId, MessageId, SessionId},
        memory::Memory,
        message::Message,
        texts::Comment,
    },
    error::Code,
    store::{self, Querier, branches::Standing},
    usecase,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    extract::{Caller, Json, MessagePath, Query},
    policy::Content,
    state::AppState,
};

/// Puts in what the memories say that stood in each answer's prompt, and what images that came with questions are. Memories that are
/// gone, and those of others, are left out; an API key that may not see memories sees none.
pub async fn with_details(
    conn: &mut impl Querier,
    caller: &Account,
    messages: &mut [Message],
) -> Result<(), Error> {
    let mut wanted: Vec<MemoryId> = if Content::Memories.is_for(caller) {
        messages.iter().flat_map(|message| message.details.memories.iter().map(|used| used.id)).collect()
    } else {
        Vec::new()
    };
    wanted.sort();
    wanted.dedup();
    let found = store::memories::get_many(conn, caller.user, &wanted).await?;
    let found: HashMap<MemoryId, Memory> = found.into_iter().map(|memory| (memory.id, memory)).collect();
    for message in messages.iter_mut() {
        message.details.memories.retain_mut(|used| {
            let memory = found.get(&used.id);
            used.content = memory.map(|memory| memory.content.clone());
            used.quote = memory.and_then(|memory| memory.quote.clone());
            memory.is_some()
        });
    }
    usecase::files::images::name(conn, caller.user, messages).await
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Around {
    /// How many messages before and after it: 0-50, 2 by default.
    #[param(minimum = 0, maximum = 50, default = 2)]
    around: Option<i64>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct InContext {
    #[schema(value_type = String)]
    session_id: SessionId,
    session_title: String,
    /// The message that was asked for, and its neighbours, in order.
    messages: Vec<Message>,
}

/// Show a message with its neighbours
///
/// For a quote or something that a search found: what was said before and after it.
#[utoipa::path(get, path = "/chat/messages/{id}", tag = "sessions", params(("id" = String, Path), Around),
    responses((status = 200, description = "The message and its neighbours", body = InContext)))]
pub async fn get(
    State(state): State<AppState>,
    Caller(caller): Caller,
    MessagePath(id): MessagePath,
    Query(query): Query<Around>,
) -> Result<Answer<InContext>> {
    let around = query.around.unwrap_or(2);
    if !(0..=50).contains(&around) {
        return Err(Error::new(Code::BadQuery, "`around` must be from 0 to 50.").into());
    }
    let mut conn = state.ctx.db.read().await?;
    let place = store::branches::place(&mut conn, caller.user, id).await?;
    let Standing { session_id: session, seq, .. } = place.ok_or_else(|| Error::not_found("message"))?;
    let found = store::sessions::get(&mut conn, caller.user, session).await?;
    let title = found.ok_or_else(|| Error::not_found("message"))?.title;
    let (mut messages, _) = store::messages::page_back(&mut conn, caller.user, session, seq, around).await?;
    messages.reverse();
    let (rest, _) = store::messages::page(&mut conn, caller.user, session, seq - 1, around + 1, 0).await?;
    messages.extend(rest);
    with_details(&mut conn, &caller, &mut messages).await?;
    Ok(Answer(InContext { session_id: session, session_title: title, messages }))
}

/// Use an earlier answer again
///
/// It takes the place of the present one, which becomes a variant. Name the present answer and one of its variants.
#[utoipa::path(post, path = "/chat/messages/{id}/variants/{variant}/use", tag = "sessions",
    params(("id" = String, Path), ("variant" = String, Path)),
    responses((status = 204, description = "Used"),
              (status = 409, description = "The question is being answered again", body = crate::problem::Problem)))]
pub async fn use_variant(
    State(state): State<AppState>,
    Caller(caller): Caller,
    axum::extract::Path((id, variant)): axum::extract::Path<(String, String)>,
) -> Result<StatusCode> {
    let id: MessageId = id.parse().map_err(|_| Error::not_found("message"))?;
    let variant: MessageId = variant.parse().map_err(|_| Error::not_found("variant"))?;
    usecase::use_variant::use_variant(&state.ctx, caller.user, id, variant).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct FeedbackBody {
    /// `up` or `down`.
    #[schema(example = "up")]
    rating: String,
    /// At most 2,000 characters.
    #[schema(value_type = Option<String>)]
    comment: Option<Comment>,
}

/// Rate an answer
///
/// `up` or `down`, with a comment if you like. A new rating replaces the old one.
#[utoipa::path(post, path = "/chat/messages/{id}/feedback", tag = "sessions", params(("id" = String, Path)),
    request_body = FeedbackBody, responses((status = 204, description = "Noted")))]
pub async fn feedback(
    State(state): State<AppState>,
    Caller(caller): Caller,
    MessagePath(id): MessagePath,
    Json(body): Json<FeedbackBody>,
) -> Result<StatusCode> {
    let FeedbackBody { rating, comment } = body;
    usecase::rate_answer(&state.ctx, caller.user, id, &rating, comment.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT)
}
