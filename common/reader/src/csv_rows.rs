//! Tables as text.

use csv::{ReaderBuilder, Terminator};

use crate::{Limits, Result, Unreadable, split::Splitter, table};

/// What parts the columns of a text, if it is a table: at least two rows of the same number of columns, two or more.
pub fn separator(sample: &str) -> Option<u8> {
    let lines: Vec<&str> = sample.lines().filter(|line| !line.trim().is_empty()).take(6).collect();
    // The last line may be cut.
    let whole = if lines.len() > 2 { &lines[..lines.len() - 1] } else { &lines[..] };
    [b',', b';', b'\t'].into_iter().find(|separator| {
        let columns = |line: &&str| {
            let mut reader =
                ReaderBuilder::new().has_headers(false).delimiter(*separator).from_reader(line.as_bytes());
            reader.records().next().and_then(Result::ok).map_or(0, |record| record.len())
        };
        let counts: Vec<usize> = whole.iter().map(columns).collect();
        // A sentence has commas too, but not as many in each, nor a blank after each of few words.
        counts.len() >= 2
            && counts[0] >= 2
            && counts.iter().all(|count| *count == counts[0])
            && is_tabular(whole, *separator)
    })
}

/// Prose with a comma in each line is no table: its cells are long, or begin with a blank.
fn is_tabular(lines: &[&str], separator: u8) -> bool {
    let cells = || lines.iter().flat_map(|line| line.split(char::from(separator)));
    let spaced = cells().filter(|cell| cell.starts_with(' ')).count();
    let long = cells().filter(|cell| cell.chars().count() > 80).count();
    separator == b'\t' || spaced * 2 < cells().count() && long * 4 < cells().count()
}

pub fn read(text: &str, limits: &Limits, into: &mut Splitter) -> Result<()> {
    let separator = separator(text).unwrap_or(b',');
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        .terminator(Terminator::CRLF)
        .from_reader(text.as_bytes());
    let mut header: Option<Vec<String>> = None;
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|_| Unreadable::new("It is not readable as CSV."))? {
        if record.len() > limits.columns {
            return Err(Unreadable(format!("It has more than {} columns.", limits.columns)));
        }
        let cells: Vec<(usize, String)> = record.iter().map(str::to_owned).enumerate().collect();
        match &header {
            None if table::is_header(&cells) => {
                into.paragraph(&record.iter().collect::<Vec<_>>().join(" · "))?;
                header = Some(cells.into_iter().map(|(_, name)| name).collect());
            }
            None => {
                into.paragraph(&table::line(&[], &cells))?;
                header = Some(Vec::new());
            }
            Some(header) => into.paragraph(&table::line(header, &cells))?,
        }
    }
    Ok(())
}
