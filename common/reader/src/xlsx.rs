//! Spreadsheets: each sheet under its name, a row a line. Only cells that are there take memory, wherever they say they stand.

use std::collections::HashMap;

use crate::{
    Limits, Result, Unreadable,
    split::Splitter,
    table,
    xml::{self, Part, Tag},
    zipped::{self, Archive},
};

const BOOK: &str = "xl/workbook.xml";

pub fn read(bytes: &[u8], limits: &Limits, into: &mut Splitter) -> Result<()> {
    let mut archive = Archive::open(bytes, limits)?;
    let sheets = sheets(&mut archive)?;
    let strings = match archive.part("xl/sharedStrings.xml")? {
        Some(xml) => strings(&xml)?,
        None => Vec::new(),
    };
    let dates = match archive.part("xl/styles.xml")? {
        Some(xml) => dates(&xml)?,
        None => Vec::new(),
    };
    for (name, part) in sheets {
        let Some(xml) = archive.part(&part)? else { continue };
        into.heading(&name)?;
        let mut sheet = Sheet::new(&strings, &dates, limits);
        xml::parts(&xml, |part| sheet.part(part, into))?;
    }
    Ok(())
}

/// (name, part) of each sheet, in order.
fn sheets(archive: &mut Archive<'_>) -> Result<Vec<(String, String)>> {
    let book = archive.needed(BOOK)?;
    let links = archive.needed("xl/_rels/workbook.xml.rels")?;
    let mut parts = HashMap::new();
    xml::parts(&links, |part| {
        if let Part::Start(name, tag) = part
            && name == "Relationship"
            && let (Some(id), Some(target)) = (tag.get("Id"), tag.get("Target"))
        {
            parts.insert(id.to_owned(), zipped::beside(BOOK, target));
        }
        Ok(())
    })?;
    let mut sheets = Vec::new();
    xml::parts(&book, |part| {
        if let Part::Start(name, tag) = part
            && name == "sheet"
            && let Some(target) = tag.get("id").and_then(|id| parts.get(id))
        {
            sheets.push((tag.get("name").unwrap_or_default().to_owned(), target.clone()));
        }
        Ok(())
    })?;
    Ok(sheets)
}

