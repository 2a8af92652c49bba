//! How long each model is usually silent: before its first word, and between two. A request that is met with silence for
//! far longer was probably lost on a link that broke without a word: no error comes of that, and the timeouts for a first
//! byte and between two are made for models that think.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How many answers are remembered of a model, and how many must be known before anything follows from them.
const REMEMBERED: usize = 64;
const ENOUGH: usize = 16;
/// Models come from requests: no more than these are remembered.
const MODELS: usize = 256;
/// So many times the longest usual silence is far longer.
const FAR: u32 = 10;

#[derive(Clone)]
pub struct Usual {
    /// No silence shorter than this means anything; zero: none does.
    shortest: Duration,
    models: Arc<Mutex<HashMap<(String, String), Model>>>,
}

/// A model's longest silences of late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    pub before_the_first_word: Duration,
    /// `None`: not known.
    pub between_words: Option<Duration>,
}

#[derive(Default)]
struct Model {
    before: Silences,
    between: Silences,
    /// What was last given to be kept.
    kept: Option<Pace>,
}

#[derive(Default)]
struct Silences {
    /// Those of this process.
    remembered: VecDeque<Duration>,
    /// The longest that the processes before saw: it counts until this process knows enough.
    inherited: Option<Duration>,
}

impl Silences {
    fn note(&mut self, silence: Duration) {
        if self.remembered.len() == REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back(silence);
    }

    /// The longest that this process has seen, if it has seen enough.
    fn seen(&self) -> Option<Duration> {
        self.remembered.iter().max().copied().filter(|_| self.remembered.len() >= ENOUGH)
    }

    fn longest(&self) -> Option<Duration> {
        let few = || self.remembered.iter().max().copied().unwrap_or_default();
        self.seen().or_else(|| self.inherited.map(|inherited| inherited.max(few())))
    }
}

impl Pace {
    /// Whether it says something else than `known`: a change by less than half is none.
    fn is_news(&self, known: &Self) -> bool {
        let differs = |now: Duration, then: Duration| now > then.mul_f64(1.5) || now < then.mul_f64(0.5);
        differs(self.before_the_first_word, known.before_the_first_word)
            || match (self.between_words, known.between_words) {
                (Some(now), Some(then)) => differs(now, then),
                (now, then) => now != then,
            }
    }
}

impl Usual {
    pub fn new(shortest: Duration) -> Self {
        Self { shortest, models: Arc::default() }
    }

    /// A model began to answer after so long.
    pub fn began(&self, provider: &str, model: &str, after: Duration) {
        self.of(provider, model, |model| model.before.note(after));
    }

    /// The longest silence within an answer that was whole.
    pub fn paused(&self, provider: &str, model: &str, longest: Duration) {
        self.of(provider, model, |model| model.between.note(longest));
    }

    /// What the processes before saw of a model.
    pub fn was(&self, provider: &str, model: &str, pace: Pace) {
        self.of(provider, model, |model| {
            model.before.inherited = Some(pace.before_the_first_word);
            model.between.inherited = pace.between_words;
            model.kept = Some(pace);
        });
    }

    fn of(&self, provider: &str, model: &str, change: impl FnOnce(&mut Model)) {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (provider.to_owned(), model.to_owned());
        if models.len() < MODELS || models.contains_key(&key) {
            change(models.entry(key).or_default());
        }
    }

    /// What those who come after should know and do not yet: provider, model, pace.
    pub fn to_keep(&self) -> Vec<(String, String, Pace)> {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let mut news = Vec::new();
        for ((provider, name), model) in models.iter_mut() {
            let Some(before_the_first_word) = model.before.seen() else {
                continue;
            };
            let pace = Pace { before_the_first_word, between_words: model.between.longest() };
            if model.kept.is_none_or(|kept| pace.is_news(&kept)) {
                model.kept = Some(pace);
                news.push((provider.clone(), name.clone(), pace));
            }
        }
        news
    }

