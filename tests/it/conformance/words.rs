//! The index of messages' words: on both databases, folded or not, it says what counting over all messages says.

use std::collections::{HashMap, HashSet};

use rapport_common::{
    clock,
    domain::{
        ids::{JobId, MessageId, SessionId, UserId, new_uuid},
        message::{MessageStatus, Role},
    },
    memory::turns::Traits,
    store::{
        Db, Querier, Tx,
        db::Raw,
        memory_log, messages, sessions,
        terms::Corpus,
        users::{self, NewUser},
        vectors::{self, Embedded},
        words::{convert, fill, fold, kept::Kept, search},
    },
};
use uuid::Uuid;

use super::sql::{postgres, sqlite};

/// Enough for two parts and a rest.
const MESSAGES: usize = 600;
const VOCABULARY: usize = 40;

/// A text of words that are as common as their number is low.
pub(super) fn text(n: usize) -> String {
    let words = (0..3 + n % 17).map(|place| {
        let draw = (n * 7919 + place * 104_729) % 1_000;
        format!("zq{}", draw * draw * VOCABULARY / 1_000_000)
    });
    // Some ask.
    words.collect::<Vec<_>>().join(" ") + if n.is_multiple_of(5) { "?" } else { "" }
}

/// The words of such a text.
fn split(text: &str) -> impl Iterator<Item = &str> {
    text.trim_end_matches('?').split(' ')
}

pub(super) async fn run(tx: &mut Tx, sql: String) {
    match tx.raw() {
        Raw::Pg(c) => sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(c).await.map(drop),
        Raw::Lite(c) => sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(c).await.map(drop),
    }
    .unwrap();
}

pub(super) fn literal(tx: &mut Tx, id: Uuid) -> String {
    let quote = if matches!(tx.raw(), Raw::Pg(_)) { "" } else { "x" };
    format!("{quote}'{}'", id.simple())
}

async fn rows(db: &Db, table: &str) -> i64 {
    let mut conn = db.read().await.unwrap();
    let sql = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
    let (count,): (i64,) = match conn.raw() {
        Raw::Pg(c) => sqlx::query_as(sql).fetch_one(c).await.unwrap(),
        Raw::Lite(c) => sqlx::query_as(sql).fetch_one(c).await.unwrap(),
    };
    count
}

pub(super) async fn user_with_session(tx: &mut Tx) -> (UserId, SessionId) {
    let (id, session, now) = (UserId(new_uuid()), SessionId(new_uuid()), clock::now());
    let user = NewUser {
        id,
        email: None,
        username: Some(format!("u{}", id.0.simple())),
        name: None,
        password_hash: String::new(),
        created_at: now,
    };
    users::insert(tx, &user).await.unwrap();
    let new = sessions::NewSession { id: session, title: "t", title_source: "words", project: None };
    sessions::insert(tx, id, new, now).await.unwrap();
    (id, session)
}

pub(super) async fn say(tx: &mut Tx, whose: (UserId, SessionId), seq: usize, content: &str) -> Uuid {
    store(tx, whose, seq, content, None).await
}

/// What its user said, or a job's answer.
async fn store(
    tx: &mut Tx,
    (user, session): (UserId, SessionId),
    seq: usize,
    content: &str,
    job: Option<JobId>,
) -> Uuid {
    store_as(new_uuid(), tx, (user, session), seq, content, job).await
}

pub(super) async fn store_as(
    id: Uuid,
    tx: &mut Tx,
    (user, session): (UserId, SessionId),
    seq: usize,
    content: &str,
    job: Option<JobId>,
) -> Uuid {
    let message = messages::NewMessage {
        id: MessageId(id),
        session,
        user,
        job,
        seq: seq as i64,
        role: if job.is_some() { Role::Assistant } else { Role::User },
        content,
        status: MessageStatus::Complete,
        provider: None,
        model: None,
        usage: None,
        name: None,
        remember: true,
        details: None,
        created_at: clock::now(),
    };
    messages::insert(tx, message).await.unwrap();
    id
}

