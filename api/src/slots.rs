//! Open streams (server-sent events and WebSockets), counted per user of this process and for the metrics.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use rapport_common::{Error, domain::ids::UserId, error::Code, telemetry::metrics::METRICS};

#[derive(Clone)]
pub struct Slots {
    most: usize,
    open: Arc<Mutex<HashMap<UserId, usize>>>,
}

/// One open stream, until dropped.
pub struct Slot {
    slots: Slots,
    user: UserId,
    transport: &'static str,
}

impl Slots {
    pub fn new(most: usize) -> Self {
        Self { most, open: Arc::default() }
    }

    /// Taken before anything is changed: who is refused has sent nothing.
    pub fn take(&self, user: UserId, transport: &'static str) -> Result<Slot, Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(user).or_default();
        if *count >= self.most {
            METRICS.rate_limited.with_label_values(&["streams"]).inc();
            let detail = format!("You have {count} streams open, and no more are allowed: close one first.");
            return Err(Error::new(Code::RateLimited, detail).retry_after(5));
        }
        *count += 1;
        METRICS.open_streams.with_label_values(&[transport]).inc();
        Ok(Slot { slots: self.clone(), user, transport })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        METRICS.open_streams.with_label_values(&[self.transport]).dec();
        let mut open = self.slots.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_so_many_and_gets_them_back() {
        let slots = Slots::new(2);
        let (ann, bob) = (UserId::new(), UserId::new());
        let first = slots.take(ann, "sse").unwrap();
        let _second = slots.take(ann, "websocket").unwrap();
        assert!(slots.take(ann, "sse").is_err_and(|error| error.code == Code::RateLimited));
        let other = slots.take(bob, "sse").unwrap();
        drop(first);
        let _third = slots.take(ann, "sse").unwrap();
        drop(other);
        assert_eq!(slots.open.lock().unwrap().len(), 1, "who has none open is forgotten");
    }
}
