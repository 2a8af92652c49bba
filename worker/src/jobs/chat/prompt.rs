//! What a model is asked, and which: the system prompt, what is remembered, the turns that fit, the tools on offer.

use std::sync::Arc;

use rapport_common::{
    Context, Error,
    chat::{language, template, tokens, window},
    clock,
    domain::{
        ids::{ProjectId, SessionId, UserId},
        job::Job,
        message::Turn,
        prompt::{AllowedCall, NamedServer, Prompted},
    },
    jobs::payload::{ChatPayload, ToolChoice, ToolWord, UNSPECIFIED},
    providers::{ChatMessage, ChatRequest, Options, Role, ToolSpec},
    secret::Secret,
    store::{
        self, Conn, branches,
        projects::{Project, Prompt as Template},
    },
    tools::Tool,
    usecase::{
        files::{
            images::MOST_OF_PROMPT,
            search::{self, Knowledge},
        },
        finish_chat::{owner, whose},
        memory::{
            past_turns::{self, PastTurns, past_turns},
            recall::{self, Recall, recall},
        },
        projects,
        settings::{self, ChatSettings, MemorySettings, UserSettings},
        vector_stores,
    },
};

use tokio::sync::SemaphorePermit;

use super::images;

/// Turns loaded for the window at most; the token budget usually ends it sooner.
const TURNS: i64 = 200;
/// Of a small window, earlier conversations take this part at most: the turns of this one come first.
const PAST: usize = 8;
/// What an answer may take of a small model's context.
const ANSWER: usize = 1_024;

pub struct Prompt {
    pub messages: Vec<ChatMessage>,
    /// So many images are to be in them at most, beside those of the question.
    pub images: usize,
    /// What they have of this process' memory.
    pub room: Option<SemaphorePermit<'static>>,
    pub recall: Recall,
    /// What stands in it of the user's earlier conversations.
    pub past: PastTurns,
    /// What stands in it of the user's files.
    pub knowledge: Knowledge,
    pub tools: Vec<Arc<dyn Tool>>,
    /// The client's own functions.
    pub theirs: Vec<ToolSpec>,
    pub servers: Servers,
    pub options: Options,
    /// Whether everything it may be sent to is part of this deployment.
    pub inside: bool,
    pub choice: Choice,
    pub project: Option<ProjectId>,
    /// Whether some budget may apply: most have none, and need not ask.
    pub has_budget: bool,
    /// Keys that the project brings along.
    pub own_keys: Vec<(String, Secret)>,
}

/// MCP servers that the client names, and calls of their tools that it has allowed.
#[derive(Default)]
pub struct Servers {
    pub named: Vec<NamedServer>,
    pub allowed: Vec<AllowedCall>,
}

/// Whom to ask, and how: as the request says, else the project, else the user's settings.
#[derive(Debug, Clone)]
pub struct Choice {
    pub provider: String,
    /// Whether others may answer in its place.
    pub fallback: bool,
    pub model: Option<String>,
    pub temperature: Option<f64>,
    pub max_tokens: Option<u32>,
}

impl Choice {
    fn of(
        ctx: &Context,
        payload: &ChatPayload,
        project: Option<&Project>,
        user: &ChatSettings,
        own_keys: &[(String, Secret)],
    ) -> Self {
        let named = (payload.provider != UNSPECIFIED).then(|| payload.provider.clone());
        let default = project
            .and_then(|project| project.default_provider.clone())
            .or_else(|| user.default_provider.clone().filter(|name| ctx.providers.offers(name)));
        // A default model belongs to the default provider: with another one named, that one's own counts.
        let default_model = || {
            let of_project = project.and_then(|project| project.default_model.clone());
            let of_user = || {
                user.default_model.clone().filter(|_| project.is_none_or(|p| p.default_provider.is_none()))
            };
            of_project.or_else(of_user).filter(|_| named.is_none())
        };
        let provider = named.clone().or(default).unwrap_or_else(|| "auto".to_owned());
        // What was set when another provider was there is not asked of the mock.
        let own: Vec<String> = own_keys.iter().map(|(name, _)| name.clone()).collect();
        let default_model =
            || default_model().filter(|model| ctx.providers.refusal(&provider, Some(model), &own).is_none());
        Self {
            model: payload.model.clone().or_else(default_model),
            temperature: payload
                .temperature
                .or(project.and_then(|project| project.temperature))
                .or(user.temperature),
            max_tokens: payload.max_tokens.or(user.max_tokens),
            fallback: payload.fallback.unwrap_or(project.is_some_and(|project| project.fallback)),
            provider,
        }
    }

