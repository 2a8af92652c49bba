use proptest::prelude::*;
use serde_json::json;

use super::*;

fn all() -> Value {
    let own = json!({"product": "Lamp", "items": [1, 2, 3], "nobody": null, "people": [{"name": "Bo", "tags": ["x"]}],
        "born": "1990-03-04", "seen": "2026-11-21T10:00:00Z", "note": "  it's  a TEST ", "empty": [], "plan": {"a": 1}});
    variables("Ann", "Desk", "- \"likes tea\"", "2026-11-21", &own)
}

#[track_caller]
fn gives(template: &str, expected: &str) {
    assert_eq!(render(template, &all()).unwrap(), expected, "{template}");
    check(template, &all()).unwrap();
}

#[test]
fn variables_filters_loops_and_conditions_are_rendered() {
    gives(
        "{% if user.name %}Hi {{ user.name }}{% endif %} of {{ project.name }}, {{ product|upper }}:{% for i in items %} {{ i }}{% endfor %}",
        "Hi Ann of Desk, LAMP: 1 2 3",
    );
    gives(
        "{{ product|lower }} {{ 'hello wORLD' | title }} [{{ note|trim }}]",
        "lamp Hello World [it's  a TEST]",
    );
    gives(
        "{{ nickname|default('you') }} {{ nobody|default(user.name) }} {{ user.name|default('x') }}",
        "you Ann Ann",
    );
    gives("{{ items|length }} {{ product|length }} {{ 'Ärzte'|length }}", "3 4 5");
    gives("{{ 'abcdef'|truncate(4) }} {{ 'abc'|truncate(4) }} {{ 'abc'|truncate(0) }}.", "abc… abc .");
    gives(
        "{{ born|date('%d %B %Y') }} {{ seen|date('%H:%M') }} {{ date|date }}",
        "04 March 1990 10:00 2026-11-21",
    );
    gives("a{# nothing {{ here }} #}b{#- trimmed -#} c", "abc");
    gives("{%- if items|length >= 3 and not nobody -%} yes {%- else -%} no {%- endif %}", "yes");
    gives("{% if product == 'Lamp' or nobody %}1{% elif true %}2{% else %}3{% endif %}", "1");
    gives("{% if (product != 'Lamp') %}1{% elif user.name < 'B' %}2{% else %}3{% endif %}", "2");
    gives("{% for p in people %}{{ p.name }}:{% for t in p.tags %}{{ t }}{% endfor %}{% endfor %}", "Bo:x");
    gives("{% for i in empty %}{{ i }}{% else %}none{% endfor %}", "none");
    gives("{{ \"{{\" }} {{ plan }} {{ items }} {{ 'a\\nb' }}", "{{ {\"a\":1} [1,2,3] a\nb");
}

#[test]
fn errors_say_where_and_what() {
    for (text, line, column, words) in [
        ("a\nb {{ nobodyhere }}", 2, 6, "no variable `nobodyhere`"),
        ("{% if %}", 1, 7, "a value is missing"),
        ("ok\n\n{{ user.name", 3, 3, "no end"),
        ("{{ user.age }}", 1, 4, "no variable `user.age`"),
        ("ä {{ 1 + 1 }}", 1, 8, "`+` means nothing here"),
        ("{% if user.name %}x", 1, 4, "no end"),
        ("x{% endif %}", 1, 5, "no beginning"),
        ("{% for i of items %}{% endfor %}", 1, 10, "`in`"),
        ("{{ items|join(',') }}", 1, 10, "no filter `join`"),
        ("{% set x = 1 %}", 1, 4, "no `set`"),
        ("{% for i in product %}{% endfor %}", 1, 13, "needs a list"),
        ("{{ product|truncate('x') }}", 1, 12, "a number"),
        ("{{ product|date }}", 1, 12, "no date"),
        ("{{ date|date('%Q') }}", 1, 9, "no format"),
        ("{# x", 1, 1, "no end"),
        ("{{ 'x }}", 1, 4, "no end"),
        ("{{ user.name user.name }}", 1, 14, "must end"),
        ("{% if items == 1 %}{% endif %}", 1, 7, "cannot be compared"),
    ] {
        let problem = render(text, &all()).unwrap_err();
        assert_eq!((problem.line, problem.column), (line, column), "{text}: {problem:?}");
        assert!(problem.message.contains(words), "{text}: {problem:?}");
    }
}

#[test]
fn what_this_rendering_does_not_come_by_is_checked_too() {
    for text in [
        "{% if user.name == 'Bob' %}{{ user.age }}{% endif %}",
        "{% for i in empty %}{{ typo }}{% endfor %}",
        "{% if true or typo %}{% endif %}",
        "{% if typo %}{% endif %}",
    ] {
        assert!(render(text, &all()).is_ok() || text.contains("if typo"), "{text}");
        assert!(check(text, &all()).unwrap_err().message.contains("no variable"), "{text}");
    }
}

