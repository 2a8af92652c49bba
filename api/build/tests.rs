//! Which forms are known, which are refused, and what the bundle of the real UI consists of.

use std::path::Path;

use super::{Files, bundle, graph::Graph, lexer::tokens, read, text};

fn sources(files: &[(&str, &str)]) -> Files {
    let page = "<link rel=\"stylesheet\" href=\"./ui/{version}/style/a.css\">\n<link rel=\"modulepreload\" href=\"./x.js\">\n<p>\n";
    let mut all: Files =
        files.iter().map(|(path, code)| ((*path).into(), code.as_bytes().to_vec())).collect();
    all.insert("index.html".into(), page.into());
    all.insert("style/a.css".into(), "/* a */\n.a { content: '/* kept */'; }\n  .b { top: 0; }\n".into());
    all
}

fn served(files: &[(&str, &str)], path: &str) -> String {
    let all = bundle(&sources(files)).expect("a bundle");
    String::from_utf8(all[path].clone()).expect("text")
}

fn refusal(files: &[(&str, &str)]) -> String {
    bundle(&sources(files)).expect_err("a refusal")
}

/// A module's code as it would be served.
fn code(source: &str) -> String {
    served(&[("main.js", source)], "main.js")
        .lines()
        .skip(1)
        .collect::<Vec<_>>()
        .join("\n")
        .replace("\nexport{};", "")
}

#[test]
fn comments_and_indentation_go_but_nothing_inside_strings_templates_and_patterns() {
    assert_eq!(
        code("// one\n/** two */\nconst a = 1; // three\n\n  a /* four */ + a;\n"),
        "const a=1;\na+a;"
    );
    assert_eq!(
        code("f('// a', \"/* b */\",  `  // c\n  /* d */ ${ a /* e */ }  // f`);"),
        "f('// a',\"/* b */\",`  // c\n  /* d */ ${a}  // f`);"
    );
    assert_eq!(code("a = b.match(/[/'\"`]\\/\\/ +/g) ;"), "a=b.match(/[/'\"`]\\/\\/ +/g);");
    assert_eq!(
        code("f(`a ${ g(`b ${ { c: '}' } }`) } \\` \\${ d`);"),
        "f(`a ${g(`b ${{c:'}'}}`)} \\` \\${ d`);"
    );
}

#[test]
fn a_slash_divides_or_begins_a_pattern() {
    for divides in [
        "x = a / b / c;",
        "x = (a) / b / c;",
        "x = a[0] / b / c;",
        "x = a++ / b / c;",
        "x = y.return / 2 / c;",
    ] {
        assert!(
            tokens(divides)
                .expect(divides)
                .iter()
                .all(|token| !token.text.contains("b /") && token.text.len() < 7),
            "{divides}"
        );
    }
    for pattern in [
        "return / b /g;",
        "x = / b /g;",
        "if (a) / b /g.test(c);",
        "f(/ b /g);",
        "a && / b /g;",
        "`${/ b /g}`;",
    ] {
        assert!(tokens(pattern).expect(pattern).iter().any(|token| token.text == "/ b /g"), "{pattern}");
    }
    assert!(
        refusal(&[("main.js", "\nif (a) { b }\n/c/.test(d);")])
            .starts_with("main.js:3: cannot tell whether `/`")
    );
}

#[test]
fn what_would_become_another_sign_stays_apart() {
    assert_eq!(
        code("a = b + +c - -d + ++e; f = 1 .g; return typeof h in i;"),
        "a=b+ +c- -d+ ++e;f=1 .g;return typeof h in i;"
    );
    assert_eq!(code("a\n(b)\n\n\n[c]"), "a\n(b)\n[c]");
}

#[test]
fn a_bracket_or_a_string_that_is_never_closed_is_a_fault_with_its_line() {
    for (source, what) in [
        ("\nf(", "a bracket"),
        ("\n'a\n", "a string"),
        ("\n`a${b}", "a template"),
        ("\n/* a", "a comment"),
        ("\n=/a", "a pattern"),
    ] {
        assert_eq!(refusal(&[("main.js", source)]), format!("main.js:2: {what} is never closed"));
    }
    assert_eq!(refusal(&[("main.js", "(]")]), "main.js:1: `]` closes nothing");
}

