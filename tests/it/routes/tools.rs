//! Models that call functions: weather, search, memory, MCP servers; several, failing, endless, cut off.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{
        App, Stack,
        app::Builder,
        eventually,
        process::Process,
        python,
        replay::{Replay, Reply, Seen},
        servers::free_port,
    },
};

both_stacks!(
    the_weather_in_london,
    two_tools_in_one_turn_and_one_that_fails,
    an_endless_loop_is_stopped,
    what_is_not_configured_is_not_offered,
    the_model_searches_and_saves_memories,
    tools_over_an_openai_compatible_provider,
    an_mcp_server_of_the_official_sdk_is_listed_and_called,
    a_call_that_was_cut_off_is_not_repeated,
);

fn weather(seen: &Seen) -> Reply {
    let path = seen.line.split(' ').nth(1).unwrap();
    if !path.contains("key=weather-canary") {
        return Reply::json(401, json!({"error": {"code": 2006, "message": "API key provided is invalid"}}));
    }
    if path.contains("Atlantis") {
        return Reply::json(400, json!({"error": {"code": 1006, "message": "No matching location found."}}));
    }
    let location = json!({"name": "London", "region": "City of London, Greater London", "country": "United Kingdom", "localtime": "2026-11-21 9:00"});
    Reply::json(
        200,
        match path.split('?').next().unwrap() {
            "/current.json" => {
                json!({"location": location, "current": {"temp_c": 11.7, "temp_f": 53.1, "humidity": 87, "condition": {"text": "Light drizzle", "code": 1153}, "wind_kph": 15.5}})
            }
            "/forecast.json" => {
                json!({"location": location, "forecast": {"forecastday": [{"date": "2026-11-21", "day": {"maxtemp_c": 12.3, "mintemp_c": 8.0, "condition": {"text": "Sunny"}}}]}})
            }
            "/astronomy.json" => {
                json!({"location": location, "astronomy": {"astro": {"sunrise": "07:28 AM", "sunset": "04:02 PM", "moon_phase": "Full Moon"}}})
            }
            _ => {
                json!([{"id": 2801268, "name": "London", "region": "City of London, Greater London", "country": "United Kingdom", "lat": 51.52, "lon": -0.11, "url": "london"}])
            }
        },
    )
}

fn search(seen: &Seen) -> Reply {
    if seen.headers["authorization"] != "Bearer tavily-canary" {
        return Reply::json(401, json!({"detail": {"error": "Unauthorized"}}));
    }
    let query = seen.json()["query"].as_str().unwrap_or_default().to_owned();
    Reply::json(
        200,
        json!({"query": query, "answer": "Ferris is a crab.", "results": [{"title": "Ferris", "url": "https://rustacean.net", "content": "the unofficial mascot", "score": 0.9}]}),
    )
}

