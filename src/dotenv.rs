//! The optional `.env`. A missing one is normal; what is wrong with one is said without showing what stands in it.

use std::path::Path;

pub fn load() -> Result<(), String> {
    match dotenvy::dotenv() {
        Ok(_) => Ok(()),
        Err(error) if error.not_found() => Ok(()),
        Err(dotenvy::Error::LineParse(line, _)) => {
            let number = number_of(&line).map(|number| format!(" {number}")).unwrap_or_default();
            Err(format!(
                ".env: line{number} cannot be read: write NAME=value, and quotes around a value with spaces or #"
            ))
        }
        Err(error) => Err(format!(".env cannot be read: {error}")),
    }
}

/// Where the line is, in the file that was read: the nearest one above the working folder. `line` may be only its value.
fn number_of(line: &str) -> Option<usize> {
    let end = Some(line.trim()).filter(|end| !end.is_empty())?;
    let here = std::env::current_dir().ok()?;
    let text =
        here.ancestors().find_map(|folder: &Path| std::fs::read_to_string(folder.join(".env")).ok())?;
    let is_it = |other: &str| !other.starts_with('#') && other.ends_with(end);
    text.lines().position(|other| is_it(other.trim())).map(|place| place + 1)
}
