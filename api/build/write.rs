//! The files that are served: each module a scope of its own that gives what it exports.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    graph::{Graph, MAIN, SHARED},
    module::{Module, Origin, Piece},
    text::relative,
};

const NOTICE: &str = "// Made of the files in api/assets/ui. Libraries: vendor/LICENSES beside this file.\n";

/// What a module is called in a file: no name of ours begins so.
fn scope(path: &str) -> String {
    let name = path.strip_suffix(".js").unwrap_or(path);
    format!("${}", name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_"))
}

/// All scripts, by their path.
pub fn scripts(graph: &Graph) -> Result<BTreeMap<String, String>, String> {
    let names: BTreeSet<_> = graph.order.iter().map(|path| scope(path)).collect();
    if names.len() < graph.order.len() {
        return Err("two modules would be called the same: their paths differ only in signs".into());
    }
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let homes: BTreeSet<&String> = graph.home.values().collect();
    for file in homes {
        files.insert(file.clone(), File { graph, path: file }.write()?);
    }
    // One that is fetched by its address, though others import it too.
    for entry in graph.entries.iter().filter(|entry| graph.home[*entry] != **entry) {
        let exports: Vec<_> = graph.modules[entry].exports.iter().map(|(name, _)| name.as_str()).collect();
        if exports.contains(&"default") {
            return Err(format!("{entry}: a file that is fetched and imported exports names only"));
        }
        let (name, from) = (scope(entry), relative(entry, &graph.home[entry]));
        files.insert(
            entry.clone(),
            format!("import{{{name}}}from\"{from}\";\nexport const{{{}}}={name};\n", exports.join(",")),
        );
    }
    Ok(files)
}

struct File<'a> {
    graph: &'a Graph,
    path: &'a str,
}

impl File<'_> {
    fn write(&self) -> Result<String, String> {
        let graph = self.graph;
        let inside: Vec<&Module> = graph
            .order
            .iter()
            .filter(|path| graph.home[*path] == self.path)
            .map(|path| &graph.modules[path])
            .collect();
        let mut out = self.imports(&inside);
        for module in inside.iter().filter(|module| module.path != self.path) {
            let (name, imports, body) = (scope(&module.path), constants(module), self.body(module));
            out.push_str(&format!(
                "const {name}=(()=>{{\n{imports}{body}\nreturn{{{}}}}})();\n",
                self.given(module)
            ));
        }
        if let Some(own) = inside.iter().find(|module| module.path == self.path) {
            out.push_str(&constants(own));
            out.push_str(&self.body(own));
            out.push_str(&exports(own)?);
        }
        if [MAIN, SHARED].contains(&self.path) {
            // Also what nobody here imports: the tests do.
            let ours = inside.iter().filter(|module| module.path != self.path);
            let used = ours.filter(|module| !module.is_vendored() || self.is_used_elsewhere(module));
            let names: Vec<_> = used.map(|module| scope(&module.path)).collect();
            out.push_str(&format!("\nexport{{{}}};", names.join(",")));
        }
        out.push('\n');
        Ok(out)
    }

    fn is_used_elsewhere(&self, module: &Module) -> bool {
        let elsewhere = self.graph.modules.values().filter(|other| self.graph.home[&other.path] != self.path);
        elsewhere.flat_map(|other| &other.imports).any(|import| import.from == module.path)
    }

    /// What the modules in this file need of others.
    fn imports(&self, inside: &[&Module]) -> String {
        let mut wanted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for import in inside.iter().flat_map(|module| &module.imports) {
            let home = self.graph.home[&import.from].as_str();
            if home != self.path {
                wanted.entry(home).or_default().insert(&import.from);
            }
        }
        let mut out = if self.path == MAIN { NOTICE.to_owned() } else { String::new() };
        for (home, modules) in wanted {
            let names: Vec<_> = modules.iter().map(|path| scope(path)).collect();
            let what = if modules.contains(home) {
                format!("* as {} ", names.concat())
            } else {
                format!("{{{}}}", names.join(","))
            };
            out.push_str(&format!("import{what}from\"{}\";\n", relative(self.path, home)));
        }
        out
    }

    fn body(&self, module: &Module) -> String {
        let mut out = String::new();
        for piece in &module.body {
            match piece {
                Piece::Code(code) => out.push_str(code),
                Piece::Fetch { target, open, close } => {
                    out.push(*open);
                    out.push_str(&relative(self.path, target));
                    out.push_str(close);
                }
                Piece::Here if folder(self.path) == folder(&module.path) => out.push_str("import.meta.url"),
                Piece::Here => {
                    let there = relative(self.path, &module.path);
                    out.push_str(&format!("new URL('{there}',import.meta.url).href"));
                }
            }
        }
        out.trim().to_owned()
    }

    /// What a module's scope gives; of a library only what somebody uses.
    fn given(&self, module: &Module) -> String {
        let graph = self.graph;
        let is_given = |name: &String| {
            !module.is_vendored()
                || graph.wholes.contains(&module.path)
                || graph.used.contains(&(module.path.clone(), name.clone()))
        };
        let given =
            module.exports.iter().filter(|(name, _)| is_given(name)).map(|(name, origin)| match origin {
                Origin::Here(local) if local == name => name.clone(),
                Origin::Here(local) => format!("{name}:{local}"),
                Origin::There { module, name: there } => format!("{name}:{}.{there}", scope(module)),
            });
        given.collect::<Vec<_>>().join(",")
    }
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A module's imports as constants of its scope.
fn constants(module: &Module) -> String {
    let mut out = String::new();
    for import in &module.imports {
        let from = scope(&import.from);
        if let Some(all) = &import.all {
            out.push_str(&format!("const {all}={from};\n"));
        }
        if !import.names.is_empty() {
            let pairs = import
                .names
                .iter()
                .map(|(there, here)| if there == here { here.clone() } else { format!("{there}:{here}") });
            out.push_str(&format!("const{{{}}}={from};\n", pairs.collect::<Vec<_>>().join(",")));
        }
    }
    out
}

/// The exports of a file that is one module's own.
fn exports(module: &Module) -> Result<String, String> {
    let mut pairs = Vec::new();
    for (name, origin) in &module.exports {
        match origin {
            Origin::Here(local) if local == name => pairs.push(name.clone()),
            Origin::Here(local) => pairs.push(format!("{local} as {name}")),
            Origin::There { .. } => {
                return Err(format!("{}: a file that is fetched passes on nothing", module.path));
            }
        }
    }
    Ok(if pairs.is_empty() { String::new() } else { format!("\nexport{{{}}};", pairs.join(",")) })
}
