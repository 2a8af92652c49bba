//! From a list of messages with parents to ways through a conversation.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Above, Head, Id, Raw, Source, TURNS_MAX, ids::local_id};
use rapport_core::domain::{
    ids::UserId,
    message::{MESSAGE_MAX, Role},
};

/// Messages of a file that are looked at, those that are passed over included.
const RAW_MAX: usize = 50_000;
const TITLE_MAX: usize = 200;
const MODEL_MAX: usize = 200;
/// Sessions that one conversation becomes, beside the first. Each of them may hang from the one before it.
pub const BRANCHES_MAX: usize = 200;

#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Of its message, which may be in several pieces.
    pub id: String,
    pub piece: usize,
    /// An earlier one of the list.
    pub parent: Option<usize>,
    pub role: Role,
    pub text: String,
    pub model: Option<String>,
    /// As the file has it; without a time there, that of the message before, of the conversation, or of the file's arrival.
    pub at: DateTime<Utc>,
}

#[derive(Debug)]
pub struct Conversation {
    pub source: Source,
    pub id: String,
    /// `None`: it has none, or none that can be a title.
    pub title: Option<String>,
    pub created_at: Option<DateTime<Utc>>,
    pub is_archived: bool,
    pub is_pinned: bool,
    pub turns: Vec<Turn>,
    /// Ways through it, each from its first turn to its last, which go on from a turn of an earlier one; the one that is shown
    /// is the first.
    pub ways: Vec<Vec<usize>>,
    /// Ways that were too many; what leaves them is not counted.
    pub left_out: usize,
}

impl Conversation {
    /// The id that a turn has in an account.
    pub fn local_id(&self, user: UserId, turn: &Turn) -> Uuid {
        local_id(user, self.source, &self.id, &turn.id, turn.piece)
    }
}

/// `uploaded`: when the file came in, for what has no time.
pub(super) fn grow(
    source: Source,
    head: Head,
    raw: Vec<Raw>,
    uploaded: DateTime<Utc>,
) -> Result<Conversation, String> {
    if raw.len() > RAW_MAX {
        return Err(format!("has more than {RAW_MAX} messages"));
    }
    let tree = Tree::of(&raw);
    let current = head.current.as_ref().and_then(|id| tree.by_id.get(id).copied());
    let shown = tree.up_from(current);
    // Ways to go, the next one last: where it begins.
    let mut starts: Vec<usize> = tree.preferred_last(&tree.roots, &shown);
    let started = head.created_at.or(raw.iter().filter_map(|one| one.at).min()).unwrap_or(uploaded);
    let mut growth = Growth::of(&raw, &tree, shown, started);
    while let Some(start) = starts.pop() {
        // What leaves the way early comes first.
        starts.extend(growth.go(start)?);
    }
    let Growth { turns, ways, left_out, .. } = growth;
    if turns.is_empty() {
        return Err("has no message with words in it".to_owned());
    }
    let title = head.title.as_deref().map(|title| plain_line(title, TITLE_MAX));
    let title = title.filter(|title| !title.is_empty());
    let Head { id, created_at, is_archived, is_pinned, .. } = head;
    let id = id.into_string();
    Ok(Conversation { source, id, title, created_at, is_archived, is_pinned, turns, ways, left_out })
}

/// Without control characters, which PostgreSQL does not take all of, and not longer than that.
fn plain_line(text: &str, most: usize) -> String {
    let plain = text.trim().chars().take(most).map(|c| if c.is_control() { ' ' } else { c });
    plain.collect::<String>().trim().to_owned()
}

/// A conversation as it is gone through, way after way.
struct Growth<'a> {
    raw: &'a [Raw],
    tree: &'a Tree<'a>,
    shown: Vec<bool>,
    started: DateTime<Utc>,
    turns: Vec<Turn>,
    ways: Vec<Vec<usize>>,
    /// Where each message's text stands: its own last turn, or that of what it hangs from.
    last_turn: Vec<Option<usize>>,
    /// Turns that have an answer; `None`: so does the beginning.
    answered: HashSet<Option<usize>>,
    branches: usize,
    left_out: usize,
}

impl<'a> Growth<'a> {
    fn of(raw: &'a [Raw], tree: &'a Tree<'a>, shown: Vec<bool>, started: DateTime<Utc>) -> Self {
        let (turns, ways, last_turn) = (Vec::new(), Vec::new(), vec![None; raw.len()]);
        let (answered, branches, left_out) = (HashSet::new(), 0, 0);
        Self { raw, tree, shown, started, turns, ways, last_turn, answered, branches, left_out }
    }

