//! From a list of messages with parents to ways through a conversation.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Head, Raw, Source, TURNS_MAX};
use rapport_core::domain::message::{MESSAGE_MAX, Role};

/// Messages of a file that are looked at, those that are passed over included.
const RAW_MAX: usize = 50_000;
const TITLE_MAX: usize = 200;

#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    pub id: String,
    /// An earlier one of the list.
    pub parent: Option<usize>,
    pub role: Role,
    pub text: String,
    pub model: Option<String>,
    /// As the file has it; without a time there, that of the message before.
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
}

pub(super) fn grow(source: Source, head: Head, raw: Vec<Raw>) -> Result<Conversation, String> {
    if raw.len() > RAW_MAX {
        return Err(format!("has more than {RAW_MAX} messages"));
    }
    let tree = Tree::of(&raw);
    let current = head.current.as_deref().and_then(|id| tree.by_id.get(id).copied());
    let shown = tree.up_from(current);
    let started = head.created_at;
    let mut turns: Vec<Turn> = Vec::new();
    let mut ways: Vec<Vec<usize>> = Vec::new();
    // Where each message's text stands: its own last turn, or that of what it hangs from.
    let mut last_turn: Vec<Option<usize>> = vec![None; raw.len()];
    // Ways to go, the next one last: where it begins.
    let mut starts: Vec<usize> = tree.preferred_last(&tree.roots, &shown);
    while let Some(start) = starts.pop() {
        let (mut way, mut here) = (Vec::new(), Some(start));
        let mut aside = Vec::new();
        while let Some(index) = here {
            let before = tree.parent[index].and_then(|parent| last_turn[parent]);
            last_turn[index] = said(&raw[index], before, started, &mut turns, &mut way).or(before);
            if turns.len() > TURNS_MAX {
                return Err(format!("has more than {TURNS_MAX} messages"));
            }
            let mut next = tree.preferred_last(&tree.children[index], &shown);
            here = next.pop();
            aside.push(next);
        }
        // What leaves the way early comes first.
        starts.extend(aside.into_iter().rev().flatten());
        if !way.is_empty() {
            ways.push(way);
        }
    }
    if turns.is_empty() {
        return Err("has no message with words in it".to_owned());
    }
    let title = head.title.as_deref().map(title_of).filter(|title| !title.is_empty());
    let Head { id, created_at, is_archived, is_pinned, .. } = head;
    Ok(Conversation { source, id, title, created_at, is_archived, is_pinned, turns, ways })
}

fn title_of(title: &str) -> String {
    let plain: String = title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.trim().chars().take(TITLE_MAX).collect::<String>().trim().to_owned()
}

/// Adds what a message says, in several turns if it is too long for one. Gives the last.
fn said(
    raw: &Raw,
    before: Option<usize>,
    started: Option<DateTime<Utc>>,
    turns: &mut Vec<Turn>,
    way: &mut Vec<usize>,
) -> Option<usize> {
    let role = raw.role?;
    let mut parent = before;
    let earlier = before.map(|index| turns[index].at).or(started);
    let at = raw.at.or(earlier.map(|time| time + TimeDelta::microseconds(1))).unwrap_or_default();
    let text = raw.text.replace('\0', "");
    let pieces = pieces(text.trim());
    let count = pieces.len();
    for (number, piece) in pieces.into_iter().enumerate() {
        let id = if number == 0 { raw.id.clone() } else { format!("{}#{number}", raw.id) };
        let at = at + TimeDelta::microseconds(number as i64);
        way.push(turns.len());
        turns.push(Turn { id, parent, role, text: piece.to_owned(), model: raw.model.clone(), at });
        parent = Some(turns.len() - 1);
    }
    if count == 0 { None } else { parent }
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

struct Tree {
    by_id: HashMap<String, usize>,
    parent: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
    roots: Vec<usize>,
    order: Vec<(DateTime<Utc>, usize)>,
}

impl Tree {
    fn of(raw: &[Raw]) -> Self {
        let mut by_id = HashMap::new();
        for (index, one) in raw.iter().enumerate() {
            by_id.entry(one.id.clone()).or_insert(index);
        }
        let parent: Vec<Option<usize>> = raw
            .iter()
            .enumerate()
            .map(|(index, one)| {
                let parent = one.parent.as_deref().and_then(|id| by_id.get(id).copied());
                parent.filter(|parent| *parent != index)
            })
            .collect();
        let (mut children, mut roots) = (vec![Vec::new(); raw.len()], Vec::new());
        for (index, parent) in parent.iter().enumerate() {
            match parent {
                Some(parent) => children[*parent].push(index),
                // A second message under one id has no place.
                None if by_id.get(&raw[index].id) == Some(&index) => roots.push(index),
                None => {}
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
