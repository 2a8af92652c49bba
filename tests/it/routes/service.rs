use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{App, Stack, client::Answer, eventually, servers::free_port},
};

both_stacks!(
    health_metrics_documents_and_the_front_page,
    the_trace_goes_from_the_request_to_the_provider,
    cors_is_as_configured,
    browsers_are_told_what_not_to_do,
    metrics_have_a_port_of_their_own
);

async fn health_metrics_documents_and_the_front_page(stack: Stack) {
    let app = App::start(stack).await;
    let user = app.user().await;
    let health = user.get("/health").await.expect(200);
    assert_eq!(
        (health["status"].as_str(), health["database"].as_str()),
        (Some("healthy"), Some("connected"))
    );
    assert_eq!(health["workers"]["chat"], 1);
    let text = async |path: &str, accept: &str| {
        let response =
            user.http.get(format!("{}{path}", app.url(0))).header("accept", accept).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(text("/livez", "*/*").await, (200, "ok".to_owned()));
    assert_eq!(text("/readyz", "*/*").await, (200, "ok".to_owned()));
    user.chat("/echo counted").await;
    // Depths are counted once a second: the chat may still be in one.
    let metrics = eventually("an empty queue", std::time::Duration::from_secs(20), || async {
        let (_, metrics) = text("/metrics", "*/*").await;
        metrics.contains("rapport_queue_depth{queue=\"chat\"} 0").then_some(metrics)
    })
    .await;
    for name in
        ["rapport_http_requests_total", "rapport_jobs_enqueued_total", "process_resident_memory_bytes"]
    {
        assert!(metrics.contains(name), "{name} is not in\n{metrics}");
    }
    assert!(!metrics.contains(&user.name) && !metrics.contains("sess_"), "labels are bounded");
    let (status, page) = text("/", "text/html").await;
    assert!(status == 200 && page.contains("main.js"));
    assert!(text("/", "application/json").await.1.contains("\"openapi\""));
    let (status, docs) = text("/docs/", "text/html").await;
    assert!(status == 200 && docs.contains("swagger"), "{docs}");
    assert!(!docs.contains("https://"), "the documentation's assets are in the binary");
    let (status, redoc) = text("/redoc", "text/html").await;
    assert!(
        status == 200 && redoc.contains("<redoc spec-url=\"/openapi.json\">") && !redoc.contains("//"),
        "{redoc}"
    );
    let script = user.http.get(format!("{}/redoc/redoc.standalone.js", app.url(0))).send().await.unwrap();
    assert_eq!(
        (script.status().as_u16(), &script.headers()["content-encoding"]),
        (200, &"gzip".parse().unwrap())
    );
    assert!(script.bytes().await.unwrap().starts_with(&[0x1f, 0x8b]), "compressed as it was vendored");
    assert_eq!(text("/docs/swagger-ui.css", "*/*").await.0, 200);
}

async fn the_trace_goes_from_the_request_to_the_provider(stack: Stack) {
    let app = App::builder(stack).http_provider(&[]).start().await;
    let user = app.user().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    // The mock counts the calls of one trace: it fails the first so many calls that carry this one.
    let body = json!({"message": "/fail 503 x2 /echo traced"});
    let request =
        user.request(Method::POST, "/chat").header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    let answer = Answer::of(request.json(&body).send().await.unwrap()).await.expect(200);
    assert_eq!(answer["reply"], "traced");
    let log = if stack == Stack::Embedded { &app.apis[0] } else { &app.workers[0] };
    let line = log.line_with(answer["job_id"].as_str().unwrap(), std::time::Duration::from_secs(5));
    assert!(line.contains(trace), "{line}");
}

async fn cors_is_as_configured(stack: Stack) {
    let app =
        App::builder(stack).env("CORS__ALLOWED_ORIGINS", r#"["https://app.example.com"]"#).start().await;
    let user = app.user().await;
    let preflight = async |origin: &str| {
        let request =
            user.http.request(Method::OPTIONS, format!("{}/chat", user.base)).header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        request.header("access-control-request-headers", "authorization,content-type").send().await.unwrap()
    };
    let good = preflight("https://app.example.com").await;
    assert_eq!(good.headers()["access-control-allow-origin"], "https://app.example.com");
    assert!(good.headers().contains_key("access-control-allow-headers"));
    assert!(
        !preflight("https://evil.example.com").await.headers().contains_key("access-control-allow-origin")
    );
    let _: Value = user.get("/auth/me").await.expect(200);
}

async fn browsers_are_told_what_not_to_do(stack: Stack) {
    let app = App::builder(stack).env("TRUSTED_PROXIES", 1).start().await;
    let user = app.user().await;
    let get = async |path: &str, scheme: &str| {
        let request = user.request(Method::GET, "").build().unwrap();
        let root = request.url().as_str().trim_end_matches("/api/v1").to_owned();
        let request = user.http.get(format!("{root}{path}")).bearer_auth(&user.token);
        request.header("x-forwarded-proto", scheme).send().await.unwrap()
    };
    // Answers, refusals and pages alike.
    for path in ["/api/v1/auth/me", "/api/v1/nothing", "/docs/", "/", "/openapi.json", "/livez"] {
        let response = get(path, "https").await;
        let headers = response.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(headers["strict-transport-security"].to_str().unwrap().starts_with("max-age="), "{path}");
    }
    let plain = get("/api/v1/auth/me", "http").await;
    assert!(!plain.headers().contains_key("strict-transport-security"));
    // What holds tokens, keys and one's own words is kept by nobody on the way.
    let login = json!({"username": user.name, "password": crate::harness::client::PASSWORD});
    let made = json!({"name": "a key"});
    let answers = [
        user.post("/auth/login", &login).await,
        user.post("/auth/refresh", &json!({"refresh_token": user.refresh_token})).await,
        user.post("/auth/ws-ticket", &json!({})).await,
        user.post("/api-keys", &made).await,
        user.get("/auth/me").await,
        user.get("/chat/sessions").await,
    ];
    for answer in answers {
        assert!(answer.status < 300, "{}", answer.body);
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
}

async fn metrics_have_a_port_of_their_own(stack: Stack) {
    let port = free_port();
    let app = App::builder(stack).workers(0).env("METRICS_PORT", port).start().await;
    let user = app.user().await;
    let status = async |url: String| {
        let response = user.http.get(url).send().await.ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    };
    let (found, text) = status(format!("{}/metrics", app.url(0))).await.unwrap();
    assert_eq!(found, 404, "{text}");
    let own = format!("http://127.0.0.1:{port}");
    let (_, metrics) = eventually("metrics", std::time::Duration::from_secs(10), || async {
        status(format!("{own}/metrics")).await.filter(|(found, _)| *found == 200)
    })
    .await;
    assert!(metrics.contains("rapport_http_requests_total"), "{metrics}");
    assert_eq!(status(format!("{own}/livez")).await.unwrap(), (200, "ok".to_owned()));
    assert_eq!(status(format!("{own}/api/v1/health")).await.unwrap().0, 404, "only these");
}