    /// Goes a way to its end. Gives where others leave it, what is to be gone first last.
    fn go(&mut self, start: usize) -> Result<Vec<usize>, String> {
        let begin = self.turns.len();
        let (mut aside, mut here) = (Vec::new(), Some(start));
        while let Some(index) = here {
            let before = self.tree.parent[index].and_then(|parent| self.last_turn[parent]);
            self.last_turn[index] = self.said(index, before).or(before);
            if self.turns.len() > TURNS_MAX {
                return Err(format!("has more than {TURNS_MAX} messages"));
            }
            let mut next = self.tree.preferred_last(&self.tree.children[index], &self.shown);
            here = next.pop();
            aside.push(next);
        }
        let way: Vec<usize> = (begin..self.turns.len()).collect();
        if self.is_branch(&way) {
            if self.branches == BRANCHES_MAX {
                self.left_out += 1;
                self.turns.truncate(begin);
                return Ok(Vec::new());
            }
            self.branches += 1;
        }
        let answers = self.turns[begin..].iter().filter(|turn| turn.role == Role::Assistant);
        self.answered.extend(answers.map(|turn| turn.parent));
        if !way.is_empty() {
            self.ways.push(way);
        }
        Ok(aside.into_iter().rev().flatten().collect())
    }

    /// Whether a way becomes a session of its own, and is not merely another answer.
    fn is_branch(&self, way: &[usize]) -> bool {
        let is_answer = |turn: &Turn| turn.role == Role::Assistant && self.answered.contains(&turn.parent);
        match way {
            [] => false,
            [only] if is_answer(&self.turns[*only]) => false,
            _ => !self.ways.is_empty(),
        }
    }

    /// Adds what a message says, in several turns if it is too long for one. Gives the last.
    fn said(&mut self, index: usize, before: Option<usize>) -> Option<usize> {
        let raw = &self.raw[index];
        let role = raw.role?;
        let after = |index: usize| self.turns[index].at + TimeDelta::microseconds(1);
        let at = raw.at.unwrap_or_else(|| before.map_or(self.started, after));
        let text = raw.text.replace('\0', "");
        let model = raw.model.as_deref().map(|name| plain_line(name, MODEL_MAX));
        let model = model.filter(|name| !name.is_empty());
        let (mut parent, mut last) = (before, None);
        for (piece, text) in pieces(text.trim()).into_iter().enumerate() {
            let at = at + TimeDelta::microseconds(piece as i64);
            let (id, model) = (raw.id.as_str().to_owned(), model.clone());
            self.turns.push(Turn { id, piece, parent, role, text: text.to_owned(), model, at });
            last = Some(self.turns.len() - 1);
            parent = last;
        }
        last
    }
}

/// Of at most `MESSAGE_MAX` characters each, cut at ends of lines or words where there are any.
fn pieces(text: &str) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some((most, _)) = rest.char_indices().nth(MESSAGE_MAX) {
        let head = &rest[..most];
        let cut = head.rfind('\n').or(head.rfind(' ')).filter(|at| *at > most / 2).unwrap_or(most);
        pieces.push(rest[..cut].trim());
        rest = rest[cut..].trim_start();
    }
    pieces.push(rest.trim_end());
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

struct Tree<'a> {
    /// The first that has it: a second one under the same id is no message.
    by_id: HashMap<&'a Id, usize>,
    parent: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
    roots: Vec<usize>,
    order: Vec<(DateTime<Utc>, usize)>,
}

impl<'a> Tree<'a> {
    fn of(raw: &'a [Raw]) -> Self {
        let mut by_id = HashMap::new();
        for (index, one) in raw.iter().enumerate() {
            by_id.entry(&one.id).or_insert(index);
        }
        let first = |index: &usize| by_id[&raw[*index].id];
        let above = |index: usize| match raw[index].parent.as_ref()? {
            Above::Named(id) => by_id.get(id).copied(),
            Above::At(parent) => Some(first(parent)),
        };
        let mut parent = vec![None; raw.len()];
        let (mut children, mut roots) = (vec![Vec::new(); raw.len()], Vec::new());
        for index in (0..raw.len()).filter(|index| first(index) == *index) {
            parent[index] = above(index).filter(|above| *above != index);
            match parent[index] {
                Some(parent) => children[parent].push(index),
                None => roots.push(index),
            }
        }
        let order = raw.iter().enumerate().map(|(index, one)| (one.at.unwrap_or_default(), index)).collect();
        Self { by_id, parent, children, roots, order }
    }

    /// A message and all above it. A circle ends where it closes; nothing hangs from a root in it, so it is never come to.
    fn up_from(&self, message: Option<usize>) -> Vec<bool> {
        let mut shown = vec![false; self.parent.len()];
        let mut here = message;
        while let Some(index) = here.filter(|index| !shown[*index]) {
            shown[index] = true;
            here = self.parent[index];
        }
        shown
    }

    /// In the order of their times, but the one that is shown last. So is the newest, where the file does not say.
    fn preferred_last(&self, siblings: &[usize], shown: &[bool]) -> Vec<usize> {
        let mut siblings = siblings.to_vec();
        siblings.sort_by_key(|index| (shown[*index], self.order[*index]));
        siblings
    }
}
