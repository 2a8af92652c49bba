//! Vectors: the truth, in the database. An index outside is fed from here and can be made anew from here.

use uuid::Uuid;

use super::{
    db::{
        Conn, Querier, Raw, Tx, execute, fetch_all, fetch_one, fetch_optional, from_gathered, ids, row,
        statements, within,
    },
    jobs::users_with_open,
    terms::{Corpus, of},
};
use crate::domain::ids::{MemoryId, UserId};

/// What an index is told of documents.
macro_rules! points {
    ($vectors:literal, $docs:literal, $filters:literal) => {
        concat!(
            "select v.doc_id, v.user_id, v.vector, v.version, ",
            $filters,
            " from ",
            $vectors,
            " v join ",
            $docs,
            " m on m.id = v.doc_id "
        )
    };
}

/// The statements of one corpus: its vectors, and what searches filter them by. `$told`: what is told of those that changed, and from
/// where it comes.
macro_rules! texts_of {
    ($vectors:literal, $docs:literal, $filters:literal, $told:literal, $from:literal) => {
        $crate::db::statements! {
            pub(crate) UPSERT = "insert into ", $vectors, " (doc_id, user_id, model, vector, version) values ($1, $2, $3, $4, $5)
                on conflict (doc_id) do update set model = $3, vector = $4, version = $5, indexed = $6";
            pub(crate) CHANGED = "select v.doc_id, v.version, v.vector, ", $told, " from ", $vectors, " v", $from,
                " where v.user_id = ", someone!(1), " and v.version > $2 and v.version <= $4 and v.model = $3";
            /// Where a part of them ends: the version of the 5,000th.
            pub(crate) PART = "select v.version from ", $vectors, " v where v.user_id = ", someone!(1), " and v.version > $2
                order by v.version limit 1 offset 4999";
            pub(crate) COUNT_OF = "select count(*) from ", $vectors, " v where v.user_id = ", someone!(1);
            /// The same as `CHANGED`, of a few.
            pub(crate) CHANGED_LATELY = "select v.doc_id, v.version, v.vector, ", $told, " from ", $vectors, " v", $from,
                " where v.user_id = ", someone!(1), " and v.version > $2 and v.model = $3 order by v.version limit 500";
            /// All that there are, gathered: to see which of a hundred thousand are gone, without their vectors.
            pub(crate) IDS = "select ", gathered!("v.doc_id"), " as bytes from ", $vectors, " v where v.user_id = ", someone!(1), " and v.model = $2";
            pub(crate) GET = "select doc_id, model, vector from ", $vectors, " where ", checked!("user_id = $1"), " and doc_id in ", ids!(2);
            pub(crate) UNINDEXED = points!($vectors, $docs, $filters), "where not v.indexed and v.model = $1 and ($2 is null or v.user_id = $2) limit $3";
            /// What somebody changes in this moment is passed over, not waited for: its new version goes into the index anyway, and a
            /// user's change locks rows in an order of its own.
            pub(crate) MARK_INDEXED = pg!("update ", $vectors, " set indexed = $1 where user_id = $3 and doc_id in (
                select doc_id from ", $vectors, " where version <= $2 and user_id = $3 and doc_id in ", ids!(4), "
                order by doc_id for update skip locked)"),
                lite!("update ", $vectors, " set indexed = $1 where version <= $2 and user_id = $3 and doc_id in ", ids!(4));
            pub(crate) TOUCH = "update ", $vectors, " set version = $3, indexed = $4 where doc_id = $1 and user_id = $2";
            pub(crate) PAGE = points!($vectors, $docs, $filters), "where v.model = $1 and v.doc_id > $2 order by v.doc_id limit $3";
            pub(crate) POINTS = points!($vectors, $docs, $filters), "where v.model = $1 and v.doc_id in ", ids!(2);
            pub(crate) VERSIONS = "select doc_id, version from ", $vectors, " where model = $1 and doc_id in ", ids!(2);
            pub(crate) COUNT = "select count(*) from ", $vectors, " where model = $1";
            pub(crate) UNINDEX_ALL = "update ", $vectors, " set indexed = $1 where model = $2 and indexed";
            pub(crate) PRESENT = "select doc_id from ", $vectors, " where model = $1 and doc_id in ", ids!(2);
            pub(crate) EDGES = "select model from (select model from ", $vectors, " order by doc_id limit 1) first
                union select model from (select model from ", $vectors, " order by doc_id desc limit 1) last";
            pub(crate) OLD_MODEL = "update ", $docs, " set embedded = $1 where embedded and id in (select doc_id from ", $vectors, " where model <> $2)";
        }
    };
}

