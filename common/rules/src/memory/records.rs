//! Cuts an uploaded file into records as it arrives: a line of JSON each, or a record of CSV, where a line break between
//! quotes belongs to its record. A record is bounded; one that is longer is skipped, not kept.

/// Bytes of one record.
pub const RECORD_MAX: usize = 64 * 1_024;

#[derive(Debug, PartialEq)]
pub enum Record {
    Whole(Vec<u8>),
    /// It was longer than [`RECORD_MAX`]: in CSV perhaps because a quote was never closed. The next line is taken for the
    /// beginning of the next record.
    TooLong,
}

/// Takes the parts of a file one after another.
#[derive(Default)]
pub struct Splitter {
    csv: bool,
    /// The record so far.
    held: Vec<u8>,
    quoted: bool,
    skipping: bool,
}

impl Splitter {
    pub fn new(csv: bool) -> Self {
        Self { csv, ..Self::default() }
    }

    /// The next record that ends in `part`, looking from `at` on; `at` moves behind it. `None`: the rest of the part was
    /// taken in.
    pub fn next(&mut self, part: &[u8], at: &mut usize) -> Option<Record> {
        while let Some(&byte) = part.get(*at) {
            *at += 1;
            if self.skipping {
                if byte == b'\n' {
                    self.skipping = false;
                    return Some(Record::TooLong);
                }
                continue;
            }
            if self.csv && byte == b'"' {
                self.quoted = !self.quoted;
            }
            if byte == b'\n' && !self.quoted {
                if let Some(record) = self.take() {
                    return Some(record);
                }
            } else if self.held.len() == RECORD_MAX {
                self.held = Vec::new();
                (self.quoted, self.skipping) = (false, byte != b'\n');
                if !self.skipping {
                    return Some(Record::TooLong);
                }
            } else {
                self.held.push(byte);
            }
        }
        None
    }

    /// What is left when the file ends without a line break.
    pub fn last(&mut self) -> Option<Record> {
        if std::mem::take(&mut self.skipping) {
            return Some(Record::TooLong);
        }
        self.take()
    }

    /// The record so far, unless it is blank.
    fn take(&mut self) -> Option<Record> {
        let held = std::mem::take(&mut self.held);
        held.iter().any(|byte| !byte.is_ascii_whitespace()).then_some(Record::Whole(held))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(text: &[u8], csv: bool, chunk: usize) -> Vec<Record> {
        let (mut splitter, mut records) = (Splitter::new(csv), Vec::new());
        for part in text.chunks(chunk) {
            let mut at = 0;
            while let Some(record) = splitter.next(part, &mut at) {
                records.push(record);
            }
        }
        records.extend(splitter.last());
        records
    }

    fn whole(text: &str) -> Record {
        Record::Whole(text.as_bytes().to_vec())
    }

    #[test]
    fn a_record_that_is_too_long_is_skipped_and_the_next_is_read() {
        let long = "x".repeat(RECORD_MAX + 1);
        for chunk in [7, 1_000_000] {
            assert_eq!(
                split(format!("a\n{long}\nb").as_bytes(), true, chunk),
                [whole("a"), Record::TooLong, whole("b")]
            );
            assert_eq!(split(long.as_bytes(), false, chunk), [Record::TooLong]);
        }
        let fits = "x".repeat(RECORD_MAX);
        assert_eq!(split(format!("{fits}\nb\n").as_bytes(), true, 999), [whole(&fits), whole("b")]);
        // A quote that is never closed takes 64 KiB of lines along, and no more.
        let open = format!("a\n\"{}end", "line\n".repeat(30_000));
        let records = split(open.as_bytes(), true, 4_096);
        assert_eq!(records[1], Record::TooLong);
        assert_eq!(records.last(), Some(&whole("end")));
        assert!(records.iter().all(|record| matches!(record, Record::TooLong) || record.is_short()));
    }

    impl Record {
        fn is_short(&self) -> bool {
            matches!(self, Record::Whole(bytes) if bytes.len() <= RECORD_MAX)
        }
    }

    proptest! {
        #[test]
        fn whatever_the_parts_the_records_are_the_same(
            cells in proptest::collection::vec(proptest::collection::vec("[a-c][a-c\", \n]{0,6}", 1..4), 1..8), chunk in 1usize..30,
        ) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for row in &cells {
                writer.write_record(row).unwrap();
            }
            let text = writer.into_inner().unwrap();
            prop_assert_eq!(split(&text, true, chunk), split(&text, true, 1_000));
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&text[..]);
            prop_assert_eq!(split(&text, true, chunk).len(), reader.records().count());
        }
    }
}
