//! PDF, a page at a time. The crate that reads it panics and recurses on some files: the process around it is what bounds it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Result, Unreadable, split::Splitter};

pub fn read(bytes: &[u8], into: &mut Splitter) -> Result<()> {
    let pages = catch_unwind(AssertUnwindSafe(|| pdf_extract::extract_text_from_mem_by_pages(bytes)));
    let pages = match pages {
        Ok(Ok(pages)) => pages,
        Ok(Err(error)) => {
            let said = error.to_string().to_lowercase();
            let why = if said.contains("encrypt") || said.contains("password") {
                "The PDF is encrypted: save it without a password."
            } else {
                "The PDF is damaged, or not a PDF."
            };
            return Err(Unreadable::new(why));
        }
        Err(_panicked) => {
            return Err(Unreadable::new("The PDF is damaged, or made in a way that is not understood."));
        }
    };
    for (number, page) in pages.iter().enumerate() {
        into.page(u32::try_from(number).unwrap_or(u32::MAX).saturating_add(1))?;
        for paragraph in page.replace("\r\n", "\n").split("\n\n") {
            into.paragraph(paragraph)?;
        }
    }
    Ok(())
}