/// Texts that cells name by number.
fn strings(xml: &[u8]) -> Result<Vec<String>> {
    let (mut all, mut open, mut in_text) = (Vec::new(), None::<String>, false);
    xml::parts(xml, |part| {
        match part {
            Part::Start(name, _) if name == "si" => open = Some(String::new()),
            Part::Start(name, _) if name == "t" => in_text = true,
            Part::End(name) if name == "t" => in_text = false,
            Part::End(name) if name == "si" => all.extend(open.take()),
            Part::Text(text) if in_text => {
                if let Some(open) = &mut open {
                    open.push_str(&text);
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(all)
}

/// Which of the styles that cells name show a date.
fn dates(xml: &[u8]) -> Result<Vec<bool>> {
    let (mut own, mut styles, mut in_cells) = (HashMap::new(), Vec::new(), false);
    xml::parts(xml, |part| {
        match part {
            Part::Start(name, tag) if name == "numFmt" => {
                let code = tag.get("formatCode").unwrap_or_default().to_lowercase();
                let is_date = code.contains("yy") || code.contains("dd") || code.contains("d/m");
                own.insert(tag.get("numFmtId").unwrap_or_default().to_owned(), is_date);
            }
            Part::Start(name, _) if name == "cellXfs" => in_cells = true,
            Part::End(name) if name == "cellXfs" => in_cells = false,
            Part::Start(name, tag) if name == "xf" && in_cells => {
                let id = tag.get("numFmtId").unwrap_or_default();
                let built_in = matches!(id.parse(), Ok(14..=17u32 | 22));
                styles.push(own.get(id).copied().unwrap_or(built_in));
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(styles)
}

struct Sheet<'a> {
    strings: &'a [String],
    dates: &'a [bool],
    limits: &'a Limits,
    header: Option<Vec<String>>,
    row: Vec<(usize, String)>,
    column: usize,
    /// The open cell: its type, its style, its value.
    kind: String,
    style: usize,
    value: String,
    in_value: bool,
}

impl<'a> Sheet<'a> {
    fn new(strings: &'a [String], dates: &'a [bool], limits: &'a Limits) -> Self {
        Self {
            strings,
            dates,
            limits,
            header: None,
            row: Vec::new(),
            column: 0,
            kind: String::new(),
            style: 0,
            value: String::new(),
            in_value: false,
        }
    }

    fn part(&mut self, part: Part, into: &mut Splitter) -> Result<()> {
        match part {
            Part::Start(name, tag) => self.start(&name, &tag),
            Part::Text(text) => {
                if self.in_value {
                    self.value.push_str(&text);
                }
                Ok(())
            }
            Part::End(name) => match name.as_str() {
                "v" | "t" => {
                    self.in_value = false;
                    Ok(())
                }
                "c" => self.end_cell(),
                "row" => self.end_row(into),
                _ => Ok(()),
            },
        }
    }

    fn start(&mut self, name: &str, tag: &Tag) -> Result<()> {
        match name {
            "row" => {
                self.row.clear();
                self.column = 0;
            }
            "c" => {
                self.column = tag.get("r").and_then(column).unwrap_or(self.column);
                self.kind = tag.get("t").unwrap_or("n").to_owned();
                self.style = tag.get("s").and_then(|style| style.parse().ok()).unwrap_or(0);
                self.value.clear();
            }
            "v" | "t" => self.in_value = true,
            _ => {}
        }
        Ok(())
    }

    fn end_cell(&mut self) -> Result<()> {
        let value = std::mem::take(&mut self.value);
        let value = match self.kind.as_str() {
            "s" => value
                .trim()
                .parse()
                .ok()
                .and_then(|at: usize| self.strings.get(at))
                .cloned()
                .unwrap_or_default(),
            "b" => if value.trim() == "1" { "yes" } else { "no" }.to_owned(),
            "n" if self.dates.get(self.style) == Some(&true) => {
                value.trim().parse().ok().and_then(date).unwrap_or(value)
            }
            _ => value,
        };
        if !value.trim().is_empty() {
            self.row.push((self.column, value));
            if self.row.len() > self.limits.columns {
                return Err(Unreadable(format!("It has more than {} columns.", self.limits.columns)));
            }
        }
        self.column += 1;
        Ok(())
    }

    fn end_row(&mut self, into: &mut Splitter) -> Result<()> {
        let row = std::mem::take(&mut self.row);
        if row.is_empty() {
            return Ok(());
        }
        let columns = self.limits.columns;
        match &self.header {
            None if table::is_header(&row) && row.iter().all(|(column, _)| *column < columns) => {
                let mut header =
                    vec![String::new(); row.iter().map(|(column, _)| column + 1).max().unwrap_or(0)];
                into.paragraph(&table::line(&[], &row))?;
                for (column, name) in row {
                    header[column] = name;
                }
                self.header = Some(header);
                Ok(())
            }
            None => {
                self.header = Some(Vec::new());
                into.paragraph(&table::line(&[], &row))
            }
            Some(header) => into.paragraph(&table::line(header, &row)),
        }
    }
}

/// `BC23` stands in column 54, counted from 0.
fn column(place: &str) -> Option<usize> {
    let letters = place.bytes().take_while(u8::is_ascii_alphabetic).take(4);
    let number =
        letters.fold(0usize, |sum, letter| sum * 26 + usize::from(letter.to_ascii_uppercase() - b'A' + 1));
    number.checked_sub(1)
}

/// Days since the end of 1899, as a date; Excel believes in the 29th of February 1900.
fn date(days: f64) -> Option<String> {
    if !(61.0..2_958_466.0).contains(&days) {
        return None;
    }
    // Howard Hinnant's civil_from_days.
    let z = days as i64 - 25_569 + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Some(format!("{year:04}-{month:02}-{day:02}"))
}
