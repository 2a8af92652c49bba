//! What search knows of each turn without its text: sheets, one a part, kept in memory while they do not change.
//!
//! A part's stamp changes whenever the part does. Each search reads the stamps, and loads only sheets that it does not have as they
//! are: what it answers is never older than what was committed before it began.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::json;
use sqlx::types::Json;
use uuid::Uuid;

use super::encoding::{self, Line, SLOTS};
use crate::{
    db::{Querier, fetch_all, row, statements},
    domain::ids::{UserId, new_uuid},
    memory::turns::{self, Turn},
};

statements! {
    SHEETS = "select p.part, p.stamp, p.ids, p.lengths, p.sheet from ", rows!(2, t, part bigint), "
        join message_word_parts p on p.part = t.part and p.user_id = $1";
}

/// A place in a session, as a sheet has it.
pub(super) fn narrow(seq: i64) -> u32 {
    seq.clamp(0, i64::from(u32::MAX)) as u32
}

pub(super) fn mark(name: Option<&str>) -> u32 {
    name.map_or(0, turns::speaker)
}

/// Tells one state of a part from all others.
pub(super) fn stamp() -> i64 {
    (new_uuid().as_u64_pair().1 & (u64::MAX >> 2)).max(1) as i64
}

struct Part {
    part: i64,
    stamp: i64,
    ids: Vec<u8>,
    lengths: Vec<u8>,
    sheet: Option<Vec<u8>>,
}

row!(Part: part, stamp, ids, lengths, sheet);

/// No turn: the slot's message is gone.
const NOBODY: u32 = u32::MAX;

/// All turns of a user that are in parts, in order.
#[derive(Default)]
pub struct Sheet {
    /// Each with its stamp, and where the turns of its slots stand.
    parts: HashMap<i64, (i64, Vec<u32>)>,
    turns: Vec<Turn>,
    ids: Vec<Uuid>,
    places: HashMap<Uuid, u32>,
    sessions: HashMap<Uuid, u32>,
    /// Numbers that no session has: for turns of which it is not known.
    lonely: u32,
}

impl Sheet {
    pub(super) fn knows(&self, message: Uuid) -> bool {
        self.places.contains_key(&message)
    }

    /// What it takes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.turns.len() * (size_of::<Turn>() + 16 + 32 + 4) + self.sessions.len() * 32
    }

    /// The same with some parts as they are now, and without those that are not in `parts`.
    fn renewed(&self, parts: &[(i64, i64)], loaded: &[Part]) -> Self {
        let mut new = Self { sessions: self.sessions.clone(), lonely: self.lonely, ..Self::default() };
        let mut all: Vec<(Turn, Uuid, i64, usize)> =
            Vec::with_capacity(self.turns.len() + SLOTS * loaded.len());
        let is_loaded: HashSet<i64> = loaded.iter().map(|part| part.part).collect();
        for (part, _) in parts.iter().filter(|(part, _)| !is_loaded.contains(part)) {
            let Some((stamp, places)) = self.parts.get(part) else { continue };
            new.parts.insert(*part, (*stamp, vec![NOBODY; SLOTS]));
            let known = |(slot, place): (usize, &u32)| {
                let place = *place as usize;
                Some((*self.turns.get(place)?, *self.ids.get(place)?, *part, slot))
            };
            all.extend(places.iter().enumerate().filter_map(known));
        }
        for part in loaded {
            new.parts.insert(part.part, (part.stamp, vec![NOBODY; SLOTS]));
            all.extend(new.read(part));
        }
        all.sort_unstable_by_key(|(turn, id, ..)| (turn.session, turn.seq, *id));
        for (place, (turn, id, part, slot)) in (0..NOBODY).zip(all) {
            new.turns.push(turn);
            new.ids.push(id);
            new.places.insert(id, place);
            if let Some(at) = new.parts.get_mut(&part).and_then(|(_, slots)| slots.get_mut(slot)) {
                *at = place;
            }
        }
        new
    }

    /// The turns of a part that are there.
    fn read(&mut self, part: &Part) -> Vec<(Turn, Uuid, i64, usize)> {
        let sheet = part.sheet.as_deref().unwrap_or_default();
        let lines = encoding::in_sheet(sheet).chain(std::iter::repeat(None));
        let ids = part.ids.chunks_exact(16).map(Uuid::from_slice);
        let mut turns = Vec::with_capacity(SLOTS);
        for (slot, ((id, length), line)) in
            ids.zip(encoding::in_lengths(&part.lengths)).zip(lines).enumerate()
        {
            let (Ok(id), 1..) = (id, length) else { continue };
            let turn = match line {
                Some(line) => Turn { session: self.number(line.session), length, ..line.turn },
                None => {
                    self.lonely += 1;
                    Turn { length, ..Turn::alone(self.lonely) }
                }
            };
            turns.push((turn, id, part.part, slot));
        }
        turns
    }

    fn number(&mut self, session: Uuid) -> u32 {
        let next = self.sessions.len() as u32;
        *self.sessions.entry(session).or_insert(next)
    }
}

/// Where turns stand once those in no part are among the others.
pub(super) struct Merged {
    sheet: Arc<Sheet>,
    /// Of each turn of the sheet.
    places: Vec<u32>,
    loose: HashMap<Uuid, u32>,
    /// Numbers of sessions that the sheet does not have.
    new: HashMap<Uuid, u32>,
}

impl Merged {
    /// The number of a session, as its turns have it.
    pub fn session(&self, id: Uuid) -> Option<u32> {
        self.sheet.sessions.get(&id).or_else(|| self.new.get(&id)).copied()
    }

