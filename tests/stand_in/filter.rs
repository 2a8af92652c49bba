//! Filters: `must` of keyword matches, ranges and ids, which is all that Rapport sends.

use qdrant_client::qdrant::{
    Condition, Filter, condition::ConditionOneOf, r#match::MatchValue, point_id::PointIdOptions,
};

use crate::store::Stored;

fn keyword(condition: &Condition, key: &str) -> Option<String> {
    match condition.condition_one_of.as_ref()? {
        ConditionOneOf::Field(field) if field.key == key => {
            match field.r#match.as_ref()?.match_value.as_ref()? {
                MatchValue::Keyword(word) => Some(word.clone()),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The one tenant a filter names, if it does.
pub fn tenant(filter: &Filter) -> Option<String> {
    filter.must.iter().find_map(|condition| keyword(condition, "user_id"))
}

pub fn matches(filter: &Filter, id: &str, point: &Stored) -> bool {
    assert!(
        filter.should.is_empty() && filter.must_not.is_empty() && filter.min_should.is_none(),
        "not known here"
    );
    filter.must.iter().all(|condition| holds(condition, id, point))
}

fn holds(condition: &Condition, id: &str, point: &Stored) -> bool {
    match &condition.condition_one_of {
        Some(ConditionOneOf::HasId(ids)) => ids.has_id.iter().any(|one| {
            matches!(&one.point_id_options, Some(PointIdOptions::Uuid(text)) if text.eq_ignore_ascii_case(id))
        }),
        Some(ConditionOneOf::Field(field)) => {
            let value = point.payload.get(&field.key);
            let text = value.and_then(|value| value.as_str());
            let matched = field.r#match.as_ref().and_then(|one| one.match_value.as_ref()).is_none_or(|wanted| match wanted {
                MatchValue::Keyword(word) => text == Some(word),
                MatchValue::Keywords(words) => text.is_some_and(|text| words.strings.contains(text)),
                _ => false,
            });
            let within = field.range.as_ref().is_none_or(|range| {
                value.and_then(|value| value.as_double()).is_some_and(|number| {
                    range.gte.is_none_or(|least| number >= least) && range.lte.is_none_or(|most| number <= most)
                })
            });
            matched && within
        }
        _ => false,
    }
}