#[test]
fn each_form_of_import_and_export_becomes_a_constant_of_a_scope() {
    let files = [
        (
            "main.js",
            "import './b.js';\nimport d, { a as one, f } from './b.js';\nimport * as all from './b.js';\nd(one, f, all);",
        ),
        (
            "b.js",
            "import { x } from './c.js';\nexport const a = 1;\nexport function f() {}\nexport async function g() {}\nexport class H {}\nexport { x };\nexport { y as z } from './c.js';\nexport default function (s) { return s }",
        ),
        ("c.js", "export const x = 1;\nexport const y = { export: 1, import: 2 };"),
    ];
    let main = served(&files, "main.js");
    let wanted = "const $c=(()=>{\nconst x=1;\nconst y={export:1,import:2};\nreturn{x,y}})();\n\
        const $b=(()=>{\nconst{x}=$c;\nconst a=1;\nfunction f(){}\nasync function g(){}\nclass H{}\nconst $default=function(s){return s}\n\
        return{a,f,g,H,x,z:$c.y,default:$default}})();\n\
        const{default:d,a:one,f}=$b;\nconst all=$b;\nd(one,f,all);\nexport{$c,$b};\n";
    assert_eq!(main.split_once('\n').expect("a notice").1, wanted);
}

#[test]
fn a_minified_library_gives_only_what_is_used() {
    let files = [
        ("main.js", "import { h } from './vendor/p.js';\nh();"),
        (
            "vendor/p.js",
            "import{q as n}from\"./q.js\";var t=n;export{t as h,n as unused};//# sourceMappingURL=p.js.map",
        ),
        ("vendor/q.js", "let q;q=1;export{q}"),
    ];
    let main = served(&files, "main.js");
    assert!(main.contains("const{q:n}=$vendor_q;\nvar t=n;\nreturn{h:t}})();"), "{main}");
    assert!(main.ends_with("\nexport{};\n"), "{main}");
}

#[test]
fn what_is_fetched_later_has_what_it_alone_imports_and_shares_the_rest() {
    let files = [
        (
            "main.js",
            "import { s } from './core/s.js';\nimport('./late/a.js'); import('./late/b.js'); import(`./words/${s}.js`);",
        ),
        (
            "core/s.js",
            "export const s = new URL('x', import.meta.url);\nexport const get = () => import('../late/c.js');",
        ),
        (
            "late/a.js",
            "import { s } from '../core/s.js';\nimport { both } from '../parts/both.js';\nimport { own } from './own/a.js';\nimport { d } from '../vendor/d.js';\nexport const A = [s, both, own, d];",
        ),
        ("late/own/a.js", "export const own = () => [import.meta.url, import('../b.js')];"),
        (
            "late/b.js",
            "import { both } from '../parts/both.js';\nimport { C } from './c.js';\nexport const B = [both, C];",
        ),
        ("late/c.js", "export const C = 1;"),
        ("parts/both.js", "import { s } from '../core/s.js';\nexport const both = [s];"),
        ("vendor/d.js", "const d=1;export{d};"),
        ("words/en.js", "export const en = {};"),
        ("words/bn/more.js", "export const more = {};"),
    ];
    assert_eq!(
        served(&files, "late/a.js"),
        "import{$core_s}from\"../main.js\";\nimport{$parts_both}from\"../shared.js\";\nimport* as $vendor_d from\"../vendor/d.js\";\n\
         const $late_own_a=(()=>{\nconst own=()=>[new URL('./own/a.js',import.meta.url).href,import('./b.js')];\nreturn{own}})();\n\
         const{s}=$core_s;\nconst{both}=$parts_both;\nconst{own}=$late_own_a;\nconst{d}=$vendor_d;\nconst A=[s,both,own,d];\nexport{A};\n"
    );
    assert_eq!(
        served(&files, "late/c.js"),
        "import{$late_c}from\"../shared.js\";\nexport const{C}=$late_c;\n"
    );
    let main = served(&files, "main.js");
    assert!(
        main.contains("new URL('x',new URL('./core/s.js',import.meta.url).href)")
            && main.contains("import('./late/c.js')"),
        "{main}"
    );
    assert!(main.contains("import(`./words/${s}.js`)"), "{main}");
    assert_eq!(served(&files, "words/bn/more.js"), "const more={};\nexport{more};\n");
    assert_eq!(served(&files, "vendor/d.js"), "const d=1;\nexport{d};\n");
}

