//! Files made to harm who reads them: each is refused, or fails with a plain sentence, or is harmless text; and the worker goes on.

use std::collections::BTreeMap;

use crate::harness::{
    App, Stack,
    documents::{archive, docx, docx_of, epub, html, pdf, pdf_of, xlsx_of},
};

type Hostile = (String, Vec<u8>);

const BILLION: &str = r#"<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;"><!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;"><!ENTITY f "&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;"><!ENTITY g "&f;&f;&f;&f;&f;&f;&f;&f;&f;&f;">]>"#;
const XXE: &str = r#"<?xml version="1.0"?><!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd"><!ENTITY % y SYSTEM "http://127.0.0.1:1/evil.dtd">%y;]>"#;

fn word(head: &str, text: &str) -> Vec<u8> {
    let xml = format!(
        r#"{head}<w:document xmlns:w="w"><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>"#
    );
    archive(&[("word/document.xml", xml.as_bytes())])
}

fn archives() -> Vec<Hostile> {
    let zeros = vec![b' '; 130 << 20];
    let deep = format!("{}{}", "<w:p><w:r>".repeat(200_000), "<w:t>deep</w:t>");
    let nested = (0..6).fold(b"x".to_vec(), |inner, _| archive(&[("word/document.xml", &inner)]));
    let wide: String = (0..60_000).map(|n| format!(" a{n}=\"x\"")).collect();
    let rows = |cells: &str| xlsx_of(&format!("<row>{cells}</row>"), &["a"]);
    let many: Vec<String> = (0..11_000).map(|n| format!("word/{n}.xml")).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    let mut bomb = archive(&[("word/document.xml", &zeros)]);
    let spine = br#"<package><manifest><item id="a" href="../../../../etc/passwd"/><item id="b" href="/etc/passwd"/></manifest><spine><itemref idref="a"/><itemref idref="b"/></spine></package>"#;
    let container = br#"<container><rootfile full-path="../../c.opf"/></container>"#;
    let mut all = vec![
        ("zip bomb".to_owned(), bomb.clone()),
        ("nested zips".to_owned(), nested),
        ("deep xml".to_owned(), docx_of(&deep)),
        ("billion laughs".to_owned(), word(BILLION, "before &g; after")),
        ("xxe".to_owned(), word(XXE, "before &x; after")),
        ("60,000 attributes".to_owned(), docx_of(&format!("<w:p{wide}><w:r><w:t>x</w:t></w:r></w:p>"))),
        (
            "one attribute of 5 MB".to_owned(),
            docx_of(&format!("<w:p a=\"{}\"><w:r><w:t>x</w:t></w:r></w:p>", "x".repeat(5_000_000))),
        ),
        ("a million columns".to_owned(), rows(&"<c><v>1</v></c>".repeat(1_000_000))),
        ("the last cell".to_owned(), rows("<c r=\"ZZZZ1\"><v>1</v></c>")),
        ("a string that is not there".to_owned(), rows("<c t=\"s\"><v>99999999999</v></c>")),
        ("many parts".to_owned(), archive(&many)),
        ("no document".to_owned(), archive(&[("word/x.xml", b"x")])),
        (
            "a book that leaves its archive".to_owned(),
            archive(&[
                ("mimetype", b"application/epub+zip"),
                ("META-INF/container.xml", container),
                ("c.opf", spine),
                ("etc/passwd", b"only within"),
            ]),
        ),
        (
            "a book of itself".to_owned(),
            archive(&[
                ("mimetype", b"application/epub+zip"),
                ("META-INF/container.xml", br#"<c><rootfile full-path="META-INF/container.xml"/></c>"#),
            ]),
        ),
        ("a part of nothing".to_owned(), archive(&[("word/document.xml", b"")])),
        ("a part of NULs".to_owned(), archive(&[("word/document.xml", &[0; 10_000])])),
        ("unclosed".to_owned(), archive(&[("word/document.xml", b"<w:p><w:t>open <")])),
        ("not utf-8".to_owned(), word("", "a\u{fffd}b")),
    ];
    // It says that it unpacks to little.
    for place in bomb.windows(4).position(|four| four == b"PK\x01\x02").into_iter().collect::<Vec<_>>() {
        bomb[place + 24..place + 28].copy_from_slice(&10u32.to_le_bytes());
    }
    all.push(("a bomb that lies".to_owned(), bomb));
    all
}

#[expect(clippy::too_many_lines, reason = "a list: a line or two a file")]
fn pdfs() -> Vec<Hostile> {
    let one = |object: &str| vec!["<< /Type /Catalog /Pages 2 0 R >>".to_owned(), object.to_owned()];
    let stream = |dictionary: &str, data: &str| {
        format!("<< {dictionary} /Length {} >>\nstream\n{data}\nendstream", data.len())
    };
    let page = |contents: String| {
        vec![
            "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
            "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources << /XObject << /X 4 0 R >> >> >>".to_owned(),
            contents,
        ]
    };
    vec![
        ("pages within themselves".to_owned(), pdf_of(&one("<< /Type /Pages /Kids [2 0 R] /Count 1 >>"))),
        ("a billion pages".to_owned(), pdf_of(&one("<< /Type /Pages /Kids [] /Count 1000000000 >>"))),
        (
            "deep arrays".to_owned(),
            pdf_of(&one(&format!(
                "<< /Type /Pages /Kids {}{} /Count 1 >>",
                "[".repeat(100_000),
                "]".repeat(100_000)
            ))),
        ),
        ("deep dictionaries".to_owned(), pdf_of(&one(&"<< /A ".repeat(100_000)))),
        (
            "a form that draws itself".to_owned(),
            pdf_of(&page(stream(
                "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 4 0 R >> >>",
                "/X Do",
            ))),
        ),
        ("states without end".to_owned(), pdf_of(&page(stream("", &"q ".repeat(500_000))))),
        (
            "a filter of filters".to_owned(),
            pdf_of(&page(stream(&format!("/Filter [{}]", "/FlateDecode ".repeat(5_000)), "x"))),
        ),
        (
            "a length that is not".to_owned(),
            pdf_of(&page("<< /Length 99999999999 >>\nstream\nx\nendstream".to_owned())),
        ),
        (
            "a length of itself".to_owned(),
            pdf_of(&page("<< /Length 4 0 R >>\nstream\nx\nendstream".to_owned())),
        ),
        (
            "encrypted".to_owned(),
            String::from_utf8(pdf(&[&["x"]]))
                .unwrap()
                .replace("/Root 1 0 R", "/Root 1 0 R /Encrypt << /Filter /Standard /V 9 >>")
                .into_bytes(),
        ),
        (
            "a table before itself".to_owned(),
            String::from_utf8(pdf(&[&["x"]]))
                .unwrap()
                .replace("/Root 1 0 R", "/Root 1 0 R /Prev 9")
                .into_bytes(),
        ),
        ("only the mark".to_owned(), b"%PDF-1.7".to_vec()),
        ("a page of nothing".to_owned(), pdf(&[&[]])),
    ]
}

fn texts() -> Vec<Hostile> {
    let polyglot = [b"%PDF-1.4\n".as_slice(), &docx(&[("x", &["y"])])].concat();
    vec![
        (
            "a million columns of csv".to_owned(),
            format!("a,b\nc,d\ne,f\n{}\n", "b,".repeat(1_000_000)).into_bytes(),
        ),
        ("a quote left open".to_owned(), b"a,b\nc,d\n\"open,x\ny,z\n".to_vec()),
        ("a line of 17 MB".to_owned(), vec![b'x'; 17 << 20]),
        ("deep html".to_owned(), format!("<html>{}words", "<div>".repeat(1_000_000)).into_bytes()),
        ("a script without end".to_owned(), b"<html><script>alert(1)".to_vec()),
        ("a comment without end".to_owned(), b"<html><!-- words".to_vec()),
        ("hidden in hidden".to_owned(), format!("<html>{}", "<style>".repeat(10_000)).into_bytes()),
        (
            "an attribute of html of 5 MB".to_owned(),
            format!("<html><p a=\"{}\">x", "x".repeat(5_000_000)).into_bytes(),
        ),
        (
            "entities".to_owned(),
            "<html>&#0;&#x110000;&#99999999999;&amp;&bogus; words".to_owned().into_bytes(),
        ),
        ("invalid utf-8".to_owned(), b"caf\xe9 and \xff\xfe words".to_vec()),
        ("utf-16 cut in two".to_owned(), b"\xff\xfea\0b\0\xd8".to_vec()),
        ("controls".to_owned(), b"a\x01\x02\x03\x04\x05\x06\x07b".to_vec()),
        ("turned round".to_owned(), "exe.\u{202e}fdp words".to_owned().into_bytes()),
        ("pdf and zip".to_owned(), polyglot),
        ("html and zip".to_owned(), [b"<html>words".as_slice(), &docx(&[("x", &["y"])])].concat()),
        ("nothing but space".to_owned(), vec![b' '; 1_000]),
    ]
}

/// Each part of each kind of archive, with entities that grow or that reach outside; and names that leave the archive.
fn parts() -> Vec<Hostile> {
    let book: &[(&str, &str)] = &[
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", r#"<container><rootfile full-path="c.opf"/></container>"#),
        (
            "c.opf",
            r#"<package><manifest><item id="a" href="a.xhtml"/></manifest><spine><itemref idref="a"/></spine></package>"#,
        ),
        ("a.xhtml", "<html><body><p>before &g; &x; after</p></body></html>"),
    ];
    let sheet: &[(&str, &str)] = &[
        ("xl/workbook.xml", r#"<workbook><sheets><sheet name="a &g; &x;" sheetId="1"/></sheets></workbook>"#),
        ("xl/sharedStrings.xml", "<sst><si><t>before &g; &x; after</t></si></sst>"),
        (
            "xl/worksheets/sheet1.xml",
            r#"<worksheet><sheetData><row><c t="s"><v>0</v></c><c><v>&g;&x;</v></c></row></sheetData></worksheet>"#,
        ),
    ];
    let mut all = Vec::new();
    for (kind, sound) in [("epub", book), ("xlsx", sheet)] {
        for (at, (part, _)) in sound.iter().enumerate().filter(|(_, (part, _))| *part != "mimetype") {
            for (evil, head) in [("billion laughs", BILLION), ("xxe", XXE)] {
                let with = |(n, (name, text)): (usize, &(&'static str, &'static str))| {
                    (*name, if n == at { format!("{head}{text}") } else { (*text).to_owned() })
                };
                let files: Vec<(&str, String)> = sound.iter().enumerate().map(with).collect();
                let files: Vec<(&str, &[u8])> =
                    files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
                all.push((format!("{kind} with {evil} in {part}").replace('/', " "), archive(&files)));
            }
        }
    }
    for (n, name) in [
        "../word/document.xml",
        "/word/document.xml",
        "word/../../etc/passwd",
        "..\\..\\word\\document.xml",
        "C:\\word\\document.xml",
        "word/document.xml/../../x",
        "word//document.xml",
        "WORD/DOCUMENT.XML",
        "word/document.xml ",
    ]
    .into_iter()
    .enumerate()
    {
        let text = br#"<w:document xmlns:w="w"><w:body><w:p><w:r><w:t>words</w:t></w:r></w:p></w:body></w:document>"#;
        all.push((
            format!("a name that leaves {n}"),
            archive(&[("[Content_Types].xml", b"<Types/>"), (name, text)]),
        ));
    }
    all
}

/// Sound files, broken: cut off, and with bytes changed. Which ones is the same in each run.
fn broken() -> Vec<Hostile> {
    let sections: [(&str, &[&str]); 1] =
        [("The pump", &["It stops when the tank is full.", "Call the desk."])];
    let mut all = Vec::new();
    let mut seed = 1u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for (kind, sound) in [
        ("pdf", pdf(&[&["The pump", "It stops."], &["Call the desk."]])),
        ("docx", docx(&sections)),
        ("epub", epub(&sections)),
        ("xlsx", xlsx_of("<row><c t=\"s\"><v>0</v></c></row>", &["a"])),
        ("html", html(&sections).into_bytes()),
    ] {
        for n in 1..11 {
            all.push((format!("{kind} cut at {n} elevenths"), sound[..sound.len() * n / 11].to_vec()));
        }
        for n in 0..18 {
            let mut bytes = sound.clone();
            for _ in 0..=n {
                let at = random(bytes.len() - 8) + 8;
                bytes[at] = random(256) as u8;
            }
            all.push((format!("{kind} with {} bytes changed", n + 1), bytes));
        }
    }
    all
}

/// Kilobytes of memory that a process has.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_files_end_in_plain_words_and_harm_nobody() {
    let app = App::builder(Stack::Embedded)
        .env("FILES__READ_SECONDS", 20)
        .env("FILES__READ_MEMORY_MB", 1_024)
        .start()
        .await;
    // Several: one file of a user is read at a time.
    let users = [app.user().await, app.user().await, app.user().await];
    let all: Vec<Hostile> = [archives(), parts(), pdfs(), texts(), broken()].concat();
    assert!(all.len() >= 200, "{}", all.len());
    let mut waiting = BTreeMap::new();
    let mut refused = 0;
    for ((name, bytes), user) in all.into_iter().zip(users.iter().cycle()) {
        let answer = user.upload(&format!("../../{name}.pdf"), bytes).await;
        match answer.status {
            200 | 201 => drop(waiting.insert(name, (user, answer.body["id"].as_str().unwrap().to_owned()))),
            413 | 415 | 422 => refused += 1,
            _ => panic!("{name}: {} {}", answer.status, answer.body),
        }
    }
    let (mut failed, mut read) = (0, 0);
    for (name, (user, id)) in &waiting {
        let file = user.until_read_file(id).await;
        if file["status"] == "failed" {
            failed += 1;
            let why = file["error"].as_str().unwrap();
            assert!(why.ends_with('.') && why.len() > 15 && !why.contains("panick"), "{name}: {why}");
        } else {
            read += 1;
            let text = user.text_of(id).await;
            assert!(
                !text.contains("root:") && !text.contains("lollol") && !text.contains('\0'),
                "{name}: {text}"
            );
            assert!(text.len() < 1_000_000, "{name}: {}", text.len());
        }
    }
    println!("{refused} refused, {failed} failed, {read} read as text");
    for (name, why) in [
        ("zip bomb", "unpacks to more"),
        ("a bomb that lies", "damaged"),
        ("a million columns", "columns"),
        ("a million columns of csv", "columns"),
        ("many parts", "parts"),
        ("a line of 17 MB", "16 MiB"),
    ] {
        let (user, id) = &waiting[name];
        let file = user.get(&format!("/files/{id}")).await.expect(200);
        let said = file["error"].as_str().unwrap_or_default();
        assert!(said.contains(why) || said.contains("unpacks to more"), "{name}: {file}");
    }
    // The worker is the same process, and reads on.
    users[0].indexed("sound.txt", "All is well.").await;
    let memory = resident(app.apis.first().or(app.workers.first()).unwrap().pid());
    assert!(memory < 600_000, "{memory} kB");
}