    /// The silence before the first word after which a request to this model is taken for lost; `None` when not enough is
    /// known.
    pub fn silence(&self, provider: &str, model: &str) -> Option<Duration> {
        self.far(provider, model, |model| model.before.longest())
    }

    /// The same between two words.
    pub fn pause(&self, provider: &str, model: &str) -> Option<Duration> {
        self.far(provider, model, |model| model.between.longest())
    }

    fn far(
        &self,
        provider: &str,
        model: &str,
        longest: impl Fn(&Model) -> Option<Duration>,
    ) -> Option<Duration> {
        if self.shortest.is_zero() {
            return None;
        }
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let longest = longest(models.get(&(provider.to_owned(), model.to_owned()))?)?;
        Some(self.shortest.max(longest * FAR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_means_something_when_the_model_is_known_to_be_quick() {
        let usual = Usual::new(Duration::from_secs(10));
        for _ in 1..ENOUGH {
            usual.began("p", "quick", Duration::from_millis(300));
        }
        assert_eq!(usual.silence("p", "quick"), None, "too little is known");
        usual.began("p", "quick", Duration::from_millis(300));
        assert_eq!(usual.silence("p", "quick"), Some(Duration::from_secs(10)));
        assert_eq!(usual.silence("p", "other"), None);
        usual.began("p", "quick", Duration::from_secs(4));
        assert_eq!(usual.silence("p", "quick"), Some(Duration::from_secs(40)), "it sometimes thinks");
        for _ in 0..REMEMBERED {
            usual.began("p", "quick", Duration::from_millis(300));
        }
        assert_eq!(usual.silence("p", "quick"), Some(Duration::from_secs(10)), "long ago");
    }

    #[test]
    fn who_starts_knows_what_those_before_knew() {
        let before = Usual::new(Duration::from_secs(10));
        for _ in 1..ENOUGH {
            before.began("p", "m", Duration::from_secs(2));
        }
        assert_eq!(before.to_keep(), [], "too little is known");
        before.began("p", "m", Duration::from_secs(2));
        let (beginning, pause) = (Duration::from_secs(2), Duration::from_secs(3));
        let pace = |between_words| Pace { before_the_first_word: beginning, between_words };
        assert_eq!(before.to_keep(), [("p".to_owned(), "m".to_owned(), pace(None))]);
        assert_eq!(before.to_keep(), [], "once");
        for _ in 0..ENOUGH {
            before.paused("p", "m", pause);
        }
        assert_eq!(before.to_keep(), [("p".to_owned(), "m".to_owned(), pace(Some(pause)))]);
        assert_eq!(before.to_keep(), [], "once");
        let after = Usual::new(Duration::from_secs(10));
        after.was("p", "m", pace(Some(pause)));
        assert_eq!(after.pause("p", "m"), Some(Duration::from_secs(30)));
        assert_eq!(after.silence("p", "m"), Some(Duration::from_secs(20)));
        after.began("p", "m", Duration::from_secs(3));
        assert_eq!(after.silence("p", "m"), Some(Duration::from_secs(30)), "it became slower");
        for _ in 0..REMEMBERED {
            after.began("p", "m", Duration::from_millis(300));
        }
        assert_eq!(after.silence("p", "m"), Some(Duration::from_secs(10)), "its own eyes decide");
        let quicker = Pace { before_the_first_word: Duration::from_millis(300), between_words: Some(pause) };
        assert_eq!(after.to_keep(), [("p".to_owned(), "m".to_owned(), quicker)]);
    }

    #[test]
    fn it_can_be_turned_off_and_does_not_grow_with_names() {
        let off = Usual::new(Duration::ZERO);
        (0..ENOUGH).for_each(|_| off.began("p", "m", Duration::ZERO));
        assert_eq!(off.silence("p", "m"), None);
        let usual = Usual::new(Duration::from_secs(1));
        (0..2 * MODELS).for_each(|n| usual.began("p", &n.to_string(), Duration::ZERO));
        assert_eq!(usual.models.lock().unwrap().len(), MODELS);
    }
}
