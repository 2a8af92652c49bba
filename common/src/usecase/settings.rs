//! What a user has set, with its defaults; a partial change changes what it names.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Context, Error, Result,
    chat::language,
    clock,
    domain::{
        ids::UserId,
        patch::Patch,
        texts::{ModelName, SystemPrompt},
    },
    error::Wrong,
    problems::Problems,
    store::{self, Querier},
};

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct MemorySettings {
    /// Read conversations for memories.
    pub auto_memory_extraction: bool,
    /// 0-1: facts that matter less are not kept.
    pub memory_importance_threshold: f64,
    /// Search by meaning, not by words alone, when a prompt's memories are chosen.
    pub enable_semantic_search: bool,
    /// 0-1: what is explicit, quoted, not sensitive and at least this certain needs no confirmation. Null: everything
    /// awaits the user.
    pub auto_confirm_threshold: Option<f64>,
    /// Private memories may stand in prompts that leave the deployment.
    pub allow_private_in_context: bool,
    /// What was said in earlier conversations may stand in prompts of others, where it bears on the question.
    pub use_past_conversations: bool,
}

impl MemorySettings {
    /// What is private must not be in a prompt. `inside`: its provider is part of this deployment.
    pub fn without_private(&self, inside: bool) -> bool {
        !inside && !self.allow_private_in_context
    }
}

