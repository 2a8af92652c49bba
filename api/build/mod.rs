//! Makes of the UI's folder what the binary serves: few files, without comments. See docs/decisions/0013-ui-bundle.md.
//!
//! A file that is asked for keeps its path. `main.js` holds all that the first screen imports; a file that is fetched later
//! (`import()`) holds what it alone imports; `shared.js` holds what several of those import. So each module is there once.

mod graph;
mod lexer;
mod module;
mod text;
mod write;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

pub type Files = BTreeMap<String, Vec<u8>>;

/// What is served but is no code.
const AS_THEY_ARE: [&str; 4] = ["svg", "woff2", "webmanifest", "LICENSES"];
const PAGE: &str = "index.html";
/// The page's style sheets as one. In `style/`, so that what they name is found.
const FIRST_STYLE: &str = "style/first.css";
/// Of which files this was made, and what it consists of.
const CONTENTS: &str = "contents.json";

/// All files below a folder, by their path with `/`.
pub fn read(root: &Path) -> std::io::Result<Files> {
    let mut files = Files::new();
    let mut folders: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(name) = path.strip_prefix(root) {
                let parts: Vec<_> = name.iter().map(|part| part.to_string_lossy()).collect();
                files.insert(parts.join("/"), fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

/// What is served, made of the sources. A fault names its file and line.
pub fn bundle(sources: &Files) -> Result<Files, String> {
    let mut served: Files = write::scripts(&graph::Graph::of(sources)?)?
        .into_iter()
        .map(|(path, code)| (path, code.into_bytes()))
        .collect();
    let first = page(sources, &mut served)?;
    for (path, bytes) in sources {
        let ending = path.rsplit(['.', '/']).next().unwrap_or_default();
        if AS_THEY_ARE.contains(&ending) {
            served.insert(path.clone(), bytes.clone());
        } else if ending == "css" && !first.contains(path) {
            served.insert(path.clone(), text::style(&utf8(sources, path)?).into_bytes());
        }
    }
    let marks: Vec<_> =
        sources.iter().map(|(path, bytes)| format!("\"{path}\":\"{}\"", text::mark(bytes))).collect();
    let names: Vec<_> = served.keys().map(|path| format!("\"{path}\"")).collect();
    let contents =
        format!("{{\"sources\":{{\n{}}},\n\"served\":[\n{}]}}\n", marks.join(",\n"), names.join(",\n"));
    served.insert(CONTENTS.into(), contents.into_bytes());
    Ok(served)
}

fn utf8(sources: &Files, path: &str) -> Result<String, String> {
    let bytes = sources.get(path).ok_or_else(|| format!("{path} does not exist"))?;
    String::from_utf8(bytes.clone()).map_err(|fault| format!("{path}: {fault}"))
}

/// Writes the page and its style sheet. Gives the style sheets that are in it.
fn page(sources: &Files, served: &mut Files) -> Result<Vec<String>, String> {
    let (mut page, mut style, mut first) = (String::new(), String::new(), Vec::new());
    for line in utf8(sources, PAGE)?.lines() {
        // All modules of the first screen are in the one that the page names.
        if line.starts_with("<link rel=\"modulepreload\"") {
            continue;
        }
        let sheet = line.strip_prefix("<link rel=\"stylesheet\" href=\"./ui/{version}/");
        let Some(sheet) = sheet.and_then(|rest| rest.strip_suffix("\">")) else {
            page.push_str(line);
            page.push('\n');
            continue;
        };
        if first.is_empty() {
            page.push_str(&format!("<link rel=\"stylesheet\" href=\"./ui/{{version}}/{FIRST_STYLE}\">\n"));
        }
        style.push_str(&text::style(&utf8(sources, sheet)?));
        first.push(sheet.to_owned());
    }
    if ["@import", "@charset"].iter().any(|rule| style.contains(rule))
        || first.iter().any(|one| !one.starts_with("style/"))
    {
        return Err(format!("{PAGE}: its style sheets lie in style/ and import nothing"));
    }
    served.insert(PAGE.into(), page.into_bytes());
    served.insert(FIRST_STYLE.into(), style.into_bytes());
    Ok(first)
}

#[cfg(test)]
mod tests;
