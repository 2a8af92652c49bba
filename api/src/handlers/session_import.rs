//! Conversations in from elsewhere: one, in our form; or the file that another service's export is.

use axum::{
    Json as Answer,
    body::{BodyDataStream, Bytes},
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use rapport_common::{
    Error, auth,
    chat::exports::{self, Source},
    clock,
    domain::{
        ids::{BlobId, MessageId, SessionId},
        job::Job,
        session::Session,
        texts::Title,
    },
    error::{Code, Wrong},
    jobs::payload::ChatImportPayload,
    memory::json_upload::{Piece, Scanner},
    usecase::{
        blobs, import_chats,
        import_session::{NewConversation, NewTurn, import_session},
        repeat::Repeatable,
    },
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Failure, Result},
    extract::{Caller, KeyHeader, Prefer, Query, drain, parse_file, require_json, unreadable},
    handlers::{jobs::JobView, memory::result_of},
    state::AppState,
};

/// A file holds at most this many bytes, and one conversation in our form this many.
const UPLOAD: usize = 256 * 1_024 * 1_024;
const ONE: usize = 32 * 1_024 * 1_024;
/// What is collected before it is stored.
const PART: usize = 512 * 1_024;
const NOBODYS: &str =
    "must be a conversation, or an export of ChatGPT, Claude, Open WebUI, LibreChat or Rapport";

