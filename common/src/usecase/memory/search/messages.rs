//! Past turns that a question may be about, in the sum of `memory/turns`.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{
    Document, Floor, Hit, Query,
    arms::{Asked as Vector, add_cosines, nearest, or_words_alone, wants_meaning},
    reason::{Words, bearing, is_relevant, reason},
};
use crate::{
    Context, Result, clock,
    domain::ids::{MessageId, SessionId, UserId},
    memory::{
        names,
        rank::{self, Explained, Mode},
        text,
        turns::{
            self, Turn,
            passages::{self, ByWords, Holders},
            score::{Asked, Cosines, Evidence, candidates, with_those_nearby},
        },
    },
    store::{messages, terms::Corpus, words::search},
    vectors::VectorFilter,
};

/// Messages read beyond those wanted: some may be gone, or hidden from memory, since they were indexed.
const SPARE: usize = 20;

/// The turns that a question may be about, the best first, without their texts.
struct Ranked {
    found: Found,
    order: Vec<(u32, Explained)>,
    /// Nothing was found by meaning.
    by_words_alone: bool,
}

/// Turns of a session from a place on, which whoever asks has before them.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub session: SessionId,
    pub oldest: i64,
}

async fn ranked(
    ctx: &Context,
    user: UserId,
    query: &Query,
    words: &HashMap<String, i64>,
    seen: Option<Seen>,
) -> Result<Ranked> {
    let anything = VectorFilter::default();
    let near = async |question: &str| {
        if !wants_meaning(ctx, query.mode, question) {
            return Ok(None);
        }
        nearest(ctx, user, Corpus::Messages, question, &anything).await.map(Some)
    };
    let (found, names, near_as_asked) = tokio::join!(
        by_words(ctx, user, query, words),
        async { Ok::<_, crate::Error>(messages::names(&mut ctx.db.read().await?, user).await?) },
        near(&query.text),
    );
    let named: Vec<String> = names?.into_iter().filter(|name| mentions(&query.text, name)).collect();
    // People speak of themselves in the first person: a question about them must too. Most users have no names, and wait for none.
    let near = match named.first() {
        Some(name) => near(&first_person(&query.text, name)).await,
        None => near_as_asked,
    };
    let mut found = found?;
    let near = or_words_alone(query.mode, near)?;
    if let Some(as_of) = query.as_of {
        found.leave_out_what_came_after(as_of.timestamp_millis());
    }
    let speaker = match &*named {
        [name] => Some(turns::speaker(name)),
        _ => None,
    };
    let asked = Asked::of(&query.text, query.as_of.unwrap_or_else(clock::now), speaker);
    let (places, cosines) = found.candidates(ctx, user, (query, &asked), near).await?;
    let evidence = Evidence {
        turns: &found.turns,
        asked: &asked,
        by_words: &found.by_words,
        cosines: &cosines,
        mode: query.mode,
        is_lexical: ctx.embedder.is_local(),
    };
    let mut order: Vec<(u32, Explained)> = places.iter().copied().zip(evidence.weigh(&places)).collect();
    if let Some(seen) = seen {
        let session = found.index.session(seen.session);
        let is_seen = |turn: &Turn| Some(turn.session) == session && i64::from(turn.seq) >= seen.oldest;
        order.retain(|(place, _)| !found.turns.get(*place as usize).is_some_and(is_seen));
    }
    // Of equals the newest first.
    let newest = |place: u32| found.turns.get(place as usize).map_or(0, |turn| turn.at);
    order.sort_by(|a, b| {
        b.1.relevance.total_cmp(&a.1.relevance).then(newest(b.0).cmp(&newest(a.0))).then(b.0.cmp(&a.0))
    });
    order.truncate(query.limit.max(VOUCHING) + SPARE);
    let by_words_alone = cosines.is_empty();
    Ok(Ranked { found, order, by_words_alone })
}

/// A turn that a question may be about.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub id: MessageId,
    pub score: f64,
    /// See [`Hit::bearing`].
    pub bearing: f64,
}

