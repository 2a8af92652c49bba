//! Takes the text out of a file in a process of its own (`rapport read-file`): a file may be made to crash, to fill memory, or to
//! never end, and none of that may reach a worker. The process has no environment, can open nothing, and is killed when it takes
//! too long, says too much, or nobody waits for it any more.

use std::{
    collections::BTreeSet,
    process::Stdio,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::TryStreamExt;
use rapport_common::{
    Context, Error, Result,
    domain::{file::File, ids::UserId},
    reader::Piece,
    usecase::files,
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    sync::{Semaphore, SemaphorePermit},
};

/// The command of our binary that reads one file.
pub const COMMAND: &str = "read-file";
/// Bytes of text that a file may hold.
const TEXT: usize = 16 << 20;
/// What the process may say, with all that JSON adds.
const MOST_SAID: u64 = 8 * TEXT as u64;
/// Files that one process reads at once: each may take as much memory as is allowed.
static AT_ONCE: Semaphore = Semaphore::const_new(2);
/// Whose files are read now: one of a user's at a time, so that nobody's thousand files keep others waiting.
static WHOSE: Mutex<BTreeSet<UserId>> = Mutex::new(BTreeSet::new());
/// Characters of the sentence that says why a file cannot be read.
const WHY: usize = 200;

/// The right to read a file of a user's.
pub struct Turn {
    user: UserId,
    _place: SemaphorePermit<'static>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        WHOSE.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.user);
    }
}

/// `None`: as many files are read as may be, or one of this user's is.
pub fn turn(user: UserId) -> Option<Turn> {
    let place = AT_ONCE.try_acquire().ok()?;
    let is_first = WHOSE.lock().unwrap_or_else(PoisonError::into_inner).insert(user);
    is_first.then(|| Turn { user, _place: place })
}

/// What the process says, a line each.
#[derive(Debug, Serialize, Deserialize)]
pub enum Said {
    Piece(Piece),
    /// The last line of a file that could be read.
    Whole {
        pages: Option<u32>,
    },
    Unreadable(String),
}

/// What a file came to.
pub enum Text {
    Read {
        pieces: Vec<Piece>,
        pages: Option<u32>,
    },
    /// Why not: a sentence for its owner.
    Unreadable(String),
}

/// Reads a file. Fetching its bytes is not its reader's time: a store that is slow or away fails the attempt and not the file.
pub async fn read(ctx: &Context, file: &File, _turn: Turn) -> Result<Text> {
    let limits = &ctx.settings.files;
    if file.bytes as u64 > limits.read_bytes {
        let most = limits.read_bytes >> 20;
        return Ok(Text::Unreadable(format!("It is larger than {most} MiB: it is kept, but not read.")));
    }
    let bytes: Vec<Bytes> = files::content(ctx, file, 0..file.bytes as u64).try_collect().await?;
    let mut child = start(&file.kind, limits.read_memory, limits.read_time).map_err(Error::internal)?;
    let reading = tokio::time::timeout(limits.read_time, converse(&mut child, bytes));
    let read = match reading.await {
        Ok(read) => read?,
        Err(_) => Text::Unreadable("Reading it takes too long.".to_owned()),
    };
    // Whatever it does now is of no interest.
    child.kill().await.map_err(Error::internal)?;
    Ok(read)
}

fn start(kind: &str, memory: u64, time: Duration) -> std::io::Result<Child> {
    // The program as it was started, even if its file was replaced or deleted since.
    let program = if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe()? };
    Command::new(program)
        .args([COMMAND, kind, &memory.to_string(), &time.as_secs().max(1).to_string(), &TEXT.to_string()])
        .env_clear()
        // Threads take address space, of which there is a limit, and so does what jemalloc keeps for later.
        .env("RAYON_NUM_THREADS", "1")
        .env("_RJEM_MALLOC_CONF", "narenas:1,retain:false,dirty_decay_ms:0,muzzy_decay_ms:0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Gives the process the file, and takes what it says.
async fn converse(child: &mut Child, bytes: Vec<Bytes>) -> Result<Text> {
    let (Some(mut to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Error::internal("the process has no standard input or output"));
    };
    let give = async move {
        for part in bytes {
            // One that died, or knows already that it cannot read it, takes no more.
            if to.write_all(&part).await.is_err() {
                break;
            }
        }
    };
    let ((), said) = tokio::join!(give, hear(BufReader::new(from.take(MOST_SAID))));
    Ok(said.unwrap_or_else(|| {
        let why = "It could not be read: it is damaged, or needs more memory or time than it gets.";
        Text::Unreadable(why.to_owned())
    }))
}

/// `None`: it ended before it was done, or said what nobody understands.
async fn hear(mut from: impl AsyncBufReadExt + Unpin) -> Option<Text> {
    let (mut pieces, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        from.read_until(b'\n', &mut line).await.ok().filter(|count| *count > 0)?;
        match serde_json::from_slice(&line).ok()? {
            Said::Piece(piece) => pieces.push(piece),
            Said::Whole { pages } => return Some(Text::Read { pieces, pages }),
            Said::Unreadable(why) => return Some(Text::Unreadable(plain(&why))),
        }
    }
}

/// A sentence as it may be stored and shown, whatever the process that read the file has become.
fn plain(why: &str) -> String {
    why.chars().filter(|letter| !letter.is_control()).take(WHY).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_reader_says_is_cut_and_has_no_control_characters() {
        let said = Said::Unreadable(format!("a\0b\u{1b}[31m{}", "x".repeat(1_000)));
        let line = serde_json::to_vec(&said).unwrap();
        let Some(Text::Unreadable(why)) = hear(line.as_slice()).await else { panic!("not heard") };
        assert!(why.starts_with("ab[31mx") && why.chars().count() == WHY, "{why:?}");
    }

    #[test]
    fn one_file_of_a_user_and_two_of_all_are_read_at_once() {
        let (ann, bob, cid) = (UserId::new(), UserId::new(), UserId::new());
        let first = turn(ann).unwrap();
        assert!(turn(ann).is_none(), "one of hers is read");
        let second = turn(bob).unwrap();
        assert!(turn(cid).is_none(), "as many as may be");
        drop(first);
        assert!(turn(bob).is_none());
        let third = turn(cid).unwrap();
        drop((second, third));
        assert!(turn(ann).is_some() && turn(bob).is_some(), "nothing is left of those before");
    }
}
