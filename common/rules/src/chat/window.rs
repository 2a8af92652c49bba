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
    let kept = kept(newest_first, budget.saturating_sub(tokens::estimate(system)));
    let message = |turn: &&Turn| ChatMessage::new(turn.role.into(), turn.content.clone());
    let mut chosen: Vec<ChatMessage> = kept.iter().map(message).collect();
    chosen.push(ChatMessage::new(Role::System, system.to_owned()));
    chosen.reverse();
    chosen
}

/// The turns that fit beside a system prompt, newest first.
pub fn kept(newest_first: &[Turn], budget: usize) -> Vec<&Turn> {
    let mut left = budget.saturating_sub(OVERHEAD);
    let mut kept: Vec<&Turn> = Vec::new();
    for turn in newest_first.iter().filter(|turn| has_words(turn)) {
        let cost = tokens::estimate(&turn.content) + OVERHEAD;
        if cost > left && !kept.is_empty() {
            break;
        }
        left = left.saturating_sub(cost);
        kept.push(turn);
    }
    kept
}

/// Whether a model is told of a turn: not of failed answers, nor of empty cancelled ones.
pub fn has_words(turn: &Turn) -> bool {
    turn.status != MessageStatus::Failed && !turn.content.is_empty()
}

/// Leaves the oldest turns out until the rest fits; not the instructions before them, nor the last thing that a user said
/// and what follows. What tools gave goes with the turn that called them.
pub fn truncated(mut messages: Vec<ChatMessage>, budget: usize) -> Vec<ChatMessage> {
    let head = messages.iter().take_while(|message| message.role == Role::System).count();
    let last = messages.iter().rposition(|message| message.role == Role::User).unwrap_or(head);
    let mut total: usize = messages.iter().map(tokens::of_message).sum();
    let mut from = head;
    while from < last && (total > budget || messages[from].role == Role::Tool) {
        total -= tokens::of_message(&messages[from]);
        from += 1;
    }
    if from > head {
        messages.drain(head..from);
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::{
        self, Details,
        MessageStatus::{Complete, Failed},
        Role::{Assistant, User},
    };
    use crate::domain::prompt::ToolCall;
    use proptest::prelude::*;

    fn turn(role: message::Role, content: &str, status: MessageStatus) -> Turn {
        Turn { role, content: content.to_owned(), status, seq: 0, details: Details::default() }
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

    #[test]
    fn the_oldest_turns_go_with_what_their_tools_gave() {
        let called = |id: &str| {
            let mut turn = ChatMessage::new(Role::Assistant, "");
            let (name, arguments) = ("f".to_owned(), "{}".to_owned());
            turn.tool_calls.push(ToolCall { id: id.to_owned(), name, arguments, signature: None });
            turn
        };
        let said = |role, text: &str| ChatMessage::new(role, text);
        let messages = vec![
            said(Role::System, "kind"),
            said(Role::User, &"old ".repeat(40)),
            called("1"),
            said(Role::Tool, "result"),
            said(Role::Assistant, "said"),
            said(Role::User, "question"),
            called("2"),
            said(Role::Tool, "result"),
        ];
        let kept = |budget| -> Vec<String> {
            let kept = truncated(messages.clone(), budget).into_iter();
            kept.map(|message| format!("{:?} {}", message.role, message.content)).collect()
        };
        let whole = messages.len();
        assert_eq!(kept(10_000).len(), whole);
        assert_eq!(kept(50).len(), whole - 1, "the oldest one goes");
        let rest = ["System kind", "Assistant said", "User question", "Assistant ", "Tool result"];
        assert_eq!(kept(20), rest, "a result does not stand without its call");
        assert_eq!(kept(0).len(), rest.len() - 1, "the question stays");
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
