//! Taking in a file of conversations: each in one transaction with the job's progress, fenced by its attempt. What is known by its
//! id in the file is not taken in again, so the same file adds nothing, and a newer one what is new in it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    end_job::succeed,
    memory,
    repeat::{Repeatable, put_in},
};
use crate::{
    Context, Error, Result,
    chat::exports::{self, Conversation},
    clock,
    domain::{
        ids::{BlobId, MessageId, SessionId, UserId},
        job::Job,
        message::{MessageStatus, Role},
        session::first_words,
    },
    error::Code,
    jobs::{Ended, payload::ChatImportPayload},
    store::{
        self, Tx, branches, extraction,
        imports::{self, Growth, NewVariant, Place},
        memory_log,
        messages::NewMessage,
        words,
    },
};

/// Conversations of one file at most.
pub const MOST: i64 = 100_000;
/// Errors reported one by one; the rest is counted.
const ERRORS: usize = 200;

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Unfit {
    /// Which conversation of the file, counted from 1.
    pub conversation: i64,
    pub message: String,
}

/// How far an import is; also its result.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    pub done: i64,
    pub total: i64,
    pub sessions: i64,
    pub branches: i64,
    pub messages: i64,
    /// Answers that gave way to others.
    pub variants: i64,
    /// Conversations with nothing new in them.
    pub skipped: i64,
    pub errors: Vec<Unfit>,
    pub errors_total: i64,
}

impl Tally {
    pub fn of(job: &Job, total: i64) -> Self {
        Self { total, ..job.noted_progress().unwrap_or_default() }
    }

    /// Of the conversation that it has come to.
    fn complain(&mut self, message: String) {
        self.errors_total += 1;
        if self.errors.len() < ERRORS {
            self.errors.push(Unfit { conversation: self.done, message });
        }
    }

    fn result(&self) -> Value {
        json!({"sessions": self.sessions, "branches": self.branches, "messages": self.messages, "variants": self.variants,
            "skipped": self.skipped, "errors": self.errors, "errors_total": self.errors_total})
    }
}

/// Puts in the job that takes an uploaded file in. `true`: an earlier request with the same key did.
pub async fn enqueue(
    ctx: &Context,
    user: UserId,
    payload: &ChatImportPayload,
    repeatable: Option<&Repeatable>,
) -> Result<(Job, bool)> {
    let new = memory::job(ctx, user, payload)?;
    put_in(ctx, user, new, "import_chats", repeatable).await
}

/// Takes in the conversation that is number `tally.done + 1`. `false`: this attempt has lost the job.
pub async fn store(ctx: &Context, job: &Job, extract: bool, json: &[u8], tally: &mut Tally) -> Result<bool> {
    let next = Tally { done: tally.done + 1, ..tally.clone() };
    let taken = match exports::read(json, job.created_at) {
        Err(message) => Err(message),
        Ok(conversation) => match take_in(ctx, job, extract, &conversation, next.clone()).await {
            Err(error) if is_of_its_data(&error) => {
                tracing::error!(job = %job.id, conversation = next.done, %error, "the database refuses a conversation of an import");
                Err("could not be stored".to_owned())
            }
            taken => Ok(taken?),
        },
    };
    let stored = match taken {
        Ok(stored) => stored,
        Err(message) => pass_over(ctx, job, message, next).await?,
    };
    let Some(now) = stored else { return Ok(false) };
    *tally = now;
    Ok(true)
}

/// Stores a conversation. `None`: this attempt has lost the job.
async fn take_in(
    ctx: &Context,
    job: &Job,
    extract: bool,
    conversation: &Conversation,
    mut now: Tally,
) -> Result<Option<Tally>> {
    let user = job.user_id.ok_or_else(|| Error::internal("an import of nobody's"))?;
    let mut tx = ctx.db.begin().await?;
    // One of a user's imports after another: two of the same file would both find nothing.
    memory_log::take_version(&mut tx, user).await?;
    let before = now.messages + now.variants;
    Placing::of(&mut tx, user, conversation, extract).await?.all(&mut now).await?;
    now.skipped += i64::from(now.messages + now.variants == before);
    if conversation.left_out > 0 {
        let (most, more) = (exports::BRANCHES_MAX, conversation.left_out);
        now.complain(format!(
            "has more than {most} branches: {more} are left out, with what goes on from them"
        ));
    }
    keep(tx, job, now).await
}

