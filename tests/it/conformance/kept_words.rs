//! What searches keep in memory of the index of words: never less than what the database says.

use rapport_common::{
    domain::ids::{SessionId, UserId},
    store::{
        Db, memory_log,
        words::{fold, kept::Kept, loose, postings, search},
    },
};
use uuid::Uuid;

use super::{
    sql::{postgres, sqlite},
    words::{literal, run, say, store_as, text, user_with_session},
};

/// Bags that were folded between the statements of a search are noticed, so that it looks again.
async fn a_search_notices_what_is_folded_meanwhile(db: Db) {
    let mut tx = db.begin().await.unwrap();
    let mine = user_with_session(&mut tx).await;
    let mut ids = Vec::new();
    for n in 0..258 {
        ids.push(say(&mut tx, mine, n, &text(n)).await);
    }
    tx.commit().await.unwrap();
    let kept = Kept::new(1 << 20);
    let loose = async |kept: &Kept, ids: &[Uuid]| {
        let listed = loose::Listed { bags: ids.to_vec(), waiting: Vec::new(), deletions: 0 };
        let (all, is_whole) = loose::of(&mut db.read().await.unwrap(), kept, mine.0, &listed).await.unwrap();
        is_whole.then_some(all.len())
    };
    assert_eq!(loose(&kept, &ids[..2]).await, Some(2));
    let mut tx = db.begin().await.unwrap();
    memory_log::take_version(&mut tx, mine.0).await.unwrap();
    assert!(fold::fold_one(&mut tx, mine.0).await.unwrap());
    tx.commit().await.unwrap();
    // What is known is known, folded or not; of what is not, two are still there.
    assert_eq!(loose(&kept, &ids[..2]).await, Some(2));
    assert_eq!(loose(&kept, &ids).await, None);
    assert_eq!(loose(&Kept::new(1 << 20), &ids[256..]).await, Some(2));
    assert_eq!(loose(&Kept::new(1 << 20), &ids[255..]).await, None);
    let found = search::find(&mut db.read().await.unwrap(), &kept, mine.0, &["zq3"]).await.unwrap();
    assert_eq!(found.turns.len(), ids.len());
}

/// As it is with somebody who has a million: all that is there for everybody would not hold their turns.
async fn whoever_searches_keeps_their_turns_however_many(db: Db) {
    let kept = Kept::new(1);
    let mut tx = db.begin().await.unwrap();
    let (ann, bob) = (user_with_session(&mut tx).await, user_with_session(&mut tx).await);
    for n in 0..256 {
        say(&mut tx, ann, n, &text(n)).await;
        say(&mut tx, bob, n, &text(n)).await;
    }
    for user in [ann.0, bob.0] {
        memory_log::take_version(&mut tx, user).await.unwrap();
        assert!(fold::fold_one(&mut tx, user).await.unwrap());
    }
    tx.commit().await.unwrap();
    let knows_its_session = async |whose: (UserId, SessionId)| {
        let found = search::find(&mut db.read().await.unwrap(), &kept, whose.0, &["zq3"]).await.unwrap();
        found.session(whose.1).is_some()
    };
    assert!(knows_its_session(bob).await && knows_its_session(ann).await);
    // Behind their backs, so that whoever reads it again sees that it is not there.
    let mut tx = db.begin().await.unwrap();
    run(&mut tx, "update message_word_parts set sheet = null".to_owned()).await;
    tx.commit().await.unwrap();
    assert!(knows_its_session(ann).await, "kept");
    assert!(!knows_its_session(bob).await, "went when ann came");
}

/// As when a corrected export is imported again.
async fn what_comes_back_under_its_id_has_its_new_words(db: Db) {
    let kept = Kept::new(1 << 20);
    let mut tx = db.begin().await.unwrap();
    let mine = user_with_session(&mut tx).await;
    memory_log::take_version(&mut tx, mine.0).await.unwrap();
    let id = say(&mut tx, mine, 0, "zq3").await;
    tx.commit().await.unwrap();
    let held = async |term: &str| {
        let found = search::find(&mut db.read().await.unwrap(), &kept, mine.0, &[term]).await.unwrap();
        found.holders(term).len()
    };
    assert_eq!((held("zq3").await, held("zq17").await), (1, 0));
    let mut tx = db.begin().await.unwrap();
    let (message, user) = (literal(&mut tx, id), literal(&mut tx, mine.0.0));
    run(&mut tx, format!("delete from messages where id = {message}")).await;
    // As the trigger does with the message's vector.
    run(&mut tx, format!("update memory_state set deletions = deletions + 1 where user_id = {user}")).await;
    store_as(id, &mut tx, mine, 0, "zq17", None).await;
    tx.commit().await.unwrap();
    assert_eq!((held("zq3").await, held("zq17").await), (0, 1));
}

/// A part may have the number of one that went.
async fn postings_of_another_part_are_read_anew(db: Db) {
    let kept = Kept::new(1 << 20);
    let mut tx = db.begin().await.unwrap();
    let mine = user_with_session(&mut tx).await;
    memory_log::take_version(&mut tx, mine.0).await.unwrap();
    for n in 0..256 {
        say(&mut tx, mine, n, "zq3").await;
    }
    assert!(fold::fold_one(&mut tx, mine.0).await.unwrap());
    tx.commit().await.unwrap();
    let held = async |term: &str| {
        let found =
            search::find(&mut db.read().await.unwrap(), &kept, mine.0, &["zq3", "zq17"]).await.unwrap();
        found.holders(term).len()
    };
    assert_eq!((held("zq3").await, held("zq17").await), (256, 0));
    let mut tx = db.begin().await.unwrap();
    let user = literal(&mut tx, mine.0.0);
    run(&mut tx, format!("delete from messages where user_id = {user}")).await;
    fold::purge(&mut tx, mine.0).await.unwrap();
    for n in 256..512 {
        say(&mut tx, mine, n, "zq17").await;
    }
    assert!(fold::fold_one(&mut tx, mine.0).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!((held("zq3").await, held("zq17").await), (0, 256));
    // A stamp that is not the part's any more: somebody changed it after it was read.
    let known = || kept.buckets(mine.0, &search::buckets(&["zq3", "zq17"]));
    let whole = async |parts: &[(i64, i64)]| {
        let mut conn = db.read().await.unwrap();
        postings::renewed(&mut conn, &kept, mine.0, known(), parts).await.unwrap().1
    };
    assert_eq!(known().len(), 2);
    assert!(!whole(&[(1, 7)]).await && !whole(&[(2, 7)]).await && whole(&[]).await);
}

#[tokio::test]
async fn on_both_postings_of_another_part_are_read_anew() {
    postings_of_another_part_are_read_anew(postgres().await).await;
    postings_of_another_part_are_read_anew(sqlite().await).await;
}

#[tokio::test]
async fn on_both_what_comes_back_under_its_id_has_its_new_words() {
    what_comes_back_under_its_id_has_its_new_words(postgres().await).await;
    what_comes_back_under_its_id_has_its_new_words(sqlite().await).await;
}

#[tokio::test]
async fn on_both_a_search_notices_what_is_folded_meanwhile() {
    a_search_notices_what_is_folded_meanwhile(postgres().await).await;
    a_search_notices_what_is_folded_meanwhile(sqlite().await).await;
}

#[tokio::test]
async fn on_both_whoever_searches_keeps_their_turns_however_many() {
    whoever_searches_keeps_their_turns_however_many(sqlite().await).await;
    whoever_searches_keeps_their_turns_however_many(postgres().await).await;
}