impl Default for MemorySettings {
    fn default() -> Self {
        Self {
            auto_memory_extraction: true,
            memory_importance_threshold: 0.0,
            enable_semantic_search: true,
            auto_confirm_threshold: None,
            allow_private_in_context: false,
            use_past_conversations: true,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct UserSettings {
    pub memory_settings: MemorySettings,
    pub chat_settings: ChatSettings,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct ChatSettings {
    /// Null: the service's order.
    #[schema(example = "auto")]
    pub default_provider: Option<String>,
    /// Null: the provider's own.
    pub default_model: Option<String>,
    /// 0-2; null: the provider's own.
    pub temperature: Option<f64>,
    pub max_tokens: Option<u32>,
    /// Instead of the service's; null: the service's.
    pub system_prompt: Option<String>,
    /// The language of answers: `auto` (as the user writes), or a code such as `en` or `bn`.
    #[schema(example = "auto")]
    pub language: String,
}

impl Default for ChatSettings {
    fn default() -> Self {
        Self {
            default_provider: None,
            default_model: None,
            temperature: None,
            max_tokens: None,
            system_prompt: None,
            language: "auto".to_owned(),
        }
    }
}

/// Changes to settings: what is absent stays. `auto_confirm_threshold: null` is a value.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
pub struct SettingsChange {
    pub memory_settings: Option<MemorySettingsChange>,
    pub chat_settings: Option<ChatSettingsChange>,
}

/// `null` is a value: the default.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
pub struct ChatSettingsChange {
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub default_provider: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub default_model: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    pub temperature: Patch<f64>,
    #[serde(default)]
    #[schema(value_type = Option<i64>)]
    pub max_tokens: Patch<i64>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub system_prompt: Patch<String>,
    pub language: Option<String>,
}

impl ChatSettingsChange {
    fn check(&self, ctx: &Context, problems: &mut Problems) {
        let mut problem = |field: &str, wrong: Wrong| problems.add(format!("chat_settings.{field}"), wrong);
        if self.default_provider.new_value().is_some_and(|name| !ctx.providers.offers(name)) {
            problem("default_provider", Wrong::OneOf(ctx.providers.offered_names().join(", ")));
        }
        if let Some(wrong) = self.default_model.new_value().and_then(|name| ModelName::problem(name)) {
            problem("default_model", wrong);
        }
        if self.temperature.new_value().is_some_and(|temperature| !(0.0..=2.0).contains(temperature)) {
            problem("temperature", Wrong::Range { min: 0, max: 2 });
        }
        if self.max_tokens.new_value().is_some_and(|max| !(1..=1_000_000).contains(max)) {
            problem("max_tokens", Wrong::Range { min: 1, max: 1_000_000 });
        }
        if let Some(wrong) = self.system_prompt.new_value().and_then(|text| SystemPrompt::problem(text)) {
            problem("system_prompt", wrong);
        }
        if self.language.as_ref().is_some_and(|code| !language::is_known(code)) {
            let codes: Vec<&str> = language::LANGUAGES.iter().map(|(code, _)| *code).collect();
            problem("language", Wrong::AutoOrOneOf(codes.join(", ")));
        }
    }

    fn apply(self, now: &mut ChatSettings) {
        self.default_provider.apply(&mut now.default_provider);
        self.default_model.apply(&mut now.default_model);
        self.temperature.apply(&mut now.temperature);
        now.max_tokens = self.max_tokens.over(now.max_tokens.map(i64::from)).map(|max| max as u32);
        self.system_prompt.apply(&mut now.system_prompt);
        now.language = self.language.unwrap_or_else(|| now.language.clone());
    }
}

#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
pub struct MemorySettingsChange {
    pub auto_memory_extraction: Option<bool>,
    pub memory_importance_threshold: Option<f64>,
    pub enable_semantic_search: Option<bool>,
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    pub auto_confirm_threshold: Patch<f64>,
    pub allow_private_in_context: Option<bool>,
    pub use_past_conversations: Option<bool>,
}

pub async fn get(q: &mut impl Querier, user: UserId) -> Result<UserSettings> {
    let stored = store::settings::get(q, user).await?.unwrap_or(Value::Null);
    Ok(of(stored))
}

/// Settings as they are stored, with defaults where nothing is.
pub fn of(stored: Value) -> UserSettings {
    // Unknown fields of a newer version are left alone; a value of the wrong form falls back to the defaults.
    serde_json::from_value(stored).unwrap_or_default()
}

pub async fn change(ctx: &Context, user: UserId, change: SettingsChange) -> Result<UserSettings> {
    let memory = change.memory_settings.unwrap_or_default();
    let mut problems = Problems::default();
    let thresholds = [
        ("memory_settings.memory_importance_threshold", memory.memory_importance_threshold),
        ("memory_settings.auto_confirm_threshold", memory.auto_confirm_threshold.new_value().copied()),
    ];
    for (field, value) in thresholds {
        let fits = value.is_none_or(|value| (0.0..=1.0).contains(&value));
        problems.unless(fits, field, Wrong::Range { min: 0, max: 1 });
    }
    let chat = change.chat_settings.unwrap_or_default();
    chat.check(ctx, &mut problems);
    problems.done()?;
    let mut tx = ctx.db.begin().await?;
    // Takes the user's row of memory state, so that two partial changes do not undo each other.
    store::memory_log::take_version(&mut tx, user).await?;
    let mut settings = get(&mut tx, user).await?;
    let now = &mut settings.memory_settings;
    now.auto_memory_extraction = memory.auto_memory_extraction.unwrap_or(now.auto_memory_extraction);
    now.memory_importance_threshold =
        memory.memory_importance_threshold.unwrap_or(now.memory_importance_threshold);
    now.enable_semantic_search = memory.enable_semantic_search.unwrap_or(now.enable_semantic_search);
    memory.auto_confirm_threshold.apply(&mut now.auto_confirm_threshold);
    now.allow_private_in_context = memory.allow_private_in_context.unwrap_or(now.allow_private_in_context);
    now.use_past_conversations = memory.use_past_conversations.unwrap_or(now.use_past_conversations);
    let names_model = chat.default_model.new_value().is_some();
    chat.apply(&mut settings.chat_settings);
    let set = &settings.chat_settings;
    let provider =
        set.default_provider.as_deref().filter(|name| ctx.providers.offers(name)).unwrap_or("auto");
    let model = set.default_model.as_deref().filter(|_| names_model);
    if let Some((_, wrong)) = ctx.providers.refusal(provider, model, &[]) {
        return Err(Error::field("chat_settings.default_model", wrong));
    }
    let value = serde_json::to_value(&settings).map_err(Error::internal)?;
    store::settings::put(&mut tx, user, &value, clock::now()).await?;
    tx.commit().await?;
    Ok(settings)
}
