//! MCP clients sign in: official ones from nothing, and others that try what they must not get.

use std::{collections::HashMap, process::Command};

use data_encoding::BASE64URL_NOPAD;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    both_stacks,
    harness::{
        App, Stack, User,
        client::{Answer, PASSWORD},
        node, python,
    },
};

both_stacks!(
    official_clients_sign_in_from_nothing,
    a_code_is_good_once_and_for_its_client_alone,
    tokens_are_good_at_mcp_alone_and_once_each,
    only_what_may_be_sent_codes_is_registered,
    nobody_is_sent_where_their_client_does_not_say,
    an_answer_goes_to_a_program_with_its_own_words,
    addresses_are_those_that_clients_know,
);

const REDIRECT: &str = "http://127.0.0.1:33418/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A client that registered, and what it asks for.
pub struct Client {
    url: String,
    user: User,
    pub id: String,
}

impl Client {
    pub async fn register(app: &App, user: &User, name: &str, redirect: &str) -> Self {
        let (url, user) = (app.url(0), user.clone());
        let body =
            json!({"client_name": name, "redirect_uris": [redirect], "token_endpoint_auth_method": "none"});
        let answer = user.http.post(format!("{url}/register")).json(&body).send().await.unwrap();
        let made = Answer::of(answer).await.expect(201);
        Self { url, user, id: made["client_id"].as_str().unwrap().to_owned() }
    }

    /// A request as it should be.
    pub fn request(&self, redirect: &str) -> Value {
        let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(VERIFIER.as_bytes()));
        json!({"client_id": self.id, "redirect_uri": redirect, "response_type": "code", "state": "s", "scope": "memory",
               "code_challenge": challenge, "code_challenge_method": "S256", "resource": format!("{}/mcp", self.url)})
    }

    pub async fn allow(&self, request: &Value) -> Answer {
        self.user.post("/oauth/authorization", request).await
    }

    /// What the browser brings back.
    pub async fn answer(&self, request: &Value) -> HashMap<String, String> {
        said(self.allow(request).await.expect(200)["go_to"].as_str().unwrap())
    }

    async fn code(&self, redirect: &str) -> String {
        self.answer(&self.request(redirect)).await["code"].clone()
    }

    fn trade(&self, code: &str, redirect: &str) -> Vec<(&'static str, String)> {
        vec![
            ("grant_type", "authorization_code".to_owned()),
            ("client_id", self.id.clone()),
            ("code", code.to_owned()),
            ("redirect_uri", redirect.to_owned()),
            ("code_verifier", VERIFIER.to_owned()),
            ("resource", format!("{}/mcp", self.url)),
        ]
    }

    fn refresh(&self, token: &Value) -> Vec<(&'static str, String)> {
        let token = token.as_str().unwrap().to_owned();
        vec![
            ("grant_type", "refresh_token".to_owned()),
            ("client_id", self.id.clone()),
            ("refresh_token", token),
        ]
    }

    async fn send(&self, path: &str, form: &[(&str, String)]) -> Answer {
        let request = self.user.http.post(format!("{}/{path}", self.url)).form(form);
        Answer::of(request.send().await.unwrap()).await
    }

    async fn tokens(&self, form: &[(&str, String)]) -> Answer {
        self.send("token", form).await
    }
}

fn said(address: &str) -> HashMap<String, String> {
    reqwest::Url::parse(address).unwrap().query_pairs().into_owned().collect()
}

