//! The providers in force, and which of them a request may get.

use std::{sync::Arc, time::Duration};

use super::{
    ChatRequest, Provider,
    anthropic::Anthropic,
    breaker::Breaker,
    gemini::Gemini,
    health::{Health, Standing},
    http,
    mock::{self, Mock},
    models::Models,
    openai::OpenAi,
    router::is_meant,
    usual::{Pace, Usual},
};
use rapport_core::error::Wrong;

use crate::{domain::message::Usage, redis_link::RedisLink, settings::Ai};

#[derive(Clone)]
pub struct Providers {
    all: Arc<Vec<Known>>,
    order: Vec<String>,
    pub models: Arc<Models>,
    pub health: Health,
    pub(super) usual: Usual,
    pub(super) pool: http::Pool,
}

struct Known {
    provider: Arc<dyn Provider>,
    /// Whether the deployment has a key for it, or it needs none.
    is_configured: bool,
}

/// A provider as `/models` lists it.
#[derive(Debug, Clone)]
pub struct Offered {
    pub provider: String,
    pub model: String,
    pub standing: Standing,
    pub keys: usize,
    pub resting_keys: usize,
}

impl Providers {
    /// `Err` when the HTTP client can't be made (no TLS roots, say).
    pub fn from_settings(settings: &Ai, shared: Option<RedisLink>) -> Result<Self, reqwest::Error> {
        let mock: Arc<dyn Provider> = Arc::new(Mock::new(settings.mock_delay));
        let mut all = vec![Known { provider: mock, is_configured: true }];
        let pool = http::Pool::new(settings)?;
        for endpoint in &settings.endpoints {
            let is_configured = endpoint.is_configured;
            let (pool, endpoint, timeouts) = (pool.clone(), endpoint.clone(), settings.timeouts());
            let upstream = http::Upstream { pool, endpoint, timeouts };
            let provider: Arc<dyn Provider> = match upstream.endpoint.name {
                "gemini" => Arc::new(Gemini(upstream)),
                "anthropic" => Arc::new(Anthropic(upstream)),
                _ => Arc::new(OpenAi(upstream)),
            };
            all.push(Known { provider, is_configured });
        }
        let breaker = Breaker { failures: settings.breaker_failures, rest: settings.breaker_rest };
        Ok(Self {
            all: Arc::new(all),
            order: settings.order.clone(),
            models: Arc::new(Models::new(&settings.models)),
            health: Health::new(breaker, shared),
            usual: Usual::new(settings.silence_timeout),
            pool,
        })
    }

    /// What other processes should know of how quick models are: provider, model, pace. Each change once.
    pub fn pace_to_keep(&self) -> Vec<(String, String, Pace)> {
        self.usual.to_keep()
    }

    pub fn pace_was(&self, provider: &str, model: &str, pace: Pace) {
        self.usual.was(provider, model, pace);
    }

    fn known(&self, name: &str) -> Option<&Known> {
        self.all.iter().find(|known| known.provider.name() == name)
    }

    /// Whether a request may name it (`auto` always).
    pub fn offers(&self, name: &str) -> bool {
        name == "auto" || self.known(name).is_some_and(|known| known.is_configured)
    }

    /// Whether there is such a provider at all, set up or not.
    pub fn has(&self, name: &str) -> bool {
        name == "auto" || self.known(name).is_some()
    }

    /// What a request may name here.
    pub fn offered_names(&self) -> Vec<&str> {
        let set_up = self.all.iter().filter(|known| known.is_configured).map(|known| known.provider.name());
        std::iter::once("auto").chain(set_up).collect()
    }

    /// Why a provider and a model cannot be asked here, if so: the field that is wrong, and what is wrong with it. `own`
    /// are the providers that the caller has a key for.
    ///
    /// Which models a provider has only it knows; the mock has its own, and answers under no other name.
    pub fn refusal(
        &self,
        provider: &str,
        model: Option<&str>,
        own: &[String],
    ) -> Option<(&'static str, Wrong)> {
        let is_own = own.iter().any(|name| name == provider) && self.known(provider).is_some();
        if !(is_own || self.offers(provider)) {
            let there = self.offered_names().join(", ");
            return Some(("provider", Wrong::NoProvider { provider: provider.to_owned(), there }));
        }
        let model = model.filter(|model| !mock::has_model(model))?;
        let real = |known: &Known| known.is_configured && known.provider.name() != "mock";
        match provider {
            "mock" => Some(("model", Wrong::NoModelOfMock(model.to_owned()))),
            "auto" if own.is_empty() && !self.all.iter().any(real) => {
                Some(("model", Wrong::OnlyMock(model.to_owned())))
            }
            _ => None,
        }
    }

    /// Whether everything a choice may reach stays inside the deployment.
    pub fn stays_inside(&self, choice: &str, fallback: bool) -> bool {
        let candidates = self.candidates(choice, &ChatRequest { fallback, ..ChatRequest::default() });
        !candidates.is_empty() && candidates.iter().all(|provider| provider.is_inside())
    }

