//! Fetches a model's folder from Hugging Face, or from a mirror that has its paths.
//!
//! What is fetched is what the hub says: each file's length and checksum are compared, and a file that came in part goes on
//! where it stopped. The folder is whole when its weights are there, which come last.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Client, Response, StatusCode, header, redirect};
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// A connection that is silent for so long is broken.
const IDLE: Duration = Duration::from_secs(30);
/// Connections that break before a file is given up, and the pause before the next.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
const LIST_MAX: usize = 8 << 20;
/// Of any file but the weights.
const SMALL_MAX: u64 = 64 << 20;
const WEIGHTS: &str = "model.safetensors";
const NEEDED: [&str; 3] = ["config.json", "tokenizer.json", WEIGHTS];
const WELCOME: [&str; 3] = ["modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"];

#[derive(Debug, thiserror::Error)]
pub enum PullError {
    #[error("{0:?} is no name of a model: NAME, OWNER/NAME or OWNER/NAME@REVISION")]
    Name(String),
    #[error("{url} cannot be reached: {error}")]
    Unreachable { url: String, error: reqwest::Error },
    #[error("{url} answers {status}{}", hint(*.status))]
    Refused { url: String, status: StatusCode },
    #[error("{url} answers something else than a list of files: {problem}")]
    List { url: String, problem: String },
    #[error("{repository} has no {file}: a sentence-transformers model in the safetensors form is needed")]
    NotThere { repository: String, file: &'static str },
    #[error("{file} has {megabytes} MB, more than is allowed ({allowed} MB, EMBEDDING__MAX_MODEL_MB)")]
    TooLarge { file: String, megabytes: u64, allowed: u64 },
    #[error(
        "{file} came with another checksum than the hub says, and was deleted: try again, or another mirror"
    )]
    Checksum { file: String },
    #[error("{file} stops coming after {bytes} bytes: the same command goes on from there")]
    Cut { file: String, bytes: u64 },
    #[error("{}: {error}", path.display())]
    Disk { path: PathBuf, error: io::Error },
}

fn hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 | 404 => ": is the name right, and the model public?",
        429 | 500..=599 => ": try again later, or another mirror (EMBEDDING__MIRROR)",
        _ => "",
    }
}

/// What the hub says of a repository.
#[derive(Deserialize)]
struct Repository {
    /// The commit: all files are of one, whatever happens meanwhile.
    sha: String,
    siblings: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    rfilename: String,
    #[serde(default)]
    size: u64,
    /// SHA-1 of a file that git keeps itself.
    #[serde(rename = "blobId")]
    blob: Option<String>,
    /// Of one that it does not.
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
}

/// Where models come from, and how much of one is taken.
pub struct Hub {
    client: Client,
    mirror: String,
    max_bytes: u64,
}

/// How far a file is: its name, the bytes that are there, and all.
pub struct Progress<'a> {
    pub file: &'a str,
    pub done: u64,
    pub total: u64,
}

impl Hub {
    pub fn new(mirror: &str, max_bytes: u64) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(IDLE)
            // A hub sends to where its files are.
            .redirect(redirect::Policy::limited(5))
            .user_agent(concat!("rapport/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, mirror: mirror.to_owned(), max_bytes })
    }

    /// Puts a model's files into a folder. What is there already and right is left.
    pub async fn pull(
        &self,
        name: &Name,
        folder: &Path,
        mut tell: impl FnMut(Progress<'_>),
    ) -> Result<(), PullError> {
        let listed = self.list(name).await?;
        let files = wanted(&name.repository, listed.siblings)?;
        for file in &files {
            if file.size == 0 {
                let problem = format!("{} has no length", file.rfilename);
                return Err(PullError::List { url: self.mirror.clone(), problem });
            }
            let allowed = if file.rfilename == WEIGHTS { self.max_bytes } else { SMALL_MAX };
            if file.size > allowed {
                let (megabytes, allowed) = (file.size.div_ceil(1 << 20), allowed >> 20);
                return Err(PullError::TooLarge { file: file.rfilename.clone(), megabytes, allowed });
            }
        }
        for file in &files {
            let path = folder.join(&file.rfilename);
            if let Some(above) = path.parent() {
                fs::create_dir_all(above).map_err(|error| disk(above, error))?;
            }
            if is_right(&path, file)? {
                tell(Progress { file: &file.rfilename, done: file.size, total: file.size });
                continue;
            }
            let url =
                format!("{}/{}/resolve/{}/{}", self.mirror, name.repository, listed.sha, file.rfilename);
            self.fetch(&url, file, &path, &mut tell).await?;
        }
        Ok(())
    }

    async fn list(&self, name: &Name) -> Result<Repository, PullError> {
        let url =
            format!("{}/api/models/{}/revision/{}?blobs=true", self.mirror, name.repository, name.revision);
        let unreachable =
            |error: reqwest::Error| PullError::Unreachable { url: url.clone(), error: error.without_url() };
        let mut response = self.client.get(&url).send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(PullError::Refused { url, status: response.status() });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&chunk);
            if body.len() > LIST_MAX {
                return Err(PullError::List { url, problem: "it does not end".to_owned() });
            }
        }
        let read: Result<Repository, _> = serde_json::from_slice(&body);
        let listed =
            read.map_err(|error| PullError::List { url: url.clone(), problem: error.to_string() })?;
        if is_word(&listed.sha) {
            Ok(listed)
        } else {
            Err(PullError::List { url, problem: "its commit is none".to_owned() })
        }
    }