#[test]
fn forms_that_are_not_known_are_refused_with_file_and_line() {
    for (source, what) in [
        ("\nexport let a = 1;", "`export let` is not a form that is known"),
        ("\nexport var a = 1;", "`export var` is not a form that is known"),
        ("\nexport * from './b.js';", "`export *` is not a form that is known"),
        ("let a = 1;\nexport { a };", "`a` must be exported where it is declared"),
        ("\nexport const { a } = b;", "`export const` of anything but one name"),
        ("\nexport const a = f(1, 2), b = 2;", "`export const` of more than one name"),
        ("\nexport const a = 1", "`export const` must end with `;`"),
        ("\nexport default function a() {}\na();", "after `export default function` nothing may follow"),
        ("\nimport(a);", "`import()` of anything but a string or a template"),
        ("\nimport('b');", "`import()` must name a relative path"),
        ("\nimport(`./${a}/${b}.js`);", "`import()` of a template with more than one value"),
        ("\nimport('./none.js');", "none.js does not exist"),
        ("\nf(import.meta.env);", "of `import.meta` only `url` is known"),
        ("\nimport { a } from 'preact';", "a relative path in quotes was expected, not 'preact'"),
        ("\nimport { a } from './none.js';", "none.js does not exist"),
        ("\nimport { none } from './b.js';", "b.js does not export `none`"),
        ("\nimport { a } from './b.js' with { type: 'json' };", "`;` was expected, not `with`"),
        ("\nf({ import() {} });", ""),
    ] {
        let refused = bundle(&sources(&[("main.js", source), ("b.js", "export const a = 1;")]));
        match refused {
            Err(why) if what.is_empty() => assert!(why.starts_with("main.js:2: "), "{source}: {why}"),
            Err(why) => assert_eq!(why, format!("main.js:2: {what}"), "{source}"),
            Ok(_) => panic!("{source} was taken"),
        }
    }
    let circle =
        [("main.js", "import './a.js';"), ("a.js", "import './b.js';"), ("b.js", "import './a.js';")];
    assert_eq!(refusal(&circle), "modules import each other: a.js → b.js → a.js");
}

#[test]
fn paths_are_found_and_named() {
    assert_eq!(text::join("screens/chat/a.js", "../../core/b.js"), "core/b.js");
    assert_eq!(text::relative("screens/chat/a.js", "screens/keys.js"), "../keys.js");
    assert_eq!(text::relative("main.js", "screens/keys.js"), "./screens/keys.js");
    assert_eq!(text::relative("screens/keys.js", "main.js"), "../main.js");
}

#[test]
fn the_page_names_one_style_sheet_and_no_module_but_the_first() {
    let files = [("main.js", "")];
    assert_eq!(
        served(&files, "index.html"),
        "<link rel=\"stylesheet\" href=\"./ui/{version}/style/first.css\">\n<p>\n"
    );
    assert_eq!(served(&files, "style/first.css"), ".a { content: '/* kept */'; }\n.b { top: 0; }\n");
}

#[test]
fn every_module_of_the_ui_is_served_once() {
    let files = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/ui")).expect("the UI");
    let graph = Graph::of(&files).expect("a graph");
    let all = bundle(&files).expect("a bundle");
    let scripts: Vec<_> = all.iter().filter(|(path, _)| path.ends_with(".js")).collect();
    // Each can be read again, as the modules it consists of could.
    for (path, bytes) in &scripts {
        tokens(std::str::from_utf8(bytes).expect("text")).expect(path);
    }
    for path in &graph.order {
        let name = format!(
            "const ${}=(()=>",
            path.trim_end_matches(".js").replace(|one: char| !one.is_ascii_alphanumeric(), "_")
        );
        let inside = scripts
            .iter()
            .filter(|(_, bytes)| std::str::from_utf8(bytes).expect("text").contains(&name))
            .count();
        let as_itself = usize::from(graph.home[path] == *path);
        assert_eq!(inside + as_itself, 1, "{path}");
    }
}
