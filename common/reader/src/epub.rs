//! Books: their chapters, in the order they are read in.

use std::collections::HashMap;

use crate::{
    Limits, Result, Unreadable, html,
    split::Splitter,
    text,
    xml::{self, Part},
    zipped::{self, Archive},
};

pub fn read(bytes: &[u8], limits: &Limits, into: &mut Splitter) -> Result<()> {
    let mut archive = Archive::open(bytes, limits)?;
    let container = archive.needed("META-INF/container.xml")?;
    let mut package = None;
    xml::parts(&container, |part| {
        if let Part::Start(name, tag) = part
            && name == "rootfile"
            && package.is_none()
        {
            package = tag.get("full-path").map(str::to_owned);
        }
        Ok(())
    })?;
    let package = package.ok_or_else(|| Unreadable::new("The book does not say where its text is."))?;
    let package = zipped::beside("", &package);
    let description = archive.needed(&package)?;
    let (mut files, mut order) = (HashMap::new(), Vec::new());
    xml::parts(&description, |part| {
        if let Part::Start(name, tag) = part {
            match name.as_str() {
                "item" => {
                    if let (Some(id), Some(href)) = (tag.get("id"), tag.get("href")) {
                        files.insert(id.to_owned(), zipped::beside(&package, href));
                    }
                }
                "itemref" => order.extend(tag.get("idref").map(str::to_owned)),
                _ => {}
            }
        }
        Ok(())
    })?;
    if order.len() > limits.entries {
        return Err(Unreadable(format!("The book has more than {} chapters.", limits.entries)));
    }
    for id in order {
        let Some(name) = files.get(&id) else { continue };
        if let Some(chapter) = archive.part(name)? {
            html::read(&text::decode(&chapter)?, into)?;
        }
    }
    Ok(())
}
