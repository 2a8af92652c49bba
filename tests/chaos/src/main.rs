//! The chaos driver: starts a whole Rapport, breaks things under load, and checks that every promise was kept.
//!
//! `cargo run -p chaos -- --minutes 10 --seed 7`. It drives the public surface only and reads the database itself. The exit
//! code is 0 when nothing was violated; otherwise the folder with all logs stays.

mod check;
mod clients;
mod fleet;
mod history;
mod mail;
mod nemeses;
mod process;
mod proxy;
mod round;
mod run;
mod servers;
mod settings;
mod table;
mod topology;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    let settings = settings::Settings::parse();
    if settings.list {
        for nemesis in nemeses::ALL {
            println!("{} ({:?}, about {} s)", nemesis.name, nemesis.stack, nemesis.seconds);
        }
        return ExitCode::SUCCESS;
    }
    let ended = tokio::select! {
        ended = run::run(&settings) => ended,
        () = asked_to_stop() => Err("stopped".to_owned()),
    };
    match ended {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error}");
            ExitCode::from(2)
        }
    }
}

/// Ctrl-C or SIGTERM: what was started and mounted is taken down.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => {
            let _asked = tokio::signal::ctrl_c().await;
        }
    }
}
