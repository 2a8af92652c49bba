//! Moves the index of words of databases before step 17, a row a word, into bags and parts. At the start, once; one that is cut
//! off goes on at the next start.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Heard, Late, Talk, fold};
use crate::{
    Result,
    db::{Db, Tx, execute, fetch_all, fetch_optional, ids, row, statements},
    domain::ids::UserId,
    memory::turns::Traits,
    memory_log,
};

statements! {
    SOMEBODY = "select user_id from message_terms limit 1";
    MESSAGES = "select id, name, content from messages where user_id = $1 and id > $2 order by id limit $3";
    TERMS = "select doc_id, term, cast(tf as bigint) from message_terms where user_id = $1 and doc_id in ", ids!(2);
    MOVED = "delete from message_terms where user_id = $1 and doc_id in ", ids!(2);
    /// What is left is of messages that are gone, or that an older process has just stored: those come next.
    REST = "delete from message_terms where user_id = $1 and not exists (select 1 from messages m where m.id = doc_id)";
}

struct Said {
    id: Uuid,
    name: Option<String>,
    content: String,
}

row!(Said: id, name, content);

impl Said {
    fn traits(&self) -> Traits {
        Talk::of(self.name.as_deref()).traits(&self.content)
    }
}

/// Messages moved in one transaction.
const BATCH: i64 = 256;

/// How many messages were moved.
pub async fn convert(db: &Db) -> Result<usize> {
    let mut moved = 0;
    loop {
        let somebody = fetch_optional!((UserId,), &mut db.read().await?, SOMEBODY)?;
        let Some((user,)) = somebody else { return Ok(moved) };
        let mut after = Uuid::nil();
        loop {
            let messages = fetch_all!(Said, &mut db.read().await?, MESSAGES, user, after, BATCH)?;
            let Some(last) = messages.last() else { break };
            after = last.id;
            let messages: HashMap<Uuid, Traits> =
                messages.into_iter().map(|one| (one.id, one.traits())).collect();
            let mut tx = db.begin().await?;
            moved += of_batch(&mut tx, user, &messages).await?;
            tx.commit().await?;
        }
        let mut tx = db.begin_patiently().await?;
        execute!(&mut tx, REST, user)?;
        tx.commit().await?;
    }
}

async fn of_batch(tx: &mut Tx, user: UserId, messages: &HashMap<Uuid, Traits>) -> Result<usize, sqlx::Error> {
    // Whoever converts the same user at the same time waits here, and then finds nothing left.
    memory_log::take_version(tx, user).await?;
    let mut bags: HashMap<Uuid, HashMap<String, i64>> = HashMap::new();
    for (message, term, count) in
        fetch_all!((Uuid, String, i64), tx, TERMS, user, ids(messages.keys().copied()))?
    {
        bags.entry(message).or_default().insert(term, count);
    }
    let heard = |(message, terms): (Uuid, HashMap<String, i64>)| {
        let traits = messages.get(&message).copied().unwrap_or_default();
        (message, Heard::of_terms(&terms, traits))
    };
    let bags: Vec<(Uuid, Heard)> = bags.into_iter().map(heard).collect();
    super::insert_late(tx, user, &bags, Late::Any).await?;
    execute!(tx, MOVED, user, ids(messages.keys().copied()))?;
    while fold::fold_one(tx, user).await? {}
    Ok(bags.len())
}
