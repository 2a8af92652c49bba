//! The text of one file, from standard input to standard output: in a process that can open nothing, and has so much memory and
//! time and no more.

use std::io::{Read, Write};

use clap::Args;
use rapport_common::reader::{self, Kind, Limits};
use rapport_worker::reading::Said;
use rlimit::{Resource, setrlimit};

#[derive(Args)]
pub struct Arguments {
    /// What the file is.
    kind: String,
    /// Bytes of memory.
    memory: u64,
    /// Seconds of processor time.
    seconds: u64,
    /// Bytes of text.
    text: usize,
}

/// Its own stack: what a file nests is read by recursion in places, and a stack that ends is a crash of this process alone.
const STACK: usize = 64 << 20;

pub fn run(arguments: &Arguments) -> Result<(), String> {
    confine(arguments).map_err(|error| format!("the limits: {error}"))?;
    let kind = Kind::from_name(&arguments.kind).ok_or("no such kind of file")?;
    let limits = Limits { text: arguments.text, ..Limits::default() };
    // What a reader says when it panics is of no use to anybody: the file is to blame.
    std::panic::set_hook(Box::new(|_| {}));
    let reading = std::thread::Builder::new().stack_size(STACK).spawn(move || {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        Ok::<_, String>(reader::read(kind, &bytes, &limits))
    });
    let read = reading.map_err(|error| error.to_string())?.join();
    match read {
        Ok(read) => say(read?),
        Err(_panicked) => say(Err(reader::Unreadable(
            "The file is damaged, or made in a way that is not understood.".to_owned(),
        ))),
    }
}

/// No file, no connection and no process can be opened from here on.
fn confine(arguments: &Arguments) -> std::io::Result<()> {
    // What standard input, output and error are, and nothing more.
    setrlimit(Resource::NOFILE, 3, 3)?;
    setrlimit(Resource::FSIZE, 0, 0)?;
    setrlimit(Resource::CORE, 0, 0)?;
    setrlimit(Resource::AS, arguments.memory, arguments.memory)?;
    setrlimit(Resource::CPU, arguments.seconds, arguments.seconds)?;
    // When memory runs out, this process would go first; it can open no file to say so, and is small.
    Ok(())
}

/// One line of JSON for all, then one for each passage.
fn say(read: Result<reader::Read, reader::Unreadable>) -> Result<(), String> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut line = |said: &Said| -> std::io::Result<()> {
        serde_json::to_writer(&mut out, said)?;
        out.write_all(b"\n")
    };
    let said = match read {
        Err(reader::Unreadable(why)) => line(&Said::Unreadable(why)),
        Ok(read) => {
            let pieces = read.pieces.into_iter().try_for_each(|piece| line(&Said::Piece(piece)));
            pieces.and_then(|()| line(&Said::Whole { pages: read.pages }))
        }
    };
    said.and_then(|()| out.flush()).map_err(|error| error.to_string())
}
