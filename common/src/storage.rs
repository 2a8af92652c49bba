//! Where the bytes of files are: a folder, or a store of objects (S3, Google's, Azure's), behind one port of a crate that has them
//! all. Files are kept in parts, each written at once or not at all.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::{
    Error as StoreError, ObjectStore, ObjectStoreExt, local::LocalFileSystem, path::Path, prefix::PrefixStore,
};
use url::Url;

use crate::{Error, Result, error::Code, files, settings::Settings};

/// Bytes of a part: what an upload holds in memory.
pub const PART: usize = 8 * 1_048_576;
/// The folder below the data folder.
const FOLDER: &str = "files";

#[derive(Clone)]
pub struct Storage {
    /// Where the store is a folder. Its crate does not list what is being written; after a crash that stays.
    folder: Option<PathBuf>,
    /// Or why there is none: an API whose disk takes no writes serves everything else.
    store: Result<Arc<dyn ObjectStore>, Arc<str>>,
}

impl Storage {
    pub fn from_settings(settings: &Settings) -> Result<Self, String> {
        let Some(url) = &settings.files.store_url else {
            let path = settings.data_dir.join(FOLDER);
            let store = folder(&path);
            let store = store.inspect_err(|why| tracing::warn!("files cannot be kept: {why}"));
            return Ok(Self { folder: Some(path), store: store.map_err(Arc::from) });
        };
        let wrong = |error: &dyn std::fmt::Display| format!("FILES__STORE_URL: {error}");
        let parsed = Url::parse(url).map_err(|error| wrong(&error))?;
        if parsed.scheme() == "file" {
            let path = parsed.to_file_path().map_err(|()| wrong(&"it is not the address of a folder"))?;
            let store = folder(&path)?;
            return Ok(Self { folder: Some(path), store: Ok(store) });
        }
        let options = settings.files.store_options.iter().map(|(name, value)| (name, value.expose()));
        let (store, prefix) =
            object_store::parse_url_opts(&parsed, options).map_err(|error| wrong(&error))?;
        Ok(Self { folder: None, store: Ok(Arc::new(PrefixStore::new(store, prefix))) })
    }

    fn store(&self) -> Result<&Arc<dyn ObjectStore>> {
        self.store.as_ref().map_err(|why| Error::unavailable("store of files", why.to_string()))
    }

    /// Stores a part, whole or not at all.
    pub async fn put(&self, place: &str, part: &str, bytes: Bytes) -> Result<()> {
        self.store()?.put(&path(place, Some(part)), bytes.into()).await.map_err(away).map(drop)
    }

    pub async fn get(&self, place: &str, part: &str) -> Result<Bytes> {
        let found = self.store()?.get(&path(place, Some(part))).await.map_err(away)?;
        found.bytes().await.map_err(away)
    }

    /// Some bytes of a part.
    pub async fn range(&self, place: &str, part: &str, range: std::ops::Range<u64>) -> Result<Bytes> {
        self.store()?.get_range(&path(place, Some(part)), range).await.map_err(away)
    }

    pub async fn delete(&self, place: &str, part: &str) -> Result<()> {
        match self.store()?.delete(&path(place, Some(part))).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(away(error)),
        }
    }

    /// Deletes all that is below a place.
    pub async fn delete_all(&self, place: &str) -> Result<()> {
        if let Some(folder) = &self.folder {
            self.store()?;
            let folder = folder.join(place);
            gone(tokio::fs::remove_dir_all(&folder).await)?;
            // The user's own, unless there is more in it.
            if let (true, Some(above)) = (place.contains('/'), folder.parent()) {
                let _not_empty = tokio::fs::remove_dir(above).await;
            }
            return Ok(());
        }
        let found = self.store()?.list(Some(&path(place, None))).map_ok(|meta| meta.location).boxed();
        let mut gone = self.store()?.delete_stream(found);
        while let Some(one) = gone.next().await {
            match one {
                Ok(_) | Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(away(error)),
            }
        }
        Ok(())
    }

    /// Deletes what is in a place beside some parts.
    pub async fn keep_only(&self, place: &str, parts: &[String]) -> Result<()> {
        if let Some(folder) = &self.folder {
            let folder = folder.join(place);
            let mut entries = tokio::fs::read_dir(&folder).await.map_err(broken)?;
            while let Some(entry) = entries.next_entry().await.map_err(broken)? {
                if !parts.iter().any(|part| entry.file_name().to_str() == Some(part)) {
                    gone(tokio::fs::remove_file(entry.path()).await)?;
                }
            }
            return Ok(());
        }
        let found = self.store()?.list(Some(&path(place, None))).map_ok(|meta| meta.location);
        for location in found.try_collect::<Vec<_>>().await.map_err(away)? {
            if !parts.iter().any(|part| location.filename() == Some(part)) {
                self.store()?.delete(&location).await.map_err(away)?;
            }
        }
        Ok(())
    }

    /// How many bytes there are below a place.
    pub async fn size(&self, place: &str) -> Result<u64> {
        let sizes = self.store()?.list(Some(&path(place, None))).map_ok(|meta| meta.size);
        sizes.try_fold(0, |sum, size| async move { Ok(sum + size) }).await.map_err(away)
    }
}

fn folder(folder: &std::path::Path) -> Result<Arc<dyn ObjectStore>, String> {
    files::folder(folder).map_err(|error| files::unusable(folder, &error))?;
    let store = LocalFileSystem::new_with_prefix(folder);
    let store = store.map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(Arc::new(store.with_automatic_cleanup(true).with_fsync(true)))
}

fn path(place: &str, part: Option<&str>) -> Path {
    Path::from_iter(place.split('/').chain(part))
}

fn broken(error: std::io::Error) -> Error {
    Error::unavailable("store of files", error)
}

fn gone(deleted: std::io::Result<()>) -> Result<()> {
    match deleted {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(broken(error)),
        _ => Ok(()),
    }
}

fn away(error: StoreError) -> Error {
    if is_full(&error) {
        let detail = "There is no room for it where files are kept. Reading goes on.";
        return Error::new(Code::StorageFull, detail).because(error);
    }
    Error::unavailable("store of files", error)
}

/// Whether the disk that files are kept on is full.
fn is_full(error: &StoreError) -> bool {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.filter_map(|cause| cause.downcast_ref::<std::io::Error>()).any(|cause| {
        matches!(cause.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a killed process was writing is listed by nobody: it goes all the same.
    #[tokio::test]
    async fn what_was_being_written_goes_with_the_rest() {
        let path = std::env::temp_dir().join(format!("rapport-storage-{}", std::process::id()));
        let storage = Storage { folder: Some(path.clone()), store: Ok(folder(&path).unwrap()) };
        let entries = |place: &str| std::fs::read_dir(path.join(place)).map_or(0, Iterator::count);
        for part in ["000000-a-4", "000001-a-2"] {
            storage.put("user/file", part, Bytes::from_static(b"word")).await.unwrap();
        }
        std::fs::write(path.join("user/file/000001-b-4#1"), b"wo").unwrap();
        storage.keep_only("user/file", &["000000-a-4".to_owned()]).await.unwrap();
        assert_eq!(entries("user/file"), 1);
        assert_eq!(storage.get("user/file", "000000-a-4").await.unwrap(), "word");
        std::fs::write(path.join("user/file/000001-b-4#1"), b"wo").unwrap();
        storage.delete_all("user/file").await.unwrap();
        storage.delete_all("user/file").await.unwrap();
        assert_eq!(entries(""), 0, "the user's folder goes with the last file");
        std::fs::remove_dir_all(path).unwrap();
    }
}
