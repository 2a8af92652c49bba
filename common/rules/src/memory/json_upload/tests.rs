//! Uploads cut anywhere, broken ones, and bytes that are none.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

type Scanned = (Vec<Value>, String, HashMap<String, Value>);

fn scan(text: &[u8], chunk: usize) -> Result<Scanned, String> {
    let (mut scanner, mut pieces) = (Scanner::default(), Vec::new());
    for part in text.chunks(chunk.max(1)) {
        scanner.feed(part, &mut pieces)?;
    }
    let values = scanner.finish()?;
    let (mut rows, mut long) = (Vec::new(), String::new());
    for piece in pieces {
        match piece {
            Piece::Element(_, bytes) => {
                assert!(!bytes.contains(&b'\n'));
                rows.push(serde_json::from_slice(&bytes).map_err(|error| error.to_string())?);
            }
            Piece::Text(text) => long.push_str(&text),
            Piece::TooLarge => panic!("nothing is passed over by default"),
        }
    }
    Ok((rows, long, values))
}

proptest! {
    #[test]
    fn whatever_the_pieces_the_elements_are_the_same(
        contents in proptest::collection::vec("(\\PC|[\"\\\\{}\\[\\],:\n]){0,12}", 0..6), chunk in 1usize..40, pretty: bool,
    ) {
        let memories: Vec<Value> = contents.iter().map(|text| json!({"content": text, "n": [1, {"x": text}]})).collect();
        let body = json!({"a": contents, "format": "json", "b": {"memories": [1], "c": contents}, "memories": memories,
            "merge_strategy": "merge", "x": 5, "y": contents.first(), "z": null});
        let bytes = if pretty { serde_json::to_vec_pretty(&body) } else { serde_json::to_vec(&body) }.unwrap();
        let (rows, _, values) = scan(&bytes, chunk).unwrap();
        prop_assert_eq!(rows, memories);
        prop_assert_eq!(&values["merge_strategy"], "merge");
        prop_assert!(!values.contains_key("x"));
    }

    #[test]
    fn a_long_text_arrives_whole(text in "(\\PC|[\"\\\\\n,]){0,60}", chunk in 1usize..20, ascii: bool) {
        let mut body = json!({"memories": text, "format": "csv"}).to_string();
        if ascii {
            body = body.chars().flat_map(|c| {
                let mut units = [0u16; 2];
                if c.is_ascii() { vec![c.to_string()] } else { c.encode_utf16(&mut units).iter().map(|u| format!("\\u{u:04x}")).collect() }
            }).collect();
        }
        let (_, long, values) = scan(body.as_bytes(), chunk).unwrap();
        prop_assert_eq!(long, text);
        prop_assert_eq!(&values["format"], "csv");
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'{'), Just(b'"'), Just(b'['), Just(b'\\')], 0..80), chunk in 1usize..9) {
        let (mut scanner, mut pieces) = (Scanner::default(), Vec::new());
        for part in bytes.chunks(chunk) {
            if scanner.feed(part, &mut pieces).is_err() { return Ok(()); }
        }
        let _ = scanner.finish();
    }
}

#[test]
fn broken_json_is_an_error() {
    for bad in [
        "",
        "5",
        "{",
        "{\"memories\":[{]}",
        "{\"memories\":[]} x",
        "{\"memories\":[{\"a\":1}",
        "{memories:[]}",
        "[1,2",
    ] {
        assert!(scan(bad.as_bytes(), 7).is_err(), "{bad}");
    }
    assert_eq!(scan(b"[{\"content\":\"x\"}]", 3).unwrap().0.len(), 1);
}

#[test]
fn what_is_too_large_is_an_error_or_passed_over_and_the_rest_is_read() {
    let long = format!("[{{\"a\": 1}}, {{\"b\": \"{}\"}}, {{\"c\": 1}}]", "]".repeat(100));
    let mut pieces = Vec::new();
    let mut scanner = Scanner::passing_over(20);
    for byte in long.bytes() {
        scanner.feed(&[byte], &mut pieces).unwrap();
    }
    scanner.finish().unwrap();
    let element = |text: &str| Piece::Element("memories", text.as_bytes().to_vec());
    assert_eq!(pieces, [element("{\"a\": 1}"), Piece::TooLarge, element("{\"c\": 1}")]);
    let long = long.replace(']', &"]".repeat(1_000));
    assert!(Scanner::default().feed(long.as_bytes(), &mut pieces).is_err());
}