    /// As far as it decides who may answer.
    pub fn request(&self, own_keys: &[(String, Secret)]) -> ChatRequest {
        let (model, own_keys) = (self.model.clone(), own_keys.to_vec());
        ChatRequest { model, own_keys, fallback: self.fallback, ..ChatRequest::default() }
    }
}

pub async fn build(ctx: &Context, job: &Job, payload: &ChatPayload) -> Result<Prompt, Error> {
    let prompted = prompted(ctx, job, payload).await?;
    if job.session_id.is_none() {
        return as_sent(ctx, owner(job)?, payload, prompted).await;
    }
    let (user, session) = whose(job)?;
    let mut conn = ctx.db.read().await?;
    let scope =
        branches::scope(&mut conn, user, session).await?.ok_or_else(|| Error::not_found("session"))?;
    let turns = turns(&mut conn, &scope, (user, session), payload.seq).await?;
    drop(conn);
    let UserSettings { memory_settings, chat_settings: settings } =
        settings::of(scope.settings.clone().unwrap_or_default());
    let (project, active, own_keys) = match scope.project_id {
        Some(id) => of_project(ctx, user, id).await?,
        None => (None, None, Vec::new()),
    };
    let choice = Choice::of(ctx, payload, project.as_ref(), &settings, &own_keys);
    let inside = own_keys.is_empty() && ctx.providers.stays_inside(&choice.provider, choice.fallback);
    let question = turns.first().map_or("", |turn| turn.content.as_str());
    let asking = asking(ctx, (user, session), (&scope, memory_settings, inside), (&choice, &turns));
    let (recall, past, knowledge) = found(ctx, payload, &scope, asking, &turns).await;
    let tools = offered(ctx, payload, user, scope.project_id).await?;
    let base = match (&active, &project) {
        (Some(active), Some(project)) => rendered(active, &scope.user_name, project, &recall).await?,
        _ => settings.system_prompt.clone().unwrap_or_else(|| ctx.settings.chat.system_prompt.clone()),
    };
    let places_memories = active.as_ref().is_some_and(|active| active.content.contains("memories"));
    let language = language::instruction(&settings.language, question);
    let memories = if places_memories { "" } else { recall.block.as_str() };
    let mut system =
        vec![base.as_str(), &ctx.settings.chat.app_info, &language, memories, &past.block, &knowledge.block];
    // Of a turn that came by /v1 with instructions of its own.
    system.extend(prompted.messages.iter().map(|message| message.content.as_str()));
    system.retain(|part| !part.is_empty());
    let (words, images) = room(ctx, &choice, &turns);
    let mut messages = window::build(&system.join("\n\n"), &turns, words);
    images::name(&mut messages, &turns);
    Ok(Prompt {
        messages,
        images,
        room: None,
        recall,
        past,
        knowledge,
        tools,
        theirs: prompted.tools,
        servers: Servers::default(),
        options: prompted.options,
        inside,
        choice,
        project: project.map(|project| project.id),
        has_budget: has_budget(ctx, payload, &scope),
        own_keys,
    })
}

/// The last turns before a place, newest first: those of a branch go on into its parent's.
async fn turns(
    conn: &mut Conn,
    scope: &branches::Scope,
    (user, session): (UserId, SessionId),
    seq: i64,
) -> Result<Vec<Turn>, Error> {
    Ok(if scope.parent_session_id.is_some() {
        branches::context(conn, user, session, seq, TURNS).await?
    } else {
        store::messages::context(conn, user, session, seq, TURNS).await?
    })
}

