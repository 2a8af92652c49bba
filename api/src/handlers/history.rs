//! What was said.

use axum::{Json as Answer, extract::State};
use rapport_common::{
    Error,
    domain::{ids::SessionId, message::Message},
    error::Code,
    store,
};
use serde::{Deserialize, Serialize};

use crate::{
    bodies::Recent,
    error::Result,
    extract::{Caller, ListParams, ListQuery, NoPages, Query, SessionPath, encode_cursor},
    state::AppState,
};

#[derive(Serialize, utoipa::ToSchema)]
pub struct MessageList {
    messages: Vec<Message>,
    total: i64,
    #[schema(value_type = String)]
    session_id: SessionId,
    next_cursor: Option<String>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Order {
    /// `asc` (default) or `desc`: the newest first, page by page with `cursor`.
    #[param(default = "asc")]
    order: Option<String>,
}

async fn messages_of(
    state: &AppState,
    caller: &Caller,
    id: SessionId,
    page: ListQuery<i64>,
    order: &Order,
) -> Result<Answer<MessageList>> {
    let limit = page.limit;
    let (place, skip) = page.start.parts();
    let user = caller.0.user;
    let mut conn = state.ctx.db.read().await?;
    if store::sessions::get(&mut conn, user, id).await?.is_none() {
        return Err(Error::not_found("session").into());
    }
    let (mut messages, last) = match order.order.as_deref().unwrap_or("asc") {
        "asc" => store::messages::page(&mut conn, user, id, place.unwrap_or(0), limit, skip).await?,
        "desc" if skip == 0 => {
            store::messages::page_back(&mut conn, user, id, place.unwrap_or(i64::MAX), limit).await?
        }
        "desc" => return Err(Error::new(Code::BadQuery, "`order=desc` takes `cursor`, not `skip`.").into()),
        _ => return Err(Error::new(Code::BadQuery, "`order` must be asc or desc.").into()),
    };
    super::messages::with_details(&mut conn, &caller.0, &mut messages).await?;
    let total = store::messages::count(&mut conn, user, id).await?;
    let full = messages.len() as i64 == limit;
    let next_cursor = last.filter(|_| full).map(|last| encode_cursor(&last));
    Ok(Answer(MessageList { messages, total, session_id: id, next_cursor }))
}

/// List the messages of a session, in order
///
/// Page with `limit` and `cursor`. A branch shows the messages it shares with its parent too.
#[utoipa::path(get, path = "/chat/sessions/{id}/messages", tag = "sessions", params(("id" = String, Path), ListParams, Order),
    responses((status = 200, description = "Messages", body = MessageList)))]
pub async fn session_messages(
    State(state): State<AppState>,
    caller: Caller,
    SessionPath(id): SessionPath,
    page: ListQuery<i64>,
    Query(order): Query<Order>,
) -> Result<Answer<MessageList>> {
    messages_of(&state, &caller, id, page, &order).await
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    session_id: String,
}

/// List the messages of a session, in order (alias)
///
/// The same as `GET /chat/sessions/{id}/messages`, with the session in the query.
#[utoipa::path(get, path = "/chat/history", tag = "sessions", params(HistoryQuery, ListParams, Order),
    responses((status = 200, description = "Messages", body = MessageList)))]
pub async fn chat_history(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<HistoryQuery>,
    page: ListQuery<i64>,
    Query(order): Query<Order>,
) -> Result<Answer<MessageList>> {
    let id = query.session_id.parse().map_err(|_| Error::not_found("session"))?;
    messages_of(&state, &caller, id, page, &order).await
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// From 1.
    #[param(minimum = 1, default = 1)]
    page: Option<i64>,
    /// 1-200, 20 by default.
    #[param(minimum = 1, maximum = 200, default = 20)]
    per_page: Option<i64>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct HistoryPage {
    items: Vec<Recent>,
    page: i64,
    per_page: i64,
    total: i64,
}

/// List sessions with their last message, newest first
///
/// By page number: `page` from 1, `per_page` up to 200.
#[utoipa::path(get, path = "/history", tag = "sessions", params(PageQuery),
    responses((status = 200, description = "Sessions", body = HistoryPage)))]
pub async fn history(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Query(query): Query<PageQuery>,
    _: NoPages,
) -> Result<Answer<HistoryPage>> {
    let (page, per_page) = (query.page.unwrap_or(1), query.per_page.unwrap_or(20));
    if !(1..=1_000_000).contains(&page) || !(1..=200).contains(&per_page) {
        return Err(
            Error::new(Code::BadQuery, "`page` must be at least 1 and `per_page` from 1 to 200.").into()
        );
    }
    let mut conn = state.ctx.db.read().await?;
    let (rows, total) =
        store::sessions::recent(&mut conn, caller.user, per_page, (page - 1) * per_page).await?;
    let items = rows.into_iter().map(Recent::from).collect();
    Ok(Answer(HistoryPage { items, page, per_page, total }))
}