/// Goes on behind a conversation that cannot be taken in.
async fn pass_over(ctx: &Context, job: &Job, message: String, mut now: Tally) -> Result<Option<Tally>> {
    now.complain(message);
    keep(ctx.db.begin().await?, job, now).await
}

async fn keep(mut tx: Tx, job: &Job, now: Tally) -> Result<Option<Tally>> {
    let progress = serde_json::to_value(&now).map_err(Error::internal)?;
    if !extraction::set_progress_in(&mut tx, job.id, job.attempt, &progress).await? {
        return Ok(None);
    }
    tx.commit().await?;
    Ok(Some(now))
}

/// Whether the database has refused what it was given, and would again: that must not keep the others out.
fn is_of_its_data(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    error.code == Code::Internal && matches!(source, Some(sqlx::Error::Database(_)))
}

/// Ends an import and throws the upload away. `None`: this attempt has lost the job.
pub async fn finish(ctx: &Context, job: &Job, blob: BlobId, tally: &Tally) -> Result<Option<Ended>> {
    let user = job.user_id.ok_or_else(|| Error::internal("an import of nobody's"))?;
    let result = tally.result();
    let mut tx = ctx.db.begin().await?;
    let Some(settled) = succeed(&mut tx, job, &result).await? else { return Ok(None) };
    store::blobs::delete(&mut tx, user, blob).await?;
    tx.commit().await?;
    Ok(Some(Ended::new(settled, result)))
}

/// A conversation on its way into sessions: its ways become a session and branches of it, and an answer that nothing follows,
/// beside another one, becomes that one's variant.
struct Placing<'a> {
    tx: &'a mut Tx,
    user: UserId,
    conversation: &'a Conversation,
    extract: bool,
    ids: Vec<MessageId>,
    /// Where each turn stands, once it does.
    places: Vec<Option<Place>>,
    /// How many messages a session shows up to it, where that is known.
    counts: Vec<Option<i64>>,
}

impl<'a> Placing<'a> {
    async fn of(tx: &'a mut Tx, user: UserId, conversation: &'a Conversation, extract: bool) -> Result<Self> {
        let ids = conversation.turns.iter().map(|turn| MessageId(conversation.local_id(user, turn)));
        let ids: Vec<MessageId> = ids.collect();
        let known = imports::places(tx, user, &ids).await?;
        let known: std::collections::HashMap<_, _> =
            known.into_iter().map(|place| (place.id, place)).collect();
        let places: Vec<Option<Place>> = ids.iter().map(|id| known.get(id).copied()).collect();
        if places.iter().any(Option::is_none) {
            // A message that was deleted comes back under its id. What the index of words still holds of its first time is taken
            // out before: later it would take the new words along.
            while words::fold::purge(tx, user).await? {}
        }
        let counts = vec![None; ids.len()];
        Ok(Self { tx, user, conversation, extract, ids, places, counts })
    }

    async fn all(mut self, tally: &mut Tally) -> Result<()> {
        for way in &self.conversation.ways {
            let mut rest = way.as_slice();
            while let Some(begin) = rest.iter().position(|turn| self.places[*turn].is_none()) {
                rest = &rest[begin..];
                let length = rest.iter().position(|turn| self.places[*turn].is_some());
                let (new, after) = rest.split_at(length.unwrap_or(rest.len()));
                self.put(new, after.is_empty(), tally).await?;
                rest = after;
            }
        }
        Ok(())
    }

    /// Puts turns that follow each other behind what they follow; `ends`: nothing follows them.
    async fn put(&mut self, new: &[usize], ends: bool, tally: &mut Tally) -> Result<()> {
        let turn = &self.conversation.turns[new[0]];
        let torn = || Error::internal("a message comes before the one that it hangs from");
        let after = match (turn.parent, self.places[self.conversation.ways[0][0]]) {
            (Some(parent), _) => self.places[parent].ok_or_else(torn)?,
            // Another beginning of the same conversation shares nothing with the first.
            (None, Some(first)) => Place { seq: 0, ..first },
            (None, None) => {
                let session_id = self.session(new[0]).await?;
                tally.sessions += 1;
                self.write(new, session_id, (0, 0)).await?;
                tally.messages += new.len() as i64;
                return Ok(());
            }
        };
        let room = imports::room(self.tx, self.user, after.session_id).await?;
        let before = turn.parent.map_or(Some(0), |parent| self.counts[parent]);
        let place = Place { id: self.ids[new[0]], seq: after.seq + 1, ..after };
        if ends && new.len() == 1 && turn.role == Role::Assistant && self.is_answered(place).await? {
            let variant =
                NewVariant { place, content: &turn.text, model: turn.model.as_deref(), at: turn.at };
            imports::add_variant(self.tx, self.user, variant).await?;
            self.places[new[0]] = Some(place);
            self.counts[new[0]] = before.map(|count| count + 1);
            tally.variants += 1;
            return Ok(());
        }
        let (session, count) = match room {
            Some(room) if room.next_seq == after.seq + 1 => (after.session_id, room.message_count),
            // It went on here in another way; or it was deleted here, and a branch kept what it shares of it.
            _ => {
                tally.branches += 1;
                self.branch(after, before, turn.at).await?
            }
        };
        self.write(new, session, (after.seq, count)).await?;
        tally.messages += new.len() as i64;
        Ok(())
    }

