//! Tools that projects describe, and which tools a project does without.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::get;
use crate::{
    Context, Error, Result, clock,
    domain::ids::{ProjectId, ToolId, UserId},
    error::{Code, Wrong},
    http_tools::{
        Definition, Described, TOOLS_MAX, header_names,
        openapi::{self, Skipped},
    },
    secret::Secret,
    signing,
    store::{
        Querier, Tx,
        http_tools::{self, HttpTool},
    },
    usecase::{
        audit,
        repeat::{Repeatable, repeated},
    },
};

/// Names that a project may switch off at most.
const DISABLED_MAX: usize = 200;

pub type Headers = BTreeMap<String, String>;

/// Who asks, and for which project.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub user: UserId,
    pub project: ProjectId,
    /// For the audit log.
    pub address: &'a str,
}

/// What of a tool nobody is shown.
#[derive(Serialize, Deserialize)]
struct Hidden {
    secret: String,
    headers: Headers,
}

/// A tool with what its calls need.
pub struct Opened {
    pub tool: HttpTool,
    pub secret: Secret,
    pub headers: Vec<(String, Secret)>,
}

fn sealed_for(id: ToolId) -> String {
    format!("{id}|tool")
}

fn open(ctx: &Context, tool: &HttpTool) -> Option<Hidden> {
    let text = ctx.sealer.open(&sealed_for(tool.id), &tool.sealed)?;
    serde_json::from_str(text.expose()).ok()
}

fn seal(ctx: &Context, id: ToolId, hidden: &Hidden) -> Result<Vec<u8>> {
    let text = serde_json::to_string(hidden).map_err(Error::internal)?;
    ctx.sealer.seal(&sealed_for(id), &Secret::new(text))
}

fn names_of(headers: &Headers) -> Result<Vec<String>> {
    let pairs = headers.iter().map(|(name, value)| (name, value.as_str()));
    header_names(pairs).map_err(|wrong| Error::field("headers", wrong))
}

/// Refuses an address that calls could not go to, and a name that is taken for everybody.
fn check(ctx: &Context, definition: &Definition, field: &str) -> Result<()> {
    let address = ctx.tools.for_projects().check_text(&definition.url);
    address.map_err(|error| Error::field(field, Wrong::Url(error.to_string())))?;
    if ctx.tools.knows(&definition.name) {
        return Err(Error::field("name", Wrong::Form("is the name of a tool that every chat may use")));
    }
    Ok(())
}

/// Puts in one tool. `false`: its name is taken.
async fn insert(
    ctx: &Context,
    tx: &mut Tx,
    place: Place<'_>,
    ids: (ToolId, ToolId),
    definition: &Definition,
    hidden: &Hidden,
) -> Result<bool> {
    let (id, batch) = ids;
    let now = clock::now();
    let tool = HttpTool {
        id,
        project_id: place.project,
        batch,
        name: definition.name.clone(),
        description: definition.description.clone(),
        parameters: definition.parameters.clone(),
        url: definition.url.clone(),
        method: definition.method.clone(),
        places: json!(definition.places),
        timeout_seconds: definition.timeout_seconds,
        changes_something: definition.changes_something,
        header_names: names_of(&hidden.headers)?,
        sealed: seal(ctx, id, hidden)?,
        created_at: now,
        updated_at: now,
    };
    Ok(http_tools::insert(tx, place.user, &tool).await?)
}

fn too_many() -> Error {
    Error::new(Code::Conflict, format!("A project has at most {TOOLS_MAX} tools."))
}

/// What one request made, and the secret that signs its calls.
pub struct Made {
    pub tools: Vec<HttpTool>,
    pub secret: Option<String>,
    pub skipped: Vec<Skipped>,
    pub replayed: bool,
}

async fn made(
    ctx: &Context,
    q: &mut impl Querier,
    place: Place<'_>,
    batch: ToolId,
    replayed: bool,
) -> Result<Made> {
    let tools = http_tools::of_batch(q, place.user, place.project, batch).await?;
    let secret = tools.first().and_then(|tool| open(ctx, tool)).map(|hidden| hidden.secret);
    Ok(Made { tools, secret, skipped: Vec::new(), replayed })
}

