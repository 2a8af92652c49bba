//! Templates that are made to end the process: previewed, saved, and saved where only a chat comes by.

use serde_json::json;

use crate::{
    both_stacks,
    harness::{App, Stack},
};

both_stacks!(no_template_ends_a_process);

fn bombs() -> Vec<String> {
    let many = |text: &str, times: usize| text.repeat(times);
    vec![
        "{{ 'a\\nb'|indent(9223372036854775807) }}".to_owned(),
        "{{ ([1]*100000000)|sum }}".to_owned(),
        "{{ 'x' * 1000000000 }}".to_owned(),
        format!("{{{{ {}1 }}}}", many("-", 19_900)),
        format!("{{{{ user{} }}}}", many(".a", 9_900)),
        format!("{{{{ 1{} }}}}", many("+1", 9_900)),
        format!("{{{{ 1{} }}}}", many("|e", 9_900)),
        format!("{{{{ 1{} }}}}", many("~1", 9_900)),
        format!("{{{{ 1{} }}}}", many("**1", 6_600)),
        format!("{{{{ {}1{} }}}}", many("(", 9_900), many(")", 9_900)),
        format!("{}{}", many("{% if 1 %}", 900), many("{% endif %}", 900)),
        "{% for a in big %}{% for b in big %}{% for c in big %}{{ user.name|upper }}{% endfor %}{% endfor %}{% endfor %}".to_owned(),
    ]
}

async fn no_template_ends_a_process(stack: Stack) {
    let mut app = App::start(stack).await;
    let user = app.user().await;
    let project = user.post("/projects", &json!({"name": "Desk"})).await.expect(201);
    let place = format!("/projects/{}/prompts", project["id"].as_str().unwrap());
    let big: Vec<u32> = (0..3_000).collect();
    for bomb in bombs() {
        let body = json!({"content": bomb, "variables": {"big": big}});
        user.post(&format!("{place}/preview"), &body).await.problem(422, "validation_failed");
        // Where saving renders nothing of it.
        let hidden = format!("{{% if user.name == '{}' %}}{bomb}{{% endif %}}", user.name);
        let body = json!({"name": "x", "content": hidden, "variables": {"big": big}});
        let saved = user.post(&place, &body).await;
        if saved.status == 201 {
            // It parses; a chat comes by it, and says so.
            let chat = user.post("/chat", &json!({"message": "hi", "project_id": project["id"]})).await;
            chat.problem(422, "validation_failed");
            user.send(
                reqwest::Method::DELETE,
                &format!("{place}/{}", saved.body["id"].as_str().unwrap()),
                &json!({}),
            )
            .await
            .expect(204);
        } else {
            saved.problem(422, "validation_failed");
        }
    }
    // The same processes are there and work.
    for process in app.apis.iter_mut().chain(&mut app.workers) {
        assert!(!process.has_exited(), "{} is gone", process.name);
    }
    assert_eq!(user.chat("/echo alive").await["reply"], "alive");
}
