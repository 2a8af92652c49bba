//! Webhooks: made, told, told again. Signed as Standard Webhooks says. <https://www.standardwebhooks.com>

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde_json::{Value, json};

use super::repeat::{Repeatable, repeated};
use crate::{
    Context, Error, Result, clock,
    domain::{
        ids::{DeliveryId, JobId, MemoryId, UserId, WebhookId},
        job::Job,
    },
    egress::Request,
    error::{Code, Wrong},
    jobs::{Ended, payload::WebhookPayload},
    secret::Secret,
    signing,
    store::{self, jobs::NewJob, webhooks, webhooks::Webhook},
};

pub const EVENTS: [&str; 3] = ["job.succeeded", "job.failed", "memory.created"];
const HOOKS_MAX: i64 = 20;
/// After a failure it is told again after so many seconds, with jitter; after the last, no more.
const PAUSES: [i64; 7] = [5, 60, 300, 1_800, 7_200, 18_000, 36_000];
/// A delivery that a worker took and never ended comes back after so long.
const TAKEN: TimeDelta = TimeDelta::seconds(120);
/// What its owner hears of every delivery that got no answer.
const NOT_REACHED: &str = "the receiver could not be reached, or did not answer as it should";
const WITHIN: Duration = Duration::from_secs(15);

fn place(id: WebhookId) -> String {
    format!("{id}|secret")
}

/// Makes a webhook; gives its secret, once.
pub async fn create(
    ctx: &Context,
    user: UserId,
    url: &str,
    events: Vec<String>,
    repeatable: Option<&Repeatable>,
) -> Result<(Webhook, String, bool)> {
    if url.len() > 2_000 {
        return Err(Error::field("url", Wrong::Bytes { max: 2_000, nul: false }));
    }
    ctx.tools.egress().check_text(url).map_err(|error| Error::field("url", Wrong::Url(error.to_string())))?;
    if events.is_empty() || events.iter().any(|event| !EVENTS.contains(&event.as_str())) {
        return Err(Error::field("events", Wrong::SomeOf { values: EVENTS.join(", "), or_absent: false }));
    }
    let secret = signing::new_secret()?;
    let hook = Webhook { id: WebhookId::new(), url: url.to_owned(), events, created_at: clock::now() };
    let sealed = ctx.sealer.seal(&place(hook.id), &secret)?;
    let mut tx = ctx.db.begin().await?;
    if let Some(first) = repeated(ctx, &mut tx, user, "webhook", repeatable, hook.id).await? {
        let gone = || Error::not_found("webhook");
        let (_, sealed) = webhooks::get(&mut tx, user, first).await?.ok_or_else(gone)?;
        let hook = webhooks::list(&mut tx, user).await?.into_iter().find(|hook| hook.id == first);
        let secret = ctx.sealer.open(&place(first), &sealed).ok_or_else(gone)?;
        return Ok((hook.ok_or_else(gone)?, secret.expose().to_owned(), true));
    }
    if webhooks::count(&mut tx, user).await? >= HOOKS_MAX {
        return Err(Error::new(Code::Conflict, format!("An account has at most {HOOKS_MAX} webhooks.")));
    }
    webhooks::insert(&mut tx, user, &hook, &sealed).await?;
    tx.commit().await?;
    Ok((hook, secret.expose().to_owned(), false))
}

pub async fn delete(ctx: &Context, user: UserId, id: WebhookId) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    if !webhooks::delete(&mut tx, user, id).await? {
        return Err(Error::not_found("webhook"));
    }
    tx.commit().await
}

/// Tells something once more, from the beginning.
pub async fn redeliver(ctx: &Context, user: UserId, hook: WebhookId, id: DeliveryId) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    if !webhooks::again(&mut tx, user, hook, id, clock::now()).await? {
        return Err(Error::not_found("delivery"));
    }
    tx.commit().await?;
    schedule(ctx).await
}

/// What a test event is called.
pub const TEST: &str = "webhook.test";

/// Sends a receiver something to try it with, signed like everything else.
pub async fn test(ctx: &Context, user: UserId, hook: WebhookId) -> Result<DeliveryId> {
    let id = DeliveryId::new();
    let mut tx = ctx.db.begin().await?;
    if !webhooks::tell(&mut tx, user, hook, id, TEST, clock::now()).await? {
        return Err(Error::not_found("webhook"));
    }
    tx.commit().await?;
    schedule(ctx).await?;
    Ok(id)
}

/// What a delivery says. `None` in it: what it is about is gone.
pub async fn said(ctx: &Context, user: UserId, hook: WebhookId, id: DeliveryId) -> Result<Option<Value>> {
    let found = webhooks::delivery(&mut ctx.db.read().await?, user, id).await?;
    let due = found.filter(|due| due.webhook_id == hook).ok_or_else(|| Error::not_found("delivery"))?;
    body(ctx, user, &due).await
}

/// Puts in the jobs for what is due. For the sweep.
pub async fn schedule(ctx: &Context) -> Result<()> {
    let now = clock::now();
    let due = webhooks::due(&mut ctx.db.read().await?, now, 500).await?;
    if due.is_empty() {
        return Ok(());
    }
    let mut tx = ctx.db.begin().await?;
    let mut ready = Vec::new();
    for (delivery, user) in due {
        let payload = WebhookPayload { delivery_id: delivery };
        let new = NewJob::new(&payload, ctx.settings.queue.max_attempts)?.of_user(user);
        ready.extend(store::jobs::enqueue(&mut tx, new.once(format!("webhook:{delivery}"))).await?);
        webhooks::put_off(&mut tx, delivery, now + TAKEN).await?;
    }
    tx.commit().await?;
    ctx.announce(ready).await;
    Ok(())
}

