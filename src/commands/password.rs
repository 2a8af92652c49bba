//! Passwords on the command line: never an argument or a variable, which are in the process list and the shell's history.

use std::io::{BufRead, IsTerminal};

/// Asks twice, without showing what is typed; a script's standard input gives one line.
pub fn read() -> Result<String, String> {
    let failed = |error: std::io::Error| format!("the password cannot be read: {error}");
    if !std::io::stdin().is_terminal() {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map_err(failed)?;
        return Ok(line.trim_end_matches(['\n', '\r']).to_owned());
    }
    let first = rpassword::prompt_password("Password: ").map_err(failed)?;
    let second = rpassword::prompt_password("Once more: ").map_err(failed)?;
    if first == second { Ok(first) } else { Err("the two passwords differ: nothing was changed".to_owned()) }
}
