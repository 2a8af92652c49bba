//! Memories that came in together, as from a file: what cannot be true beside them becomes a question, without a model.
//!
//! Each is compared with few others, however many there are: those in its slots, and some of those with the rarest word of
//! what it claims. What is missed here is found when all are looked through.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::{Changes, facts::open_conflict};
use crate::{
    Result,
    domain::{ids::MemoryId, memory::Memory},
    memory::{
        clash::{Clash, Reading},
        text,
    },
    store::{memories, terms},
};

/// Words looked up for one memory.
const TERMS: usize = 12;
/// Memories looked at for one word.
const HOLDERS: i64 = 50;
/// Memories compared with one for its words.
const NEAR: usize = 10;
/// Memories read at once: each may be large, and only what it claims is kept.
const AT_ONCE: usize = 50;
/// Questions about one memory.
const EACH: usize = 3;

/// Reads each memory once. One that counts no more has no reading.
type Readings = HashMap<MemoryId, Option<Reading>>;

/// One that says something that can be denied, with what it may have in common with others.
struct Claimant<'a> {
    memory: &'a Memory,
    reading: Reading,
    terms: Vec<String>,
    slots: BTreeSet<(String, String)>,
}

impl<'a> Claimant<'a> {
    fn of(memory: &'a Memory) -> Option<Self> {
        let reading = Reading::of_memory(memory);
        let slots = reading.slots();
        let mut terms = reading.claimed_terms();
        if !slots.is_empty() {
            // Others may fill a slot by their words alone.
            let words: BTreeSet<String> = text::terms(&memory.content).into_keys().collect();
            terms.extend(words);
        }
        let terms: Vec<String> = terms.into_iter().take(TERMS).collect();
        (!terms.is_empty()).then_some(Self { memory, reading, terms, slots })
    }
}

/// Asks about memories that were just written in this transaction, at most so many questions; gives how many.
pub async fn ask_about(changes: &mut Changes, written: &[Memory], most: i64) -> Result<i64> {
    let active = written.iter().filter(|memory| memory.is_active());
    let claimants: Vec<Claimant> = active.filter_map(Claimant::of).collect();
    if claimants.is_empty() || most <= 0 {
        return Ok(0);
    }
    let holders = holders(changes, &claimants).await?;
    let mut readings: Readings =
        claimants.iter().map(|one| (one.memory.id, Some(one.reading.clone()))).collect();
    let in_slots = in_slots(changes, &claimants, &mut readings).await?;
    let others: Vec<Vec<MemoryId>> = claimants
        .iter()
        .map(|one| {
            let slots = one.slots.iter().filter_map(|slot| in_slots.get(slot)).flatten().copied();
            let mut others: Vec<MemoryId> = nearest(&one.terms, &holders).into_iter().chain(slots).collect();
            others.sort_unstable();
            others.dedup();
            others.retain(|other| *other != one.memory.id);
            others
        })
        .collect();
    read(changes, others.iter().flatten(), &mut readings).await?;
    let mut opened = 0;
    for (one, others) in claimants.iter().zip(&others) {
        let clashes = others.iter().filter_map(|other| {
            let reading = readings.get(other)?.as_ref()?;
            Some((*other, one.reading.clash(reading)?))
        });
        for (other, clash) in clashes.take(EACH) {
            if opened >= most {
                return Ok(opened);
            }
            opened += i64::from(ask(changes, one.memory, other, &clash).await?);
        }
    }
    Ok(opened)
}

/// Some memories for each word.
async fn holders(changes: &mut Changes, all: &[Claimant<'_>]) -> Result<HashMap<String, Vec<Uuid>>> {
    let terms: BTreeSet<&str> = all.iter().flat_map(|one| &one.terms).map(String::as_str).collect();
    let terms: Vec<&str> = terms.into_iter().collect();
    let user = changes.user;
    let mut holders: HashMap<String, Vec<Uuid>> = HashMap::new();
    for (term, id) in terms::holders(&mut changes.tx, user, &terms, HOLDERS).await? {
        holders.entry(term).or_default().push(id);
    }
    Ok(holders)
}

/// Those that share the most, and the rarest, words.
fn nearest(terms: &[String], holders: &HashMap<String, Vec<Uuid>>) -> Vec<MemoryId> {
    let mut scores: HashMap<Uuid, f64> = HashMap::new();
    for ids in terms.iter().filter_map(|term| holders.get(term)) {
        for id in ids {
            *scores.entry(*id).or_default() += 1.0 / ids.len() as f64;
        }
    }
    let mut ranked: Vec<(Uuid, f64)> = scores.into_iter().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    // One place more: the memory itself is among them.
    ranked.into_iter().take(NEAR + 1).map(|(id, _)| MemoryId(id)).collect()
}

/// The memories in each slot, read.
async fn in_slots(
    changes: &mut Changes,
    all: &[Claimant<'_>],
    readings: &mut Readings,
) -> Result<HashMap<(String, String), Vec<MemoryId>>> {
    let slots: BTreeSet<&(String, String)> = all.iter().flat_map(|one| &one.slots).collect();
    let (user, mut found) = (changes.user, HashMap::new());
    for (subject, slot) in slots {
        let others = memories::by_slot(&mut changes.tx, user, subject, slot).await?;
        found.insert((subject.clone(), slot.clone()), others.iter().map(|other| other.id).collect());
        remember(&others, readings);
    }
    Ok(found)
}

async fn read(
    changes: &mut Changes,
    wanted: impl Iterator<Item = &MemoryId>,
    readings: &mut Readings,
) -> Result<()> {
    let unread: BTreeSet<MemoryId> = wanted.copied().filter(|id| !readings.contains_key(id)).collect();
    let unread: Vec<MemoryId> = unread.into_iter().collect();
    let user = changes.user;
    for some in unread.chunks(AT_ONCE) {
        let others = memories::get_many(&mut changes.tx, user, some).await?;
        remember(&others, readings);
    }
    Ok(())
}

fn remember(others: &[Memory], readings: &mut Readings) {
    for other in others {
        readings.entry(other.id).or_insert_with(|| other.is_active().then(|| Reading::of_memory(other)));
    }
}

async fn ask(changes: &mut Changes, memory: &Memory, other: MemoryId, clash: &Clash) -> Result<bool> {
    let other = changes.get(other).await?;
    let in_order = (other.created_at, other.id) <= (memory.created_at, memory.id);
    let (older, newer) = if in_order { (&other, memory) } else { (memory, &other) };
    open_conflict(changes, older, newer, Some(clash.reason())).await
}
