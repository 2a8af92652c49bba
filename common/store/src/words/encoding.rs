//! How words are written down: a message's bag of words, and the postings of a part (up to 256 messages). Pure.
//!
//! A term is 40 bits of a hash of its text, most significant byte first: the first byte is its bucket, the others its tag.
//!
//! - a bag: the terms in order, each with how often it stands there (1-255): 6 bytes a term; then two bytes that say what the turn is
//!   like, which bags of before step 23 lack;
//! - postings of one bucket of one part: for each tag in order its 4 bytes, the number of messages less one, and for each message
//!   its slot and how often: 5 bytes and 2 a message;
//! - lengths of a part: two bytes a slot, the words of its message; 0: it is gone;
//! - the sheet of a part: 36 bytes a slot, what search knows of a turn without its text ([`Line`]).

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use crate::memory::turns::{Traits, Turn};

/// Messages in a part: a slot is one byte.
pub const SLOTS: usize = 256;
/// A bag's term and its frequency.
const ENTRY: usize = 6;
const TAG: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Term([u8; 5]);

impl Term {
    /// FNV-1a, and MurmurHash3's finalizer so that short words differ in all bits. What is stored depends on it: it stays.
    pub fn of(text: &str) -> Self {
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        let [a, b, c, d, e, ..] = (hash ^ (hash >> 33)).to_be_bytes();
        Self([a, b, c, d, e])
    }

    pub fn bucket(self) -> u8 {
        self.0[0]
    }

    fn tag(self) -> [u8; TAG] {
        let [_, tag @ ..] = self.0;
        tag
    }
}

/// A message's terms, each with how often it stands there, and what it is like.
pub fn bag(terms: &HashMap<String, i64>, traits: Traits) -> Vec<u8> {
    let mut sums: BTreeMap<Term, i64> = BTreeMap::new();
    for (text, count) in terms {
        *sums.entry(Term::of(text)).or_default() += count;
    }
    let entry = |(term, count): (&Term, &i64)| term.0.into_iter().chain([(*count).clamp(1, 255) as u8]);
    sums.iter().flat_map(entry).chain(traits.to_bytes()).collect()
}

/// Whether a bag says what its message is like: those of before do not.
pub fn has_traits(bag: &[u8]) -> bool {
    bag.len() % ENTRY == 2
}

/// What the message of a bag is like.
pub fn traits(bag: &[u8]) -> Traits {
    match *bag.chunks_exact(ENTRY).remainder() {
        [a, b] => Traits::from_bytes([a, b]),
        _ => Traits::default(),
    }
}

/// How many different terms are in a bag.
pub fn different(bag: &[u8]) -> u16 {
    (bag.len() / ENTRY).min(usize::from(u16::MAX)) as u16
}

/// What is in a bag.
pub fn in_bag(bag: &[u8]) -> impl Iterator<Item = (Term, u8)> {
    bag.chunks_exact(ENTRY).filter_map(|entry| match *entry {
        [a, b, c, d, e, count] => Some((Term([a, b, c, d, e]), count)),
        _ => None,
    })
}

/// The postings of a part's bags, by bucket. The slot of a bag is its place.
pub fn postings<'a>(bags: impl IntoIterator<Item = &'a [u8]>) -> BTreeMap<u8, Vec<u8>> {
    let mut terms: BTreeMap<Term, Vec<(u8, u8)>> = BTreeMap::new();
    for (slot, bag) in (0..=u8::MAX).zip(bags) {
        for (term, count) in in_bag(bag) {
            terms.entry(term).or_default().push((slot, count));
        }
    }
    let mut buckets: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    for (term, found) in terms {
        write(buckets.entry(term.bucket()).or_default(), term.tag(), &found);
    }
    buckets
}

fn write(bytes: &mut Vec<u8>, tag: [u8; TAG], found: &[(u8, u8)]) {
    bytes.extend(tag);
    bytes.push((found.len() - 1) as u8);
    bytes.extend(found.iter().flat_map(|&(slot, count)| [slot, count]));
}

/// The tags of a bucket, each with its pairs of slot and count. Ends where the bytes make no sense.
fn entries(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; TAG], &[u8])> {
    std::iter::from_fn(move || {
        let (tag, rest) = bytes.split_first_chunk::<TAG>()?;
        let (messages, rest) = rest.split_first()?;
        let (pairs, rest) = rest.split_at_checked((usize::from(*messages) + 1) * 2)?;
        bytes = rest;
        Some((*tag, pairs))
    })
}

fn in_pairs(pairs: &[u8]) -> impl Iterator<Item = (u8, u8)> {
    pairs.chunks_exact(2).filter_map(|pair| match *pair {
        [slot, count] => Some((slot, count)),
        _ => None,
    })
}

/// (slot, how often) of the messages that hold a term, from its bucket's bytes.
pub fn holders(bytes: &[u8], term: Term) -> impl Iterator<Item = (u8, u8)> {
    let of = entries(bytes).find(|(tag, _)| *tag == term.tag());
    in_pairs(of.map_or(&[], |(_, pairs)| pairs))
}