/// What a receiver is told. `None`: what it is about is gone.
async fn body(ctx: &Context, user: UserId, due: &webhooks::Due) -> Result<Option<Value>> {
    let mut conn = ctx.db.read().await?;
    let data = if due.event == TEST {
        Some(json!({"webhook_id": due.webhook_id}))
    } else if due.event == "memory.created" {
        let memory = store::memories::get(&mut conn, user, MemoryId(due.subject)).await?;
        memory.map(|memory| {
            json!({"memory": {"id": memory.id, "content": memory.content, "memory_type": memory.memory_type, "status": memory.status}})
        })
    } else {
        let job = store::jobs::get(&mut conn, user, JobId(due.subject)).await?;
        job.map(|job| {
            json!({"job": {
                "id": job.id, "kind": job.kind, "status": job.status, "session_id": job.session_id,
                "result": job.result, "error": job.error,
            }})
        })
    };
    let at = due.created_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    Ok(data.map(|data| json!({"type": due.event, "timestamp": at, "data": data})))
}

/// Tells a receiver, once. What came of it is the row's; the job has done its work either way.
pub async fn deliver(ctx: &Context, job: &Job, user: UserId, id: DeliveryId) -> Result<Option<Ended>> {
    let Some(due) = webhooks::delivery(&mut ctx.db.read().await?, user, id).await? else {
        return finish(ctx, job, user, None).await; // the webhook is gone
    };
    if due.status != "pending" {
        return finish(ctx, job, user, None).await;
    }
    let hook = webhooks::get(&mut ctx.db.read().await?, user, due.webhook_id).await?;
    let Some((url, sealed)) = hook else { return finish(ctx, job, user, None).await };
    let told = match (body(ctx, user, &due).await?, ctx.sealer.open(&place(due.webhook_id), &sealed)) {
        (None, _) => {
            Told { answer: None, error: Some("what it is about is gone".to_owned()), for_good: true }
        }
        (_, None) => {
            Told { answer: None, error: Some("its secret does not open".to_owned()), for_good: true }
        }
        (Some(body), Some(secret)) => send(ctx, &url, &due, &body.to_string(), &secret).await,
    };
    finish(ctx, job, user, Some((due, told))).await
}

struct Told {
    answer: Option<i64>,
    error: Option<String>,
    for_good: bool,
}

async fn send(ctx: &Context, url: &str, due: &webhooks::Due, body: &str, secret: &Secret) -> Told {
    let timestamp = clock::now().timestamp();
    let id = due.id.to_string();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    signing::sign(&mut headers, secret, &id, timestamp, body);
    let request = Request {
        method: Method::POST,
        url: url.to_owned(),
        headers,
        body: Some(body.to_owned().into()),
        within: WITHIN,
        at_most: 64 * 1_024,
        elsewhere: true,
    };
    match ctx.tools.egress().send(request).await {
        Ok(answer) if answer.status.is_success() => {
            Told { answer: Some(i64::from(answer.status.as_u16())), error: None, for_good: false }
        }
        // 410: the receiver wants no more of it.
        Ok(answer) => {
            let status = answer.status.as_u16();
            let error = Some(format!("it answered with status {status}"));
            Told { answer: Some(i64::from(status)), error, for_good: status == 410 }
        }
        Err(error) => {
            // Our log knows more. The receiver's owner does not: refused, unknown, closed and silent addresses told apart
            // would map the network we stand in.
            tracing::info!(delivery = %due.id, %error, "a webhook was not delivered");
            Told { answer: None, error: Some(NOT_REACHED.to_owned()), for_good: false }
        }
    }
}

async fn finish(
    ctx: &Context,
    job: &Job,
    user: UserId,
    told: Option<(webhooks::Due, Told)>,
) -> Result<Option<Ended>> {
    let now = clock::now();
    let result = json!({"delivered": told.as_ref().is_some_and(|(_, told)| told.error.is_none())});
    let mut tx = ctx.db.begin().await?;
    let status = crate::domain::job::JobStatus::Succeeded;
    let settled =
        store::ledger::settle(&mut tx, store::ledger::AttemptOf::job(job), status, Some(&result), None, now)
            .await?;
    let Some(settled) = settled else { return Ok(None) };
    if let Some((due, told)) = told {
        match told.error {
            None => webhooks::done(&mut tx, user, due.id, told.answer.unwrap_or(0), now).await?,
            Some(error) => {
                let pause = PAUSES.get(due.attempts as usize).filter(|_| !told.for_good);
                let scale = |seconds: i64| {
                    TimeDelta::milliseconds(seconds * rand::Rng::random_range(&mut rand::rng(), 800..=1_200))
                };
                let next = pause.map(|pause| now + scale(*pause));
                webhooks::failed(
                    &mut tx,
                    user,
                    due.id,
                    webhooks::Failure { answer: told.answer, error: &error, next },
                    now,
                )
                .await?;
            }
        }
    }
    tx.commit().await?;
    Ok(Some(Ended::new(settled, result)))
}