/// Where the turns stand that a question may be about, without those that are seen, the best first: some may be gone since, or
/// hidden from memory.
pub async fn places(ctx: &Context, user: UserId, query: &Query, seen: Seen) -> Result<Vec<Place>> {
    let Ranked { found, order, .. } = ranked(ctx, user, query, &text::terms(&query.text), Some(seen)).await?;
    let place = |(place, explained): (u32, Explained)| {
        let id = MessageId(*found.ids.get(place as usize)?);
        Some(Place { id, score: explained.relevance, bearing: bearing(&explained, &found.words) })
    };
    Ok(order.into_iter().filter_map(place).collect())
}

pub(super) async fn search(
    ctx: &Context,
    user: UserId,
    query: &Query,
    words: &HashMap<String, i64>,
) -> Result<Vec<Hit>> {
    let Ranked { found, order, by_words_alone } = ranked(ctx, user, query, words, None).await?;
    let mut hits = hits(ctx, user, query, &found, order).await?;
    let least = match query.floor {
        Floor::None => None,
        Floor::At(least) => Some(least),
        Floor::Usual => Some(floor(ctx, query.mode, by_words_alone)),
    };
    let bears = |least: f64| {
        hits.iter().any(|hit| hit.is_named) || hits.iter().take(VOUCHING).any(|hit| hit.bearing >= least)
    };
    if !least.is_none_or(bears) {
        return Ok(Vec::new());
    }
    hits.truncate(query.limit);
    Ok(hits)
}

/// The first so many answer for the rest: one that bears on the question vouches for what was found beside it, since most evidence
/// shares few words with its question.
const VOUCHING: usize = 10;
/// Chosen on three conversations of LoCoMo's development half and tried on the other two (docs/benchmarks.md).
const FLOOR: f64 = 0.25;
/// With the built-in vectors, which are like each other for a word in common; and by words alone.
const FLOOR_LEXICAL: f64 = 0.20;
const FLOOR_WORDS: f64 = 0.10;

fn floor(ctx: &Context, mode: Mode, by_words_alone: bool) -> f64 {
    match mode {
        // Whoever asks for the nearest gets the nearest.
        Mode::Semantic => 0.0,
        Mode::Keyword => FLOOR_WORDS,
        Mode::Hybrid if by_words_alone => FLOOR_WORDS,
        Mode::Hybrid if ctx.embedder.is_local() => FLOOR_LEXICAL,
        Mode::Hybrid => FLOOR,
    }
}

/// Reads the messages of the best turns.
async fn hits(
    ctx: &Context,
    user: UserId,
    query: &Query,
    found: &Found,
    order: Vec<(u32, Explained)>,
) -> Result<Vec<Hit>> {
    let ids: Vec<Uuid> =
        order.iter().filter_map(|(place, _)| found.ids.get(*place as usize)).copied().collect();
    let rows = messages::found(&mut ctx.db.read().await?, user, &ids).await?;
    let mut rows: HashMap<Uuid, messages::Found> = rows.into_iter().map(|row| (row.id.0, row)).collect();
    let mut hits = Vec::new();
    for (place, mut explained) in order {
        let Some(message) = found.ids.get(place as usize).and_then(|id| rows.remove(id)) else { continue };
        if query.as_of.is_some_and(|as_of| message.created_at > as_of) {
            continue;
        }
        explained.recency = 1.0;
        explained.score = explained.relevance;
        let reason = reason(&explained, &message.content, &found.words);
        let bearing = bearing(&explained, &found.words);
        // Most questions name nothing that is rare, and need not have each text read for it.
        let is_named = !found.rare_names.is_empty()
            && text::terms(&message.content).keys().any(|term| found.rare_names.contains(term));
        let is_relevant = is_relevant(ctx, &explained, &found.words, 1.0);
        hits.push(Hit {
            document: Document::Message(Box::new(message)),
            explained,
            is_relevant,
            bearing,
            is_named,
            reason,
        });
    }
    Ok(hits)
}