#[test]
fn nothing_else_exists() {
    for text in [
        "{% include 'x' %}",
        "{% import '/etc/passwd' as x %}",
        "{% extends 'x' %}",
        "{% macro a() %}{% endmacro %}",
        "{{ self.x }}",
        "{{ user.__class__ }}",
        "{{ range(10) }}",
        "{{ user.name() }}",
        "{{ items[0] }}",
        "{{ [1] }}",
        "{{ 1 ~ 2 }}",
        "{{ -1 }}",
        "{{ 'a' * 3 }}",
        "{{ 2 ** 99 }}",
    ] {
        assert!(render(text, &all()).is_err(), "{text}");
    }
    // Data is not a template.
    let own = json!({"evil": "{{ date }}"});
    assert_eq!(render("{{ evil }}", &variables("a", "b", "c", "d", &own)).unwrap(), "{{ date }}");
}

/// What killed the process when prompts were minijinja's, and what may kill this.
pub(super) fn bombs() -> Vec<String> {
    let many = |text: &str, times: usize| text.repeat(times);
    let mut bombs: Vec<String> = [
        "{{ 'a\\nb'|indent(9223372036854775807) }}",
        "{{ ([1]*100000000)|sum }}",
        "{{ 'x'|truncate(1000000000) }}",
        "{{ 'x'|truncate(9223372036854775807) }}",
        "{{ 'x'|replace('', 'y')|batch(1)|slice(1000000000)|join('z') }}",
        "{% for a in big %}{% for b in big %}{% for c in big %}{{ text }}{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in big %}{% for b in big %}{% if text|upper == text|lower %}{% endif %}{% endfor %}{% endfor %}",
        "{% for a in big %}{{ big }}{{ deep }}{% endfor %}",
        "{{ deep }}",
    ]
    .map(str::to_owned)
    .into();
    bombs.extend([
        format!("{{{{ {}1 }}}}", many("-", 19_900)),
        format!("{{{{ {}1 }}}}", many("not ", 4_900)),
        format!("{{{{ {}1{} }}}}", many("(", 9_900), many(")", 9_900)),
        format!("{{{{ user{} }}}}", many(".a", 9_900)),
        format!("{{{{ 1{} }}}}", many("+1", 9_900)),
        format!("{{{{ 1{} }}}}", many("|e", 9_900)),
        format!("{{{{ text{} }}}}", many("|upper", 3_300)),
        format!("{{{{ 1{} }}}}", many("~1", 9_900)),
        format!("{{{{ 1{} }}}}", many("**1", 6_600)),
        format!("{{% if 1{} %}}{{% endif %}}", many(" or 1", 3_900)),
        format!("{{% if 0{} %}}{{% endif %}}", many(" and 1", 3_200)),
        many("{% if 1 %}", 1_990),
        format!("{}{}", many("{% if 1 %}", 900), many("{% endif %}", 900)),
        format!("{{% if 0 %}}{}{{% endif %}}", many("{% elif 0 %}", 1_600)),
        many("{% for a in big %}", 1_100),
        format!("{}{{{{ text }}}}{}", many("{% for a in big %}", 500), many("{% endfor %}", 500)),
        many("{{ text|title }}", 1_200),
        many("{{ seen|date('%c%c%c%c%c%c%c%c%c%c%c%c') }}", 400),
        format!("{{{{ seen|date('{}') }}}}", many("%c", 9_900)),
        many("{#", 9_900),
        many("{{", 9_900),
        many("{{ '", 4_900),
        many("\\", 19_999),
    ]);
    bombs
}

fn large() -> Value {
    let mut deep = json!("x");
    for _ in 0..100 {
        deep = json!([deep]);
    }
    let big: Vec<u32> = (0..4_000).collect();
    variables(
        "Ann",
        "Desk",
        "",
        "2026-11-21",
        &json!({"big": big, "text": "x".repeat(15_000), "deep": deep, "seen": "2026-11-21"}),
    )
}

#[test]
fn no_bomb_goes_off() {
    let values = large();
    // A small stack shows what would use up a large one.
    let run = move || {
        for bomb in bombs() {
            if let Ok(text) = render(&bomb, &values) {
                assert!(text.len() <= render::RENDERED_MAX);
            }
            let _ = check(&bomb, &values);
        }
    };
    std::thread::Builder::new().stack_size(256 * 1024).spawn(run).unwrap().join().unwrap();
}

proptest! {
    #[test]
    fn no_text_panics(text in "(\\{\\{|\\}\\}|\\{%|%\\}|\\{#|#\\}|-|for|in|if|endif|[a-z .|()'\"0-9]|\\PC){0,30}") {
        let _ = render(&text, &all());
        let _ = check(&text, &all());
    }
}
