//! How soon each model usually begins to answer. A request that is met with silence for far longer was probably lost on a
//! link that broke without a word: no error comes of that, and the first-byte timeout is made for models that think.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How many beginnings are remembered of a model, and how many must be known before anything follows from them.
const REMEMBERED: usize = 64;
const ENOUGH: usize = 16;
/// Models come from requests: no more than these are remembered.
const MODELS: usize = 256;
/// So many times the slowest usual beginning is far longer.
const FAR: u32 = 10;

#[derive(Clone)]
pub struct Usual {
    /// No silence shorter than this means anything; zero: none does.
    shortest: Duration,
    begun: Arc<Mutex<Begun>>,
}

/// By provider and model.
type Begun = HashMap<(String, String), VecDeque<Duration>>;

impl Usual {
    pub fn new(shortest: Duration) -> Self {
        Self { shortest, begun: Arc::default() }
    }

    /// A model began to answer after so long.
    pub fn note(&self, provider: &str, model: &str, after: Duration) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (provider.to_owned(), model.to_owned());
        if begun.len() >= MODELS && !begun.contains_key(&key) {
            return;
        }
        let remembered = begun.entry(key).or_default();
        if remembered.len() == REMEMBERED {
            remembered.pop_front();
        }
        remembered.push_back(after);
    }

    /// The silence after which a request to this model is taken for lost; `None` when not enough is known.
    pub fn silence(&self, provider: &str, model: &str) -> Option<Duration> {
        if self.shortest.is_zero() {
            return None;
        }
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = begun.get(&(provider.to_owned(), model.to_owned()))?;
        let slowest = remembered.iter().max().filter(|_| remembered.len() >= ENOUGH)?;
        Some(self.shortest.max(*slowest * FAR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_means_something_when_the_model_is_known_to_be_quick() {
        let usual = Usual::new(Duration::from_secs(10));
        for _ in 1..ENOUGH {
            usual.note("p", "quick", Duration::from_millis(300));
        }
        assert_eq!(usual.silence("p", "quick"), None, "too little is known");
        usual.note("p", "quick", Duration::from_millis(300));
        assert_eq!(usual.silence("p", "quick"), Some(Duration::from_secs(10)));
        assert_eq!(usual.silence("p", "other"), None);
        usual.note("p", "quick", Duration::from_secs(4));
        assert_eq!(usual.silence("p", "quick"), Some(Duration::from_secs(40)), "it sometimes thinks");
        for _ in 0..REMEMBERED {
            usual.note("p", "quick", Duration::from_millis(300));
        }
        assert_eq!(usual.silence("p", "quick"), Some(Duration::from_secs(10)), "long ago");
    }

    #[test]
    fn it_can_be_turned_off_and_does_not_grow_with_names() {
        let off = Usual::new(Duration::ZERO);
        (0..ENOUGH).for_each(|_| off.note("p", "m", Duration::ZERO));
        assert_eq!(off.silence("p", "m"), None);
        let usual = Usual::new(Duration::from_secs(1));
        (0..2 * MODELS).for_each(|n| usual.note("p", &n.to_string(), Duration::ZERO));
        assert_eq!(usual.begun.lock().unwrap().len(), MODELS);
    }
}