/// The same bytes without some slots.
pub fn without(bytes: &[u8], gone: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(bytes.len());
    for (tag, pairs) in entries(bytes) {
        let rest: Vec<(u8, u8)> = in_pairs(pairs).filter(|(slot, _)| !gone.contains(slot)).collect();
        if !rest.is_empty() {
            write(&mut kept, tag, &rest);
        }
    }
    kept
}

/// Two bytes a slot. A message that is there has a length.
pub fn lengths(words: impl IntoIterator<Item = i64>) -> Vec<u8> {
    words.into_iter().flat_map(|words| (words.clamp(1, i64::from(u16::MAX)) as u16).to_be_bytes()).collect()
}

/// The lengths of a part's slots; 0: its message is gone.
pub fn in_lengths(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.chunks_exact(2).filter_map(|pair| match *pair {
        [high, low] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    })
}

/// A turn of a sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    pub session: Uuid,
    /// But for its session's number and its length, which stand elsewhere.
    pub turn: Turn,
}

const LINE: usize = 36;

/// The sheet of a part. A slot without a turn is all zeros: its session is nobody's.
pub fn sheet(lines: impl IntoIterator<Item = Option<Line>>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LINE * SLOTS);
    for line in lines {
        let Some(Line { session, turn }) = line else {
            bytes.extend([0; LINE]);
            continue;
        };
        bytes.extend(session.into_bytes());
        bytes.extend(turn.seq.to_be_bytes());
        bytes.extend(turn.at.to_be_bytes());
        bytes.extend(turn.terms.to_be_bytes());
        bytes.extend(turn.speaker.to_be_bytes());
        bytes.extend(turn.traits.to_bytes());
    }
    bytes
}

pub fn in_sheet(bytes: &[u8]) -> impl Iterator<Item = Option<Line>> {
    bytes.chunks_exact(LINE).map(|line| {
        let mut rest = line;
        let turn = Line {
            session: Uuid::from_bytes(take(&mut rest)?),
            turn: Turn {
                session: 0,
                length: 0,
                seq: u32::from_be_bytes(take(&mut rest)?),
                at: i64::from_be_bytes(take(&mut rest)?),
                terms: u16::from_be_bytes(take(&mut rest)?),
                speaker: u32::from_be_bytes(take(&mut rest)?),
                traits: Traits::from_bytes(take(&mut rest)?),
            },
        };
        (!turn.session.is_nil()).then_some(turn)
    })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts() -> impl Strategy<Value = Vec<HashMap<String, i64>>> {
        prop::collection::vec(prop::collection::hash_map("[a-e]{1,2}", 1i64..400, 0..12), 1..SLOTS + 1)
    }

    proptest! {
        #[test]
        fn what_is_folded_is_found_as_in_its_bags(texts in texts(), gone in prop::collection::vec(0u8.., 0..5)) {
            let bags: Vec<Vec<u8>> = texts.iter().map(|text| bag(text, Traits::of("Is it?"))).collect();
            prop_assert!(bags.iter().all(|bag| traits(bag) == Traits::of("Is it?")));
            let buckets = postings(bags.iter().map(Vec::as_slice));
            let mut terms: Vec<&String> = texts.iter().flat_map(HashMap::keys).collect();
            terms.sort_unstable();
            terms.dedup();
            for text in terms {
                let term = Term::of(text);
                let bytes = without(&buckets[&term.bucket()], &gone);
                let found: Vec<(u8, u8)> = holders(&bytes, term).collect();
                let wanted: Vec<(u8, u8)> = (0..=u8::MAX).zip(&texts)
                    .filter(|(slot, _)| !gone.contains(slot))
                    .filter_map(|(slot, terms)| Some((slot, (*terms.get(text)?).min(255) as u8)))
                    .collect();
                prop_assert_eq!(found, wanted);
            }
        }

        #[test]
        fn a_sheet_is_read_as_it_was_written(lines in prop::collection::vec(any::<Option<(u64, u32, i64, u16, u32)>>(), 0..9)) {
            let line = |(session, seq, at, terms, speaker)| Line {
                session: Uuid::from_u64_pair(1, session),
                turn: Turn { session: 0, length: 0, seq, at, terms, speaker, traits: Traits::of("Did I?") },
            };
            let lines: Vec<Option<Line>> = lines.into_iter().map(|one| one.map(line)).collect();
            let read: Vec<Option<Line>> = in_sheet(&sheet(lines.clone())).collect();
            prop_assert_eq!(read, lines);
        }

        #[test]
        fn broken_bytes_are_read_as_far_as_they_go(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _lines = in_sheet(&bytes).count();
            let _read: Vec<_> = entries(&bytes).map(|(_, pairs)| in_pairs(pairs).count()).collect();
            prop_assert!(without(&bytes, &[]).len() <= bytes.len());
        }
    }

    /// What is in databases was written with these.
    #[test]
    fn the_hash_of_a_word_stays() {
        assert_eq!(Term::of("tea").0, [39, 78, 111, 51, 201]);
        assert_eq!(Term::of("চা").0, [87, 230, 145, 149, 213]);
    }

    #[test]
    fn lengths_are_bounded_and_never_nothing() {
        let read: Vec<u16> = in_lengths(&lengths([0, 7, 1_000_000])).collect();
        assert_eq!(read, [1, 7, u16::MAX]);
    }
}