pub(crate) mod of_memories {
    texts_of!(
        "memory_vectors",
        "memories",
        "m.memory_type as kind, m.status, m.importance",
        "m.memory_type as kind, m.status, m.importance",
        " join memories m on m.id = v.doc_id"
    );
}
/// Exact search filters nothing that was said, so it does not read who said it: a hundred thousand rows.
pub(crate) mod of_messages {
    texts_of!(
        "message_vectors",
        "messages",
        "m.role as kind, '' as status, cast(0 as double precision) as importance",
        "'' as kind, '' as status, cast(0 as double precision) as importance",
        ""
    );
}
pub(crate) mod of_chunks {
    texts_of!(
        "chunk_vectors",
        "chunks",
        "m.generation as kind, '' as status, cast(0 as double precision) as importance",
        "m.generation as kind, '' as status, cast(0 as double precision) as importance",
        " join chunks m on m.id = v.doc_id"
    );
}

statements! {
    /// Many at once, of documents that are still as they were read. SQLite takes steps.
    STORE_MEMORIES = pg!("with fresh as (
        insert into memory_vectors (doc_id, user_id, model, vector, version)
        select u.id, $1, $2, u.vector, $3 from unnest($4::uuid[], $5::bytea[], $6::text[]) as u(id, vector, norm)
            join memories m on m.id = u.id and ", checked!("m.user_id = $1"), " and m.norm = u.norm
        on conflict (doc_id) do update set model = $2, vector = excluded.vector, version = $3, indexed = false
        returning doc_id)
    update memories set embedded = true where id in (select doc_id from fresh)");
    STORE_MESSAGES = pg!("with fresh as (
        insert into message_vectors (doc_id, user_id, model, vector, version)
        select u.id, $1, $2, u.vector, $3 from unnest($4::uuid[], $5::bytea[]) as u(id, vector)
            join messages m on m.id = u.id and ", checked!("m.user_id = $1"), "
        on conflict (doc_id) do update set model = $2, vector = excluded.vector, version = $3, indexed = false
        returning doc_id)
    update messages set embedded = true where id in (select doc_id from fresh)");
    STORE_CHUNKS = pg!("with fresh as (
        insert into chunk_vectors (doc_id, user_id, model, vector, version)
        select u.id, $1, $2, u.vector, $3 from unnest($4::uuid[], $5::bytea[]) as u(id, vector)
            join chunks m on m.id = u.id and ", checked!("m.user_id = $1"), "
        on conflict (doc_id) do update set model = $2, vector = excluded.vector, version = $3, indexed = false
        returning doc_id)
    update chunks set embedded = true where id in (select doc_id from fresh)");
    UNEMBEDDED_MEMORIES = "select id, content, 1 = 0 as unsearchable from memories where user_id = $1 and not embedded limit $2";
    /// An answer with a vector, of another model, has its words already.
    UNEMBEDDED_MESSAGES = "select id, content, role = 'assistant' and job_id is not null
        and not exists (select 1 from message_vectors v where v.doc_id = messages.id) as unsearchable
    from messages where user_id = $1 and not embedded and remember limit $2";
    /// With its heading, which says what it is about.
    UNEMBEDDED_CHUNKS = "select id, case when heading = '' then content else heading || ': ' || content end as content, 1 = 0 as unsearchable
    from chunks where user_id = $1 and not embedded limit $2";
    CHUNKS_EMBEDDED = "update chunks set embedded = $1 where ", checked!("user_id = $2"), " and id in ", ids!(3);
    CHUNK_EXISTS = "select 1 from chunks where id = $1 and user_id = $2";
    MEMORY_EMBEDDED = "update memories set embedded = $3 where id = $1 and user_id = $2 and norm = $4";
    MESSAGES_EMBEDDED = "update messages set embedded = $1 where ", checked!("user_id = $2"), " and id in ", ids!(3);
    USERS_TO_EMBED = "select u.user_id from (select user_id from memories where not embedded
        union select user_id from messages where not embedded and remember
        union select user_id from chunks where not embedded
        union select user_id from memory_vectors where not indexed and $1
        union select user_id from message_vectors where not indexed and $1
        union select user_id from chunk_vectors where not indexed and $1) u
    where u.user_id not in ", users_with_open!("'embedding'"), " limit 200";
}

