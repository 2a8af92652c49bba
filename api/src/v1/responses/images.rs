//! Images in what is said: by what they hold, by an address, or by the id of a file.

use rapport_common::{
    Context, Result,
    domain::{
        ids::{FileId, UserId},
        prompt::{image_file_part, image_part},
    },
    error::Wrong,
    problems::Problems,
    usecase::files::images,
};
use serde_json::Value;

/// An `input_image` as chat completions have it, or naming its file. `None`: it has neither, or both.
pub fn part(part: &Value) -> Option<Value> {
    let detail = &part["detail"];
    match (part["image_url"].as_str(), part["file_id"].as_str()) {
        (Some(url), None) => Some(image_part(url, detail)),
        (None, Some(file)) => Some(image_file_part(file.parse().ok()?, detail)),
        _ => None,
    }
}

/// Notes what of the files that items name is no image of the caller's, or more than models take.
pub async fn check(ctx: &Context, user: UserId, items: &[Value], problems: &mut Problems) -> Result<()> {
    let mut named: Vec<(String, FileId)> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        for (number, part) in item["content"].as_array().into_iter().flatten().enumerate() {
            let id = part["file_id"].as_str().filter(|_| part["type"] == "input_image");
            if let Some(id) = id.and_then(|id| id.parse().ok()) {
                named.push((format!("input[{at}].content[{number}].file_id"), id));
            }
        }
    }
    if named.is_empty() {
        return Ok(());
    }
    let few = named.len() <= images::MOST_OF_PROMPT;
    problems.unless(few, "input", Wrong::Unfit("has more than the 20 images that models take at once"));
    images::check(&mut ctx.db.read().await?, user, &named, problems).await
}
