//! How many memories a user has, for BM25. Counting thousands takes longer than the rest of a search, and half a minute
//! changes their number little: large counts are believed so long, small ones not at all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    domain::ids::UserId,
    store::{Querier, terms},
};

const BELIEVED: Duration = Duration::from_secs(30);
const LARGE: i64 = 1_000;
const MOST: usize = 20_000;

type Known = HashMap<UserId, (Instant, i64, f64)>;

#[derive(Clone, Default)]
pub struct Sizes(Arc<Mutex<Known>>);

impl Sizes {
    /// (memories, words of a middling one)
    pub async fn of(&self, q: &mut impl Querier, user: UserId) -> Result<(i64, f64), sqlx::Error> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&user).copied();
        if let Some((at, count, mean)) = known
            && at.elapsed() < BELIEVED
        {
            return Ok((count, mean));
        }
        let (count, mean) = terms::size(q, user).await?;
        if count >= LARGE {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= MOST {
                known.retain(|_, (at, ..)| at.elapsed() < BELIEVED);
            }
            known.insert(user, (Instant::now(), count, mean));
        }
        Ok((count, mean))
    }
}