pub struct NewVector<'a> {
    pub doc: Uuid,
    pub model: &'a str,
    /// As [`encode`] writes it.
    pub vector: &'a [u8],
    pub version: i64,
}

/// Stores a document's vector under the user's number `version`.
pub async fn upsert(
    tx: &mut Tx,
    user: UserId,
    corpus: Corpus,
    new: NewVector<'_>,
) -> Result<(), sqlx::Error> {
    let NewVector { doc, model, vector, version } = new;
    execute!(tx, of!(corpus, UPSERT), doc, user, model, vector, version, false).map(drop)
}

/// A text with its new vector.
pub struct Embedded {
    pub doc: Uuid,
    /// The words it was made from, in their normal form: a memory of other words by now is left out.
    pub norm: String,
    pub vector: Vec<u8>,
}

/// Stores many vectors of one user, and notes that their documents have them. Gone or changed documents are left out.
pub async fn store_many(
    tx: &mut Tx,
    user: UserId,
    corpus: Corpus,
    model: &str,
    version: i64,
    all: Vec<Embedded>,
) -> Result<(), sqlx::Error> {
    let (deadline, is_named) = (tx.deadline(), !tx.is_pooled());
    if let Raw::Pg(c) = tx.raw() {
        let (mut docs, mut norms, mut vectors) = (Vec::new(), Vec::new(), Vec::new());
        for one in all {
            docs.push(one.doc);
            norms.push(one.norm);
            vectors.push(one.vector);
        }
        let sql = match corpus {
            Corpus::Memories => STORE_MEMORIES,
            Corpus::Messages => STORE_MESSAGES,
            Corpus::Chunks => STORE_CHUNKS,
        };
        let query = sqlx::query(sql.pg()).persistent(is_named);
        let query = query.bind(user).bind(model).bind(version).bind(docs).bind(vectors);
        let query = if corpus == Corpus::Memories { query.bind(norms) } else { query };
        return within(deadline, query.execute(c)).await.inspect_err(|error| tx.note(error)).map(drop);
    }
    let mut stored = Vec::new();
    for one in &all {
        let current = match corpus {
            Corpus::Memories => memory_embedded(tx, user, MemoryId(one.doc), &one.norm).await?,
            Corpus::Messages => super::messages::exists(tx, user, one.doc).await?,
            Corpus::Chunks => fetch_optional!((i32,), tx, CHUNK_EXISTS, one.doc, user)?.is_some(),
        };
        if current {
            let new = NewVector { doc: one.doc, model, vector: &one.vector, version };
            upsert(tx, user, corpus, new).await?;
            stored.push(one.doc);
        }
    }
    match corpus {
        Corpus::Memories => Ok(()),
        Corpus::Messages => execute!(tx, MESSAGES_EMBEDDED, true, user, ids(stored)).map(drop),
        Corpus::Chunks => execute!(tx, CHUNKS_EMBEDDED, true, user, ids(stored)).map(drop),
    }
}

/// A vector with what searches filter by.
#[derive(Debug, Clone)]
pub struct Changed {
    pub doc_id: Uuid,
    pub version: i64,
    pub vector: Vec<u8>,
    pub kind: String,
    pub status: String,
    pub importance: f64,
}

row!(Changed: doc_id, version, vector, kind, status, importance);

/// What changed of a user's vectors since a number: all of it, or the next some thousands and up to which number they go. Nobody's
/// hundred thousand stand in memory twice, or take one statement too long.
pub async fn changed(
    q: &mut impl Querier,
    user: UserId,
    corpus: Corpus,
    since: i64,
    model: &str,
) -> Result<(Vec<Changed>, Option<i64>), sqlx::Error> {
    if since > 0 {
        let lately = fetch_all!(Changed, q, of!(corpus, CHANGED_LATELY), user, since, model)?;
        if lately.len() < LATELY {
            return Ok((lately, None));
        }
    }
    let until = fetch_optional!((i64,), q, of!(corpus, PART), user, since)?.map(|row| row.0);
    let changed =
        fetch_all!(Changed, q, of!(corpus, CHANGED), user, since, model, until.unwrap_or(i64::MAX))?;
    Ok((changed, until))
}

