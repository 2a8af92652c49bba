//! Plain directives in a user's message: `/echo TEXT`, `/tokens N`, `/delay MS`, `/fail CODE [xN]`, `/system`, `/images`,
//! `/tool NAME JSON`, `/loop NAME JSON` (calls it in every round), `/facts TEXT`. Several may stand in one message; a text runs to the next directive.

#[derive(Debug, Clone, PartialEq)]
pub enum Directive {
    Echo(String),
    Tokens(usize),
    Delay(u64),
    Fail {
        status: u16,
        times: Option<u32>,
    },
    System,
    /// Tells what images are in the prompt.
    Images,
    /// What the extractor answers when it reads this turn.
    Facts(String),
    Tool {
        name: String,
        arguments: String,
        /// In every round, for ever.
        always: bool,
    },
}

const NAMES: [&str; 9] =
    ["/echo", "/tokens", "/delay", "/fail", "/system", "/images", "/tool", "/loop", "/facts"];

/// The directives of a message in order; empty when it has none. Malformed ones are not directives.
pub fn parse(message: &str) -> Vec<Directive> {
    let starts: Vec<(usize, &str)> = message
        .char_indices()
        .filter(|(at, c)| *c == '/' && message[..*at].chars().next_back().is_none_or(char::is_whitespace))
        .filter_map(|(at, _)| {
            let name = NAMES.iter().find(|name| {
                message[at..]
                    .strip_prefix(**name)
                    .is_some_and(|rest| rest.chars().next().is_none_or(char::is_whitespace))
            })?;
            Some((at, *name))
        })
        .collect();
    let mut directives = Vec::new();
    for (index, (at, name)) in starts.iter().enumerate() {
        let end = starts.get(index + 1).map_or(message.len(), |(next, _)| *next);
        directives.extend(one(name, message[at + name.len()..end].trim()));
    }
    directives
}

fn one(name: &str, text: &str) -> Option<Directive> {
    let mut words = text.split_whitespace();
    match name {
        "/echo" => Some(Directive::Echo(text.to_owned())),
        "/tokens" => words.next()?.parse().ok().map(|n: usize| Directive::Tokens(n.min(100_000))),
        "/delay" => words.next()?.parse().ok().map(|ms: u64| Directive::Delay(ms.min(600_000))),
        "/fail" => {
            let status = words.next()?.parse().ok().filter(|status| (400..600).contains(status))?;
            let times = words.next().and_then(|word| word.strip_prefix('x')).and_then(|n| n.parse().ok());
            Some(Directive::Fail { status, times })
        }
        "/system" => Some(Directive::System),
        "/images" => Some(Directive::Images),
        "/facts" => Some(Directive::Facts(text.to_owned())),
        "/tool" | "/loop" => {
            let (tool, arguments) = text.split_once(char::is_whitespace).unwrap_or((text, "{}"));
            (!tool.is_empty()).then(|| Directive::Tool {
                name: tool.to_owned(),
                arguments: arguments.trim().to_owned(),
                always: name == "/loop",
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn several_in_one_message() {
        let found = parse("please /delay 20 /fail 503 x2 /echo a / b /etc/passwd\n/tokens 3");
        let expected = vec![
            Directive::Delay(20),
            Directive::Fail { status: 503, times: Some(2) },
            Directive::Echo("a / b /etc/passwd".to_owned()),
            Directive::Tokens(3),
        ];
        assert_eq!(found, expected);
        assert_eq!(parse("/echoes and /tokens many"), []);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[/a-zé \\n0-9x]{0,40}|(/(echo|fail|tool|tokens) ?\\PC{0,8}){0,4}") {
            let _ = parse(&text);
        }
    }
}
