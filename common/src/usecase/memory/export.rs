//! Writing a user's memories to a file, a page at a time.

use async_stream::try_stream;
use futures::Stream;
use serde_json::json;

use crate::{
    Context, Error, Result,
    domain::ids::{MemoryId, UserId},
    error::Wrong,
    jobs::payload::ExportPayload,
    memory::transfer::{COLUMNS, Row},
    store::{memories, memory_links},
};

const PAGE: i64 = 500;
/// Links written at most.
const LINKS: i64 = 1_000_000;

pub fn check(spec: &ExportPayload) -> Result<()> {
    if !["json", "csv"].contains(&spec.format.as_str()) {
        return Err(Error::field("format", Wrong::Either(&["json", "csv"])));
    }
    Ok(())
}

fn csv_lines<'a>(rows: impl Iterator<Item = &'a [String]>) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).map_err(Error::internal)?;
    }
    writer.into_inner().map_err(|error| Error::internal(error.to_string()))
}

/// The file in pieces. Pages are read one after another, in the order of ids: what is added meanwhile may be in it.
pub fn pieces(ctx: Context, user: UserId, spec: ExportPayload) -> impl Stream<Item = Result<Vec<u8>>> + Send {
    try_stream! {
        let is_csv = spec.format == "csv";
        if is_csv {
            let header: Vec<String> = COLUMNS.iter().map(|&name| name.to_owned()).collect();
            yield csv_lines([header.as_slice()].into_iter())?;
        } else {
            yield b"{\"format\":\"json\",\"version\":1,\"memories\":[".to_vec();
        }
        let (mut after, mut first) = (MemoryId(uuid::Uuid::nil()), true);
        loop {
            let page = memories::page_by_id(&mut ctx.db.read().await?, user, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            let wanted = page.iter().filter(|memory| {
                spec.status.is_none_or(|status| status == memory.status)
                    && spec.memory_type.is_none_or(|kind| kind == memory.memory_type)
            });
            let rows: Vec<Row> = wanted.map(Row::from).collect();
            if is_csv {
                let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
                yield csv_lines(cells.iter().map(Vec::as_slice))?;
            } else {
                let mut text = Vec::new();
                for row in &rows {
                    text.extend_from_slice(if std::mem::take(&mut first) { b"\n" } else { b",\n" });
                    serde_json::to_writer(&mut text, row).map_err(Error::internal)?;
                }
                yield text;
            }
        }
        if !is_csv {
            yield b"\n]".to_vec();
            if spec.include_relationships {
                let links = memory_links::all(&mut ctx.db.read().await?, user, LINKS).await?;
                let mut text = b",\"relationships\":[".to_vec();
                for (index, link) in links.iter().enumerate() {
                    text.extend_from_slice(if index == 0 { b"\n" } else { b",\n" });
                    let link = json!({"source": link.source, "target": link.target, "type": link.relationship});
                    text.extend_from_slice(link.to_string().as_bytes());
                }
                text.extend_from_slice(b"\n]");
                yield text;
            }
            yield b"}\n".to_vec();
        }
    }
}
