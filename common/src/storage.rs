//! Where the bytes of files are: a folder, or a store of objects (S3, Google's, Azure's), behind one port of a crate that has them
//! all. Files are kept in parts, each written at once or not at all.

use std::sync::Arc;

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
    /// Or why there is none: an API whose disk takes no writes serves everything else.
    store: Result<Arc<dyn ObjectStore>, Arc<str>>,
}

impl Storage {
    pub fn from_settings(settings: &Settings) -> Result<Self, String> {
        let Some(url) = &settings.files.store_url else {
            let store = folder(&settings.data_dir.join(FOLDER));
            let store = store.inspect_err(|why| tracing::warn!("files cannot be kept: {why}"));
            return Ok(Self { store: store.map_err(Arc::from) });
        };
        let wrong = |error: &dyn std::fmt::Display| format!("FILES__STORE_URL: {error}");
        let parsed = Url::parse(url).map_err(|error| wrong(&error))?;
        if parsed.scheme() == "file" {
            let path = parsed.to_file_path().map_err(|()| wrong(&"it is not the address of a folder"))?;
            return Ok(Self { store: Ok(folder(&path)?) });
        }
        let options = settings.files.store_options.iter().map(|(name, value)| (name, value.expose()));
        let (store, prefix) =
            object_store::parse_url_opts(&parsed, options).map_err(|error| wrong(&error))?;
        Ok(Self { store: Ok(Arc::new(PrefixStore::new(store, prefix))) })
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
