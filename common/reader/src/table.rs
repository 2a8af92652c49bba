//! A row of a table as a line of text that says what each value is.

/// `Name: Ann · City: Dhaka`: cells with the headings of their columns; those without a value are left out.
pub fn line(header: &[String], cells: &[(usize, String)]) -> String {
    let mut line = String::new();
    for (column, value) in cells {
        let value = value.trim();
        if value.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push_str(" · ");
        }
        if let Some(name) = header.get(*column).map(|name| name.trim()).filter(|name| !name.is_empty()) {
            line.push_str(name);
            line.push_str(": ");
        }
        line.push_str(value);
    }
    line.replace(['\n', '\r'], " ")
}

/// Whether a first row can be headings: words in each cell, and no figures.
pub fn is_header(cells: &[(usize, String)]) -> bool {
    !cells.is_empty() && cells.iter().all(|(_, cell)| cell.chars().any(char::is_alphabetic))
}