#[derive(Deserialize, utoipa::ToSchema)]
pub struct ImportedTurn {
    /// `user` or `assistant`.
    #[schema(example = "user")]
    role: String,
    #[schema(example = "I moved to Dhaka last week.")]
    content: String,
    /// Who said it, where more than one person speaks.
    name: Option<String>,
    #[serde(default, deserialize_with = "clock::moment::deserialize")]
    created_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct ImportSession {
    #[schema(value_type = Option<String>)]
    title: Option<Title>,
    /// 1-5,000, in order.
    messages: Vec<ImportedTurn>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct SessionImported {
    #[serde(flatten)]
    session: Session,
    #[schema(value_type = String)]
    session_id: SessionId,
    /// In the order of the messages.
    #[schema(value_type = Vec<String>)]
    message_ids: Vec<MessageId>,
}

/// What a file of conversations came to.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ChatsImported {
    /// New conversations.
    sessions: i64,
    /// Other ways through them, each a session that shares its past.
    branches: i64,
    messages: i64,
    /// Answers that gave way to others.
    variants: i64,
    /// Conversations with nothing new in them.
    skipped: i64,
    /// What could not be read, the first 200.
    errors: Vec<ChatUnfit>,
    errors_total: i64,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ChatUnfit {
    /// Counted from 1.
    conversation: i64,
    #[schema(example = "has no message with words in it")]
    message: String,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChatImportQuery {
    /// Whether what comes in is read for memories, like any other conversation. Default: true.
    extract: Option<bool>,
}

/// Import conversations
///
/// One conversation, as below: it can be searched immediately. Or a file that ChatGPT, Claude, Open WebUI or LibreChat wrote, or a list
/// of what our own export gives (up to 256 MiB, 100,000 conversations of up to 16 MiB and 5,000 messages): a job takes it in with
/// progress, and this waits for it as chat does. Ways that were left are kept as branches, other answers as variants, times as they
/// are. The same file again adds nothing; a newer one adds what is new in it. docs/import.md says what is read of each.
#[utoipa::path(post, path = "/chat/sessions/import", tag = "sessions", request_body = ImportSession,
    params(ChatImportQuery, ("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters"),
        ("Prefer" = Option<String>, Header, description = "`respond-async` or `wait=N` (0-120 seconds)")),
    responses((status = 201, description = "The session and its messages' ids", body = SessionImported),
              (status = 200, description = "What a file came to", body = ChatsImported),
              (status = 202, description = "A file is not taken in yet: the job", body = JobView)))]
pub async fn import(
    State(state): State<AppState>,
    Caller(caller): Caller,
    prefer: Prefer,
    KeyHeader(key): KeyHeader,
    Query(query): Query<ChatImportQuery>,
    request: Request,
) -> Result<Response> {
    require_json(request.headers())?;
    let extract = query.extract.unwrap_or(true);
    let mut spool = Spool::new(&state, &caller);
    let mut body = request.into_body().into_data_stream();
    let read = spool.read(&mut body).await;
    let kept = match read {
        Ok(Read::One(one)) => {
            return own(&state, &caller, &one, extract, Repeatable::of(key, one.clone())).await;
        }
        Ok(Read::File) => spool.flush(0).await,
        Err(failure) => {
            drain(body).await;
            Err(failure)
        }
    };
    if let Err(failure) = kept {
        spool.throw_away().await?;
        return Err(failure);
    }
    let payload = ChatImportPayload { blob_id: spool.blob, conversations: spool.conversations, extract };
    let repeatable = Repeatable::of(key, [&spool.digest[..], &[u8::from(extract)]].concat());
    let enqueued = import_chats::enqueue(&state.ctx, caller.user, &payload, repeatable.as_ref()).await;
    if is_unwanted(&enqueued) {
        spool.throw_away().await?;
    }
    result_of(&state, &caller, enqueued?, prefer).await
}

/// Whether no job wants what was uploaded: there is an earlier one, or this one was refused. Where the database failed it may have been
/// put in all the same; if it was not, the upload is pruned after a day.
fn is_unwanted(enqueued: &Result<(Job, bool), Error>) -> bool {
    match enqueued {
        Ok((_, is_repeat)) => *is_repeat,
        Err(error) => !matches!(error.code, Code::Unavailable | Code::StorageFull | Code::Internal),
    }
}

/// One conversation in our form.
async fn own(
    state: &AppState,
    caller: &auth::Caller,
    bytes: &Bytes,
    extract: bool,
    repeatable: Option<Repeatable>,
) -> Result<Response> {
    let body: ImportSession = parse_file(bytes)?;
    let turns = body.messages.into_iter().map(|turn| NewTurn {
        role: turn.role,
        content: turn.content,
        name: turn.name,
        created_at: turn.created_at,
    });
    let new = NewConversation { title: body.title, turns: turns.collect(), extract };
    let (session, message_ids, replayed) =
        import_session(&state.ctx, caller.user, new, repeatable.as_ref()).await?;
    let answer = SessionImported { session_id: session.id, session, message_ids };
    let mut response = (StatusCode::CREATED, Answer(answer)).into_response();
    super::chat::mark_replayed(&mut response, replayed);
    Ok(response)
}

enum Read {
    /// Our own form, whole.
    One(Bytes),
    /// Conversations, which are in the spool.
    File,
}

/// Collects conversations into parts of the database, one on a line.
struct Spool<'a> {
    state: &'a AppState,
    caller: &'a auth::Caller,
    blob: BlobId,
    held: Vec<u8>,
    parts: i64,
    conversations: i64,
    /// Of all conversations so far, however they arrived.
    digest: Vec<u8>,
}

impl<'a> Spool<'a> {
    fn new(state: &'a AppState, caller: &'a auth::Caller) -> Self {
        let (blob, held, digest) = (BlobId::new(), Vec::new(), Vec::new());
        Self { state, caller, blob, held, parts: 0, conversations: 0, digest }
    }