    pub fn place(&self, message: Uuid) -> Option<u32> {
        self.loose.get(&message).copied().or_else(|| self.of_sheet(*self.sheet.places.get(&message)?))
    }

    /// Of a part, as [`Self::place_of_slot`] takes them.
    pub fn slots(&self, part: i64) -> Option<&[u32]> {
        self.sheet.parts.get(&part).map(|(_, slots)| slots.as_slice())
    }

    pub fn place_of_slot(&self, slots: &[u32], slot: u8) -> Option<u32> {
        self.of_sheet(*slots.get(usize::from(slot))?)
    }

    fn of_sheet(&self, place: u32) -> Option<u32> {
        self.places.get(place as usize).copied().filter(|place| *place != NOBODY)
    }
}

/// Turns in order, with their messages: those of the sheet without what is gone, and those in no part.
pub(super) fn merge(
    sheet: &Arc<Sheet>,
    loose: &[(Uuid, Line)],
    gone: &HashSet<Uuid>,
) -> (Vec<Turn>, Vec<Uuid>, Merged) {
    let mut new: HashMap<Uuid, u32> = HashMap::new();
    let mut others: Vec<(Turn, Uuid)> = Vec::with_capacity(loose.len());
    for (id, line) in loose {
        let session = sheet.sessions.get(&line.session).copied().unwrap_or_else(|| {
            let next = (sheet.sessions.len() + new.len()) as u32;
            *new.entry(line.session).or_insert(next)
        });
        others.push((Turn { session, ..line.turn }, *id));
    }
    let key = |turn: &Turn, id: &Uuid| (turn.session, turn.seq, *id);
    others.sort_unstable_by_key(|(turn, id)| key(turn, id));
    let before = |at: usize, loose: &(Turn, Uuid)| {
        let (turn, id) = (sheet.turns.get(at), sheet.ids.get(at));
        turn.zip(id).is_some_and(|(turn, id)| key(turn, id) < key(&loose.0, &loose.1))
    };
    // Where something differs from the sheet: what comes in before a place, and what goes. The rest is copied as it stands.
    let at = |loose: &(Turn, Uuid)| partition_point(sheet.turns.len(), |at| before(at, loose));
    let mut edits: Vec<(usize, Option<(Turn, Uuid)>)> =
        others.into_iter().map(|loose| (at(&loose), Some(loose))).collect();
    edits.extend(gone.iter().filter_map(|id| Some((*sheet.places.get(id)? as usize, None))));
    edits.sort_by_key(|(at, loose)| (*at, loose.is_none()));
    let mut copied = Copied::of(sheet.turns.len() + edits.len());
    let mut at_loose = HashMap::new();
    for (at, edit) in edits {
        copied.copy(sheet, at);
        match edit {
            Some((turn, id)) => {
                at_loose.insert(id, copied.turns.len() as u32);
                copied.turns.push(turn);
                copied.ids.push(id);
            }
            None => copied.places.push(NOBODY),
        }
    }
    copied.copy(sheet, sheet.turns.len());
    let merged = Merged { sheet: Arc::clone(sheet), places: copied.places, loose: at_loose, new };
    (copied.turns, copied.ids, merged)
}

/// The first of `0..many` for which `is_before` does not hold; it holds for all those before.
fn partition_point(many: usize, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut from, mut until) = (0, many);
    while from < until {
        let middle = from.midpoint(until);
        if is_before(middle) { from = middle + 1 } else { until = middle }
    }
    from
}

/// A sheet as far as it is copied. Of each of its turns so far: where it stands now.
struct Copied {
    turns: Vec<Turn>,
    ids: Vec<Uuid>,
    places: Vec<u32>,
}

impl Copied {
    fn of(many: usize) -> Self {
        let (turns, ids, places) =
            (Vec::with_capacity(many), Vec::with_capacity(many), Vec::with_capacity(many));
        Self { turns, ids, places }
    }

    /// Goes on until a place of the sheet.
    fn copy(&mut self, sheet: &Sheet, until: usize) {
        let range = self.places.len()..until;
        let (turns, ids) = (sheet.turns.get(range.clone()), sheet.ids.get(range.clone()));
        let first = self.turns.len() as u32;
        self.places.extend(first..first + range.len() as u32);
        self.turns.extend_from_slice(turns.unwrap_or_default());
        self.ids.extend_from_slice(ids.unwrap_or_default());
    }
}

/// Sheets read with one statement.
const AT_ONCE: usize = 128;

/// The sheet of a user who has these parts, with these stamps. `None`: the one that is known.
pub(super) async fn renewed(
    q: &mut impl Querier,
    user: UserId,
    known: &Sheet,
    parts: &[(i64, i64)],
) -> Result<Option<Sheet>, sqlx::Error> {
    // 0: made by a process that knows of no stamps.
    let is_known = |(part, stamp): &(i64, i64)| {
        *stamp != 0 && known.parts.get(part).is_some_and(|(known, _)| known == stamp)
    };
    let stale: Vec<_> =
        parts.iter().filter(|part| !is_known(part)).map(|(part, _)| json!({"part": part})).collect();
    if stale.is_empty() && known.parts.len() == parts.len() {
        return Ok(None);
    }
    let mut loaded = Vec::with_capacity(stale.len());
    for some in stale.chunks(AT_ONCE) {
        loaded.extend(fetch_all!(Part, q, SHEETS, user, Json(some))?);
    }
    Ok(Some(known.renewed(parts, &loaded)))
}
