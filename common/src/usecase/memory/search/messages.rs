//! Past turns that a question may be about: whoever is asked about, and what followed a question, count more.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    Document, Hit, Query,
    arms::{Wanted, both_arms},
    reason::{is_relevant, reason},
};
use crate::{
    Context, Result,
    domain::ids::UserId,
    memory::{
        rank::{self, Explained},
        text,
    },
    store::{messages, terms::Corpus},
    vectors::VectorFilter,
};

/// What the message before one adds to its keyword score and its cosine: a question finds its answer.
const BEFORE_KEYWORD: f64 = 0.6;
const BEFORE_SEMANTIC: f64 = 0.25;
/// What a speaker who is asked about adds.
const SPEAKER: f64 = 0.1;

pub(super) async fn search(
    ctx: &Context,
    user: UserId,
    query: &Query,
    words: &HashMap<String, i64>,
) -> Result<Vec<Hit>> {
    let names = messages::names(&mut ctx.db.read().await?, user).await?;
    let asked_about = names.iter().find(|name| mentions(&query.text, name));
    // People speak of themselves in the first person: a question about them must too.
    let question = asked_about.map_or(query.text.clone(), |name| first_person(&query.text, name));
    let anything = VectorFilter::default();
    let wanted =
        Wanted { corpus: Corpus::Messages, mode: query.mode, words, question: &question, filter: &anything };
    let (mut by_word, weights, mut by_meaning) = both_arms(ctx, user, wanted).await?;
    add_what_came_before(ctx, user, &mut by_word, BEFORE_KEYWORD).await?;
    add_what_came_before(ctx, user, &mut by_meaning, BEFORE_SEMANTIC).await?;
    let fused = rank::fuse(query.mode, ctx.embedder.weight(), &by_word, &by_meaning);
    let mut order: Vec<(Uuid, Explained)> = fused.into_iter().collect();
    order.sort_by(|a, b| b.1.relevance.total_cmp(&a.1.relevance).then(a.0.cmp(&b.0)));
    order.truncate((query.limit * 3).max(60));
    let ids: Vec<Uuid> = order.iter().map(|(id, _)| *id).collect();
    let rows = messages::found(&mut ctx.db.read().await?, user, &ids).await?;
    let mut hits = Vec::new();
    for message in rows {
        if query.as_of.is_some_and(|as_of| message.created_at > as_of) {
            continue;
        }
        let Some((_, explained)) = order.iter().find(|(id, _)| *id == message.id.0) else { continue };
        let mut explained = explained.clone();
        if asked_about.is_some() && message.name.as_ref() == asked_about {
            explained.context += SPEAKER;
            explained.relevance += SPEAKER;
        }
        explained.recency = 1.0;
        explained.score = explained.relevance;
        let reason = reason(&explained, &message.content, &weights);
        let is_relevant = is_relevant(ctx, &explained, &weights, 1.0);
        hits.push(Hit { document: Document::Message(Box::new(message)), explained, is_relevant, reason });
    }
    hits.sort_by(|a, b| b.explained.score.total_cmp(&a.explained.score));
    hits.truncate(query.limit);
    Ok(hits)
}

/// Adds to each message a part of the score of the one right before it.
async fn add_what_came_before(
    ctx: &Context,
    user: UserId,
    scores: &mut HashMap<Uuid, f64>,
    part: f64,
) -> Result<()> {
    if scores.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = scores.keys().copied().collect();
    let next = messages::next(&mut ctx.db.read().await?, user, &ids).await?;
    let before = scores.clone();
    for (id, next) in next {
        if let (Some(next), Some(score)) = (next, before.get(&id)) {
            *scores.entry(next).or_default() += part * score;
        }
    }
    Ok(())
}

fn mentions(question: &str, name: &str) -> bool {
    let (question, name) = (text::words(question), text::words(name));
    !name.is_empty()
        && question
            .windows(name.len())
            .any(|part| part.iter().zip(&name).all(|(a, b)| a == b || *a == format!("{b}s")))
}

/// The question as the person it is about would put it.
fn first_person(question: &str, name: &str) -> String {
    question.replace(&format!("{name}'s"), "my").replace(&format!("{name}’s"), "my").replace(name, "I")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_about_somebody_is_put_in_the_first_person() {
        assert!(mentions("What is Ana's dog called?", "Ana") && !mentions("What about bananas?", "Ana"));
        assert_eq!(first_person("When did Ana see Ana's dog?", "Ana"), "When did I see my dog?");
    }
}
