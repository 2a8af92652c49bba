//! What becomes of each of several that were stored by one statement ([`store::group`](crate::store::group)).

use crate::{Error, Result, error::database_is_away, store::group::Fate};

/// `stored` has what came of each; what it left out, and all of a statement that failed, is its caller's to do alone. When the database
/// did not answer they may have been stored, and must not be twice: all are told so, and each finds out.
pub fn fates<T, O>(items: Vec<T>, stored: Result<Vec<Option<O>>, sqlx::Error>) -> Vec<Fate<T, Result<O>>> {
    match stored {
        Ok(stored) => {
            let fate = |(item, stored): (T, Option<O>)| match stored {
                Some(stored) => Fate::Done(Ok(stored)),
                None => Fate::Alone(item),
            };
            items.into_iter().zip(stored).map(fate).collect()
        }
        Err(error) if database_is_away(&error) => {
            let told = |_| Fate::Done(Err(Error::unavailable("database", error.to_string())));
            items.iter().map(told).collect()
        }
        Err(error) => {
            tracing::debug!(%error, "what came together is stored one by one");
            items.into_iter().map(Fate::Alone).collect()
        }
    }
}
