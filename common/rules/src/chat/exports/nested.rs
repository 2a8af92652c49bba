//! Takes the items out of a list of trees, however deep: nothing here calls itself.

use super::TURNS_MAX;

#[derive(Debug, PartialEq)]
pub(super) struct Item {
    /// An earlier item, in whose list of children it stands.
    pub parent: Option<usize>,
    /// Without its children.
    pub json: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Flat {
    /// The object without the lists.
    pub rest: Vec<u8>,
    pub items: Vec<Item>,
}

/// What is being copied.
struct Open {
    item: Option<usize>,
    json: Vec<u8>,
    /// Open brackets in it.
    depth: usize,
    /// The last string at its first level: a name, if a colon follows.
    name: Vec<u8>,
    after_colon: bool,
    /// Inside the list of its items, of its children.
    listing: bool,
}

impl Open {
    fn new(item: Option<usize>) -> Self {
        Self { item, json: Vec::new(), depth: 0, name: Vec::new(), after_colon: false, listing: false }
    }
}

/// An object whose lists under `lists` hold items, which hold items under `children`. Each such list is left empty where it stood.
pub(super) fn flatten(json: &[u8], lists: &[&str], children: &str) -> Result<Flat, String> {
    let mut walk = Walk { lists, children, flat: Flat::default(), root: Open::new(None), items: Vec::new() };
    let mut at = 0;
    while at < json.len() {
        let end = if json[at] == b'"' { string_end(json, at).ok_or_else(unfit)? } else { at + 1 };
        walk.take(&json[at..end])?;
        at = end;
    }
    let Walk { mut flat, root, items, .. } = walk;
    if !items.is_empty() || root.depth != 0 || root.listing {
        return Err(unfit());
    }
    flat.rest = root.json;
    Ok(flat)
}

fn unfit() -> String {
    "is no valid JSON".to_owned()
}

struct Walk<'a> {
    lists: &'a [&'a str],
    children: &'a str,
    flat: Flat,
    root: Open,
    /// The items that are open, the innermost last.
    items: Vec<Open>,
}

impl Walk<'_> {
    /// The next string, or byte.
    fn take(&mut self, text: &[u8]) -> Result<(), String> {
        let open = self.items.last_mut().unwrap_or(&mut self.root);
        if open.listing {
            return self.listed(text[0]);
        }
        open.json.extend_from_slice(text);
        match text[0] {
            b'"' if open.depth == 1 && !open.after_colon => open.name = text[1..text.len() - 1].to_vec(),
            b':' if open.depth == 1 => open.after_colon = true,
            b',' if open.depth == 1 => open.after_colon = false,
            b'[' if open.depth == 1 && open.after_colon => {
                let is = |name: &&str| name.as_bytes() == open.name;
                let holds = if open.item.is_none() { self.lists.iter().any(is) } else { is(&self.children) };
                if holds { open.listing = true } else { open.depth += 1 }
            }
            b'{' | b'[' => open.depth += 1,
            b'}' | b']' => {
                open.depth = open.depth.checked_sub(1).ok_or_else(unfit)?;
                if let (0, Some(item)) = (open.depth, open.item) {
                    self.flat.items[item].json = std::mem::take(&mut open.json);
                    self.items.pop();
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Between the items of a list.
    fn listed(&mut self, byte: u8) -> Result<(), String> {
        let open = self.items.last_mut().unwrap_or(&mut self.root);
        match byte {
            b'{' => {
                let most = 10 * TURNS_MAX;
                if self.flat.items.len() > most {
                    return Err(format!("has more than {most} messages"));
                }
                self.flat.items.push(Item { parent: open.item, json: Vec::new() });
                let mut item = Open::new(Some(self.flat.items.len() - 1));
                (item.depth, item.json) = (1, vec![b'{']);
                self.items.push(item);
            }
            b']' => {
                open.listing = false;
                open.json.push(b']');
            }
            // Commas, blanks, and a `null` in a list of messages.
            b',' => {}
            _ if byte.is_ascii_whitespace() || byte.is_ascii_lowercase() => {}
            _ => return Err(unfit()),
        }
        Ok(())
    }
}

/// Behind the quote that ends a string. `None`: nothing ends it.
fn string_end(json: &[u8], begin: usize) -> Option<usize> {
    let mut at = begin + 1;
    while at < json.len() {
        match json[at] {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}
