//! How many requests may send files at once: each holds up to a part in memory (`rapport_common::storage::PART`).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use rapport_common::{Error, domain::ids::UserId, error::Code, telemetry::metrics::METRICS};
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// Requests of a user that are read at once; further ones wait.
const OF_A_USER: usize = 4;
/// How long a request waits before it is sent away. Its body is not read meanwhile.
const WAIT: Duration = Duration::from_secs(30);

/// Places of this process.
#[derive(Clone)]
pub struct Receiving {
    all: Arc<Semaphore>,
    users: Arc<Mutex<HashMap<UserId, Weak<Semaphore>>>>,
}

/// One place, until dropped.
pub struct Place {
    of_all: Option<OwnedSemaphorePermit>,
    of_user: Option<OwnedSemaphorePermit>,
    receiving: Receiving,
    user: UserId,
}

impl Receiving {
    pub fn new(most: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(most)), users: Arc::default() }
    }

    /// Waits for a place: first among the user's own requests, so that one user's never keep others waiting.
    pub async fn take(&self, user: UserId) -> Result<Place, Error> {
        let until = Instant::now() + WAIT;
        let own = {
            let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
            let known = users.get(&user).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let own = Arc::new(Semaphore::new(OF_A_USER));
                users.insert(user, Arc::downgrade(&own));
                own
            })
        };
        let of_user = timeout_at(until, own.acquire_owned()).await.map_err(|_| {
            self.forget(user);
            METRICS.rate_limited.with_label_values(&["files"]).inc();
            let detail = format!("{OF_A_USER} of your requests send files already: wait for one of them.");
            Error::new(Code::RateLimited, detail).retry_after(5)
        })?;
        let mut place =
            Place { of_all: None, of_user: Some(of_user.map_err(closed)?), receiving: self.clone(), user };
        let of_all = timeout_at(until, Arc::clone(&self.all).acquire_owned()).await.map_err(|_| {
            let detail = "As many files are being sent as this server takes at once: try again soon.";
            Error::new(Code::Overloaded, detail).retry_after(5)
        })?;
        place.of_all = Some(of_all.map_err(closed)?);
        Ok(place)
    }

    /// Whoever sends nothing any more stands in no list.
    fn forget(&self, user: UserId) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if users.get(&user).is_some_and(|own| own.strong_count() == 0) {
            users.remove(&user);
        }
    }
}

fn closed(_: AcquireError) -> Error {
    Error::internal("places for files")
}

impl Drop for Place {
    fn drop(&mut self) {
        drop((self.of_all.take(), self.of_user.take()));
        self.receiving.forget(self.user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_user_has_so_many_places_and_all_together_so_many() {
        let receiving = Receiving::new(5);
        let (ann, bob) = (UserId::new(), UserId::new());
        let mut anns = Vec::new();
        for _ in 0..OF_A_USER {
            anns.push(receiving.take(ann).await.unwrap());
        }
        assert!(receiving.take(ann).await.is_err_and(|error| error.code == Code::RateLimited));
        let bobs = receiving.take(bob).await.unwrap();
        assert!(receiving.take(bob).await.is_err_and(|error| error.code == Code::Overloaded));
        let waiting = tokio::spawn({
            let receiving = receiving.clone();
            async move { receiving.take(ann).await.is_ok() }
        });
        anns.pop();
        assert!(waiting.await.unwrap(), "a place that is given back is had by who waits for it");
        drop((anns, bobs));
        assert!(receiving.users.lock().unwrap().is_empty(), "who sends nothing is forgotten");
        assert_eq!(receiving.all.available_permits(), 5);
    }
}
