//! Word's documents: paragraphs, headings by their style, tables a row a line, and pages where the program last saw them begin.

use crate::{
    Limits, Result,
    split::Splitter,
    xml::{self, Part, Tag},
    zipped::Archive,
};

#[derive(Default)]
struct Document {
    text: String,
    /// Whether what is read is the words of a run.
    in_text: bool,
    is_heading: bool,
    /// Of the table that is open: how deep it stands, and the cells of its row.
    tables: usize,
    cells: Vec<String>,
    page: u32,
    has_pages: bool,
}

pub fn read(bytes: &[u8], limits: &Limits, into: &mut Splitter) -> Result<()> {
    let mut archive = Archive::open(bytes, limits)?;
    let body = archive.needed("word/document.xml")?;
    // Without such marks nothing is known of pages.
    let has_pages = body.windows(22).any(|window| window == b"lastRenderedPageBreak/");
    if has_pages {
        into.page(1)?;
    }
    story(&body, Document { page: 1, has_pages, ..Document::default() }, into)?;
    for extra in ["word/footnotes.xml", "word/endnotes.xml"] {
        if let Some(notes) = archive.part(extra)? {
            story(&notes, Document::default(), into)?;
        }
    }
    Ok(())
}

/// The body, or the notes below it.
fn story(xml: &[u8], mut document: Document, into: &mut Splitter) -> Result<()> {
    xml::parts(xml, |part| match part {
        Part::Start(name, tag) => document.start(&name, &tag, into),
        Part::End(name) => document.end(&name, into),
        Part::Text(text) => {
            if document.in_text {
                document.text.push_str(&text);
            }
            Ok(())
        }
    })?;
    document.paragraph(into)
}

impl Document {
    fn start(&mut self, name: &str, tag: &Tag, into: &mut Splitter) -> Result<()> {
        match name {
            "t" => self.in_text = true,
            "tab" => self.text.push('\t'),
            "br" | "cr" => self.text.push('\n'),
            "noBreakHyphen" => self.text.push('-'),
            "pStyle" => {
                let style = tag.get("val").unwrap_or_default().to_lowercase();
                self.is_heading |=
                    style.starts_with("heading") || style == "title" || style.starts_with("berschrift");
            }
            "outlineLvl" => self.is_heading |= tag.get("val").is_some_and(|level| level < "6"),
            "tbl" => {
                self.paragraph(into)?;
                self.tables += 1;
            }
            "lastRenderedPageBreak" if self.has_pages && self.tables == 0 => {
                self.paragraph(into)?;
                self.page = self.page.saturating_add(1);
                into.page(self.page)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &str, into: &mut Splitter) -> Result<()> {
        match name {
            "t" => self.in_text = false,
            "p" if self.tables > 0 => self.text.push(' '),
            "p" => self.paragraph(into)?,
            "tc" => self.cells.push(std::mem::take(&mut self.text).replace('\n', " ").trim().to_owned()),
            "tr" => {
                let row = std::mem::take(&mut self.cells).join(" · ");
                into.paragraph(&row)?;
            }
            "tbl" => self.tables = self.tables.saturating_sub(1),
            _ => {}
        }
        Ok(())
    }

    fn paragraph(&mut self, into: &mut Splitter) -> Result<()> {
        let text = std::mem::take(&mut self.text);
        if std::mem::take(&mut self.is_heading) { into.heading(&text) } else { into.paragraph(&text) }
    }
}
