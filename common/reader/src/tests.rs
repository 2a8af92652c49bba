use super::*;

fn text(kind: Kind, bytes: &str) -> Vec<Piece> {
    read(kind, bytes.as_bytes(), &Limits::default()).unwrap().pieces
}

#[test]
fn what_a_text_is_tells_its_content() {
    for (content, kind) in [
        ("Plain words, and more of them.\nA second line, with commas.", Kind::Text),
        ("# Title\n\nWords", Kind::Markdown),
        ("#hashtag and words", Kind::Text),
        ("a,b,c\n1,2,3\n4,5,6\n", Kind::Csv),
        ("a\tb\n1\t2\n", Kind::Csv),
        ("Dear Ann, how are you?\nI am well, thanks.\nYours, Bob\n", Kind::Text),
        ("  <!DOCTYPE html><p>x", Kind::Html),
        ("%PDF-1.4", Kind::Pdf),
        ("ঢাকা একটি শহর।", Kind::Text),
    ] {
        assert_eq!(Kind::of(content.as_bytes()), Some(kind), "{content}");
    }
    assert_eq!(Kind::of(b"\x7fELF\0\0"), None);
    assert_eq!(Kind::of("ঢাকা".repeat(5_000).as_bytes()), Some(Kind::Text), "cut within a character");
}

#[test]
fn passages_follow_paragraphs_and_headings_and_lie_end_to_end() {
    let long = "A sentence of some words. ".repeat(100);
    let pieces = text(
        Kind::Markdown,
        &format!("# One\n\nshort\n\n{long}\n\n```\n# no heading\n```\n\n## Two\n\nlast"),
    );
    assert_eq!((pieces[0].heading.as_str(), pieces.last().unwrap().heading.as_str()), ("One", "Two"));
    assert!(pieces.iter().all(|piece| piece.text.chars().count() <= split::PIECE));
    assert!(
        pieces.iter().take(2).all(|piece| piece.text.ends_with('.')),
        "cut behind sentences: {pieces:#?}"
    );
    let mut at = 0;
    for piece in &pieces {
        assert_eq!(piece.start, at);
        at += piece.text.chars().count() as u64 + 1;
    }
    let unbroken = text(Kind::Text, &"ক".repeat(2_500));
    assert_eq!(
        unbroken.iter().map(|piece| piece.text.chars().count()).collect::<Vec<_>>(),
        [1_000, 1_000, 500]
    );
    let pages = read(Kind::Text, b"one\x0ctwo", &Limits::default()).unwrap();
    assert_eq!((pages.pages, pages.pieces[1].page), (Some(2), Some(2)));
}

#[test]
fn limits_are_kept_and_told() {
    let limits = Limits { text: 1 << 20, pieces: 3, columns: 2, ..Limits::default() };
    let refused = |kind, bytes: &str| read(kind, bytes.as_bytes(), &limits).unwrap_err().0;
    assert_eq!(refused(Kind::Text, &"x".repeat(2 << 20)), "It holds more than 1 MiB of text.");
    assert_eq!(refused(Kind::Text, &"x".repeat(5_000)), "It makes more than 3 passages.");
    assert_eq!(refused(Kind::Csv, "a,b,c\n1,2,3\n"), "It has more than 2 columns.");
    assert_eq!(refused(Kind::Text, " \n "), "There is no text in it.");
    assert_eq!(refused(Kind::Docx, "x"), "The file is damaged: its archive cannot be opened.");
    assert!(refused(Kind::Png, "x").contains("image"));
}

#[test]
fn html_gives_what_is_shown() {
    let page = "<html><head><title>T</title></head><body><h1>A &amp; B</h1><p>one<br>two <b>three</b></p><style>x</style>\
                <table><tr><td>a<td>b</table><script>1<2</script><ul><li>x<li>y</ul></html>";
    let pieces = text(Kind::Html, page);
    assert_eq!(pieces[0].text, "A & B\none\ntwo three\na · b\nx\ny");
    assert_eq!(pieces[0].heading, "A & B");
}

#[test]
fn names_of_parts_stay_within_their_archive() {
    for (of, named, part) in [
        ("OEBPS/content.opf", "text/a.xhtml#x", "OEBPS/text/a.xhtml"),
        ("OEBPS/content.opf", "../../../etc/passwd", "etc/passwd"),
        ("c.opf", "a%20b%2", "a b%2"),
        ("x/y", "/root/a", "root/a"),
    ] {
        assert_eq!(zipped::beside(of, named), part);
    }
}

#[test]
fn why_a_file_cannot_be_read_says_no_word_of_the_file() {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("META-INF/container.xml", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut zip, br#"<container><rootfile full-path="evil%00.opf"/></container>"#)
        .unwrap();
    let book = zip.finish().unwrap().into_inner();
    let Unreadable(why) = read(Kind::Epub, &book, &Limits::default()).unwrap_err();
    assert!(why.contains("missing") && !why.contains("evil") && !why.contains('\0'), "{why:?}");
}