fn has_budget(ctx: &Context, payload: &ChatPayload, scope: &branches::Scope) -> bool {
    let default = ctx.settings.budget;
    scope.has_budget
        || scope.project_id.is_some()
        || payload.api_key.is_some()
        || default.daily_tokens > 0
        || default.daily_cost > 0
}

/// Whose past turns are looked for, and where the window of this conversation will begin, as far as can be known before it is filled.
fn asking(
    ctx: &Context,
    (user, session): (UserId, SessionId),
    (scope, settings, inside): (&branches::Scope, MemorySettings, bool),
    (choice, turns): (&Choice, &[Turn]),
) -> past_turns::Asking {
    let ((room, _), memory) = (room(ctx, choice, turns), &ctx.settings.memory);
    let budget = memory.turn_tokens.min(room / PAST);
    let files = if scope.has_files { ctx.settings.files.context_tokens } else { 0 };
    let taken = memory.context_tokens + memory.essential_tokens + budget + files;
    let kept = window::kept(turns, room - taken.min(room / 2));
    let oldest = kept.last().map_or(i64::MAX, |turn| turn.seq);
    past_turns::Asking {
        user,
        session,
        project: scope.project_id,
        settings,
        inside,
        budget,
        oldest,
        window: kept.len(),
    }
}

/// What memory, other conversations and files say about the question, all looked up at once.
async fn found(
    ctx: &Context,
    payload: &ChatPayload,
    scope: &branches::Scope,
    asking: past_turns::Asking,
    turns: &[Turn],
) -> (Recall, PastTurns, Knowledge) {
    let question = turns.first().map_or("", |turn| turn.content.as_str());
    let remembers = payload.uses_memory();
    // Who has no other conversation, and sees all of this one, waits for no search.
    let is_seen = !scope.has_others && asking.window == turns.len() && turns.len() < TURNS as usize;
    // Nor who may be shown only what a model has read, while none has read anything.
    let is_unread = asking.without_private() && !scope.has_readings;
    let looks_back = remembers && asking.settings.use_past_conversations && !is_seen && !is_unread;
    tokio::join!(
        async {
            let of = recall::Asking { user: asking.user, settings: asking.settings, inside: asking.inside };
            let has_any = remembers && scope.has_memories;
            if has_any { recall(ctx, of, question).await } else { Recall::default() }
        },
        async { if looks_back { past_turns(ctx, asking, question).await } else { PastTurns::default() } },
        async {
            let search = || search::for_prompt(ctx, asking.user, asking.session, scope.project_id, question);
            if scope.has_files { search().await } else { Knowledge::default() }
        },
    )
}

/// What the client said itself, if it said more than a message.
async fn prompted(ctx: &Context, job: &Job, payload: &ChatPayload) -> Result<Prompted, Error> {
    if !payload.request {
        return Ok(Prompted::default());
    }
    let stored = store::requests::prompt(&mut ctx.db.read().await?, owner(job)?, job.id).await?;
    let stored = stored.ok_or_else(|| Error::internal("what was asked is not there"))?;
    serde_json::from_value(stored).map_err(Error::internal)
}

/// All of it is the client's: nothing is left out, and nothing is added but the passages of a search that it asked for.
async fn as_sent(
    ctx: &Context,
    user: UserId,
    payload: &ChatPayload,
    mut prompted: Prompted,
) -> Result<Prompt, Error> {
    let choice = Choice {
        provider: payload.provider.clone(),
        fallback: false,
        model: payload.model.clone(),
        temperature: payload.temperature,
        max_tokens: payload.max_tokens,
    };
    // Unlike the files of a chat, what is asked for is waited for, and the answer is not given without it.
    let knowledge = match &prompted.search {
        Some(search) => vector_stores::search::for_prompt(ctx, user, search).await?,
        None => Knowledge::default(),
    };
    if !knowledge.block.is_empty() {
        add_block(&mut prompted.messages, &knowledge.block);
    }
    Ok(Prompt {
        inside: ctx.providers.stays_inside(&choice.provider, false),
        messages: prompted.messages,
        images: MOST_OF_PROMPT,
        room: None,
        recall: Recall::default(),
        past: PastTurns::default(),
        knowledge,
        tools: Vec::new(),
        theirs: prompted.tools,
        servers: Servers { named: prompted.servers, allowed: prompted.allowed },
        options: prompted.options,
        choice,
        project: None,
        has_budget: true,
        own_keys: Vec::new(),
    })
}

