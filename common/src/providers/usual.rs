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
    begun: Arc<Mutex<HashMap<(String, String), Begun>>>,
}

/// The beginnings of one model.
#[derive(Default)]
struct Begun {
    /// Those of this process.
    remembered: VecDeque<Duration>,
    /// What the processes before saw at the slowest: it counts until this process knows enough.
    before: Option<Duration>,
    /// The slowest, as it was last given to be kept.
    kept: Option<Duration>,
}

impl Begun {
    fn slowest(&self) -> Option<Duration> {
        let ours = self.remembered.iter().max().copied();
        if self.remembered.len() >= ENOUGH {
            ours
        } else {
            self.before.map(|before| ours.unwrap_or_default().max(before))
        }
    }
}

impl Usual {
    pub fn new(shortest: Duration) -> Self {
        Self { shortest, begun: Arc::default() }
    }

    /// A model began to answer after so long.
    pub fn note(&self, provider: &str, model: &str, after: Duration) {
        self.of(provider, model, |begun| {
            if begun.remembered.len() == REMEMBERED {
                begun.remembered.pop_front();
            }
            begun.remembered.push_back(after);
        });
    }

    /// What the processes before saw of a model at the slowest.
    pub fn was(&self, provider: &str, model: &str, slowest: Duration) {
        self.of(provider, model, |begun| (begun.before, begun.kept) = (Some(slowest), Some(slowest)));
    }

    fn of(&self, provider: &str, model: &str, change: impl FnOnce(&mut Begun)) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (provider.to_owned(), model.to_owned());
        if begun.len() < MODELS || begun.contains_key(&key) {
            change(begun.entry(key).or_default());
        }
    }

    /// What those who come after should know and do not yet: provider, model, slowest beginning. A change by less than half
    /// is none.
    pub fn to_keep(&self) -> Vec<(String, String, Duration)> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let mut news = Vec::new();
        for ((provider, model), begun) in begun.iter_mut() {
            let Some(slowest) = begun.slowest().filter(|_| begun.remembered.len() >= ENOUGH) else {
                continue;
            };
            if begun.kept.is_none_or(|kept| slowest > kept.mul_f64(1.5) || slowest < kept.mul_f64(0.5)) {
                begun.kept = Some(slowest);
                news.push((provider.clone(), model.clone(), slowest));
            }
        }
        news
    }

    /// The silence after which a request to this model is taken for lost; `None` when not enough is known.
    pub fn silence(&self, provider: &str, model: &str) -> Option<Duration> {
        if self.shortest.is_zero() {
            return None;
        }
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let slowest = begun.get(&(provider.to_owned(), model.to_owned()))?.slowest()?;
        Some(self.shortest.max(slowest * FAR))
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
    fn who_starts_knows_what_those_before_knew() {
        let before = Usual::new(Duration::from_secs(10));
        for _ in 1..ENOUGH {
            before.note("p", "m", Duration::from_secs(2));
        }
        assert_eq!(before.to_keep(), [], "too little is known");
        before.note("p", "m", Duration::from_secs(2));
        let kept = before.to_keep();
        assert_eq!(kept, [("p".to_owned(), "m".to_owned(), Duration::from_secs(2))]);
        assert_eq!(before.to_keep(), [], "once");
        let after = Usual::new(Duration::from_secs(10));
        after.was("p", "m", Duration::from_secs(2));
        assert_eq!(after.silence("p", "m"), Some(Duration::from_secs(20)));
        after.note("p", "m", Duration::from_secs(3));
        assert_eq!(after.silence("p", "m"), Some(Duration::from_secs(30)), "it became slower");
        for _ in 0..REMEMBERED {
            after.note("p", "m", Duration::from_millis(300));
        }
        assert_eq!(after.silence("p", "m"), Some(Duration::from_secs(10)), "its own eyes decide");
        assert_eq!(after.to_keep(), [("p".to_owned(), "m".to_owned(), Duration::from_millis(300))]);
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
