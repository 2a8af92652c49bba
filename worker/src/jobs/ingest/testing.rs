//! Readings that are overtaken: by a deletion, by another attempt, by an erasure.

use rapport_common::{
    clock,
    domain::{
        file::{File, FileStatus},
        ids::{JobId, UserId},
        job::Job,
    },
    reader::Piece,
    store::{self, chunks, files, users::NewUser},
    usecase::files as usecase,
};

use super::*;
use crate::testing::House;

async fn user(house: &House) -> UserId {
    let id = UserId::new();
    let mut tx = house.runtime.ctx.db.begin().await.unwrap();
    let new = NewUser {
        id,
        email: None,
        username: Some(id.to_string()),
        name: None,
        password_hash: String::new(),
        created_at: clock::now(),
    };
    store::users::insert(&mut tx, &new).await.unwrap();
    tx.commit().await.unwrap();
    id
}

/// A file that waits to be read.
async fn file(house: &House, user: UserId) -> (FileId, JobId) {
    let ctx = &house.runtime.ctx;
    let id = FileId::new();
    let new = usecase::ingest::job(ctx, user, id).unwrap();
    let (job, now) = (new.id, clock::now());
    let file = File {
        id,
        name: "a.txt".to_owned(),
        kind: "text".to_owned(),
        bytes: 1,
        sha256: id.to_string(),
        place: format!("{}/{}", user.0.simple(), id.0.simple()),
        parts: Vec::new(),
        status: FileStatus::Queued,
        error: None,
        job_id: Some(job),
        generation: None,
        pages: None,
        chunks: 0,
        words: 0,
        purpose: None,
        created_at: now,
        updated_at: now,
    };
    let mut tx = ctx.db.begin().await.unwrap();
    store::jobs::enqueue(&mut tx, new).await.unwrap();
    files::insert(&mut tx, user, &file).await.unwrap();
    tx.commit().await.unwrap();
    (id, job)
}

async fn begun<'a>(house: &'a House, job: &'a Job, file: FileId) -> Result<Reading<'a>, Stopped> {
    Reading::begin(&house.runtime.ctx, job, job.user_id.unwrap(), file).await.unwrap()
}

fn pieces(count: u64) -> Vec<Piece> {
    let piece = |n| Piece { text: format!("words {n}"), heading: String::new(), page: None, start: n };
    (0..count).map(piece).collect()
}

async fn stored(house: &House, user: UserId) -> i64 {
    chunks::count(&mut house.runtime.ctx.db.read().await.unwrap(), user).await.unwrap()
}

#[tokio::test]
async fn of_a_file_deleted_while_it_is_read_no_passage_stays() {
    let house = House::new().await;
    let user = user(&house).await;
    let (id, job) = file(&house, user).await;
    let job = house.claim(job, "this-worker").await;
    let mut reading = begun(&house, &job, id).await.unwrap();
    assert_eq!(reading.store(pieces(150)).await.unwrap(), Ok(()));
    assert_eq!(stored(&house, user).await, 150);
    usecase::delete(&house.runtime.ctx, user, id).await.unwrap();
    assert_eq!(stored(&house, user).await, 0);
    assert_eq!(reading.store(pieces(1)).await.unwrap(), Err(Stopped::Gone));
    assert_eq!(stored(&house, user).await, 0);
    assert_eq!(begun(&house, &job, id).await.err(), Some(Stopped::Gone));
}

#[tokio::test]
async fn an_attempt_that_lost_its_job_takes_nothing_from_the_one_that_has_it() {
    let house = House::new().await;
    let (ctx, user) = (&house.runtime.ctx, user(&house).await);
    let (id, job) = file(&house, user).await;
    let first = house.claim(job, "paused").await;
    let mut paused = begun(&house, &first, id).await.unwrap();
    assert_eq!(paused.store(pieces(3)).await.unwrap(), Ok(()));
    let mut conn = ctx.db.relaxed().await.unwrap();
    assert!(store::ledger::release(&mut conn, job, first.attempt, clock::now()).await.unwrap());
    drop(conn);
    let second = house.claim(job, "this-worker").await;
    let mut reading = begun(&house, &second, id).await.unwrap();
    assert_eq!(stored(&house, user).await, 0, "what the first has left is gone");
    assert_eq!(reading.store(pieces(5)).await.unwrap(), Ok(()));
    assert_eq!(paused.store(pieces(1)).await.unwrap(), Err(Stopped::Lost));
    assert_eq!(begun(&house, &first, id).await.err(), Some(Stopped::Lost));
    usecase::clean(ctx, &mut usecase::Round::default()).await.unwrap();
    assert_eq!(stored(&house, user).await, 5);
    assert!(paused.finish(None).await.unwrap().is_none());
    assert!(reading.finish(None).await.unwrap().is_some());
    let found = files::get(&mut ctx.db.read().await.unwrap(), user, id).await.unwrap().unwrap();
    assert_eq!((found.status, found.chunks), (FileStatus::Indexed, 5));
    usecase::clean(ctx, &mut usecase::Round::default()).await.unwrap();
    assert_eq!(stored(&house, user).await, 5, "its own stay");
}

#[tokio::test]
async fn the_sweep_finds_passages_of_no_reading_and_passes_over_an_erased_account() {
    let house = House::new().await;
    let ctx = &house.runtime.ctx;
    let (gone, stays) = (user(&house).await, user(&house).await);
    let deleted = [file(&house, gone).await.0, file(&house, stays).await.0];
    let (kept, _) = file(&house, stays).await;
    let mut tx = ctx.db.begin().await.unwrap();
    let new = |n| chunks::NewChunk {
        n,
        page: None,
        heading: String::new(),
        start: 0,
        content: "words".to_owned(),
        terms: [("words".to_owned(), 1)].into(),
    };
    for (file, count) in [(deleted[1], 700), (kept, 1), (FileId::new(), 2)] {
        let all: Vec<_> = (0..count).map(new).collect();
        chunks::insert(&mut tx, stays, file, "a-reading-that-died-1", &all).await.unwrap();
    }
    files::delete(&mut tx, stays, deleted[1]).await.unwrap();
    store::erase::account(&mut tx, gone, &[]).await.unwrap();
    tx.commit().await.unwrap();
    let waiting = async || files::deletions(&mut ctx.db.read().await.unwrap(), "", 10).await.unwrap().len();
    assert_eq!((waiting().await, stored(&house, stays).await), (2, 703));
    usecase::clean(ctx, &mut usecase::Round::default()).await.unwrap();
    assert_eq!((waiting().await, stored(&house, stays).await), (0, 0));
}
