//! Vectors for texts that a program sends: nothing is stored, so there is no job. What a provider was asked is counted.

use chrono::Datelike;

use super::{budget, usage};
use crate::{
    Context, Error, Result,
    auth::Caller,
    chat::tokens,
    clock,
    domain::message::Usage,
    error::Code,
    store::{self, usage::Spent},
};

/// Whose usage it is.
const PROVIDER: &str = "embedding";

pub struct Embedded {
    pub vectors: Vec<Vec<f32>>,
    /// Estimated.
    pub tokens: i64,
}

/// Goes on though the client leaves: what a provider was asked counts.
pub async fn embed_texts(ctx: &Context, caller: &Caller, texts: &[String]) -> Result<Embedded> {
    let (ctx, caller, texts) = (ctx.clone(), caller.clone(), texts.to_vec());
    let asked = tokio::spawn(async move { embed_and_count(&ctx, &caller, &texts).await });
    asked.await.map_err(Error::internal)?
}

async fn embed_and_count(ctx: &Context, caller: &Caller, texts: &[String]) -> Result<Embedded> {
    let tokens = texts.iter().map(|text| tokens::estimate(text) as i64).sum();
    // The built-in one costs nothing.
    let is_paid = !ctx.embedder.is_local();
    if is_paid {
        check_budget(ctx, caller, tokens).await?;
    }
    let vectors = ctx.embedder.embed(texts).await.map_err(|error| error.public())?;
    if is_paid {
        let model = ctx.embedder.model();
        let key = caller.key().map(|key| key.to_string()).unwrap_or_default();
        let used = Usage::new(tokens, 0);
        let spent = Spent {
            user: caller.user,
            project: "",
            api_key: &key,
            provider: PROVIDER,
            model: &model,
            kind: PROVIDER,
            usage: used,
            cost: ctx.providers.cost(&model, used),
            at: clock::now(),
        };
        usage::count(ctx, caller.user, vec![spent]).await?;
    }
    Ok(Embedded { vectors, tokens })
}

/// What is spent already is spent; one request more than there is room for is refused.
async fn check_budget(ctx: &Context, caller: &Caller, tokens: i64) -> Result<()> {
    let spent = |whose: &str| Err(Error::new(Code::BudgetSpent, format!("This would go over {whose}.")));
    let left = budget::left(ctx, caller.user, None).await?;
    if left.tokens_left.is_some_and(|left| left < tokens) || left.cost_left.is_some_and(|left| left <= 0.0) {
        return spent("your budget for today. It starts anew at midnight UTC");
    }
    let Some(key) = caller.key() else { return Ok(()) };
    let mut conn = ctx.db.read().await?;
    let Some(most) = store::keys::monthly_tokens(&mut conn, caller.user, key).await? else { return Ok(()) };
    let now = clock::now();
    let since = format!("{:04}-{:02}-01", now.year(), now.month());
    let used = store::keys::spent(&mut conn, caller.user, key, &since).await?;
    if used + tokens > most { spent("the API key's budget for this month") } else { Ok(()) }
}