/// Passages stand behind the client's instructions, in the same system prompt if it has one of plain text.
fn add_block(messages: &mut Vec<ChatMessage>, block: &str) {
    let instructions = messages.iter().take_while(|message| message.role == Role::System).count();
    match messages[..instructions].last_mut().filter(|message| message.parts.is_none()) {
        Some(message) => message.content = format!("{}\n\n{block}", message.content),
        None => messages.insert(instructions, ChatMessage::new(Role::System, block)),
    }
}

type OfProject = (Option<Project>, Option<Template>, Vec<(String, Secret)>);

async fn of_project(ctx: &Context, user: UserId, id: ProjectId) -> Result<OfProject, Error> {
    let mut conn = ctx.db.read().await?;
    let project = store::projects::get(&mut conn, user, id).await?;
    let active = store::projects::active_prompt(&mut conn, user, id).await?;
    drop(conn);
    Ok((project, active, projects::keys(ctx, user, id).await?))
}

/// It was checked when it was saved; what a real name or memory makes of it can still be wrong.
async fn rendered(
    active: &Template,
    user: &str,
    project: &Project,
    recall: &Recall,
) -> Result<String, Error> {
    let date = clock::now().format("%Y-%m-%d").to_string();
    let all = template::variables(user, &project.name, &recall.block, &date, &active.variables);
    template::rendered(active.content.clone(), all, "content").await
}

/// As configured, or what the model takes, if that is less: tokens of words, and how many images. Those take half at most.
fn room(ctx: &Context, choice: &Choice, turns: &[Turn]) -> (usize, usize) {
    let named = choice.model.as_deref().and_then(|model| ctx.providers.models.get(model));
    let most = named.and_then(|model| model.context_tokens).unwrap_or(u64::MAX) as usize;
    let answer = choice.max_tokens.map_or(ANSWER, |tokens| tokens as usize);
    let all = ctx.settings.chat.context_tokens.min(most.saturating_sub(answer).max(256));
    let named = window::kept(turns, all).iter().map(|turn| turn.details.images.len()).sum::<usize>();
    let of_images = (named.min(MOST_OF_PROMPT) * tokens::IMAGE).min(all / 2);
    (all - of_images, of_images / tokens::IMAGE)
}

async fn offered(
    ctx: &Context,
    payload: &ChatPayload,
    user: UserId,
    project: Option<ProjectId>,
) -> Result<Vec<Arc<dyn Tool>>, Error> {
    let default = || {
        let word = if ctx.settings.tools.by_default { ToolWord::Auto } else { ToolWord::None };
        ToolChoice::Word(word)
    };
    let choice = payload.tools.clone().unwrap_or_else(default);
    let wanted = |tool: &Arc<dyn Tool>| match &choice {
        ToolChoice::Word(ToolWord::None) => false,
        ToolChoice::Word(ToolWord::Auto) => true,
        ToolChoice::Names(names) => names.contains(&tool.spec().name),
    };
    if choice == ToolChoice::Word(ToolWord::None) {
        return Ok(Vec::new());
    }
    let memory = payload.uses_memory();
    let mut tools = ctx.tools.all().await;
    if let Some(project) = project {
        tools = ctx.tools.of_project(ctx, user, project).await?.over(tools);
    }
    tools.retain(|tool| wanted(tool) && (memory || !tool.needs_memory()));
    Ok(tools)
}