/// How many vectors a user has, of any model.
pub async fn count_of(q: &mut impl Querier, user: UserId, corpus: Corpus) -> Result<i64, sqlx::Error> {
    Ok(fetch_one!((i64,), q, of!(corpus, COUNT_OF), user)?.0)
}

/// The documents of a user that have a vector of this model.
pub async fn documents(
    q: &mut impl Querier,
    user: UserId,
    corpus: Corpus,
    model: &str,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let (bytes,) = fetch_one!((Option<Vec<u8>>,), q, of!(corpus, IDS), user, model)?;
    from_gathered(bytes.as_deref())
}

/// What `CHANGED_LATELY` gives at most.
const LATELY: usize = 500;

/// A document's vector.
pub struct Stored {
    pub doc_id: Uuid,
    pub model: String,
    pub vector: Vec<u8>,
}

row!(Stored: doc_id, model, vector);

/// Of those that have one.
pub async fn get(
    q: &mut impl Querier,
    user: UserId,
    corpus: Corpus,
    docs: &[Uuid],
) -> Result<Vec<Stored>, sqlx::Error> {
    fetch_all!(Stored, q, of!(corpus, GET), user, ids(docs.iter().copied()))
}

/// Notes that what searches filter by has changed.
pub async fn touch(
    tx: &mut Tx,
    user: UserId,
    corpus: Corpus,
    doc: Uuid,
    version: i64,
) -> Result<(), sqlx::Error> {
    execute!(tx, of!(corpus, TOUCH), doc, user, version, false).map(drop)
}

/// A document that waits for its vector.
pub struct Unembedded {
    pub id: Uuid,
    pub content: String,
    /// Whether its words wait too.
    pub unsearchable: bool,
}

row!(Unembedded: id, content, unsearchable);

pub async fn unembedded(
    q: &mut impl Querier,
    user: UserId,
    corpus: Corpus,
    limit: i64,
) -> Result<Vec<Unembedded>, sqlx::Error> {
    let sql = match corpus {
        Corpus::Memories => UNEMBEDDED_MEMORIES,
        Corpus::Messages => UNEMBEDDED_MESSAGES,
        Corpus::Chunks => UNEMBEDDED_CHUNKS,
    };
    fetch_all!(Unembedded, q, sql, user, limit)
}

/// Notes that a memory has its vector, unless its words changed meanwhile. `false`: they did.
pub async fn memory_embedded(
    tx: &mut Tx,
    user: UserId,
    id: MemoryId,
    norm: &str,
) -> Result<bool, sqlx::Error> {
    Ok(execute!(tx, MEMORY_EMBEDDED, id, user, true, norm)? == 1)
}

/// Users with something to embed (or, with an index outside, to index) and no job for it. For the sweep.
pub async fn users_to_embed(q: &mut impl Querier, with_index: bool) -> Result<Vec<UserId>, sqlx::Error> {
    Ok(fetch_all!((UserId,), q, USERS_TO_EMBED, with_index)?.into_iter().map(|row| row.0).collect())
}

/// The models of the oldest and the newest vectors: a change of the model shows there, and nothing is counted.
pub async fn models_at_the_edges(q: &mut impl Querier) -> Result<Vec<String>, sqlx::Error> {
    let mut models: Vec<String> = Vec::new();
    for corpus in Corpus::ALL {
        models.extend(fetch_all!((String,), q, of!(corpus, EDGES))?.into_iter().map(|row| row.0));
    }
    models.sort_unstable();
    models.dedup();
    Ok(models)
}

/// Has everything embedded again whose vector is of another model than this.
pub async fn reembed_others(conn: &mut Conn, model: &str) -> Result<u64, sqlx::Error> {
    Ok(execute!(conn, of_memories::OLD_MODEL, false, model)?
        + execute!(conn, of_messages::OLD_MODEL, false, model)?
        + execute!(conn, of_chunks::OLD_MODEL, false, model)?)
}