    pub fn is_inside(&self, name: &str) -> bool {
        self.known(name).is_some_and(|known| known.provider.is_inside())
    }

    /// Who may answer, in the order they are asked.
    pub(super) fn candidates(&self, choice: &str, request: &ChatRequest) -> Vec<Arc<dyn Provider>> {
        let usable = |name: &str| {
            let known = self.known(name)?;
            (known.is_configured || request.own_key(name).is_some()).then(|| Arc::clone(&known.provider))
        };
        let named = (choice != "auto").then_some(choice);
        if let Some(named) = named
            && !request.fallback
        {
            return usable(named).into_iter().collect();
        }
        let mut found: Vec<Arc<dyn Provider>> = Vec::new();
        // Whose key the caller brings comes before those of the deployment.
        let own = request.own_keys.iter().map(|(name, _)| name.as_str());
        let order = self.order.iter().map(String::as_str);
        for name in request.prefer.as_deref().into_iter().chain(named).chain(own).chain(order) {
            if !found.iter().any(|known| known.name() == name) {
                found.extend(usable(name));
            }
        }
        // The first is asked for the model that was named, and the mock has none but its own. Who falls back from a provider
        // that was named answers under its own model's name.
        if named.is_none() && request.model.as_deref().is_some_and(|model| !mock::has_model(model)) {
            let real = found.iter().position(|known| known.name() != "mock").unwrap_or(found.len());
            found.drain(..real);
        } else if found.is_empty() {
            found.extend(usable("mock"));
        }
        found
    }

    /// Which candidates may take images: all but those whose model is known to see nothing. `model` is the one that was named.
    pub(super) fn seeing(
        &self,
        choice: &str,
        model: Option<&str>,
        candidates: &[Arc<dyn Provider>],
    ) -> Vec<bool> {
        let sees = |(place, provider): (usize, &Arc<dyn Provider>)| {
            let named = model.filter(|_| is_meant(choice, place, provider.name()));
            !self.models.is_blind(named.unwrap_or_else(|| provider.default_model()))
        };
        candidates.iter().enumerate().map(sees).collect()
    }

    /// Who may answer and is not known to see nothing of what the request shows, in the order they are asked.
    fn who_takes(&self, choice: &str, request: &ChatRequest) -> Vec<Arc<dyn Provider>> {
        let mut candidates = self.candidates(choice, request);
        if request.images() > 0 {
            let mut sees = self.seeing(choice, request.model.as_deref(), &candidates).into_iter();
            candidates.retain(|_| sees.next().unwrap_or(true));
        }
        candidates
    }

    /// Whether somebody who may answer a request may take images.
    pub fn may_see(&self, choice: &str, request: &ChatRequest) -> bool {
        let candidates = self.candidates(choice, request);
        self.seeing(choice, request.model.as_deref(), &candidates).contains(&true)
    }

    /// How long nobody can be asked who may answer a request, because all their breakers are open; `None`: somebody can.
    pub fn all_away(&self, choice: &str, request: &ChatRequest) -> Option<Duration> {
        let waits = self.who_takes(choice, request).into_iter().map(|known| self.health.wait(known.name()));
        waits.min().filter(|wait| !wait.is_zero())
    }

    /// What can be asked, in the order `auto` tries it; then what only a name reaches.
    pub fn list(&self) -> Vec<Offered> {
        let mut listed = self.candidates("auto", &ChatRequest::default());
        for known in self.all.iter().filter(|known| known.is_configured) {
            if !listed.iter().any(|provider| provider.name() == known.provider.name()) {
                listed.push(Arc::clone(&known.provider));
            }
        }
        listed
            .into_iter()
            .map(|provider| Offered {
                provider: provider.name().to_owned(),
                model: provider.default_model().to_owned(),
                standing: self.health.standing(provider.name()),
                keys: provider.keys(),
                resting_keys: self.health.resting(provider.name()),
            })
            .collect()
    }

    /// The model a metric may name: users name models, and labels must be bounded.
    pub fn label<'a>(&self, provider: &str, model: &'a str) -> &'a str {
        let default = self.known(provider).is_some_and(|known| known.provider.default_model() == model);
        if default { model } else { "other" }
    }

    /// What a request that names no model is answered by, if the first candidate answers.
    pub fn likely_model(&self, choice: &str, request: &ChatRequest) -> Option<String> {
        self.who_takes(choice, request).first().map(|provider| provider.default_model().to_owned())
    }

    pub fn default_model(&self, provider: &str) -> Option<String> {
        self.known(provider).map(|known| known.provider.default_model().to_owned())
    }

    /// In US dollars; `None` for a model whose price is not known.
    pub fn cost(&self, model: &str, usage: Usage) -> Option<f64> {
        self.models.cost(model, usage)
    }
}
