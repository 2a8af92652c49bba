//! Walks the README as a newcomer does: every block of commands, as printed, one after the other in one shell.

use std::{path::PathBuf, process::Command, time::Duration};

use crate::harness::{
    binary::binary,
    process::Process,
    servers::{folder, free_port, unique},
};

/// The blocks marked as shell.
fn blocks(markdown: &str) -> Vec<String> {
    let parts = markdown.split("\n```sh\n").skip(1);
    parts.map(|part| part.split("\n```").next().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_readme_works_as_printed() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let blocks = blocks(&readme);
    assert!(blocks.len() >= 10, "{blocks:?}");
    // Commands stand in blocks marked as shell, or in tables and sentences, but in no other kind of block.
    assert!(!readme.contains("```console") && !readme.contains("```bash"), "a block that is not walked");

    let place = folder().join(unique("readme"));
    let bin = place.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::os::unix::fs::symlink(binary(), bin.join("rapport")).unwrap();
    // The install itself takes minutes: what it would install is what the tests have built.
    let cargo = "#!/bin/sh\n[ \"$*\" = 'install --path .' ] || exit 1\n";
    std::fs::write(bin.join("cargo"), cargo).unwrap();
    let marked = Command::new("chmod").arg("+x").arg(bin.join("cargo")).status().unwrap();
    assert!(marked.success());
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
    let port = free_port();

    let mut server: Option<Process> = None;
    let mut script = String::from("set -u -o pipefail\n");
    for (number, block) in blocks.iter().enumerate() {
        if block.trim() == "rapport" {
            let process = Process::start("readme", &bin.join("rapport"), &place.join("log"), |command| {
                command.env_clear().env("PATH", &path).env("PORT", port.to_string()).current_dir(&place);
            });
            process.line_with(&format!("http://127.0.0.1:{port}"), Duration::from_secs(60));
            server = Some(process);
            continue;
        }
        script += &block.replace("127.0.0.1:8000", &format!("127.0.0.1:{port}"));
        script += &format!("\necho \"== {number} $?\"\n");
    }
    assert!(server.is_some(), "no block starts the service");
    let mut bash = Command::new("timeout");
    bash.args(["120", "bash", "-c", &script]).env_clear().env("PATH", &path).current_dir(&place);
    let output = tokio::task::spawn_blocking(move || bash.output().unwrap()).await.unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && errors.is_empty(), "{errors}\n{text}");
    let mut ended = text.lines().filter(|line| line.starts_with("== "));
    assert!(ended.all(|line| line.ends_with(" 0")), "{text}");
    assert!(!text.contains("about:blank") && !text.contains("\"code\":"), "{text}");
    for word in [
        "\"username\": \"ann\"",
        "I am the built-in mock model",
        "\"reply\":\"w1 w2 w3\"",
        "Is allergic to peanuts",
        "Is allergic to all nuts",
        "From what I remember of you: Lives in London.",
        "Both say what your home city is",
        "Lives in Dhaka",
        "current_time says",
        "\"search_memory\"",
        "chief is an admin now",
    ] {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
}