fn with(form: &[(&'static str, String)], name: &str, value: &str) -> Vec<(&'static str, String)> {
    let changed = |(own, old): &(&'static str, String)| {
        (*own, if *own == name { value.to_owned() } else { old.clone() })
    };
    form.iter().map(changed).collect()
}

async fn tools(app: &App, user: &User, token: &Value) -> Answer {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let request =
        user.http.post(format!("{}/mcp", app.url(0))).bearer_auth(token.as_str().unwrap()).json(&body);
    Answer::of(request.send().await.unwrap()).await
}

/// How a browser is sent on.
async fn sent_on(app: &App, query: &str) -> reqwest::Response {
    let browser = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let address = format!("{}/authorize?{query}", app.url(0));
    browser.build().unwrap().get(address).send().await.unwrap()
}

#[track_caller]
fn refused(answer: &Answer, error: &str) {
    assert_eq!((answer.status, answer.body["error"].as_str()), (400, Some(error)), "{}", answer.body);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert!(
        answer.body["error_description"].as_str().is_some_and(|said| !said.is_empty()),
        "{}",
        answer.body
    );
}

async fn official_clients_sign_in_from_nothing(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let run = async |mut command: Command| {
        command.args([&format!("{}/mcp", app.url(0)), &user.name, PASSWORD]);
        let ran = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
        serde_json::from_str::<Value>(said.lines().last().unwrap()).unwrap()
    };
    let mut with_python = Command::new(python::tool("python"));
    with_python.arg(python::script("mcp_oauth.py"));
    let mut with_node = Command::new("node");
    with_node.arg(node::script("mcp_oauth.mjs"));
    let (python, node) = tokio::join!(run(with_python), run(with_node));
    // They are listed, and told from keys; what they do counts as theirs.
    let listed = user.get("/api-keys").await.expect(200);
    let mut names: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["The lute's tuner", "The sitar's tuner"], "{listed}");
    for key in listed["items"].as_array().unwrap() {
        assert_eq!((&key["is_client"], &key["scopes"]), (&json!(true), &json!(["memory", "chat"])), "{key}");
    }
    // Deleting one ends it; the other one gives its tokens back by itself.
    let lute = listed["items"].as_array().unwrap().iter().find(|key| key["name"] == names[0]).unwrap();
    let path = format!("/api-keys/{}", lute["id"].as_str().unwrap());
    assert_eq!(user.send(Method::DELETE, &path, &json!({})).await.status, 204);
    let mut client = Client { url: app.url(0), user: user.clone(), id: String::new() };
    client.id = python["client"].as_str().unwrap().to_owned();
    refused(&client.tokens(&client.refresh(&python["refresh"])).await, "invalid_grant");
    tools(&app, &user, &python["access"]).await.problem(401, "unauthorized");
    client.id = node["client"].as_str().unwrap().to_owned();
    tools(&app, &user, &node["access"]).await.expect(200);
    let give_back = |token: &Value, client: &str| {
        vec![("token", token.as_str().unwrap().to_owned()), ("client_id", client.to_owned())]
    };
    refused(&client.send("revoke", &give_back(&node["access"], "another")).await, "invalid_grant");
    assert_eq!(client.send("revoke", &give_back(&node["access"], &client.id)).await.status, 200);
    assert_eq!(
        client.send("revoke", &give_back(&node["access"], &client.id)).await.status,
        200,
        "it is gone"
    );
    refused(&client.tokens(&client.refresh(&node["refresh"])).await, "invalid_grant");
    assert_eq!(user.get("/api-keys").await.expect(200)["items"], json!([]));
    let admin = super::admin::admin(&app).await;
    for (event, count) in [("client_allowed", 2), ("api_key_deleted", 1), ("client_left", 1)] {
        let noted = admin.get(&format!("/admin/audit?event={event}")).await.expect(200);
        assert_eq!(noted["items"].as_array().unwrap().len(), count, "{noted}");
    }
}

async fn a_code_is_good_once_and_for_its_client_alone(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let client = Client::register(&app, &user, "One", REDIRECT).await;
    let other = Client::register(&app, &user, "Two", REDIRECT).await;
    let answer = client.answer(&client.request(REDIRECT)).await;
    assert_eq!((answer["state"].as_str(), &answer["iss"]), ("s", &app.url(0)));
    let good = client.trade(&answer["code"], REDIRECT);
    for (name, value, error) in [
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl", "invalid_grant"),
        ("code_verifier", "", "invalid_request"),
        ("redirect_uri", "http://127.0.0.1:1/callback", "invalid_grant"),
        ("client_id", other.id.as_str(), "invalid_grant"),
        ("client_id", "made up", "invalid_grant"),
        ("resource", "https://example.com/mcp", "invalid_target"),
        ("resource", &format!("{}/api/v1", app.url(0)), "invalid_target"),
        ("code", "made up", "invalid_grant"),
        ("grant_type", "password", "unsupported_grant_type"),
        ("grant_type", "refresh_token", "invalid_request"),
    ] {
        refused(&client.tokens(&with(&good, name, value)).await, error);
    }
    // None of that used it up.
    let tokens = client.tokens(&good).await;
    assert_eq!(tokens.headers["cache-control"], "no-store");
    let tokens = tokens.expect(200);
    assert_eq!((&tokens["token_type"], &tokens["scope"]), (&json!("Bearer"), &json!("memory")));
    let offered = tools(&app, &user, &tokens["access_token"]).await.expect(200);
    assert!(!offered.to_string().contains("send_message"), "only what it asked for: {offered}");
    // Whoever brings it again puts the client out.
    refused(&client.tokens(&good).await, "invalid_grant");
    tools(&app, &user, &tokens["access_token"]).await.problem(401, "unauthorized");
    refused(&client.tokens(&client.refresh(&tokens["refresh_token"])).await, "invalid_grant");
    // Two at once are one too many as well.
    let good = client.trade(&client.code(REDIRECT).await, REDIRECT);
    let (one, two) = tokio::join!(client.tokens(&good), client.tokens(&good));
    assert!(one.status == 400 || two.status == 400, "{} {}", one.status, two.status);
}

async fn tokens_are_good_at_mcp_alone_and_once_each(stack: Stack) {
    let app = App::start(stack).await;
    let (user, stranger) = (app.user().await, app.user().await);
    user.add_memory("Plays the lute").await;
    let client = Client::register(&app, &user, "One", REDIRECT).await;
    let first = client.tokens(&client.trade(&client.code(REDIRECT).await, REDIRECT)).await.expect(200);
    let as_user = User { token: first["access_token"].as_str().unwrap().to_owned(), ..user.clone() };
    for path in
        ["/memory", "/users/me", "/api-keys", "/jobs", "/oauth/authorization?client_id=x&redirect_uri=x"]
    {
        as_user.get(path).await.problem(401, "unauthorized");
    }
    let v1 = User { base: user.base.replace("/api/v1", "/v1"), ..as_user.clone() };
    assert_eq!(v1.get("/models").await.status, 401);
    // A refresh token is no access token, nor the other way round.
    tools(&app, &user, &first["refresh_token"]).await.problem(401, "unauthorized");
    refused(&client.tokens(&client.refresh(&first["access_token"])).await, "invalid_grant");
    // What is a stranger's is not there.
    let theirs = stranger.add_memory("Plays the oud").await;
    let read = async |uri: String| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": uri}});
        let request = user.http.post(format!("{}/mcp", app.url(0))).bearer_auth(&as_user.token).json(&body);
        Answer::of(request.send().await.unwrap()).await.expect(200)
    };
    assert_eq!(read(format!("memory://{theirs}")).await["error"]["code"], -32_002);
    // No client can make another one, or more of itself.
    let mine = client.request(REDIRECT);
    as_user.post("/oauth/authorization", &mine).await.problem(401, "unauthorized");
    let key = user.post("/api-keys", &json!({"name": "k"})).await.expect(201);
    let by_key = User { token: key["key"].as_str().unwrap().to_owned(), ..user.clone() };
    by_key.post("/oauth/authorization", &mine).await.problem(403, "key_not_allowed");
    let mut more = client.refresh(&first["refresh_token"]);
    more.push(("scope", "memory chat".to_owned()));
    refused(&client.tokens(&more).await, "invalid_scope");
    // Each refresh token works once; one that comes again puts the client out.
    let next = client.tokens(&client.refresh(&first["refresh_token"])).await.expect(200);
    assert_ne!(next["refresh_token"], first["refresh_token"]);
    tools(&app, &user, &next["access_token"]).await.expect(200);
    refused(&client.tokens(&client.refresh(&first["refresh_token"])).await, "invalid_grant");
    tools(&app, &user, &next["access_token"]).await.problem(401, "unauthorized");
    refused(&client.tokens(&client.refresh(&next["refresh_token"])).await, "invalid_grant");
    let left: Vec<Value> = user.get("/api-keys").await.expect(200)["items"].as_array().unwrap().clone();
    assert_eq!(left.len(), 1, "the key that is none of a client's: {left:?}");
}