    async fn read(&mut self, body: &mut BodyDataStream) -> Result<Read> {
        let (mut scanner, mut pieces) = (None, Vec::new());
        let (mut head, mut total) = (Vec::new(), 0);
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(unreadable)?;
            total += chunk.len();
            let most = if scanner.is_some() { UPLOAD } else { ONE };
            if total > most {
                return Err(
                    Error::new(Code::TooLarge, format!("The body is larger than {most} bytes.")).into()
                );
            }
            if let Some(scanner) = &mut scanner {
                self.list(scanner, &chunk, &mut pieces).await?;
                continue;
            }
            head.extend_from_slice(&chunk);
            drop_blanks(&mut head);
            if head.first() == Some(&b'[') {
                let list = scanner.insert(Scanner::passing_over(exports::CONVERSATION_MAX));
                self.list(list, &std::mem::take(&mut head), &mut pieces).await?;
            }
        }
        if let Some(scanner) = scanner {
            scanner.finish().map_err(malformed)?;
            if self.conversations == 0 {
                return Err(Error::field("body", Wrong::Unfit("must hold a conversation")).into());
            }
            return Ok(Read::File);
        }
        match exports::source_of(&head) {
            None | Some(Source::Rapport) => Ok(Read::One(head.into())),
            Some(_) => {
                let line = head.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte });
                self.add(&line.collect::<Vec<u8>>());
                Ok(Read::File)
            }
        }
    }

    async fn list(&mut self, scanner: &mut Scanner, bytes: &[u8], pieces: &mut Vec<Piece>) -> Result<()> {
        scanner.feed(bytes, pieces).map_err(malformed)?;
        for piece in pieces.drain(..) {
            let conversation = match piece {
                Piece::Element(_, conversation) => conversation,
                Piece::TooLarge => exports::TOO_LARGE.to_vec(),
                Piece::Text(_) => continue,
            };
            // Somebody else's file is told from its beginning, before anything is stored.
            if self.conversations == 0 && exports::source_of(&conversation).is_none() {
                return Err(Error::field("body", Wrong::Unfit(NOBODYS)).into());
            }
            self.add(&conversation);
        }
        if self.conversations > import_chats::MOST {
            let detail = format!("The file has more than {} conversations: split it.", import_chats::MOST);
            return Err(Error::new(Code::TooLarge, detail).into());
        }
        self.flush(PART).await
    }

    fn add(&mut self, conversation: &[u8]) {
        self.conversations += 1;
        self.digest = self.state.ctx.auth.digest(&[&self.digest, conversation]);
        self.held.extend_from_slice(conversation);
        self.held.push(b'\n');
    }

    async fn flush(&mut self, least: usize) -> Result<()> {
        if self.held.len() >= least.max(1) {
            blobs::add(&self.state.ctx, self.caller.user, self.blob, self.parts, &self.held).await?;
            self.parts += 1;
            self.held.clear();
        }
        Ok(())
    }

    async fn throw_away(&mut self) -> Result<()> {
        if self.parts > 0 {
            blobs::delete(&self.state.ctx, self.caller.user, self.blob).await?;
        }
        Ok(())
    }
}

/// Drops blanks, and the mark that some editors put before UTF-8, as they arrive: what is kept is not looked through again.
fn drop_blanks(head: &mut Vec<u8>) {
    let rest = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start().len();
    head.drain(..head.len() - rest);
}

fn malformed(problem: String) -> Failure {
    Failure(Error::new(Code::Malformed, format!("The body is not valid JSON: {problem}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_before_a_file_are_not_kept() {
        let mut head = Vec::new();
        for _ in 0..1_000 {
            head.extend_from_slice(b" \n\t\r");
            drop_blanks(&mut head);
            assert_eq!(head, b"");
        }
        for piece in [&b"\xef"[..], b"\xbb", b"\xbf  ", b" {", b" }"] {
            head.extend_from_slice(piece);
            drop_blanks(&mut head);
        }
        assert_eq!(head, b"{ }");
    }

    #[test]
    fn an_upload_is_kept_where_its_job_may_have_been_put_in() {
        let failed = |code| Err(Error::new(code, ""));
        for code in [Code::Unavailable, Code::StorageFull, Code::Internal] {
            assert!(!is_unwanted(&failed(code)), "{code:?}");
        }
        for code in [Code::Overloaded, Code::IdempotencyMismatch, Code::NotFound] {
            assert!(is_unwanted(&failed(code)), "{code:?}");
        }
    }
}
