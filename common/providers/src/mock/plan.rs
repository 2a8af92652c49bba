//! What the mock will say: decided by rules from the conversation alone, so the same question gets the same answer.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    directives::{self, Directive},
    eyes, memory,
};
use crate::{
    ChatMessage, Role, ToolCall, ToolSpec,
    chat::title::TITLE_INSTRUCTION,
    memory::{concepts, extract, frame, judge, text},
    passages,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fail {
    pub status: u16,
    /// Only the first so many calls; `None` is every one.
    pub times: Option<u32>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// With their spaces, so that joining them gives the answer.
    pub words: Vec<String>,
    /// Between words, when the message says so.
    pub delay: Option<Duration>,
    pub fail: Option<Fail>,
    /// Functions it wants called; then it says nothing yet.
    pub calls: Vec<ToolCall>,
}

impl Plan {
    fn say(words: Vec<String>) -> Self {
        Self { words, delay: None, fail: None, calls: Vec::new() }
    }
}

/// How likely the mock's `number`-th word was, with so many others, in OpenAI's form: figures made by rule.
pub fn logprobs(word: &str, number: i64, others: i64) -> Value {
    let likely =
        |word: &str, logprob: f64| json!({"token": word, "logprob": logprob, "bytes": word.as_bytes()});
    let first = -0.125 * (number % 4 + 1) as f64;
    let rank = |at: i64| {
        if at == 0 { likely(word, first) } else { likely(&format!("{word}{at}"), first - at as f64) }
    };
    let mut all = likely(word, first);
    all["top_logprobs"] = (0..others.clamp(0, 20)).map(rank).collect();
    all
}

/// The model that obeys whatever stands in its instructions: for showing that quoted memories do not.
pub const OBEDIENT: &str = "mock-obey";

/// What is asked of it besides talk, by the beginning of its instructions.
fn task(system: &str, user: &str) -> Option<String> {
    type Task = (&'static str, fn(&str) -> String);
    let tasks: [Task; 5] = [
        (TITLE_INSTRUCTION, title_for),
        (extract::INSTRUCTION, memory::extract),
        (judge::PAIRS_INSTRUCTION, memory::judge_pairs),
        (judge::MERGE_INSTRUCTION, memory::merge),
        (judge::EXPIRY_INSTRUCTION, memory::expiry),
    ];
    tasks.iter().find(|(instruction, _)| system.starts_with(instruction)).map(|(_, answer)| answer(user))
}

/// A system prompt without the memories quoted in it.
fn outside_the_frame(system: &str) -> String {
    match (system.find(&format!("\n{}\n", frame::OPEN)), system.rfind(&format!("\n{}", frame::CLOSE))) {
        (Some(open), Some(close)) if open < close => format!("{}{}", &system[..open], &system[close..]),
        _ => system.to_owned(),
    }
}

pub fn plan(messages: &[ChatMessage], tools: &[ToolSpec], model: &str) -> Plan {
    let last = |role: Role| messages.iter().rev().find(|m| m.role == role).map_or("", |m| m.content.as_str());
    let (system, user) = (last(Role::System), last(Role::User));
    // After a repair the last turn only asks again: the first holds the data.
    let asked = messages.iter().find(|m| m.role == Role::User).map_or("", |m| m.content.as_str());
    if let Some(answer) = task(system, asked) {
        // `/facts fail 503` in a turn: the model fails when it is asked about it.
        let status = answer.strip_prefix("fail ").and_then(|status| status.trim().parse().ok());
        if let Some(status) = status.filter(|status| (400..600).contains(status)) {
            return Plan { fail: Some(Fail { status, times: None }), ..Plan::say(Vec::new()) };
        }
        return Plan { delay: Some(Duration::ZERO), ..Plan::say(words_of(&answer)) };
    }
    let mut plan = Plan::say(Vec::new());
    let round = Round::of(messages, tools);
    let mut said = false;
    let mut orders = directives::parse(user);
    if model == OBEDIENT {
        orders.extend(directives::parse(&outside_the_frame(system)));
    }
    for directive in orders {
        match directive {
            Directive::Facts(_) => continue,
            Directive::Echo(text) => plan.words.extend(words_of(&text)),
            Directive::Tokens(n) => {
                plan.words.extend((1..=n).map(|i| if i == 1 { "w1".to_owned() } else { format!(" w{i}") }))
            }
            Directive::System => plan.words.extend(words_of(system)),
            Directive::Images => plan.words.extend(words_of(&eyes::seen(messages))),
            Directive::Delay(ms) => {
                plan.delay = Some(Duration::from_millis(ms));
                continue;
            }
            Directive::Fail { status, times } => {
                plan.fail = Some(Fail { status, times });
                continue;
            }
            Directive::Tool { name, arguments, always } if round.offers(&name) => {
                if always || round.number == 0 {
                    plan.calls.push(round.call(plan.calls.len(), &name, arguments));
                }
            }
            // Without the tool on offer the model can only talk about it.
            Directive::Tool { name, .. } => {
                plan.words.extend(words_of(&format!("I have no tool called {name}.")))
            }
        }
        said = true;
    }
    if round.number == 0 && !said {
        plan.calls.extend(round.wanted(user));
    }
    if !plan.calls.is_empty() {
        plan.words.clear();
        return plan;
    }
    if !round.results.is_empty() {
        let told = words_of(&round.results.join(" "));
        plan.words = told.into_iter().chain(std::mem::take(&mut plan.words)).collect();
    } else if !said {
        plan.words = words_of(&small_talk(user, messages));
    }
    plan
}

/// Where a turn stands that uses tools.
struct Round<'a> {
    tools: &'a [ToolSpec],
    /// How often tools were called in this turn already.
    number: usize,
    /// What they said.
    results: Vec<String>,
}

impl<'a> Round<'a> {
    fn of(messages: &[ChatMessage], tools: &'a [ToolSpec]) -> Self {
        let asked = messages.iter().rposition(|message| message.role == Role::User).map_or(0, |at| at + 1);
        let since = messages.get(asked..).unwrap_or_default();
        let results = since.iter().filter_map(|message| {
            let (_, name) = message.answers.as_ref()?;
            Some(format!("{name} says: {}", message.content))
        });
        let number = since.iter().filter(|message| !message.tool_calls.is_empty()).count();
        Self { tools, number, results: results.collect() }
    }

    fn offers(&self, name: &str) -> bool {
        self.tools.iter().any(|tool| tool.name == name)
    }

    fn call(&self, index: usize, name: &str, arguments: String) -> ToolCall {
        let id = format!("call_{}_{index}", self.number);
        ToolCall { id, name: name.to_owned(), arguments, signature: None }
    }

    /// The call that a question in plain words asks for.
    fn wanted(&self, user: &str) -> Option<ToolCall> {
        let lower = user.to_lowercase();
        let after = |words: &str| {
            let at = lower.find(words)? + words.len();
            let rest = user.get(at..)?.trim_matches(|c: char| !c.is_alphanumeric());
            (!rest.is_empty()).then(|| rest.to_owned())
        };
        let ask = |name: &str, arguments: serde_json::Value| {
            self.offers(name).then(|| self.call(0, name, arguments.to_string()))
        };
        if let Some(place) = after("weather in ") {
            return ask("get_current_weather", serde_json::json!({"location": place}));
        }
        if let Some(query) = after("search the web for ") {
            return ask("web_search", serde_json::json!({"query": query}));
        }
        if lower.contains("what time is it") {
            return ask("current_time", serde_json::json!({}));
        }
        None
    }
}

fn small_talk(user: &str, messages: &[ChatMessage]) -> String {
    let turns = messages.iter().filter(|message| message.role == Role::User).count();
    let quoted: String = user.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect();
    let lower = quoted.to_lowercase();
    if ["hi", "hello", "hey"]
        .iter()
        .any(|word| lower.split(|c: char| !c.is_alphanumeric()).next() == Some(word))
    {
        return "Hello! I am the built-in mock model: I run offline and answer by simple rules. What can I do for you?"
            .to_owned();
    }
    if let Some(seen) = eyes::shown(messages) {
        return seen;
    }
    let recalled = recall(user, messages);
    if !recalled.is_empty() {
        return format!("From what I remember of you: {}.", recalled.join("; "));
    }
    let system = messages.iter().find(|m| m.role == Role::System).map_or("", |m| m.content.as_str());
    if let Some((number, sentence)) = passages::nearest(user, system) {
        return format!("Your files say: {sentence} [{number}]");
    }
    format!(
        "You said: \"{quoted}\" (message {turns} of this conversation). I am the built-in mock model; set an API key to talk to a real one."
    )
}

/// The quoted memories that share a word with a question.
fn recall(question: &str, messages: &[ChatMessage]) -> Vec<String> {
    let system = messages.iter().find(|m| m.role == Role::System).map_or("", |m| m.content.as_str());
    let mut asked = text::terms(question);
    let linked: Vec<&str> = concepts::linked(&asked);
    asked.extend(linked.into_iter().map(|term| (term.to_owned(), 1)));
    let inside =
        system.split(frame::OPEN).nth(1).and_then(|rest| rest.split(frame::CLOSE).next()).unwrap_or_default();
    inside
        .lines()
        .filter_map(|line| {
            let mut read = serde_json::Deserializer::from_str(line.strip_prefix("- ")?).into_iter::<String>();
            read.next()?.ok()
        })
        .filter(|memory| {
            question.trim_end().ends_with('?')
                && text::terms(memory).keys().any(|term| asked.contains_key(term))
        })
        .take(3)
        .collect()
}

fn title_for(text: &str) -> String {
    const DULL: [&str; 24] = [
        "the", "a", "an", "and", "or", "of", "to", "in", "is", "are", "i", "you", "my", "me", "please",
        "can", "what", "how", "do", "does", "it", "for", "on", "with",
    ];
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
    let words: Vec<String> = text
        .split_whitespace()
        .map(bare)
        .filter(|word| !word.is_empty() && !DULL.contains(&word.to_lowercase().as_str()))
        .take(5)
        .collect();
    let title = if words.is_empty() { "New conversation".to_owned() } else { words.join(" ") };
    let mut letters = title.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

/// Cuts a text into words, each with the spaces before it.
pub fn words_of(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut in_word = false;
    for c in text.chars() {
        if c.is_whitespace() && in_word || words.is_empty() {
            words.push(String::new());
            in_word = false;
        }
        in_word |= !c.is_whitespace();
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ask(user: &str) -> Plan {
        let message = |role, content: &str| ChatMessage::new(role, content.to_owned());
        plan(&[message(Role::System, "Be kind."), message(Role::User, user)], &[], "mock-1")
    }

    #[test]
    fn directives_decide() {
        assert_eq!(ask("/echo one two /tokens 2").words.concat(), "one twow1 w2");
        assert_eq!(ask("/system").words.concat(), "Be kind.");
        assert_eq!(ask("/fail 500 x1 /echo hi").fail, Some(Fail { status: 500, times: Some(1) }));
        assert!(ask("what is up?").words.concat().contains("what is up?"));
    }

    proptest! {
        #[test]
        fn words_join_to_the_text(text in "[a-z \\n\u{e9}]{0,40}") {
            prop_assert_eq!(words_of(&text).concat(), text);
        }
    }
}
