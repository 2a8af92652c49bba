//! The context window: the system prompt always, then the newest turns that fit the budget, then the question.

use super::tokens;
use crate::{
    domain::message::MessageStatus,
    domain::message::Turn,
    domain::prompt::{ChatMessage, Role},
};

/// Tokens each message costs besides its text.
const OVERHEAD: usize = 4;

/// Builds the request from turns that come newest first, the first of them being the question. Turns are taken whole,
/// as long as they fit; the question is always in. Failed answers are left out, empty cancelled ones too.
pub fn build(system: &str, newest_first: &[Turn], budget: usize) -> Vec<ChatMessage> {
    let mut left = budget.saturating_sub(tokens::estimate(system) + OVERHEAD);
    let mut chosen: Vec<ChatMessage> = Vec::new();
    for turn in newest_first {
        if !counts(turn) {
            continue;
        }
        let cost = tokens::estimate(&turn.content) + OVERHEAD;
        if cost > left && !chosen.is_empty() {
            break;
        }
        left = left.saturating_sub(cost);
        chosen.push(ChatMessage::new(turn.role.into(), turn.content.clone()));
    }
    chosen.push(ChatMessage::new(Role::System, system.to_owned()));
    chosen.reverse();
    chosen
}

/// Whether a turn may stand in a prompt.
pub fn counts(turn: &Turn) -> bool {
    turn.status != MessageStatus::Failed && !turn.content.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::{
        self,
        MessageStatus::{Complete, Failed},
        Role::{Assistant, User},
    };
    use proptest::prelude::*;

    fn turn(role: message::Role, content: &str, status: MessageStatus) -> Turn {
        Turn { role, content: content.to_owned(), status, seq: 0 }
    }

    #[test]
    fn the_newest_turns_that_fit_stay() {
        let turns = [
            turn(User, "question", Complete),
            turn(Assistant, "", Failed),
            turn(User, "earlier", Complete),
            turn(Assistant, &"long ".repeat(100), Complete),
            turn(User, "oldest", Complete),
        ];
        let texts: Vec<String> =
            build("system", &turns, 40).into_iter().map(|message| message.content).collect();
        assert_eq!(texts, ["system", "earlier", "question"]);
    }

    proptest! {
        #[test]
        fn the_question_is_always_there_and_the_budget_kept(
            lengths in proptest::collection::vec(1usize..400, 1..20),
            budget in 0usize..500,
        ) {
            let turns: Vec<Turn> = lengths.iter().map(|n| turn(User, &"x".repeat(*n), Complete)).collect();
            let messages = build("s", &turns, budget);
            prop_assert_eq!(&messages[messages.len() - 1].content, &turns[0].content);
            let cost = |m: &ChatMessage| tokens::estimate(&m.content) + OVERHEAD;
            let total: usize = messages.iter().map(cost).sum();
            prop_assert!(total <= budget.max(cost(&messages[0]) + cost(&messages[messages.len() - 1])));
        }
    }
}
