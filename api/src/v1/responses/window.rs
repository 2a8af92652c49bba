//! What a model reads at once, where it is known. What is more is refused, or its oldest turns are left out.

use rapport_common::{
    Context, Error, Result,
    chat::{tokens, window},
    domain::prompt::Prompted,
    error::Wrong,
    providers::ChatRequest,
};

use crate::v1::models::Named;

/// Tokens that are left for the answer, if nobody says how many it may have.
const ANSWER: usize = 1_024;

/// How a request is held against its model's window.
pub struct Fit {
    pub truncates: bool,
    pub max_tokens: Option<i64>,
}

pub fn fit(ctx: &Context, named: &Named, prompted: &mut Prompted, how: Fit) -> Result<()> {
    let request = ChatRequest::default();
    let named_model = named.model.as_ref().map(|model| model.to_string());
    let model = named_model.or_else(|| ctx.providers.likely_model(&named.provider, &request));
    let known = model.and_then(|model| ctx.providers.models.get(&model)?.context_tokens);
    let Some(max) = known.map(|tokens| tokens as usize) else { return Ok(()) };
    let of_tool = |tool: &_| tokens::estimate(&serde_json::to_string(tool).unwrap_or_default());
    let tools: usize = prompted.tools.iter().map(of_tool).sum();
    if how.truncates {
        let answer = how.max_tokens.map_or(ANSWER, |tokens| tokens as usize).min(max / 2);
        let passages = prompted.search.as_ref().map_or(0, |_| ctx.settings.files.context_tokens);
        let budget = max.saturating_sub(tools + answer + passages);
        prompted.messages = window::truncated(std::mem::take(&mut prompted.messages), budget);
    }
    // Whoever names neither may be answered by another one, with more room.
    if named.model.is_none() && named.provider == "auto" {
        return Ok(());
    }
    let tokens = tools + prompted.messages.iter().map(tokens::of_message).sum::<usize>();
    if tokens > max { Err(Error::field("input", Wrong::Window { max, tokens })) } else { Ok(()) }
}
