//! What the program says and with which code it ends, for people and scripts that start it wrongly. Nothing is started.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("rapport-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _temporary = std::fs::remove_dir_all(&self.0);
    }
}

/// The code, standard output and standard error.
fn run(folder: &Folder, arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rapport"));
    command.env_clear().envs(variables.iter().copied()).args(arguments).current_dir(&folder.0);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn what_was_asked_for_goes_to_standard_output_with_code_0() {
    let folder = Folder::new("asked");
    // However wrong the configuration is.
    let wrong = [("PORT", "http"), ("DATABASE_URL", "mysql://h")];
    for (arguments, part) in [
        (&["--help"] as &[&str], "Usage: rapport [OPTIONS] [COMMAND]"),
        (&["--version"], concat!("rapport ", env!("CARGO_PKG_VERSION"))),
        (&["worker", "--help"], "--concurrency"),
        (&["completions", "bash"], "complete -F"),
        (&["openapi"], "\"openapi\": \"3."),
    ] {
        let (code, out, err) = run(&folder, arguments, &wrong);
        assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
        assert!(out.contains(part), "{arguments:?}: {out}");
    }
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0, "nothing is made");
}

#[test]
fn a_wrong_command_line_ends_with_code_2_and_a_hint() {
    let folder = Folder::new("wrong-line");
    for arguments in [&["serv"] as &[&str], &["--port", "http"], &["worker", "--queues", "nope"], &["admin"]]
    {
        let (code, out, err) = run(&folder, arguments, &[]);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        assert!(err.contains("--help") || err.contains("Usage:"), "{arguments:?}: {err}");
    }
}

#[test]
fn a_wrong_configuration_ends_with_code_1_and_says_what_is_wrong() {
    let folder = Folder::new("wrong-setting");
    for command in [&[] as &[&str], &["worker"], &["migrate"], &["doctor"]] {
        let (code, out, err) = run(&folder, command, &[("PORT", "http"), ("SECRET_KEY", "hunter2")]);
        assert_eq!((code, out.as_str()), (1, ""), "{command:?}: {err}");
        assert!(err.starts_with("rapport: The configuration has problems:\n"), "{command:?}: {err}");
        assert!(err.contains("\n  PORT must be a whole number from 0 to 65535"), "{command:?}: {err}");
        assert!(!err.contains("hunter2"), "{command:?} shows a secret: {err}");
    }
}

#[test]
fn separate_roles_without_shared_stores_say_what_they_need() {
    let folder = Folder::new("roles");
    for role in ["api", "worker"] {
        let (code, _, err) = run(&folder, &[role], &[]);
        assert_eq!(code, 1, "{err}");
        assert!(
            err.contains(&format!("`rapport {role}` needs DATABASE_URL (postgres://…) and REDIS_URL")),
            "{err}"
        );
    }
}

#[test]
fn a_broken_env_file_is_said_by_line_without_what_stands_there() {
    let folder = Folder::new("env-file");
    std::fs::write(folder.0.join(".env"), "PORT=0\nSECRET_KEY=hunter2 and more\n").unwrap();
    let (code, _, err) = run(&folder, &["doctor"], &[]);
    assert_eq!(code, 1);
    assert!(err.starts_with("rapport: .env: line 2 cannot be read"), "{err}");
    assert!(!err.contains("hunter2"), "{err}");
}