async fn only_what_may_be_sent_codes_is_registered(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let register = async |body: Value| {
        let request = user.http.post(format!("{}/register", app.url(0))).json(&body);
        Answer::of(request.send().await.unwrap()).await
    };
    for bad in [
        "http://example.com/cb",
        "javascript:alert(1)",
        "https://a@example.com/",
        "https://example.com/#f",
        "x",
    ] {
        refused(&register(json!({"redirect_uris": [bad]})).await, "invalid_redirect_uri");
    }
    refused(&register(json!({})).await, "invalid_redirect_uri");
    refused(&register(json!({"redirect_uris": vec![REDIRECT; 13]})).await, "invalid_redirect_uri");
    refused(&register(json!({"redirect_uris": "x"})).await, "invalid_client_metadata");
    let turned = json!({"redirect_uris": [REDIRECT], "client_name": "gpj.\u{202e}exe"});
    refused(&register(turned).await, "invalid_client_metadata");
}

async fn nobody_is_sent_where_their_client_does_not_say(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let site = "https://example.com/cb?tenant=1";
    let client = Client::register(&app, &user, "<b>One</b>", site).await;
    let changed = |changes: Value| {
        let mut request = client.request(site);
        for (name, value) in changes.as_object().unwrap() {
            request[name] = value.clone();
        }
        request
    };
    // An unknown client or address: nobody is sent anywhere.
    for (change, code) in [
        (json!({"client_id": format!("{}x", client.id)}), "invalid_client"),
        (json!({"client_id": "x.y"}), "invalid_client"),
        (json!({"redirect_uri": "https://example.com/cb"}), "validation_failed"),
        (json!({"redirect_uri": "https://example.com.evil.test/cb?tenant=1"}), "validation_failed"),
        (json!({"redirect_uri": "javascript:alert(1)"}), "validation_failed"),
        (json!({"redirect_uri": ""}), "validation_failed"),
    ] {
        let answer = client.allow(&changed(change.clone())).await;
        assert_eq!(answer.body["code"], code, "{change}: {}", answer.body);
    }
    // What else is wrong is told to the user first, who may go back with it.
    for (change, error) in [
        (json!({"response_type": "token"}), "unsupported_response_type"),
        (json!({"code_challenge_method": "plain"}), "invalid_request"),
        (json!({"code_challenge": "short"}), "invalid_request"),
        (json!({"scope": "admin"}), "invalid_scope"),
        (json!({"resource": "https://example.com/mcp"}), "invalid_target"),
    ] {
        let request = changed(change);
        assert_eq!(client.allow(&request).await.body["code"], error);
        let shown = user.request(Method::GET, "/oauth/authorization").query(&request).send().await.unwrap();
        let shown = Answer::of(shown).await.expect(200);
        assert!(shown["wrong"].as_str().is_some_and(|said| !said.is_empty()), "{shown}");
        let back = shown["refuse_at"].as_str().unwrap();
        assert!(back.starts_with("https://example.com/cb?tenant=1&error="), "{back}");
        let back = said(back);
        assert_eq!((back["error"].as_str(), back["state"].as_str()), (error, "s"));
        assert_eq!((back["iss"].as_str(), back.contains_key("code")), (app.url(0).as_str(), false));
    }
}

