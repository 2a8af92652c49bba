//! A prompt that introduces the user to a model that does not know them.

use rapport_common::{
    auth,
    domain::{
        memory::{Memory, MemoryStatus},
        user::Scope,
    },
    memory::frame::frame,
    store::memories::{self, Filter, Sort, Wanted},
    usecase::{memory::recall::recall_any, settings},
};
use serde_json::{Value, json};

use crate::{error::Result, state::AppState};

const NAME: &str = "about_me";
const DESCRIPTION: &str = "Introduces the user: what Rapport remembers of them and they have confirmed";
/// Memories that it looks at, and tokens that it may take.
const MEMORIES: i64 = 200;
const TOKENS: usize = 2_000;
/// Bytes of a topic.
const TOPIC_MAX: usize = 4_000;

/// The prompts of the caller.
pub fn listed(caller: &auth::Caller) -> Value {
    let about = json!({
        "name": NAME, "title": "About me", "description": DESCRIPTION,
        "arguments": [{"name": "topic", "description": "Only what is about this", "required": false}],
    });
    json!({"prompts": if caller.may(Scope::Memory) { vec![about] } else { Vec::new() }})
}

/// The prompt, filled in. Its memories go to a model elsewhere: private ones stay here, unless their user allows it.
/// `None`: there is no such prompt for this caller, or its arguments are not its own.
pub async fn filled(state: &AppState, caller: &auth::Caller, parameters: &Value) -> Result<Option<Value>> {
    if parameters["name"] != NAME || !caller.may(Scope::Memory) {
        return Ok(None);
    }
    let topic = match &parameters["arguments"]["topic"] {
        Value::Null => "",
        Value::String(topic) if topic.len() <= TOPIC_MAX && !topic.contains('\0') => topic.trim(),
        _ => return Ok(None),
    };
    let block = if topic.is_empty() {
        everything(state, caller).await?
    } else {
        recall_any(&state.ctx, caller.user, topic, false).await?.block
    };
    let said = if block.is_empty() { "Nothing is remembered of me yet.".to_owned() } else { block };
    let text = format!("I am the user. This is to introduce me.\n\n{said}");
    Ok(Some(json!({
        "description": DESCRIPTION,
        "messages": [{"role": "user", "content": {"type": "text", "text": text}}],
    })))
}

/// What is confirmed, the most important first, as much as fits.
async fn everything(state: &AppState, caller: &auth::Caller) -> Result<String> {
    let confirmed = Filter {
        status: Wanted::Only(MemoryStatus::Confirmed),
        memory_type: None,
        q: None,
        include_expired: false,
    };
    let mut conn = state.ctx.db.read().await?;
    let found = memories::page(&mut conn, caller.user, &confirmed, Sort::Importance, MEMORIES, 0).await?;
    let allowed = settings::get(&mut conn, caller.user).await?.memory_settings.allow_private_in_context;
    let open: Vec<&Memory> = found.iter().filter(|memory| allowed || !memory.is_private).collect();
    Ok(frame(&[(open, TOKENS)]).0)
}
