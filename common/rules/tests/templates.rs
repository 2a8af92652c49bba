//! A hundred thousand templates that nobody would write: none ends the process, none takes more than 16 MB or 100 ms of
//! processor time. It is a program of its own, so that what it counts is only its own.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test from end to end")]

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use rapport_rules::chat::template;
use serde_json::{Value, json};

const TEMPLATES: usize = 100_000;
const MEGABYTE: u64 = 1 << 20;

/// What a user could give along, at the size the service takes.
fn values() -> Value {
    let mut deep = json!("x");
    for _ in 0..100 {
        deep = json!([deep]);
    }
    let big: Vec<u32> = (0..300).collect();
    let own = json!({"big": big, "text": "Wörter and words. ".repeat(400), "deep": deep, "seen": "2026-11-21T10:00:00Z", "n": 3});
    template::variables("Ann", "Desk", "- \"likes tea\"", "2026-11-21", &own)
}

/// Words of the language, of Jinja's that ours does not have, and of neither.
const WORDS: &[&str] = &[
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "{{-",
    "-%}",
    "if",
    "elif",
    "else",
    "endif",
    "for",
    "in",
    "endfor",
    "and",
    "or",
    "not",
    "user.name",
    "big",
    "text",
    "deep",
    "seen",
    "n",
    "date",
    "a",
    "b",
    ".a",
    ".name",
    "|upper",
    "|lower",
    "|title",
    "|trim",
    "|default('x')",
    "|length",
    "|truncate(9)",
    "|truncate(1000000000)",
    "|date('%c%c%c')",
    "|date('%')",
    "|join(',')",
    "|indent(9223372036854775807)",
    "|replace('','x')",
    "|e",
    "(",
    ")",
    "[",
    "]",
    "1",
    "999999999999",
    "'x'",
    "\"",
    "'",
    "\\",
    "==",
    "<",
    "+1",
    "-",
    "**1",
    "~1",
    "*",
    "range(9999)",
    "set",
    "include",
    "macro",
    "true",
    "none",
    " ",
    "\n",
    "é",
    "বাংলা",
    "\u{202e}",
    "🙂",
];

fn expression(rng: &mut StdRng, depth: usize) -> String {
    let names =
        ["user.name", "big", "text", "deep", "seen", "n", "a", "b", "1", "'some text'", "none", "missing"];
    let filters = [
        "|upper",
        "|lower",
        "|title",
        "|trim",
        "|default('x')",
        "|length",
        "|truncate(5000)",
        "|date('%A %d %B %Y %c')",
    ];
    let mut text = (*names.choose(rng).unwrap()).to_owned();
    for _ in 0..rng.random_range(0..3) {
        text.push_str(filters.choose(rng).unwrap());
    }
    match rng.random_range(0..8) {
        0 if depth > 0 => format!("({})", expression(rng, depth - 1)),
        1 if depth > 0 => format!("not {}", expression(rng, depth - 1)),
        2 if depth > 0 => format!("{text} or {}", expression(rng, depth - 1)),
        3 if depth > 0 => format!("{text} == {}", expression(rng, 0)),
        _ => text,
    }
}

/// A template that mostly parses.
fn sensible(rng: &mut StdRng, depth: usize) -> String {
    let mut text = String::new();
    for _ in 0..rng.random_range(1..5) {
        let inner = if depth > 0 { sensible(rng, depth - 1) } else { "words ".to_owned() };
        let value = expression(rng, 2);
        text.push_str(&match rng.random_range(0..6) {
            0 => format!("{{% if {value} %}}{inner}{{% else %}}-{{% endif %}}"),
            1 => format!("{{% for a in big %}}{inner}{{% endfor %}}"),
            2 => format!("{{% for b in deep %}}{inner}{{% endfor %}}"),
            3 => inner,
            _ => format!("{{{{ {value} }}}}"),
        });
    }
    text
}

fn soup(rng: &mut StdRng) -> String {
    (0..rng.random_range(1..40)).map(|_| *WORDS.choose(rng).unwrap()).collect()
}

/// One piece again and again, up to what the service takes.
fn monotone(rng: &mut StdRng) -> String {
    let piece = soup(rng).chars().take(12).collect::<String>();
    let most = template::TEMPLATE_MAX / piece.chars().count().max(1);
    let (open, close) =
        *[("{{ ", " }}"), ("", ""), ("{% if ", " %}{% endif %}"), ("{{ text", " }}")].choose(rng).unwrap();
    format!("{open}{}{close}", piece.repeat(rng.random_range(0..most)))
}

/// A template with a part cut out, doubled or put elsewhere.
fn broken(rng: &mut StdRng) -> String {
    let chars: Vec<char> = sensible(rng, 1).chars().collect();
    let (a, b) = (rng.random_range(0..=chars.len()), rng.random_range(0..=chars.len()));
    let (a, b) = (a.min(b), a.max(b));
    let part: String = chars[a..b].iter().collect();
    let (before, after): (String, String) = (chars[..a].iter().collect(), chars[b..].iter().collect());
    match rng.random_range(0..3) {
        0 => before + &after,
        1 => before + &part + &part + &after,
        _ => after + &part + &before,
    }
}

fn line(path: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The most memory this process ever had, in bytes.
fn peak() -> u64 {
    line("/proc/self/status", "VmHWM:") * 1024
}

/// Processor time of this thread, in nanoseconds: what a loaded machine does not change.
fn spent() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

fn all() {
    let values = values();
    let mut rng = StdRng::seed_from_u64(11);
    let _warm = template::check(&sensible(&mut rng, 3), &values);
    let before = peak();
    let (mut rendered, mut slowest) = (0, (0, String::new()));
    for number in 0..TEMPLATES {
        let text = match number % 20 {
            0 => monotone(&mut rng),
            1..8 => soup(&mut rng),
            8..12 => broken(&mut rng),
            19 => sensible(&mut rng, 2),
            _ => sensible(&mut rng, 1),
        };
        let began = spent();
        let result = template::render(&text, &values);
        let took = spent() - began;
        rendered += usize::from(result.is_ok());
        if took > slowest.0 {
            slowest = (took, text);
        }
    }
    let grown = peak() - before;
    let (nanos, text) = slowest;
    let shown: String = text.chars().take(300).collect();
    println!(
        "{rendered} of {TEMPLATES} rendered; {} KB at most; {} ms at most: {shown}",
        grown / 1024,
        nanos as f64 / 1e6
    );
    assert!(rendered > TEMPLATES / 10, "too few of them mean anything: {rendered}");
    assert!(grown <= 16 * MEGABYTE, "{grown} bytes");
    assert!(nanos <= 100_000_000, "{} ms: {text}", nanos / 1_000_000);
}

#[test]
fn a_hundred_thousand_templates_stay_within_their_bounds() {
    // What runs them in the service has 2 MiB of stack.
    std::thread::Builder::new().stack_size(2 << 20).spawn(all).unwrap().join().unwrap();
}