/// Describes a tool.
pub async fn create(
    ctx: &Context,
    place: Place<'_>,
    described: Described,
    headers: Headers,
    repeatable: Option<&Repeatable>,
) -> Result<Made> {
    let definition = Definition::of(described)?;
    names_of(&headers)?;
    check(ctx, &definition, "url")?;
    let hidden = Hidden { secret: signing::new_secret()?.expose().to_owned(), headers };
    let id = ToolId::new();
    let mut tx = ctx.db.begin().await?;
    http_tools::take_project(&mut tx, place.user, place.project).await?;
    get(&mut tx, place.user, place.project).await?;
    let operation = format!("tool of {}", place.project);
    if let Some(first) = repeated(ctx, &mut tx, place.user, &operation, repeatable, id).await? {
        let first = made(ctx, &mut tx, place, first, true).await?;
        return if first.tools.is_empty() { Err(Error::not_found("tool")) } else { Ok(first) };
    }
    if http_tools::count(&mut tx, place.user, place.project).await? >= TOOLS_MAX as i64 {
        return Err(too_many());
    }
    if !insert(ctx, &mut tx, place, (id, id), &definition, &hidden).await? {
        let detail = format!("The project has a tool called {}.", definition.name);
        return Err(Error::new(Code::Conflict, detail));
    }
    let detail = json!({"project": place.project, "tool": definition.name, "url": definition.url});
    audit::note(&mut tx, place.user, "tool_made", Some(place.address), Some(detail)).await?;
    let made = made(ctx, &mut tx, place, id, false).await?;
    tx.commit().await?;
    Ok(made)
}

/// A document whose operations become tools.
pub struct Import {
    pub document: Value,
    /// In place of its servers.
    pub base_url: Option<String>,
    /// Those alone.
    pub operations: Option<Vec<String>>,
    pub headers: Headers,
    /// Whether a tool of the same name goes.
    pub replace: bool,
}

pub async fn import(
    ctx: &Context,
    place: Place<'_>,
    given: Import,
    repeatable: Option<&Repeatable>,
) -> Result<Made> {
    let Import { document, base_url, operations, headers, replace } = given;
    names_of(&headers)?;
    // A large document is some work: not on a thread that others wait for.
    let read = move || openapi::tools(&document, base_url.as_deref(), operations.as_deref());
    let found = tokio::task::spawn_blocking(read).await.map_err(Error::internal)??;
    let mut skipped = found.skipped;
    let hidden = Hidden { secret: signing::new_secret()?.expose().to_owned(), headers };
    let batch = ToolId::new();
    let mut tx = ctx.db.begin().await?;
    http_tools::take_project(&mut tx, place.user, place.project).await?;
    get(&mut tx, place.user, place.project).await?;
    let operation = format!("tools of {}", place.project);
    if let Some(first) = repeated(ctx, &mut tx, place.user, &operation, repeatable, batch).await? {
        return made(ctx, &mut tx, place, first, true).await;
    }
    for tool in found.tools {
        if let Err(error) = check(ctx, &tool, "url") {
            skipped.push(Skipped { operation: tool.name, reason: error.detail });
            continue;
        }
        if replace {
            http_tools::delete_named(&mut tx, place.user, place.project, &tool.name).await?;
        }
        if http_tools::count(&mut tx, place.user, place.project).await? >= TOOLS_MAX as i64 {
            return Err(too_many());
        }
        if !insert(ctx, &mut tx, place, (ToolId::new(), batch), &tool, &hidden).await? {
            let reason = "the project has a tool of that name".to_owned();
            skipped.push(Skipped { operation: tool.name, reason });
        }
    }
    let made = Made { skipped, ..made(ctx, &mut tx, place, batch, false).await? };
    let names: Vec<&String> = made.tools.iter().map(|tool| &tool.name).collect();
    let detail = json!({"project": place.project, "tools": names});
    audit::note(&mut tx, place.user, "tool_made", Some(place.address), Some(detail)).await?;
    tx.commit().await?;
    Ok(made)
}

/// What may be changed of a tool; what is absent stays.
#[derive(Debug, Default)]
pub struct ToolChange {
    pub description: Option<String>,
    pub timeout_seconds: Option<i64>,
    pub changes_something: Option<bool>,
    /// All of them anew.
    pub headers: Option<Headers>,
}