/// To any port of this machine, as programs take what they get, with the state as it was given.
async fn an_answer_goes_to_a_program_with_its_own_words(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let local = Client::register(&app, &user, "Local", "http://127.0.0.1/cb").await;
    let mut request = local.request("http://127.0.0.1:5050/cb");
    request["state"] = json!("a b&c=d#e%00");
    let go_to = local.allow(&request).await.expect(200)["go_to"].as_str().unwrap().to_owned();
    assert!(go_to.starts_with("http://127.0.0.1:5050/cb?"), "{go_to}");
    assert_eq!(said(&go_to)["state"], "a b&c=d#e%00");
    let mut without = local.request("http://127.0.0.1:5050/cb");
    without
        .as_object_mut()
        .unwrap()
        .retain(|name, _| name != "state" && name != "scope" && name != "resource");
    assert!(!local.answer(&without).await.contains_key("state"));
    // A page elsewhere cannot hold the page in a frame, nor does an address by itself let anybody in.
    let page = sent_on(&app, "client_id=x&a=%0d%0aset-cookie:x").await;
    assert_eq!(page.headers()["x-frame-options"], "DENY");
    assert!(!page.headers().contains_key("set-cookie"));
}

async fn addresses_are_those_that_clients_know(stack: Stack) {
    let app = App::builder(stack).env("PUBLIC_URL", "https://chat.example.org/rapport/").start().await;
    let user = app.user().await;
    let get = async |path: &str| {
        Answer::of(user.http.get(format!("{}{path}", app.url(0))).send().await.unwrap()).await
    };
    let mcp = "https://chat.example.org/rapport/mcp";
    for path in ["", "/rapport/mcp"] {
        let found = get(&format!("/.well-known/oauth-protected-resource{path}")).await.expect(200);
        assert_eq!(found["resource"], mcp, "{path}");
        assert_eq!(found["authorization_servers"], json!(["https://chat.example.org/rapport"]));
        assert_eq!(found["scopes_supported"], json!(["memory", "chat"]));
    }
    for path in ["", "/rapport"] {
        let found = get(&format!("/.well-known/oauth-authorization-server{path}")).await.expect(200);
        assert_eq!(found["issuer"], "https://chat.example.org/rapport", "{path}");
        assert_eq!(found["token_endpoint"], "https://chat.example.org/rapport/token");
        assert_eq!(found["code_challenge_methods_supported"], json!(["S256"]));
    }
    get("/.well-known/oauth-protected-resource/other").await.problem(404, "not_found");
    get("/.well-known/oauth-authorization-server/mcp").await.problem(404, "not_found");
    let nobody = user.http.post(format!("{}/mcp", app.url(0))).json(&json!({})).send().await.unwrap();
    let told = nobody.headers()["www-authenticate"].to_str().unwrap().to_owned();
    let document = "https://chat.example.org/.well-known/oauth-protected-resource/rapport/mcp";
    assert_eq!(told, format!("Bearer resource_metadata=\"{document}\", scope=\"memory chat\""));
    // The page is found by a relative address, and the answer says who gave it.
    let sent = sent_on(&app, "state=%3Cb%3E").await;
    assert_eq!(
        (sent.status().as_u16(), &sent.headers()["location"]),
        (302, &"./#/connect?state=%3Cb%3E".parse().unwrap())
    );
    let client = Client::register(&app, &user, "One", REDIRECT).await;
    let mut request = client.request(REDIRECT);
    assert_eq!(client.allow(&request).await.body["code"], "invalid_target", "the address behind the proxy");
    request["resource"] = json!("https://CHAT.example.org/rapport/mcp/");
    assert_eq!(client.answer(&request).await["iss"], "https://chat.example.org/rapport");
}
