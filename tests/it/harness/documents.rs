//! Documents of each kind that is read, made here: the same few sections in each form.

use std::io::{Cursor, Write};

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// Heading and paragraphs.
pub type Section<'a> = (&'a str, &'a [&'a str]);

/// An archive of parts, in this order.
pub fn archive(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        let options = SimpleFileOptions::default().compression_method(match *name {
            "mimetype" => CompressionMethod::Stored,
            _ => CompressionMethod::Deflated,
        });
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub fn html(sections: &[Section<'_>]) -> String {
    let mut page = "<!doctype html><html><head><title>x</title><style>p {}</style></head><body>".to_owned();
    for (heading, paragraphs) in sections {
        page += &format!("<h2>{}</h2>", escaped(heading));
        for text in *paragraphs {
            page += &format!("<p>{}</p>\n<script>hidden()</script>", escaped(text));
        }
    }
    page + "</body></html>"
}

pub fn markdown(sections: &[Section<'_>]) -> String {
    let one =
        |(heading, paragraphs): &Section<'_>| format!("## {heading}\n\n{}\n\n", paragraphs.join("\n\n"));
    sections.iter().map(one).collect()
}

/// `word/document.xml` of a body.
pub fn docx_of(body: &str) -> Vec<u8> {
    let document = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>{body}</w:body></w:document>"#
    );
    archive(&[("[Content_Types].xml", b"<Types/>"), ("word/document.xml", document.as_bytes())])
}

pub fn docx(sections: &[Section<'_>]) -> Vec<u8> {
    let mut body = String::new();
    for (heading, paragraphs) in sections {
        body += &format!(
            r#"<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>{}</w:t></w:r></w:p>"#,
            escaped(heading)
        );
        for text in *paragraphs {
            // Word splits runs anywhere.
            let (a, b) = text.split_at(text.len() / 2);
            body += &format!(
                "<w:p><w:r><w:t xml:space=\"preserve\">{}</w:t></w:r><w:r><w:t xml:space=\"preserve\">{}</w:t></w:r></w:p>",
                escaped(a),
                escaped(b)
            );
        }
    }
    docx_of(&body)
}

pub fn epub(sections: &[Section<'_>]) -> Vec<u8> {
    let container =
        br#"<container><rootfiles><rootfile full-path="OEBPS/content.opf"/></rootfiles></container>"#;
    let chapters: Vec<String> = sections.iter().map(|section| html(&[*section])).collect();
    let names: Vec<String> =
        (0..chapters.len()).map(|n| format!("OEBPS/text/c%20{n}.xhtml").replace("%20", " ")).collect();
    let items: String =
        (0..chapters.len()).map(|n| format!(r#"<item id="c{n}" href="text/c%20{n}.xhtml"/>"#)).collect();
    let spine: String = (0..chapters.len()).map(|n| format!(r#"<itemref idref="c{n}"/>"#)).collect();
    let package = format!("<package><manifest>{items}</manifest><spine>{spine}</spine></package>");
    let mut parts: Vec<(&str, &[u8])> = vec![
        ("mimetype", b"application/epub+zip"),
        ("META-INF/container.xml", container),
        ("OEBPS/content.opf", package.as_bytes()),
    ];
    parts.extend(names.iter().zip(&chapters).map(|(name, chapter)| (name.as_str(), chapter.as_bytes())));
    archive(&parts)
}

/// A workbook of one sheet: `<sheetData>`'s inside, and shared strings.
pub fn xlsx_of(rows: &str, strings: &[&str]) -> Vec<u8> {
    let shared: String = strings.iter().map(|text| format!("<si><t>{}</t></si>", escaped(text))).collect();
    archive(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("xl/workbook.xml", br#"<workbook xmlns:r="r"><sheets><sheet name="Prices" sheetId="1" r:id="rId1"/></sheets></workbook>"#),
        (
            "xl/_rels/workbook.xml.rels",
            br#"<Relationships><Relationship Id="rId1" Target="worksheets/sheet1.xml"/></Relationships>"#,
        ),
        ("xl/styles.xml", br#"<styleSheet><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>"#),
        ("xl/sharedStrings.xml", format!("<sst>{shared}</sst>").as_bytes()),
        ("xl/worksheets/sheet1.xml", format!("<worksheet><sheetData>{rows}</sheetData></worksheet>").as_bytes()),
    ])
}

/// A PDF of pages, each of lines, and objects besides: `(number, text)`.
pub fn pdf(pages: &[&[&str]]) -> Vec<u8> {
    let contents = pages.iter().map(|lines| {
        let said: String = lines
            .iter()
            .map(|line| {
                format!("({}) Tj T* ", line.replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)"))
            })
            .collect();
        format!("BT /F1 12 Tf 14 TL 72 720 Td {said}ET")
    });
    let contents: Vec<String> = contents.collect();
    let kids: String = (0..pages.len()).map(|n| format!("{} 0 R ", 4 + 2 * n)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{kids}] /Count {} >>", pages.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    for (n, content) in contents.iter().enumerate() {
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents {} 0 R >>",
            5 + 2 * n
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
    }
    pdf_of(&objects)
}

/// A PDF of objects, the first of which is its catalog.
pub fn pdf_of(objects: &[String]) -> Vec<u8> {
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut places = Vec::new();
    for (n, object) in objects.iter().enumerate() {
        places.push(file.len());
        file.extend(format!("{} 0 obj\n{object}\nendobj\n", n + 1).bytes());
    }
    let table = file.len();
    file.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
    for place in &places {
        file.extend(format!("{place:010} 00000 n \n").bytes());
    }
    let size = objects.len() + 1;
    file.extend(format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n").bytes());
    file
}