async fn agrees(db: &Db, kept: &Kept, user: UserId, texts: &HashMap<Uuid, String>, when: &str) {
    let terms = ["zq0", "zq3", "zq17", "zq39", "absent"];
    let mut conn = db.read().await.unwrap();
    let found = search::find(&mut conn, kept, user, &terms).await.unwrap();
    assert_eq!(found.turns.len(), texts.len(), "{when}");
    assert_eq!(found.ids.iter().collect::<HashSet<_>>(), texts.keys().collect::<HashSet<_>>(), "{when}");
    for (place, (turn, id)) in (0..).zip(found.turns.iter().zip(&found.ids)) {
        assert_eq!(found.place(*id), Some(place), "{when}");
        assert_eq!(usize::from(turn.length), split(&texts[id]).count(), "{when}");
        assert_eq!(turn.traits, Traits::of(&texts[id]).with_model(), "{when}");
    }
    // In the order of their session.
    assert!(found.turns.is_sorted_by_key(|turn| (turn.session, turn.seq)), "{when}");
    for term in terms {
        let held: HashMap<Uuid, usize> = found
            .holders(term)
            .into_iter()
            .map(|(place, count)| (found.ids[place as usize], usize::from(count)))
            .collect();
        let count = |text: &String| split(text).filter(|word| *word == term).count();
        let wanted: HashMap<Uuid, usize> =
            texts.iter().map(|(id, text)| (*id, count(text))).filter(|(_, count)| *count > 0).collect();
        assert_eq!(held, wanted, "{when}: {term}");
    }
}

async fn delete(db: &Db, texts: &mut HashMap<Uuid, String>, gone: impl Fn(usize) -> bool) {
    let mut tx = db.begin().await.unwrap();
    let mut ids: Vec<Uuid> = texts.keys().copied().collect();
    ids.sort_unstable();
    for (_, id) in ids.into_iter().enumerate().filter(|(n, _)| gone(*n)) {
        let id_text = literal(&mut tx, id);
        run(&mut tx, format!("delete from messages where id = {id_text}")).await;
        texts.remove(&id);
    }
    tx.commit().await.unwrap();
}

