//! XML as a flat row of events. Entities that a document defines are not known here, so none is expanded; nothing is fetched.

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};

use crate::{Result, Unreadable};

pub enum Part {
    /// The local name, without its namespace's prefix, and the attributes that were asked for.
    Start(String, Tag),
    End(String),
    Text(String),
}

/// Attributes by their local names.
#[derive(Default)]
pub struct Tag(Vec<(String, String)>);

/// So many of an element's attributes are looked at, and so many characters of each.
const ATTRIBUTES: usize = 64;
const VALUE: usize = 4_096;

impl Tag {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    fn of(start: &BytesStart<'_>) -> Self {
        let mut found = start.attributes();
        let attributes = found.with_checks(false).take(ATTRIBUTES).filter_map(|one| {
            let one = one.ok()?;
            let name = String::from_utf8_lossy(one.key.local_name().as_ref()).into_owned();
            let value = one.normalized_value(XmlVersion::Implicit1_0).ok()?;
            Some((name, value.chars().take(VALUE).collect()))
        });
        Self(attributes.collect())
    }
}

/// Goes through a document. An element without content is a start and an end.
pub fn parts(xml: &[u8], mut each: impl FnMut(Part) -> Result<()>) -> Result<()> {
    let xml = decoded(xml);
    let mut reader = Reader::from_str(&xml);
    reader.config_mut().check_end_names = false;
    let name = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag)) => {
                each(Part::Start(name(tag.local_name().as_ref()), Tag::of(&tag)))?;
            }
            Ok(Event::Empty(tag)) => {
                let local = name(tag.local_name().as_ref());
                each(Part::Start(local.clone(), Tag::of(&tag)))?;
                each(Part::End(local))?;
            }
            Ok(Event::End(tag)) => each(Part::End(name(tag.local_name().as_ref())))?,
            Ok(Event::Text(text)) => {
                each(Part::Text(String::from_utf8_lossy(&text.into_inner()).into_owned()))?
            }
            Ok(Event::CData(text)) => {
                each(Part::Text(String::from_utf8_lossy(&text.into_inner()).into_owned()))?
            }
            Ok(Event::GeneralRef(reference)) => {
                let known = match reference.resolve_char_ref() {
                    Ok(Some(c)) => Some(c),
                    _ => match &*reference {
                        b"amp" => Some('&'),
                        b"lt" => Some('<'),
                        b"gt" => Some('>'),
                        b"quot" => Some('"'),
                        b"apos" => Some('\''),
                        _ => None,
                    },
                };
                if let Some(c) = known {
                    each(Part::Text(c.to_string()))?;
                }
            }
            Ok(Event::Eof) => return Ok(()),
            Ok(_) => {}
            Err(_) => return Err(Unreadable::new("The file is damaged: a part of it is not XML.")),
        }
    }
}

/// Office programs write UTF-8; some tools UTF-16.
fn decoded(xml: &[u8]) -> String {
    match xml {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => crate::text::decode(xml).unwrap_or_default(),
        _ => String::from_utf8_lossy(xml.strip_prefix(b"\xef\xbb\xbf").unwrap_or(xml)).into_owned(),
    }
}