    async fn is_answered(&mut self, place: Place) -> Result<bool> {
        let role = imports::role_at(self.tx, self.user, place.session_id, place.seq).await?;
        Ok(role == Some(Role::Assistant))
    }

    async fn session(&mut self, first: usize) -> Result<SessionId> {
        let conversation = self.conversation;
        let words = conversation.turns.iter().find(|turn| turn.role == Role::User);
        let words = words.map(|turn| first_words(&turn.text)).unwrap_or_default();
        let (title, title_source) = match &conversation.title {
            Some(title) => (title.as_str(), "user"),
            None => (words.as_str(), "words"),
        };
        let id = SessionId::new();
        let created = conversation.created_at.unwrap_or(conversation.turns[first].at);
        let new = store::sessions::NewSession { id, title, title_source, project: None };
        store::sessions::insert(self.tx, self.user, new, created).await?;
        self.like_the_conversation(id, conversation.is_pinned).await?;
        Ok(id)
    }

    /// A session that shares everything up to there, and how much that is.
    async fn branch(
        &mut self,
        after: Place,
        count: Option<i64>,
        at: chrono::DateTime<chrono::Utc>,
    ) -> Result<(SessionId, i64)> {
        let id = SessionId::new();
        let count = match count {
            Some(count) => count,
            None => branches::count_upto(self.tx, self.user, after.session_id, after.seq).await?,
        };
        let branch =
            branches::NewBranch { parent: after.session_id, id, seq: after.seq, count, of_hidden: true };
        if !branches::insert(self.tx, self.user, branch, at).await? {
            return Err(Error::internal("a session whose row is taken is gone"));
        }
        self.like_the_conversation(id, false).await?;
        Ok((id, count))
    }

    async fn like_the_conversation(&mut self, id: SessionId, is_pinned: bool) -> Result<()> {
        let is_archived = self.conversation.is_archived;
        let change = store::sessions::Change {
            title: None,
            is_pinned: is_pinned.then_some(true),
            status: is_archived.then(|| "archived".to_owned()),
        };
        store::sessions::change(self.tx, self.user, id, &change).await?;
        Ok(())
    }

    /// Writes turns behind a place of a session, up to which it shows so many messages.
    async fn write(&mut self, new: &[usize], session: SessionId, (after, count): (i64, i64)) -> Result<()> {
        let (mut last, mut by_user) = (chrono::DateTime::<chrono::Utc>::MIN_UTC, false);
        for (index, turn) in (1..).zip(new) {
            let (id, seq, turn_at) = (self.ids[*turn], after + index, &self.conversation.turns[*turn]);
            let at = chrono::SubsecRound::trunc_subsecs(turn_at.at, 6);
            (last, by_user) = (last.max(at), by_user || turn_at.role == Role::User);
            let message = NewMessage {
                id,
                session,
                user: self.user,
                job: None,
                seq,
                role: turn_at.role,
                content: &turn_at.text,
                status: MessageStatus::Complete,
                provider: None,
                model: turn_at.model.as_deref(),
                usage: None,
                name: None,
                remember: true,
                details: None,
                created_at: at,
            };
            store::messages::insert(self.tx, message).await?;
            self.places[*turn] = Some(Place { id, session_id: session, seq });
            self.counts[*turn] = Some(count + index);
        }
        let due = Some(clock::now()).filter(|_| self.extract && by_user);
        let growth = Growth { session, after, count: new.len() as i64, last, due };
        imports::grow(self.tx, self.user, growth).await?;
        Ok(())
    }
}