/// All turns of a user, and what the words of a question say of them.
struct Found {
    turns: Vec<Turn>,
    ids: Vec<Uuid>,
    index: search::Found,
    words: Words,
    /// Names and numbers of the question that hardly any turn has.
    rare_names: HashSet<String>,
    by_words: ByWords,
}

/// Turns that have a name, at most, for it to be rare.
const RARE: usize = 5;

async fn by_words(ctx: &Context, user: UserId, query: &Query, words: &HashMap<String, i64>) -> Result<Found> {
    // In one order, so that the same sums are the same to the last bit.
    let mut terms: Vec<&str> = words.keys().map(String::as_str).collect();
    terms.sort_unstable();
    if query.mode == Mode::Semantic {
        terms.clear();
    }
    let mut index = search::find(&mut ctx.db.read().await?, &ctx.words, user, &terms).await?;
    let held: Vec<Holders> = terms.iter().map(|term| index.holders(term)).collect();
    let (turns, ids) = (std::mem::take(&mut index.turns), std::mem::take(&mut index.ids));
    let weight = |(term, holders): (&&str, &Holders)| {
        ((*term).to_owned(), rank::idf(turns.len() as i64, holders.len() as i64))
    };
    let weights: Vec<(String, f64)> = terms.iter().zip(&held).map(weight).collect();
    let ideal = rank::ideal(&weights);
    let is_rare = |term: &String| {
        let at = terms.iter().position(|known| known == term);
        at.is_some_and(|at| (1..=RARE).contains(&held[at].len()))
    };
    let rare_names = names::named(&query.text).into_iter().filter(is_rare).collect();
    let by_words = passages::by_words(&turns, &held);
    Ok(Found { turns, ids, index, words: Words { weights, ideal }, rare_names, by_words })
}

impl Found {
    /// What was said later is still there to be weighed against, and is not found.
    fn leave_out_what_came_after(&mut self, at: i64) {
        let turns = &self.turns;
        self.by_words.candidates.retain(|place| turns.get(*place as usize).is_some_and(|turn| turn.at <= at));
    }

    /// The turns to weigh, and the cosines to weigh them with.
    async fn candidates(
        &mut self,
        ctx: &Context,
        user: UserId,
        (query, asked): (&Query, &Asked),
        near: Option<(Vector, HashMap<Uuid, f64>)>,
    ) -> Result<(Vec<u32>, Cosines)> {
        let by_words_alone = |found: &Self| candidates(&found.turns, asked, &found.by_words, &[]);
        let Some((vector, mut cosines)) = near else { return Ok((by_words_alone(self), Cosines::new())) };
        let mut nearest: Vec<u32> =
            cosines.iter().filter(|(_, c)| **c > 0.0).map(|(id, _)| self.place(*id)).collect();
        if let Some(as_of) = query.as_of {
            nearest.retain(|place| {
                self.turns.get(*place as usize).is_some_and(|turn| turn.at <= as_of.timestamp_millis())
            });
        }
        let places = candidates(&self.turns, asked, &self.by_words, &nearest);
        let wide = with_those_nearby(&self.turns, &places);
        let ids = wide.iter().filter_map(|place| self.ids.get(*place as usize)).copied();
        let added = add_cosines(ctx, user, Corpus::Messages, (&vector, &mut cosines), ids).await;
        if or_words_alone(query.mode, added.map(Some))?.is_none() {
            return Ok((by_words_alone(self), Cosines::new()));
        }
        let at = |place: &u32| Some((*place, *cosines.get(self.ids.get(*place as usize)?)?));
        let cosines = wide.iter().filter_map(at).collect();
        Ok((places, cosines))
    }

    /// Where a message stands. One that is not in the index of words stands alone.
    fn place(&mut self, message: Uuid) -> u32 {
        self.index.place(message).unwrap_or_else(|| {
            let place = self.turns.len() as u32;
            self.turns.push(Turn::alone(place + 1));
            self.ids.push(message);
            place
        })
    }
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
