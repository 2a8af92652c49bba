use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    both_stacks,
    harness::{App, Stack, client::Answer},
};

both_stacks!(
    health_metrics_documents_and_the_front_page,
    the_trace_goes_from_the_request_to_the_provider,
    cors_is_as_configured
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
    let (_, metrics) = text("/metrics", "*/*").await;
    for name in [
        "rapport_http_requests_total",
        "rapport_queue_depth{queue=\"chat\"} 0",
        "rapport_jobs_enqueued_total",
        "process_resident_memory_bytes",
    ] {
        assert!(metrics.contains(name), "{name} is not in\n{metrics}");
    }
    assert!(!metrics.contains(&user.name) && !metrics.contains("sess_"), "labels are bounded");
    let (status, page) = text("/", "text/html").await;
    assert!(status == 200 && page.contains("/docs/"));
    assert!(text("/", "application/json").await.1.contains("\"openapi\""));
    let (status, docs) = text("/docs/", "text/html").await;
    assert!(status == 200 && docs.contains("swagger"), "{docs}");
    assert!(!docs.contains("https://"), "the documentation's assets are in the binary");
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
