//! Ids in paths. What is no id of the wanted type is 404, like an id of nobody's.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use rapport_common::{
    Error,
    domain::ids::{ConflictId, JobId, MemoryId, SessionId},
};

use crate::{error::Failure, state::AppState};

async fn id_in_path(parts: &mut Parts, state: &AppState) -> Option<String> {
    let params = RawPathParams::from_request_parts(parts, state).await.ok()?;
    params.iter().find(|(name, _)| *name == "id").map(|(_, value)| value.to_owned())
}

macro_rules! id_extractor {
    ($($name:ident($id:ty) = $what:literal;)*) => {$(
        #[derive(Clone, Copy)]
        pub struct $name(pub $id);

        impl FromRequestParts<AppState> for $name {
            type Rejection = Failure;

            async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Failure> {
                let text = id_in_path(parts, state).await.unwrap_or_default();
                text.parse().map(Self).map_err(|_| Failure(Error::not_found($what)))
            }
        }
    )*};
}

id_extractor! {
    ConflictPath(ConflictId) = "conflict";
    JobPath(JobId) = "job";
    MemoryPath(MemoryId) = "memory";
    SessionPath(SessionId) = "session";
}
