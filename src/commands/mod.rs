//! One file a command.

pub mod admin;
pub mod api;
pub mod doctor;
pub mod import;
pub mod isolated_job;
pub mod mcp;
pub mod migrate;
pub mod mock_provider;
pub mod model;
pub mod password;
pub mod read_file;
pub mod reindex;
pub mod serve;
pub mod worker;

use std::{
    fs::{File, TryLockError},
    io::{IsTerminal, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use rapport_common::{files, settings::Settings};
use tokio::{net::TcpListener, signal::unix};
use tokio_util::sync::CancellationToken;

/// Runs it on one of the runtime's threads. The main thread is none of them: what it has to do for each job or connection wakes it, and
/// what it starts then wakes another.
pub async fn on_runtime<F>(service: F) -> Result<F::Output, String>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(service).await.map_err(|error| format!("the service ended badly: {error}"))
}

/// Set when the process is asked to stop (SIGTERM, or Ctrl-C). A second request ends it at once.
pub fn stop_signal(grace: Duration, token: CancellationToken) -> Result<CancellationToken, String> {
    let signal = |kind| unix::signal(kind).map_err(|error| format!("signals: {error}"));
    let mut terminate = signal(unix::SignalKind::terminate())?;
    let mut interrupt = signal(unix::SignalKind::interrupt())?;
    let stopping = token.clone();
    tokio::spawn(async move {
        for _ in 0..2 {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stopping.is_cancelled() {
                std::process::exit(130);
            }
            tracing::info!("stopping");
            if std::io::stderr().is_terminal() {
                let text = format!(
                    "Stopping: what runs may end within {} s. Press Ctrl-C again to stop at once.",
                    grace.as_secs()
                );
                // Nobody is there to read it if this fails.
                let _closed = writeln!(std::io::stderr(), "\n{text}");
            }
            stopping.cancel();
        }
    });
    Ok(token)
}

pub async fn listen(settings: &Settings) -> Result<TcpListener, String> {
    let (host, port) = (settings.host.as_str(), settings.port);
    TcpListener::bind((host, port)).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!(
                "{host}:{port} is taken by another program: stop it, or choose another with PORT={}",
                port.wrapping_add(1)
            )
        }
        std::io::ErrorKind::PermissionDenied => {
            format!("{host}:{port} is not allowed: choose a PORT above 1023")
        }
        _ => format!("cannot listen on {host}:{port}: {error}"),
    })
}

/// Where the embedded database lies.
pub fn database_folder(settings: &Settings) -> &Path {
    let folder = settings.sqlite_path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Locks a file in a folder for as long as it is open: a process that dies lets go of it. `None`: another process has it.
pub fn lock(folder: &Path, name: &str) -> Result<Option<File>, String> {
    let unusable = |error: std::io::Error| files::unusable(folder, &error);
    files::folder(folder).map_err(unusable)?;
    let file = files::open(&folder.join(name)).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// Where a browser on this machine reaches what listens on `address`: "every address" is none that can be called.
pub fn reachable(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

/// Writes to standard output, where people and scripts read. One who has read enough (`head`) misses nothing.
pub fn print(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("standard output: {error}"))
        }
        _ => Ok(()),
    }
}

pub fn print_completions(shell: clap_complete::Shell, command: &mut clap::Command) -> Result<(), String> {
    let mut script = Vec::new();
    clap_complete::generate(shell, command, "rapport", &mut script);
    print(&String::from_utf8_lossy(&script))
}

pub fn print_openapi() -> Result<(), String> {
    let text = serde_json::to_string_pretty(&rapport_api::document()).map_err(|error| error.to_string())?;
    print(&(text + "\n"))
}

#[cfg(test)]
mod tests {
    use rapport_common::settings::{self, Env};

    use super::*;

    #[test]
    fn what_listens_everywhere_is_reached_on_this_machine() {
        for (address, url) in [
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:80", "http://[::1]:80"),
            ("10.0.0.1:8000", "http://10.0.0.1:8000"),
        ] {
            assert_eq!(reachable(address.parse().unwrap()), url);
        }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_said_with_the_next_one() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let pairs = [("PORT".to_owned(), port.to_string()), ("DATA_DIR".to_owned(), "/none".to_owned())];
        let settings = settings::inspect(&mut Env::from_pairs(pairs)).unwrap();
        let told = listen(&settings).await.unwrap_err();
        let expected = format!("127.0.0.1:{port} is taken by another program");
        assert!(told.starts_with(&expected), "{told}");
        assert!(told.ends_with(&format!("PORT={}", port.wrapping_add(1))), "{told}");
    }
}