    async fn fetch(
        &self,
        url: &str,
        file: &Listed,
        path: &Path,
        tell: &mut impl FnMut(Progress<'_>),
    ) -> Result<(), PullError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let part = path.with_file_name(name);
        let mut failures = 0;
        while length(&part) < file.size {
            let before = length(&part);
            let ended = self.fetch_some(url, file, &part, tell).await;
            let bytes = length(&part);
            failures = if bytes > before { 0 } else { failures + 1 };
            match ended {
                Err(error @ (PullError::Disk { .. } | PullError::Refused { .. })) => return Err(error),
                Err(error) if failures > TRIES && bytes == 0 => return Err(error),
                _ if failures > TRIES => return Err(PullError::Cut { file: file.rfilename.clone(), bytes }),
                _ if bytes < file.size => tokio::time::sleep(PAUSE).await,
                _ => {}
            }
        }
        if !is_right(&part, file)? {
            fs::remove_file(&part).map_err(|error| disk(&part, error))?;
            return Err(PullError::Checksum { file: file.rfilename.clone() });
        }
        fs::rename(&part, path).map_err(|error| disk(path, error))
    }

    /// Goes on with a file until it is whole or the connection ends.
    async fn fetch_some(
        &self,
        url: &str,
        file: &Listed,
        part: &Path,
        tell: &mut impl FnMut(Progress<'_>),
    ) -> Result<(), PullError> {
        let begun = length(part);
        let unreachable = |error: reqwest::Error| PullError::Unreachable {
            url: url.to_owned(),
            error: error.without_url(),
        };
        let mut request = self.client.get(url);
        if begun > 0 {
            request = request.header(header::RANGE, format!("bytes={begun}-"));
        }
        let mut response = request.send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(PullError::Refused { url: url.to_owned(), status: response.status() });
        }
        let goes_on = begun > 0 && begins_at(&response, begun);
        let out = match goes_on {
            true => OpenOptions::new().append(true).open(part),
            false => File::create(part),
        };
        let mut out = out.map_err(|error| disk(part, error))?;
        let mut done = if goes_on { begun } else { 0 };
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            // One that never ends is cut; its checksum will be wrong.
            let room = usize::try_from(file.size - done).unwrap_or(usize::MAX);
            let chunk = &chunk[..chunk.len().min(room)];
            out.write_all(chunk).map_err(|error| disk(part, error))?;
            done += chunk.len() as u64;
            tell(Progress { file: &file.rfilename, done, total: file.size });
            if done == file.size {
                break;
            }
        }
        out.sync_all().map_err(|error| disk(part, error))
    }
}

/// A repository, and which state of it.
pub struct Name {
    repository: String,
    revision: String,
}

impl Name {
    /// A bare name is one of sentence-transformers' own.
    pub fn parse(text: &str) -> Result<Self, PullError> {
        let (repository, revision) = text.split_once('@').unwrap_or((text, "main"));
        let repository = match repository.split_once('/') {
            None => format!("sentence-transformers/{repository}"),
            Some(_) => repository.to_owned(),
        };
        let words: Vec<&str> = repository.split('/').collect();
        if words.len() != 2 || !words.into_iter().all(is_word) || !is_word(revision) {
            return Err(PullError::Name(text.to_owned()));
        }
        Ok(Self { revision: revision.to_owned(), repository })
    }

    /// What its folder is called.
    pub fn folder(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or_default()
    }
}

/// A name that is a single part of a path, and of a URL.
fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !text.is_empty() && text.len() <= 200 && !text.starts_with('.') && text.chars().all(plain)
}

/// The files that a model is made of, the weights last.
fn wanted(repository: &str, listed: Vec<Listed>) -> Result<Vec<Listed>, PullError> {
    let is_module = |name: &str| {
        let parts: Vec<&str> = name.split('/').collect();
        matches!(parts[..], [folder, "config.json"] if is_word(folder) && folder.starts_with(|c: char| c.is_ascii_digit()))
    };
    let is_wanted = |file: &Listed| {
        let name = file.rfilename.as_str();
        NEEDED.contains(&name) || WELCOME.contains(&name) || is_module(name)
    };
    let mut files: Vec<Listed> = listed.into_iter().filter(is_wanted).collect();
    for needed in NEEDED {
        if !files.iter().any(|file| file.rfilename == needed) {
            return Err(PullError::NotThere { repository: repository.to_owned(), file: needed });
        }
    }
    files.sort_by_key(|file| file.rfilename == WEIGHTS);
    Ok(files)
}

fn disk(path: &Path, error: io::Error) -> PullError {
    PullError::Disk { path: path.to_owned(), error }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

/// Whether an answer is the rest that was asked for.
fn begins_at(response: &Response, at: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    response.status() == StatusCode::PARTIAL_CONTENT
        && range.is_some_and(|range| range.starts_with(&format!("bytes {at}-")))
}

/// Whether a file is there, as long as the hub says, and with its checksum.
fn is_right(path: &Path, listed: &Listed) -> Result<bool, PullError> {
    if length(path) != listed.size || !path.is_file() {
        return Ok(false);
    }
    let (mut sha256, mut sha1) = (Sha256::new(), Sha1::new());
    sha1.update(format!("blob {}\0", listed.size));
    let mut file = File::open(path).map_err(|error| disk(path, error))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer).map_err(|error| disk(path, error))?;
        if read == 0 {
            break;
        }
        match &listed.lfs {
            Some(_) => sha256.update(&buffer[..read]),
            None => sha1.update(&buffer[..read]),
        }
    }
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    Ok(match (&listed.lfs, &listed.blob) {
        (Some(lfs), _) => hex(&sha256.finalize()) == lfs.sha256,
        (None, Some(blob)) => hex(&sha1.finalize()) == *blob,
        (None, None) => true,
    })
}
