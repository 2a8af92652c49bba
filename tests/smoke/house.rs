//! The walls of the house: which crate may know which, no circle of modules within one, where SQL stands, no file that is too
//! long.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Each crate and those of ours that it may know. The compiler holds the manifests to it, this the list.
const LAYERS: [(&str, &[&str]); 13] = [
    ("common/core", &[]),
    ("common/model", &[]),
    ("common/reader", &[]),
    ("common/redis", &[]),
    ("common/rules", &["core"]),
    ("common/store", &["core", "rules"]),
    ("common/providers", &["core", "model", "redis", "rules"]),
    ("common/queue", &["core", "redis", "store"]),
    ("common/vectors", &["core", "rules", "store"]),
    ("common", &["core", "reader", "redis", "rules", "store", "providers", "queue", "vectors"]),
    ("api", &["common"]),
    ("worker", &["common"]),
    (".", &["api", "common", "worker"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir()
            && name != "target"
            && name != "node_modules"
            && !name.to_string_lossy().starts_with('.')
        {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_crate_knows_only_those_below_it() {
    for (folder, allowed) in LAYERS {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("\n[dependencies]\n").nth(1).unwrap();
        let dependencies = dependencies.split("\n[").next().unwrap();
        let ours =
            dependencies.lines().filter_map(|line| line.strip_prefix("rapport-")?.split(['.', ' ']).next());
        for name in ours {
            assert!(allowed.contains(&name), "{folder} must not know rapport-{name}");
        }
    }
}

/// The modules that a source names after `crate::`, as far as they are the crate's own at its top.
fn named(source: &str, prefix: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let mut found = BTreeSet::new();
    for (at, _) in source.match_indices(prefix) {
        let rest = &source[at + prefix.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            found.insert(word(rest));
            continue;
        };
        let (mut depth, mut top) = (1, String::new());
        for c in list.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ if depth == 1 => top.push(c),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        found.extend(top.split(',').map(word));
    }
    found
}

/// Which top modules of a crate need which.
fn needs(source: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in rust_files(source) {
        let below: PathBuf = path.strip_prefix(source).unwrap().with_extension("");
        let mut parts = below.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
        let module = parts.next().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
        let code = code.join("\n");
        let mut of = named(&code, "crate::");
        if parts.next().is_none() {
            of.extend(named(&code, "super::"));
        }
        needs.entry(module).or_default().extend(of);
    }
    let roots = ["lib".to_owned(), "main".to_owned()];
    let all: BTreeSet<String> = needs.keys().cloned().collect();
    needs.retain(|module, _| !roots.contains(module));
    for (module, of) in &mut needs {
        of.retain(|name| all.contains(name) && name != module && !roots.contains(name));
    }
    needs
}

/// A way from a module back to itself.
fn circle(needs: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk(
        needs: &BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> bool {
        let here = way.last().unwrap().clone();
        for next in &needs[&here] {
            if let Some(at) = way.iter().position(|module| module == next) {
                way.drain(..at);
                way.push(next.clone());
                return true;
            }
            if done.contains(next) {
                continue;
            }
            way.push(next.clone());
            if walk(needs, way, done) {
                return true;
            }
            way.pop();
        }
        done.insert(here);
        false
    }
    let mut done = BTreeSet::new();
    needs.keys().find_map(|start| {
        let mut way = vec![start.clone()];
        walk(needs, &mut way, &mut done).then_some(way)
    })
}

#[test]
fn no_modules_need_each_other() {
    for (folder, _) in LAYERS {
        let found = circle(&needs(&root().join(folder).join("src")));
        assert!(found.is_none(), "{folder}: {}", found.unwrap().join(" needs "));
    }
}

#[test]
fn a_circle_is_seen() {
    let mut needs = BTreeMap::new();
    let code = "use crate::{b::{c, X}, d};";
    needs.insert("a".to_owned(), named(code, "crate::"));
    assert_eq!(needs["a"], BTreeSet::from(["b".to_owned(), "d".to_owned()]));
    needs.insert("d".to_owned(), BTreeSet::new());
    needs.insert("b".to_owned(), named("crate::d::x(); crate::a::y()", "crate::"));
    assert_eq!(circle(&needs), Some(vec!["a".to_owned(), "b".to_owned(), "a".to_owned()]));
}

/// What stands between quotes in a source, comments left out.
fn literals(source: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), source);
    while let Some(at) = rest.find(['"', '/', '\'']) {
        let here = &rest[at..];
        rest = if here.starts_with("//") {
            here.split_once('\n').map_or("", |(_, after)| after)
        } else if here.starts_with("'\"'") || here.starts_with("'\\''") {
            here.split_at(3).1
        } else if let Some(quoted) = here.strip_prefix('"') {
            let ends = |(at, _): &(usize, &str)| {
                quoted[..*at].chars().rev().take_while(|c| *c == '\\').count().is_multiple_of(2)
            };
            let end = quoted.match_indices('"').find(ends).map_or(quoted.len(), |(at, _)| at);
            found.push(quoted[..end].to_owned());
            quoted.get(end + 1..).unwrap_or_default()
        } else {
            &here[1..]
        };
    }
    found
}

/// A source without what `statements!` lists, and without the macros that its texts are made with.
fn without_statements(source: &str) -> String {
    let (mut kept, mut inside) = (String::new(), false);
    for line in source.lines() {
        inside |= line.starts_with("statements! {") || line.starts_with("macro_rules! ");
        if !inside {
            kept += line;
            kept.push('\n');
        }
        inside &= line != "}";
    }
    kept
}

/// A crate's sources, but for what only its tests are made with.
fn product_files(folder: &str) -> Vec<PathBuf> {
    let mut files = rust_files(&root().join(folder).join("src"));
    files.retain(|path| !path.ends_with("testing.rs"));
    files
}

fn is_sql(text: &str) -> bool {
    let text = text.trim_start();
    let begins = ["select ", "insert into ", "update ", "delete from ", "with "];
    let goes_on = [" from ", " into ", " set ", " values ", "(", " where "];
    begins.iter().any(|begin| text.starts_with(begin)) && goes_on.iter().any(|word| text.contains(word))
}

/// Only what `statements!` makes is prepared on both databases by a test.
#[test]
fn sql_stands_in_the_stores_statements() {
    for (folder, _) in LAYERS {
        for path in product_files(folder) {
            let source = fs::read_to_string(&path).unwrap();
            let looked_at = if folder == "common/store" { without_statements(&source) } else { source };
            let found = literals(&looked_at).into_iter().find(|text| is_sql(text));
            assert!(found.is_none(), "{}: {}", path.display(), found.unwrap());
        }
    }
}

#[test]
fn sql_elsewhere_is_seen() {
    let source = "statements! {\n    A = \"select 1 from a\";\n}\nlet b = \"delete from b\"; // \"update c set d = 1\"\n";
    let found = literals(&without_statements(source));
    assert_eq!(found, ["delete from b"]);
    assert!(is_sql(&found[0]) && !is_sql("with love") && !is_sql("\"select ´one´"));
}

/// What changes data is a use case: handlers and jobs call one, and know no database.
#[test]
fn handlers_and_jobs_begin_no_transactions() {
    for folder in ["api", "worker"] {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let product = manifest.split("[dev-dependencies]").next().unwrap();
        assert!(!product.contains("sqlx"), "{folder} must not know sqlx");
        for path in product_files(folder) {
            let source = fs::read_to_string(&path).unwrap();
            for word in ["sqlx", "db.begin", "begin_patiently", "&mut Tx", "db::Raw"] {
                assert!(!source.contains(word), "{}: {word}", path.display());
            }
        }
    }
}

/// A connection that is lent in the head of a loop or a choice lives until its end: who takes another one within waits for all who do
/// the same, and a process has four.
#[test]
fn no_connection_is_lent_in_the_head_of_a_loop() {
    for folder in ["api", "common", "worker"] {
        for path in rust_files(&root().join(folder)) {
            let source = fs::read_to_string(&path).unwrap();
            let is_head = |line: &&str| {
                ["while let ", "for ", "match ", "if let "].iter().any(|word| line.starts_with(word))
            };
            let lends = |line: &&str| {
                ["&mut ctx.db.read()", "&mut db.read()", "&mut ctx.db.relaxed()"]
                    .iter()
                    .any(|it| line.contains(it))
            };
            let found = source.lines().map(str::trim).filter(is_head).find(lends);
            assert!(found.is_none(), "{}: {}", path.display(), found.unwrap());
        }
    }
}

#[test]
fn no_file_is_longer_than_four_hundred_lines() {
    let long: Vec<String> = rust_files(&root())
        .iter()
        .filter_map(|path| {
            let lines = fs::read_to_string(path).unwrap().lines().count();
            (lines > 400).then(|| format!("{} ({lines})", path.strip_prefix(root()).unwrap().display()))
        })
        .collect();
    assert!(long.is_empty(), "too long to be one idea: {long:?}");
}

/// What cargo builds of the workspace, each package with its features.
fn built_with(edges: &str) -> BTreeSet<String> {
    let asked = ["tree", "--workspace", "--offline", "--prefix", "none", "-f", "{p} [{f}]", "-e", edges];
    let tree = Command::new(env!("CARGO")).args(asked).current_dir(root()).output().unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let lines = String::from_utf8(tree.stdout).unwrap();
    lines.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

/// Where they differ, `cargo build --workspace` and `cargo test --workspace` compile nearly everything twice.
#[test]
fn tests_add_no_features_to_what_is_built_without_them() {
    let (without, with) = (built_with("normal,build"), built_with("normal,build,dev"));
    let more: Vec<&String> = with.symmetric_difference(&without).collect();
    assert!(more.is_empty(), "name them among the dependencies of tests/Cargo.toml too: {more:?}");
}