async fn purge(db: &Db) {
    for user in fold::users_to_purge(&mut db.read().await.unwrap()).await.unwrap() {
        let mut tx = db.begin().await.unwrap();
        memory_log::take_version(&mut tx, user).await.unwrap();
        fold::purge(&mut tx, user).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// As the sweep does it.
async fn fill(db: &Db, user: UserId) {
    let found = fill::unfilled(&mut db.read().await.unwrap(), user).await.unwrap().unwrap();
    let mut tx = db.begin().await.unwrap();
    memory_log::take_version(&mut tx, user).await.unwrap();
    fill::fill(&mut tx, user, found).await.unwrap();
    tx.commit().await.unwrap();
}

async fn says_what_counting_says(db: Db) {
    let kept = Kept::new(1 << 20);
    let mut tx = db.begin().await.unwrap();
    let (mine, others) = (user_with_session(&mut tx).await, user_with_session(&mut tx).await);
    let mut texts = HashMap::new();
    for n in 0..MESSAGES {
        let content = text(n);
        texts.insert(say(&mut tx, mine, n, &content).await, content);
        if n < 10 {
            say(&mut tx, others, n, "zq0 zq3 zq17").await;
        }
    }
    tx.commit().await.unwrap();
    agrees(&db, &kept, mine.0, &texts, "before it is folded").await;
    let mut tx = db.begin().await.unwrap();
    memory_log::take_version(&mut tx, mine.0).await.unwrap();
    if matches!(tx.raw(), Raw::Pg(_)) {
        // A choice that is made again for each row takes too many: with this plan.
        let plan = ["hashjoin", "mergejoin", "hashagg", "sort", "material"]
            .map(|one| format!("set local enable_{one} = off;"));
        run(&mut tx, plan.concat()).await;
    }
    for folds in [true, true, false] {
        assert_eq!(fold::fold_one(&mut tx, mine.0).await.unwrap(), folds);
    }
    tx.commit().await.unwrap();
    assert_eq!(rows(&db, "message_words").await, (MESSAGES - 512 + 10) as i64);
    agrees(&db, &kept, mine.0, &texts, "folded").await;
    delete(&db, &mut texts, |n| n % 7 == 3).await;
    assert!(rows(&db, "message_words_gone").await > 50);
    agrees(&db, &kept, mine.0, &texts, "with some gone").await;
    purge(&db).await;
    assert_eq!(rows(&db, "message_words_gone").await, 0);
    agrees(&db, &kept, mine.0, &texts, "purged").await;
    // All of the first part: it goes whole.
    delete(&db, &mut texts, |n| n < 256).await;
    purge(&db).await;
    assert_eq!(rows(&db, "message_word_parts").await, 1);
    agrees(&db, &kept, mine.0, &texts, "with a part gone").await;
    // A part of before there were sheets gets its own.
    let mut tx = db.begin().await.unwrap();
    run(&mut tx, "update message_word_parts set sheet = null, stamp = 0".to_owned()).await;
    tx.commit().await.unwrap();
    assert_eq!(fill::users_without(&mut db.read().await.unwrap()).await.unwrap(), [mine.0]);
    fill(&db, mine.0).await;
    assert!(fill::unfilled(&mut db.read().await.unwrap(), mine.0).await.unwrap().is_none());
    agrees(&db, &kept, mine.0, &texts, "with a sheet of later").await;
    agrees(&db, &Kept::new(0), mine.0, &texts, "with nothing kept").await;
    // One that took more messages than it has slots has no words of the last: they are found again.
    let mut tx = db.begin().await.unwrap();
    let content = "zq3 zq39 zq3".to_owned();
    let lost = say(&mut tx, mine, MESSAGES, &content).await;
    let (lost_text, user) = (literal(&mut tx, lost), literal(&mut tx, mine.0.0));
    run(&mut tx, format!("delete from message_words where doc_id = {lost_text}")).await;
    let (id, words, kind) = match tx.raw() {
        Raw::Pg(_) => (format!("decode('{}', 'hex')", lost.simple()), "decode('0003', 'hex')", "bytea"),
        Raw::Lite(_) => (format!("x'{}'", lost.simple()), "x'0003'", "blob"),
    };
    let longer = format!(
        "update message_word_parts set sheet = null, ids = cast(ids || {id} as {kind}),
            lengths = cast(lengths || {words} as {kind}) where user_id = {user}"
    );
    run(&mut tx, longer).await;
    tx.commit().await.unwrap();
    fill(&db, mine.0).await;
    texts.insert(lost, content);
    agrees(&db, &kept, mine.0, &texts, "with what a part had lost").await;
    let mut tx = db.begin().await.unwrap();
    let user = literal(&mut tx, mine.0.0);
    run(&mut tx, format!("delete from users where id = {user}")).await;
    tx.commit().await.unwrap();
    for (table, left) in [("message_words", 10), ("message_word_parts", 0), ("message_postings", 0)] {
        assert_eq!(rows(&db, table).await, left, "{table}");
    }
}

/// Words of before step 17, a row each, are moved at the start; again when it was cut off.
async fn an_index_of_before_is_moved(db: Db) {
    let kept = Kept::new(0);
    let mut tx = db.begin().await.unwrap();
    let mine = user_with_session(&mut tx).await;
    let mut texts = HashMap::new();
    for n in 0..300 {
        let content = text(n);
        let id = say(&mut tx, mine, n, &content).await;
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for word in split(&content) {
            *counts.entry(word).or_default() += 1;
        }
        let (user, doc, length) = (literal(&mut tx, mine.0.0), literal(&mut tx, id), split(&content).count());
        for (term, tf) in counts {
            run(&mut tx, format!("insert into message_terms (user_id, term, doc_id, tf, length) values ({user}, '{term}', {doc}, {tf}, {length})")).await;
        }
        texts.insert(id, content);
    }
    // Of a message that is gone.
    let (user, doc) = (literal(&mut tx, mine.0.0), literal(&mut tx, new_uuid()));
    run(&mut tx, format!("insert into message_terms (user_id, term, doc_id, tf, length) values ({user}, 'zq0', {doc}, 1, 1); delete from message_words")).await;
    tx.commit().await.unwrap();
    assert_eq!(convert::convert(&db).await.unwrap(), 300);
    assert_eq!(rows(&db, "message_terms").await, 0);
    assert_eq!(rows(&db, "message_word_parts").await, 1);
    agrees(&db, &kept, mine.0, &texts, "moved").await;
    assert_eq!(convert::convert(&db).await.unwrap(), 0);
}

/// An answer gets its words with its first vector. One that is embedded again, by another model, has them already.
async fn an_answer_gets_its_words_once(db: Db) {
    let mut tx = db.begin().await.unwrap();
    let (user, session) = user_with_session(&mut tx).await;
    let job = new_uuid();
    let (job_text, user_text) = (literal(&mut tx, job), literal(&mut tx, user.0));
    let now = "'2026-01-01T00:00:00.000Z'";
    run(
        &mut tx,
        format!(
            "insert into jobs (id, kind, queue, user_id, payload, status, max_attempts, run_at, created_at)
        values ({job_text}, 'chat', 'chat', {user_text}, '{{}}', 'succeeded', 1, {now}, {now})"
        ),
    )
    .await;
    let id = store(&mut tx, (user, session), 2, "zq1 zq2", Some(JobId(job))).await;
    tx.commit().await.unwrap();
    assert_eq!(rows(&db, "message_words").await, 0);
    let waiting = async || {
        vectors::unembedded(&mut db.read().await.unwrap(), user, Corpus::Messages, 10).await.unwrap()
    };
    assert!(waiting().await[0].unsearchable);
    let mut tx = db.begin().await.unwrap();
    let version = memory_log::take_version(&mut tx, user).await.unwrap();
    let vector = Embedded { doc: id, norm: String::new(), vector: vec![0; 8] };
    vectors::store_many(&mut tx, user, Corpus::Messages, "one", version, vec![vector]).await.unwrap();
    tx.commit().await.unwrap();
    assert!(waiting().await.is_empty());
    vectors::reembed_others(&mut db.relaxed().await.unwrap(), "another").await.unwrap();
    assert!(!waiting().await[0].unsearchable);
}

#[tokio::test]
async fn on_both_an_answer_gets_its_words_once() {
    an_answer_gets_its_words_once(postgres().await).await;
    an_answer_gets_its_words_once(sqlite().await).await;
}

#[tokio::test]
async fn on_postgres_the_index_says_what_counting_says() {
    says_what_counting_says(postgres().await).await;
}

#[tokio::test]
async fn on_sqlite_the_index_says_what_counting_says() {
    says_what_counting_says(sqlite().await).await;
}

#[tokio::test]
async fn on_both_an_index_of_before_is_moved() {
    an_index_of_before_is_moved(postgres().await).await;
    an_index_of_before_is_moved(sqlite().await).await;
}

/// After an import thousands wait: no transaction folds them all.
async fn some_are_folded_at_once(db: Db) {
    let mut tx = db.begin().await.unwrap();
    let mine = user_with_session(&mut tx).await;
    for n in 0..3 * 256 + 5 {
        say(&mut tx, mine, n, &text(n)).await;
    }
    tx.commit().await.unwrap();
    let is_waiting = async || fold::is_waiting(&mut db.read().await.unwrap(), mine.0).await.unwrap();
    for (made, parts, waits) in [(2, 2, true), (1, 3, false), (0, 3, false)] {
        let mut tx = db.begin().await.unwrap();
        memory_log::take_version(&mut tx, mine.0).await.unwrap();
        assert_eq!(fold::fold_some(&mut tx, mine.0, 2).await.unwrap(), made);
        tx.commit().await.unwrap();
        assert_eq!((rows(&db, "message_word_parts").await, is_waiting().await), (parts, waits));
    }
    assert_eq!(rows(&db, "message_words").await, 5);
}

#[tokio::test]
async fn on_both_some_are_folded_at_once() {
    some_are_folded_at_once(sqlite().await).await;
    some_are_folded_at_once(postgres().await).await;
}