pub async fn change(
    ctx: &Context,
    user: UserId,
    project: ProjectId,
    id: ToolId,
    change: ToolChange,
) -> Result<HttpTool> {
    let mut tx = ctx.db.begin().await?;
    http_tools::take(&mut tx, user, project, id).await?;
    let mut tool = one(&mut tx, user, project, id).await?;
    if let Some(headers) = change.headers {
        tool.header_names = names_of(&headers)?;
        let opened = open(ctx, &tool);
        let secret = opened.map(|hidden| hidden.secret);
        let secret = secret.ok_or_else(|| {
            Error::new(
                Code::WrongState,
                "The tool's secret does not open: delete the tool, and make it anew.",
            )
        })?;
        tool.sealed = seal(ctx, id, &Hidden { secret, headers })?;
    }
    tool.description = change.description.unwrap_or(tool.description);
    tool.timeout_seconds = change.timeout_seconds.unwrap_or(tool.timeout_seconds);
    tool.changes_something = change.changes_something.unwrap_or(tool.changes_something);
    definition(&tool)?.check()?;
    tool.updated_at = clock::now();
    http_tools::update(&mut tx, user, &tool).await?;
    tx.commit().await?;
    Ok(tool)
}

/// A stored tool as it is called.
pub fn definition(tool: &HttpTool) -> Result<Definition> {
    Ok(Definition {
        name: tool.name.clone(),
        description: tool.description.clone(),
        parameters: tool.parameters.clone(),
        url: tool.url.clone(),
        method: tool.method.clone(),
        places: serde_json::from_value(tool.places.clone()).map_err(Error::internal)?,
        timeout_seconds: tool.timeout_seconds,
        changes_something: tool.changes_something,
    })
}

pub async fn one(q: &mut impl Querier, user: UserId, project: ProjectId, id: ToolId) -> Result<HttpTool> {
    http_tools::get(q, user, project, id).await?.ok_or_else(|| Error::not_found("tool"))
}

pub async fn delete(ctx: &Context, user: UserId, project: ProjectId, id: ToolId) -> Result<()> {
    let mut tx = ctx.db.begin().await?;
    if !http_tools::delete(&mut tx, user, project, id).await? {
        return Err(Error::not_found("tool"));
    }
    tx.commit().await
}

/// Says which tools a project does without, whoever made them. They need not be there yet.
pub async fn disable(
    ctx: &Context,
    user: UserId,
    project: ProjectId,
    mut names: Vec<String>,
) -> Result<Vec<String>> {
    names.sort_unstable();
    names.dedup();
    if names.len() > DISABLED_MAX {
        return Err(Error::field("names", Wrong::Count { min: 0, max: DISABLED_MAX }));
    }
    let fits = |name: &String| (1..=64).contains(&name.len()) && !name.chars().any(char::is_control);
    if !names.iter().all(fits) {
        return Err(Error::field("names", Wrong::Names { min: 1, max: 64 }));
    }
    let mut tx = ctx.db.begin().await?;
    if !http_tools::disable(&mut tx, user, project, &names).await? {
        return Err(Error::not_found("project"));
    }
    tx.commit().await?;
    Ok(names)
}

/// The tools of a project, to be called. One that does not open (its sealing key is gone) is left out.
pub async fn opened(ctx: &Context, user: UserId, project: ProjectId) -> Result<Vec<Opened>> {
    let tools = http_tools::list(&mut ctx.db.read().await?, user, project).await?;
    let opened = tools.into_iter().filter_map(|tool| {
        let Some(Hidden { secret, headers }) = open(ctx, &tool) else {
            tracing::warn!(tool = %tool.id, "a sealed secret does not open: ENCRYPTION_KEY has changed");
            return None;
        };
        let headers = headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
        Some(Opened { tool, secret: Secret::new(secret), headers })
    });
    Ok(opened.collect())
}

/// Refuses names of tools that are neither everybody's nor the project's.
pub async fn check_names(
    ctx: &Context,
    q: &mut impl Querier,
    user: UserId,
    project: Option<ProjectId>,
    names: &[String],
) -> Result<()> {
    let mut unknown: Vec<&String> = names.iter().filter(|name| !ctx.tools.knows(name)).collect();
    if let Some(project) = project {
        let own = http_tools::list(q, user, project).await?;
        unknown.retain(|name| own.iter().all(|tool| tool.name != **name));
        let disabled = http_tools::disabled(q, user, project).await?.unwrap_or_default();
        unknown.extend(names.iter().filter(|name| disabled.contains(name)));
    }
    match unknown.first() {
        Some(unknown) => Err(Error::field("tools", Wrong::NoTool((*unknown).clone()))),
        None => Ok(()),
    }
}
