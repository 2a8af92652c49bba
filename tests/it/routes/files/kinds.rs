//! The same text in each form that is read, and what each form says besides.

use serde_json::json;

use crate::harness::{
    App, Stack,
    documents::{self, Section},
};

const SECTIONS: [Section<'_>; 2] = [
    ("The pump", &["The pump starts at 40 degrees & \"hums\".", "It stops when the tank is full."]),
    ("The desk <24 h>", &["Call the desk at 5 o'clock."]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_text_comes_out_of_each_kind() {
    let app = App::start(Stack::Embedded).await;
    let user = app.user().await;
    let text: Vec<String> = SECTIONS
        .iter()
        .flat_map(|(heading, paragraphs)| [*heading].into_iter().chain(paragraphs.iter().copied()))
        .map(str::to_owned)
        .collect();
    let text = text.join("\n");
    let pages: Vec<Vec<&str>> = SECTIONS
        .iter()
        .map(|(heading, paragraphs)| [*heading].into_iter().chain(paragraphs.iter().copied()).collect())
        .collect();
    let pages: Vec<&[&str]> = pages.iter().map(Vec::as_slice).collect();
    let utf16 = |text: &str| -> Vec<u8> {
        [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
    };
    for (kind, bytes) in [
        ("markdown", documents::markdown(&SECTIONS).into_bytes()),
        ("html", documents::html(&SECTIONS).into_bytes()),
        ("docx", documents::docx(&SECTIONS)),
        ("epub", documents::epub(&SECTIONS)),
        ("pdf", documents::pdf(&pages)),
        ("text", utf16(&text)),
    ] {
        let id = user.indexed("wrong.ending", bytes).await;
        let file = user.get(&format!("/files/{id}")).await.expect(200);
        assert_eq!(file["kind"], kind);
        let found = user.text_of(&id).await;
        let plain = |text: &str| text.replace("## ", "").split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(plain(&found), plain(&text), "{kind}");
        let passages = user.get(&format!("/files/{id}/passages")).await.expect(200);
        let last = passages["items"].as_array().unwrap().last().unwrap();
        match kind {
            "pdf" => assert_eq!((&file["pages"], &last["page"]), (&json!(2), &json!(2))),
            "text" => {}
            _ => assert_eq!(last["heading"], "The desk <24 h>", "{kind}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_tables_say_what_each_value_is() {
    let app = App::start(Stack::Embedded).await;
    let user = app.user().await;
    let csv = "Name;City;Since\nAnn;Dhaka;2019-05-01\n\"Bob; the second\";;2020-01-02\n";
    let id = user.indexed("people.txt", csv).await;
    assert_eq!(user.get(&format!("/files/{id}")).await.expect(200)["kind"], "csv");
    let rows = "Name · City · Since\nName: Ann · City: Dhaka · Since: 2019-05-01\nName: Bob; the second · Since: 2020-01-02";
    assert_eq!(user.text_of(&id).await, rows);
    let cells = r#"<row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" t="inlineStr"><is><t>Since</t></is></c></row>
        <row r="2"><c r="A2" t="s"><v>1</v></c><c r="C2" s="1"><v>43586</v></c></row>
        <row r="900000"><c r="XFD900000" t="b"><v>1</v></c></row>"#;
    let id = user.indexed("prices.xlsx", documents::xlsx_of(cells, &["Name", "Pump & co"])).await;
    assert_eq!(user.text_of(&id).await, "Prices\nName · Since\nName: Pump & co · Since: 2019-05-01\nyes");
    let row = |cells: &[&str]| -> String {
        let cells: String = cells
            .iter()
            .map(|cell| format!("<w:tc><w:p><w:r><w:t>{cell}</w:t></w:r></w:p></w:tc>"))
            .collect();
        format!("<w:tr>{cells}</w:tr>")
    };
    let table = format!(
        "<w:p><w:r><w:t>Before</w:t></w:r></w:p><w:tbl>{}{}</w:tbl>",
        row(&["Name", "City"]),
        row(&["Ann", "Dhaka"])
    );
    let id = user.indexed("table.docx", documents::docx_of(&table)).await;
    assert_eq!(user.text_of(&id).await, "Before\nName · City\nAnn · Dhaka");
}
