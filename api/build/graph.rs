//! Which module imports which, and in which file each is served.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Files,
    module::{Module, Origin},
    utf8,
};

pub const MAIN: &str = "main.js";
pub const SHARED: &str = "shared.js";

pub struct Graph {
    pub modules: BTreeMap<String, Module>,
    /// Each after all that it imports.
    pub order: Vec<String>,
    /// Files that are asked for by their address: `main.js`, and what is fetched later.
    pub entries: BTreeSet<String>,
    /// In which file a module is served.
    pub home: BTreeMap<String, String>,
    /// Which of a module's names somebody uses; a module of which somebody uses all is in `wholes`.
    pub used: BTreeSet<(String, String)>,
    pub wholes: BTreeSet<String>,
}

impl Graph {
    pub fn of(sources: &Files) -> Result<Self, String> {
        let mut graph = Graph {
            modules: BTreeMap::new(),
            order: Vec::new(),
            entries: BTreeSet::new(),
            home: BTreeMap::new(),
            used: BTreeSet::new(),
            wholes: BTreeSet::new(),
        };
        let mut wanted = vec![MAIN.to_owned()];
        while let Some(entry) = wanted.pop() {
            if graph.entries.insert(entry.clone()) {
                graph.visit(sources, &entry, &mut Vec::new(), &mut wanted)?;
            }
        }
        graph.check()?;
        graph.find_homes();
        Ok(graph)
    }

    /// Reads a module and all that it imports; notes what it fetches later.
    fn visit(
        &mut self,
        sources: &Files,
        path: &str,
        above: &mut Vec<String>,
        wanted: &mut Vec<String>,
    ) -> Result<(), String> {
        if let Some(at) = above.iter().position(|one| one == path) {
            return Err(format!("modules import each other: {} → {path}", above[at..].join(" → ")));
        }
        if self.modules.contains_key(path) {
            return Ok(());
        }
        let module = Module::read(path, &utf8(sources, path)?)?;
        above.push(path.to_owned());
        for import in &module.imports {
            if !sources.contains_key(&import.from) {
                return Err(format!("{path}:{}: {} does not exist", import.line, import.from));
            }
            self.visit(sources, &import.from, above, wanted)?;
        }
        above.pop();
        for fetched in &module.fetched {
            let is_meant = |name: &&String| match fetched.end.as_str() {
                "" => **name == fetched.begin,
                end => name.strip_prefix(&fetched.begin).is_some_and(|rest| rest.ends_with(end)),
            };
            let before = wanted.len();
            wanted.extend(sources.keys().filter(is_meant).cloned());
            if wanted.len() == before {
                return Err(format!(
                    "{path}:{}: {}{} does not exist",
                    fetched.line, fetched.begin, fetched.end
                ));
            }
        }
        self.modules.insert(path.to_owned(), module);
        self.order.push(path.to_owned());
        Ok(())
    }

    /// What is imported must be exported.
    fn check(&mut self) -> Result<(), String> {
        for module in self.modules.values() {
            let passed_on = module.exports.iter().filter_map(|(_, origin)| match origin {
                Origin::There { module, name } => Some((module, name, 0)),
                Origin::Here(_) => None,
            });
            let imported = module
                .imports
                .iter()
                .flat_map(|import| import.names.iter().map(|(name, _)| (&import.from, name, import.line)));
            for (from, name, line) in imported.chain(passed_on) {
                if !self.modules[from].exports.iter().any(|(exported, _)| exported == name) {
                    return Err(format!("{}:{line}: {from} does not export `{name}`", module.path));
                }
                self.used.insert((from.clone(), name.clone()));
            }
            let all = module.imports.iter().filter(|import| import.all.is_some()).map(|import| &import.from);
            self.wholes.extend(all.cloned());
        }
        self.wholes.extend(self.entries.iter().cloned());
        Ok(())
    }

    /// `main.js` and all it imports; a file fetched later with what it alone imports; the rest together.
    fn find_homes(&mut self) {
        let mut reached: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for entry in &self.entries {
            let mut below = vec![entry.as_str()];
            while let Some(path) = below.pop() {
                if reached.entry(path).or_default().insert(entry) {
                    below.extend(self.modules[path].imports.iter().map(|import| import.from.as_str()));
                }
            }
        }
        let home = |path: &str, from: &BTreeSet<&str>| {
            if from.contains(MAIN) {
                return MAIN.to_owned();
            }
            // A library that is needed late stays a file of its own.
            match from.first() {
                _ if path.starts_with("vendor/") => path.to_owned(),
                Some(only) if from.len() == 1 => (*only).to_owned(),
                _ => SHARED.to_owned(),
            }
        };
        self.home = reached.iter().map(|(path, from)| ((*path).to_owned(), home(path, from))).collect();
    }
}
