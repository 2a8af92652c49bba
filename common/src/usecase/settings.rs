//! What a user has set, with its defaults; a partial change changes what it names.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Context, Error, Result, clock,
    domain::ids::UserId,
    error::FieldError,
    store::{self, Querier},
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
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
}

impl Default for MemorySettings {
    fn default() -> Self {
        Self {
            auto_memory_extraction: true,
            memory_importance_threshold: 0.0,
            enable_semantic_search: true,
            auto_confirm_threshold: None,
            allow_private_in_context: false,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct UserSettings {
    pub memory_settings: MemorySettings,
}

/// Changes to settings: what is absent stays. `auto_confirm_threshold: null` is a value.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
pub struct SettingsChange {
    pub memory_settings: Option<MemorySettingsChange>,
}

#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
pub struct MemorySettingsChange {
    pub auto_memory_extraction: Option<bool>,
    pub memory_importance_threshold: Option<f64>,
    pub enable_semantic_search: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<f64>)]
    pub auto_confirm_threshold: Option<Option<f64>>,
    pub allow_private_in_context: Option<bool>,
}

/// Tells `null` from absent.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<f64>>, D::Error> {
    Option::<f64>::deserialize(deserializer).map(Some)
}

pub async fn get(q: &mut impl Querier, user: UserId) -> Result<UserSettings> {
    let stored = store::settings::get(q, user).await?.unwrap_or(Value::Null);
    // Unknown fields of a newer version are left alone; a value of the wrong form falls back to the defaults.
    Ok(serde_json::from_value(stored).unwrap_or_default())
}

pub async fn change(ctx: &Context, user: UserId, change: SettingsChange) -> Result<UserSettings> {
    let memory = change.memory_settings.unwrap_or_default();
    let mut errors = Vec::new();
    let thresholds = [
        ("memory_settings.memory_importance_threshold", memory.memory_importance_threshold),
        ("memory_settings.auto_confirm_threshold", memory.auto_confirm_threshold.flatten()),
    ];
    for (field, value) in thresholds {
        if value.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
            errors.push(FieldError { field: field.to_owned(), message: "must be from 0 to 1".to_owned() });
        }
    }
    if !errors.is_empty() {
        return Err(Error::fields(errors));
    }
    let mut tx = ctx.db.begin().await?;
    // Takes the user's row of memory state, so that two partial changes do not undo each other.
    store::memory_log::take_version(&mut tx, user).await?;
    let mut settings = get(&mut tx, user).await?;
    let now = &mut settings.memory_settings;
    now.auto_memory_extraction = memory.auto_memory_extraction.unwrap_or(now.auto_memory_extraction);
    now.memory_importance_threshold =
        memory.memory_importance_threshold.unwrap_or(now.memory_importance_threshold);
    now.enable_semantic_search = memory.enable_semantic_search.unwrap_or(now.enable_semantic_search);
    now.auto_confirm_threshold = memory.auto_confirm_threshold.unwrap_or(now.auto_confirm_threshold);
    now.allow_private_in_context = memory.allow_private_in_context.unwrap_or(now.allow_private_in_context);
    let value = serde_json::to_value(&settings).map_err(Error::internal)?;
    store::settings::put(&mut tx, user, &value, clock::now()).await?;
    tx.commit().await?;
    Ok(settings)
}
