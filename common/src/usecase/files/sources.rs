//! What of the user's files an answer rests on. A source is kept only if its words stand, at the place it names, in a passage that is
//! the user's and counts when the answer is stored.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    Context, Result,
    domain::{ids::UserId, message::AnswerSource},
    passages::cited,
    store::chunks::{self, Chunk},
};

/// Sources of one answer.
const MOST: usize = 20;

/// The sources of an answer to a prompt that had these passages.
pub async fn of_answer(
    ctx: &Context,
    user: UserId,
    answer: &str,
    used: &[(Chunk, String, f64)],
) -> Result<Vec<AnswerSource>> {
    if used.is_empty() || answer.is_empty() {
        return Ok(Vec::new());
    }
    let contents: Vec<&str> = used.iter().map(|(chunk, ..)| chunk.content.as_str()).collect();
    let found = cited(answer, &contents);
    let ids: Vec<Uuid> = found.iter().map(|one| used[one.passage].0.id.0).collect();
    let now = chunks::get(&mut ctx.db.read().await?, user, &ids).await?;
    let now: HashMap<Uuid, Chunk> = now.into_iter().map(|chunk| (chunk.id.0, chunk)).collect();
    let sources = found.into_iter().filter_map(|one| {
        let (shown, file, _) = &used[one.passage];
        let chunk = now.get(&shown.id.0)?;
        let there: String = chunk.content.chars().skip(one.start).take(one.end - one.start).collect();
        (there == one.quote).then(|| AnswerSource {
            number: one.passage as i64 + 1,
            at: one.at.map(|at| at as i64),
            file_id: chunk.file_id,
            file: file.clone(),
            passage_id: chunk.id,
            page: chunk.page,
            start: chunk.start + one.start as i64,
            end: chunk.start + one.end as i64,
            quote: one.quote,
        })
    });
    Ok(sources.take(MOST).collect())
}
