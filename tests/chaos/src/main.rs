//! The chaos driver: starts a whole Rapport, breaks things under load, and checks that every promise was kept.
//!
//! `cargo run -p chaos -- --minutes 10 --seed 7`. It drives the public surface only and reads the database itself. The exit
//! code is 0 when nothing was violated; otherwise the folder with all logs stays.

mod check;
mod clients;
mod fleet;
mod history;
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
        _ = tokio::signal::ctrl_c() => Err("stopped".to_owned()),
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
