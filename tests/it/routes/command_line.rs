//! What a person at a terminal sees.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use crate::harness::{
    App, Stack,
    app::SECRET_KEY,
    binary::binary,
    client::PASSWORD,
    process::Process,
    servers::{folder, unique},
};

fn place() -> PathBuf {
    let place = folder().join(unique("line"));
    std::fs::create_dir_all(&place).unwrap();
    place
}

/// Runs a command that must end by itself, with nothing configured.
fn run(place: &Path, arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).env_clear().current_dir(place).output().unwrap()
}

fn bash(place: &Path, line: &str) -> Output {
    let mut bash = Command::new("bash");
    bash.args(["-c", line]).env_clear().env("PATH", "/usr/bin:/bin").current_dir(place).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn doctor_makes_nothing_and_speaks_to_operators() {
    let place = place();
    let fresh = run(&place, &["doctor"]);
    let text = said(&fresh);
    assert!(fresh.status.success(), "{text}");
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0, "{text}");
    for word in ["Some(", "None", "Settings", "{ ", "Duration", "[]", "0ns"] {
        assert!(!text.contains(word), "{word:?} is in {text}");
    }
    // What is not configured is not there.
    for word in ["previous", "cors", "budget", "qdrant", "weather", "egress"] {
        assert!(!text.to_lowercase().contains(word), "{word:?} is in {text}");
    }
    assert!(text.contains("rapport.db") && text.contains("first start"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_leaves_a_used_folder_as_it_is() {
    let app = App::start(Stack::Embedded).await;
    let list = |folder: &Path| {
        let mut names: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = list(&app.folder);
    let beside = app.command().arg("doctor").output().unwrap();
    assert!(beside.status.success() && said(&beside).contains("schema is current"), "{}", said(&beside));
    assert_eq!(list(&app.folder), before);
    app.apis[0].kill();
    let before = list(&app.folder);
    let alone = app.command().arg("doctor").output().unwrap();
    assert!(alone.status.success() && said(&alone).contains("schema is current"), "{}", said(&alone));
    assert_eq!(list(&app.folder), before);
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let place = place();
    let line = format!("'{}' doctor | head -1; '{0}' openapi | head -1", binary().display());
    let output = bash(&place, &line);
    assert!(output.stderr.is_empty(), "{}", said(&output));
}

#[test]
fn help_and_version_need_no_configuration() {
    let place = place();
    std::fs::write(place.join(".env"), "PORT=8000\nthis is hunter2 not a line\n").unwrap();
    for arguments in [["--help"].as_slice(), &["--version"], &["completions", "bash"], &["admin", "--help"]] {
        let output = run(&place, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    }
    let refused = run(&place, &["doctor"]);
    let text = said(&refused);
    assert!(!refused.status.success() && text.contains(".env") && text.contains("line 2"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn the_version_names_its_commit() {
    let version = said(&run(&place(), &["--version"]));
    let head =
        Command::new("git").args(["rev-parse", "HEAD"]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let inside_git = head.is_ok_and(|head| head.status.success());
    let commit = version.split(['(', ')']).nth(1).unwrap_or_default();
    let hexadecimal = commit.len() == 12 && commit.bytes().all(|b| b.is_ascii_hexdigit());
    assert!(version.starts_with("rapport ") && hexadecimal == inside_git, "{version}");
}

#[test]
fn completions_are_printed_for_the_usual_shells() {
    let place = place();
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&place, &["completions", shell]);
        assert!(output.status.success() && said(&output).contains("doctor"), "{shell}: {}", said(&output));
    }
}

#[test]
fn flags_count_more_than_variables_and_the_banners_address_works() {
    let place = place();
    for (host, address) in [("0.0.0.0", "http://127.0.0.1:"), ("::", "http://[::1]:")] {
        let arguments = ["--host", host, "--port", "0", "--data-dir", &unique("own")].map(str::to_owned);
        let (data, log) = (place.join(&arguments[5]), place.join(unique("log")));
        let process = Process::start("flags", binary(), &log, |command| {
            command
                .args(&arguments)
                .env_clear()
                .env("PORT", "1")
                .env("HOST", "203.0.113.1")
                .current_dir(&place);
        });
        let line = process.line_with("Rapport", Duration::from_secs(60));
        let url = line.split_whitespace().find(|word| word.starts_with(address)).map(str::to_owned);
        let url = url.unwrap_or_else(|| panic!("{line}"));
        assert!(!url.ends_with(":0"), "{line}");
        let answer = Command::new("curl").args(["-s", "-g", &format!("{url}/health")]).output().unwrap();
        assert!(said(&answer).contains("healthy"), "{url}: {}", said(&answer));
        assert!(data.join("rapport.db").is_file());
    }
}

/// At a terminal nothing that is typed shows, and it is asked for twice; a script's line is taken as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_are_not_shown_while_they_are_typed() {
    let place = place();
    // A terminal: what it shows is what the script prints.
    let script = r#"
import os, pty, sys, termios, time
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:-1])
shown, answers = b"", [sys.argv[-1]] * 2
while True:
    try:
        part = os.read(terminal, 1024)
    except OSError:
        break
    if not part:
        break
    shown += part
    if part.rstrip().endswith(b":") and answers:
        # The prompt comes a moment before the echo is off: a person is slower than that.
        while termios.tcgetattr(terminal)[3] & termios.ECHO:
            time.sleep(0.002)
        os.write(terminal, answers.pop(0).encode() + b"\n")
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.stdout.buffer.write(shown)
sys.exit(status)
"#;
    let binary = binary().display().to_string();
    let typed = Command::new("timeout")
        .args(["60", "python3", "-c", script, &binary, "admin", "create", "chief", PASSWORD])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("SECRET_KEY", SECRET_KEY)
        .current_dir(&place)
        .output()
        .unwrap();
    let text = said(&typed);
    assert!(typed.status.success() && text.contains("chief is an admin now"), "{text}");
    assert!(!text.contains(PASSWORD) && text.contains("Password:"), "{text}");
    let piped = bash(&place, &format!("echo '{PASSWORD}' | '{binary}' admin create second"));
    assert!(piped.status.success() && said(&piped).contains("second is an admin now"), "{}", said(&piped));
}
