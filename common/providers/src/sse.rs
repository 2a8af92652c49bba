//! Server-sent events as providers send them: bytes in, `data` payloads out. <https://html.spec.whatwg.org/#parsing-an-event-stream>

/// Longer lines are no provider's: the stream is garbage.
const LINE_MAX: usize = 1 << 20;

#[derive(Debug, PartialEq, Eq)]
pub struct TooLong;

/// Cuts a byte stream, split anywhere, into the data of its events.
#[derive(Default)]
pub struct SseParser {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    after_cr: bool,
}

impl SseParser {
    /// Takes some bytes; gives the data of every event they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, TooLong> {
        let mut events = Vec::new();
        for &byte in bytes {
            let lf_of_crlf = byte == b'\n' && self.after_cr;
            self.after_cr = byte == b'\r';
            if lf_of_crlf {
                continue;
            }
            if byte == b'\n' || byte == b'\r' {
                events.extend(self.end_line());
            } else if self.line.len() + self.data.len() < LINE_MAX {
                self.line.push(byte);
            } else {
                return Err(TooLong);
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let complete = std::mem::take(&mut self.has_data);
            return complete.then(|| std::mem::take(&mut self.data));
        }
        if let Some(value) = line.strip_prefix(b"data:") {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.has_data = true;
            self.data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(chunks: &[&[u8]]) -> Vec<String> {
        let mut parser = SseParser::default();
        let events = chunks.iter().flat_map(|chunk| parser.push(chunk).unwrap());
        events.map(|data| String::from_utf8(data).unwrap()).collect()
    }

    #[test]
    fn all_line_ends_comments_and_fields() {
        let text = b": hello\r\nevent: x\r\ndata: one\r\n\r\ndata:two\ndata: three\n\nid: 4\n\ndata: four\r\rdata: cut";
        assert_eq!(parse(&[text]), ["one", "two\nthree", "four"]);
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_cut_does_not_matter(cuts in proptest::collection::vec(0usize..60, 0..6)) {
            let text = "data: {\"a\":1}\r\n\r\n: ping\n\ndata: ü\ndata: b\n\ndata: [DONE]\n\n".as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut start = 0;
            for cut in cuts {
                chunks.push(&text[start..cut]);
                start = cut;
            }
            chunks.push(&text[start..]);
            prop_assert_eq!(parse(&chunks), parse(&[text]));
        }
    }
}