async fn with_tools(stack: Stack) -> (Builder, Replay) {
    let server =
        Replay::start(
            |seen, _| if seen.line.starts_with("POST /search") { search(seen) } else { weather(seen) },
        )
        .await;
    let builder = App::builder(stack)
        .env("WEATHER_API_KEY", "weather-canary")
        .env("WEATHER_API_BASE_URL", &server.url)
        .env("TAVILY_API_KEY", "tavily-canary")
        .env("TAVILY_BASE_URL", &server.url)
        .env("EGRESS__ALLOW", r#"["127.0.0.1"]"#);
    (builder, server)
}

async fn the_weather_in_london(stack: Stack) {
    let (builder, server) = with_tools(stack).await;
    let app = builder.start().await;
    let user = app.user().await;
    let events = user.stream(&json!({"message": "What's the weather in London?"})).await.all().await;
    let names: Vec<&str> =
        events.iter().map(|event| event.name.as_str()).filter(|name| *name != "token").collect();
    assert_eq!(names, ["job", "tool_call", "tool_result", "done"], "{events:?}");
    let call = &events.iter().find(|event| event.name == "tool_call").unwrap().data;
    assert_eq!(
        (call["name"].as_str(), call["arguments"]["location"].as_str()),
        (Some("get_current_weather"), Some("London"))
    );
    let result = &events.iter().find(|event| event.name == "tool_result").unwrap().data;
    assert_eq!((result["id"].as_str(), result["ok"].as_bool()), (call["id"].as_str(), Some(true)));
    assert_eq!(result["result"]["current"]["temp_c"], 11.7);
    let done = &events.last().unwrap().data;
    assert!(
        done["reply"].as_str().unwrap().contains("11.7")
            && done["reply"].as_str().unwrap().contains("Light drizzle")
    );
    assert_eq!(
        (done["tool_calls"][0]["name"].as_str(), done["tool_calls"][0]["ok"].as_bool()),
        (Some("get_current_weather"), Some(true))
    );
    // The other three.
    for (directive, expected) in [
        (r#"/tool get_weather_forecast {"location":"London","days":2}"#, "12.3"),
        (r#"/tool get_astronomy_data {"location":"London"}"#, "Full Moon"),
        (r#"/tool search_locations {"query":"Lond"}"#, "51.52"),
        (r#"/tool web_search {"query":"who is Ferris"}"#, "Ferris is a crab."),
        (r#"/tool current_time {"utc_offset":6}"#, "+06:00"),
    ] {
        let done = user.chat(directive).await;
        assert!(done["reply"].as_str().unwrap().contains(expected), "{directive}: {done}");
        assert_eq!(done["tool_calls"][0]["ok"], true, "{done}");
    }
    assert!(server.seen().iter().any(|seen| seen.line.contains("days=2")));
    let listed = user.get("/tools").await.expect(200);
    let names: Vec<&str> =
        listed["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 8, "{names:?}");
    // What was used is counted with both rounds.
    assert!(done["usage"]["prompt_tokens"].as_i64().unwrap() > 100);
}

async fn two_tools_in_one_turn_and_one_that_fails(stack: Stack) {
    let (builder, _server) = with_tools(stack).await;
    let app = builder.start().await;
    let user = app.user().await;
    let message = r#"/tool get_current_weather {"location":"London"} /tool web_search {"query":"crab"}"#;
    let done = user.chat(message).await;
    let reply = done["reply"].as_str().unwrap();
    assert!(reply.contains("11.7") && reply.contains("Ferris is a crab."), "{reply}");
    assert_eq!(done["tool_calls"].as_array().unwrap().len(), 2);
    for (directive, why) in [
        (r#"/tool get_current_weather {"location":"Atlantis"}"#, "no place of that name"),
        (r#"/tool get_current_weather {"place":"London"}"#, "the arguments are wrong"),
        ("/tool get_current_weather not json", "no JSON object"),
        (r#"/tool current_time {"utc_offset":99}"#, "must be from -14 to 14"),
        (r#"/tool save_memory {"content":"x","memory_type":"nonsense"}"#, "must be one of"),
    ] {
        let done = user.chat(directive).await;
        assert_eq!(done["tool_calls"][0]["ok"], false, "{directive}: {done}");
        assert!(done["reply"].as_str().unwrap().contains(why), "the model is told: {done}");
    }
}

async fn an_endless_loop_is_stopped(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let done = user.chat("/loop current_time {}").await;
    assert_eq!(done["tool_calls"].as_array().unwrap().len(), 8, "{done}");
    assert_eq!(done["finish_reason"], "stop");
}

async fn what_is_not_configured_is_not_offered(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let done = user.chat("What's the weather in London?").await;
    assert_eq!(done["tool_calls"], json!([]));
    let done = user.chat(r#"/tool get_current_weather {"location":"London"}"#).await;
    assert!(done["reply"].as_str().unwrap().contains("no tool called get_current_weather"));
    let listed = user.get("/tools").await.expect(200);
    let names: Vec<&str> =
        listed["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["current_time", "search_memory", "save_memory"]);
    let named = json!({"message": "/tool current_time {}", "tools": ["get_current_weather"]});
    user.post("/chat", &named).await.problem(422, "validation_failed");
    for (tools, called) in
        [(json!("none"), 0), (json!(["search_memory"]), 0), (json!(["current_time"]), 1), (json!("auto"), 1)]
    {
        let done = user
            .post("/chat", &json!({"message": "/tool current_time {}", "tools": tools}))
            .await
            .expect(200);
        assert_eq!(done["tool_calls"].as_array().unwrap().len(), called, "{tools}");
    }
    for wrong in [json!(5), json!("all"), json!([1]), json!({"a": 1})] {
        user.post("/chat", &json!({"message": "x", "tools": wrong})).await.problem(422, "validation_failed");
    }
    // Without memory there are no memory tools.
    let done = user
        .post("/chat", &json!({"message": "/tool save_memory {}", "enable_memory": false}))
        .await
        .expect(200);
    assert!(done["reply"].as_str().unwrap().contains("no tool called save_memory"));
}

async fn the_model_searches_and_saves_memories(stack: Stack) {
    let app = App::start(stack).await;
    let (user, other) = (app.user().await, app.user().await);
    let done = user
        .chat(
            r#"/tool save_memory {"content":"Plays the cello","memory_type":"preference","importance":0.8}"#,
        )
        .await;
    assert!(done["reply"].as_str().unwrap().contains("awaits the user's confirmation"), "{done}");
    let pending = user.get("/memory/pending").await.expect(200);
    let memory = &pending["items"][0];
    assert_eq!(
        (memory["content"].as_str(), memory["status"].as_str(), memory["explicit"].as_bool()),
        (Some("Plays the cello"), Some("pending"), Some(false)),
        "{pending}"
    );
    assert_eq!(memory["source"]["session_id"], done["session_id"]);
    // What a model saved is its user's to confirm: until then no model is told.
    let search = r#"/tool search_memory {"query":"cello"}"#;
    assert!(!user.chat(search).await["reply"].as_str().unwrap().contains("Plays the cello"));
    user.add_memory("Has a cello teacher").await;
    assert!(user.chat(search).await["reply"].as_str().unwrap().contains("Has a cello teacher"));
    let none = other.chat(search).await;
    assert!(!none["reply"].as_str().unwrap().contains("cello teacher"));
    // A rejection sticks, whoever proposes it again.
    let id = memory["id"].as_str().unwrap();
    user.post(&format!("/memory/{id}/verify"), &json!({"action": "reject"})).await.expect(200);
    let again = user.chat(r#"/tool save_memory {"content":"plays the cello!"}"#).await;
    assert!(again["reply"].as_str().unwrap().contains("does not want this remembered"), "{again}");
    let pending = user.get("/memory/pending").await.expect(200);
    assert_eq!(pending["items"], json!([]));
}

async fn tools_over_an_openai_compatible_provider(stack: Stack) {
    let (builder, _server) = with_tools(stack).await;
    let app = builder.http_provider(&[]).env("MEMORY__PROVIDER", "mock").start().await;
    let user = app.user().await;
    let message = r#"/tool get_current_weather {"location":"London"} /tool current_time {}"#;
    let done = user.chat(message).await;
    assert_eq!(
        (done["provider"].as_str(), done["tool_calls"].as_array().unwrap().len()),
        (Some("openai"), 2)
    );
    assert!(done["reply"].as_str().unwrap().contains("get_current_weather says:"), "{done}");
    assert!(done["reply"].as_str().unwrap().contains("11.7"));
}

pub fn mcp_over_http(folder: &Path) -> (Process, String) {
    let port = free_port();
    let log = folder.join("mcp.log");
    let process = Process::start("mcp", &python::tool("python"), &log, |command| {
        command
            .arg(python::script("mcp_server.py"))
            .args(["http", &port.to_string()])
            .arg(folder.join("http.txt"));
    });
    process.line_with("Uvicorn running", Duration::from_secs(60));
    (process, format!("http://127.0.0.1:{port}/mcp"))
}

fn stdio_server(file: &Path) -> Value {
    json!({"name": "files", "command": python::tool("python"), "args": [python::script("mcp_server.py"), "stdio", file]})
}

async fn an_mcp_server_of_the_official_sdk_is_listed_and_called(stack: Stack) {
    let folder = crate::harness::servers::folder().join(crate::harness::servers::unique("mcp"));
    std::fs::create_dir_all(&folder).unwrap();
    let (_server, url) = mcp_over_http(&folder);
    let servers = json!([
        {"name": "calc", "url": url},
        stdio_server(&folder.join("stdio.txt")),
        // One that is away harms nobody.
        {"name": "gone", "url": "http://127.0.0.1:9/mcp"},
    ]);
    let app = App::builder(stack)
        .env("MCP__SERVERS", &servers)
        .env("EGRESS__ALLOW", r#"["127.0.0.1"]"#)
        .start()
        .await;
    let user = app.user().await;
    for (directive, expected, ok) in [
        (r#"/tool calc__add {"a":40,"b":2}"#, "the sum is 42", true),
        (r#"/tool files__add {"a":1,"b":2}"#, "the sum is 3", true),
        (r#"/tool files__append {"text":"one"}"#, "written", true),
        ("/tool calc__fail {}", "Error executing tool", false),
        (r#"/tool calc__add {"a":"x"}"#, "", false),
    ] {
        let done = user.chat(directive).await;
        assert_eq!(done["tool_calls"][0]["ok"], ok, "{directive}: {done}");
        assert!(done["reply"].as_str().unwrap().contains(expected), "{directive}: {done}");
    }
    assert_eq!(std::fs::read_to_string(folder.join("stdio.txt")).unwrap(), "one\n");
    assert_eq!(user.get("/tools").await.expect(200)["mcp_servers"], json!(["calc", "files", "gone"]));
    // An address that configuration does not allow is not connected to.
    let careful =
        App::builder(stack).env("MCP__SERVERS", json!([{"name": "calc", "url": url}])).start().await;
    let user = careful.user().await;
    let done = user.chat(r#"/tool calc__add {"a":40,"b":2}"#).await;
    assert!(done["reply"].as_str().unwrap().contains("no tool called calc__add"), "{done}");
}

async fn a_call_that_was_cut_off_is_not_repeated(stack: Stack) {
    let folder = crate::harness::servers::folder().join(crate::harness::servers::unique("mcp"));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("stdio.txt");
    let mut app = App::builder(stack).env("MCP__SERVERS", json!([stdio_server(&file)])).start().await;
    let user = app.user().await;
    // The first call ends, the second is cut off by a kill.
    let message =
        r#"/tool files__append {"text":"first"} /tool files__append {"text":"second","seconds":20}"#;
    let job = user.submit(message).await;
    let written = || std::fs::read_to_string(&file).unwrap_or_default();
    let id = job["id"].as_str().unwrap().to_owned();
    eventually("both were called", Duration::from_secs(60), || async {
        (written().contains("first") && written().contains("second")).then_some(())
    })
    .await;
    // And the first one's end is in the ledger.
    let db = app.db().await;
    eventually("the first ended", Duration::from_secs(20), || async {
        let mut conn = db.read().await.unwrap();
        crate::harness::dump::count(&mut conn, "select count(*) from tool_calls where ok")
            .await
            .eq(&1)
            .then_some(())
    })
    .await;
    app.kill_runner();
    app.start_runner();
    let ended = user.finished(&id, Duration::from_secs(60)).await;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    let reply = ended["result"]["reply"].as_str().unwrap();
    assert!(reply.contains("written") && reply.contains("outcome unknown"), "{reply}");
    assert_eq!(written().matches("first").count(), 1);
    assert_eq!(written().matches("second").count(), 1, "it was repeated");
    assert!(ended["attempt"].as_i64().unwrap() >= 2);
}
