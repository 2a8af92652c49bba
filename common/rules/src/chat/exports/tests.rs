use chrono::DateTime;
use rapport_core::domain::message::Role;
use serde_json::{Value, json};

use super::{BRANCHES_MAX, Conversation, Source, TURNS_MAX, ids::local_id, nested, source_of};

/// When the files came in.
const ARRIVED: i64 = 1_800_000_000;

fn read(json: &[u8]) -> Result<Conversation, String> {
    super::read(json, DateTime::from_timestamp(ARRIVED, 0).unwrap())
}

fn taken(value: &Value) -> Conversation {
    read(value.to_string().as_bytes()).unwrap()
}

/// Each way as its texts.
fn ways(conversation: &Conversation) -> Vec<Vec<&str>> {
    let text = |index: &usize| conversation.turns[*index].text.as_str();
    conversation.ways.iter().map(|way| way.iter().map(text).collect()).collect()
}

fn node(parent: Option<&str>, role: &str, text: &str, at: f64) -> Value {
    json!({"parent": parent, "children": [], "message": {"author": {"role": role}, "create_time": at,
        "content": {"content_type": "text", "parts": [text]}, "metadata": {"model_slug": "gpt-4o"}, "recipient": "all"}})
}

#[test]
fn chatgpts_tree_is_the_way_that_is_shown_and_what_leaves_it() {
    let hidden = json!({"parent": "root", "message": {"author": {"role": "system"}, "content": {"content_type": "text", "parts": [""]},
        "metadata": {"is_visually_hidden_from_conversation": true}}});
    let tool = json!({"parent": "q1", "message": {"author": {"role": "assistant"}, "recipient": "python", "create_time": 1.5,
        "content": {"content_type": "code", "text": "1+1"}, "metadata": {}}});
    let file = json!({"title": "Sums\n", "create_time": 1_700_000_000.5, "conversation_id": "c1", "current_node": "a2", "is_archived": true,
        "mapping": {"root": {"parent": null, "message": null, "children": ["hidden"]}, "hidden": hidden,
            "q1": node(Some("hidden"), "user", "What is 1+1?", 1.0), "tool": tool,
            "a1": node(Some("tool"), "assistant", "It is 2.", 2.0), "a1b": node(Some("q1"), "assistant", "Two!", 3.0),
            "q2": node(Some("a1"), "user", "And 2+2?", 4.0), "a2": node(Some("q2"), "assistant", "Four.", 5.0),
            "q2b": node(Some("a1"), "user", "And 3+3?", 6.0), "a2b": node(Some("q2b"), "assistant", "Six.", 7.0)}});
    let found = taken(&file);
    assert_eq!(
        (found.source, found.id.as_str(), found.title.as_deref()),
        (Source::ChatGpt, "c1", Some("Sums"))
    );
    assert!(found.is_archived && found.created_at.unwrap().timestamp_millis() == 1_700_000_000_500);
    let expected: [&[&str]; 3] =
        [&["What is 1+1?", "It is 2.", "And 2+2?", "Four."], &["Two!"], &["And 3+3?", "Six."]];
    assert_eq!(ways(&found), expected);
    let two = found.ways[1][0];
    assert_eq!(
        found.turns[two].parent,
        Some(found.ways[0][0]),
        "what hangs from a tool's call hangs from the question"
    );
    assert_eq!(found.turns[two].model.as_deref(), Some("gpt-4o"));
}

#[test]
fn claudes_messages_follow_each_other_or_their_parents() {
    let message = |id: &str, sender: &str, text: &str, parent: Option<&str>| {
        json!({"uuid": id, "sender": sender, "text": "flattened", "content": [{"type": "thinking", "thinking": "hm"},
            {"type": "text", "text": text}], "created_at": "2024-05-01T10:00:00.123456Z", "parent_message_uuid": parent})
    };
    let file = json!({"uuid": "c2", "name": "", "created_at": "2024-05-01T10:00:00Z", "chat_messages": [
        message("1", "human", "Hi", None), message("2", "assistant", "Hello!", None)]});
    let found = taken(&file);
    assert_eq!((ways(&found), found.title.as_deref()), (vec![vec!["Hi", "Hello!"]], None));
    assert_eq!(found.turns[0].role, Role::User);
    let top = Some("00000000-0000-4000-8000-000000000000");
    let mut file = json!({"uuid": "c2", "chat_messages": [message("1", "human", "Hi", top), message("2", "assistant", "Hello!", Some("1")),
        message("3", "assistant", "Good day!", Some("1"))]});
    file["chat_messages"][0]["attachments"] = json!([{"file_name": "notes.txt", "extracted_content": "…"}]);
    assert_eq!(
        ways(&taken(&file)),
        [vec!["Hi\n[notes.txt]", "Good day!"], vec!["Hello!"]],
        "the newest is shown"
    );
}

#[test]
fn open_webuis_history_is_a_tree_and_old_ones_are_lists() {
    let message = |id: &str, parent: Option<&str>, role: &str, content: &str| json!({"id": id, "parentId": parent, "childrenIds": [], "role": role, "content": content, "timestamp": 1_714_557_600});
    let thought =
        "<details type=\"reasoning\" done=\"true\">\n<summary>Thought</summary>\n> hm\n</details>\nBlue.";
    let file = json!({"id": "c3", "title": "Colours", "archived": false, "pinned": true, "created_at": 1_714_557_600, "chat": {"title": "x",
        "history": {"currentId": "b", "messages": {"q": message("q", None, "user", "Which?"), "a": message("a", Some("q"), "assistant", "Red."),
            "b": message("b", Some("q"), "assistant", thought)}}, "messages": []}});
    let found = taken(&file);
    assert_eq!((ways(&found), found.is_pinned), (vec![vec!["Which?", "Blue."], vec!["Red."]], true));
    let old = json!({"chat": {"title": "Old", "messages": [{"role": "user", "content": "Which?"}, {"role": "assistant", "content": "Red."}]}});
    assert_eq!(ways(&taken(&old)), [["Which?", "Red."]]);
}

#[test]
fn librechats_list_and_its_tree_are_the_same_however_deep() {
    let at = |n: usize| format!("2024-05-01T10:{:02}:{:02}.000Z", n / 60, n % 60);
    let message = |n: usize, parent: &str| {
        json!({"messageId": format!("m{n}"), "parentMessageId": parent, "isCreatedByUser": n.is_multiple_of(2), "createdAt": at(n),
            "text": if n.is_multiple_of(2) { format!("say {n}") } else { String::new() },
            "content": if n.is_multiple_of(2) { Value::Null } else { json!([{"type": "text", "text": {"value": format!("said {n}")}}]) }})
    };
    let root = "00000000-0000-0000-0000-000000000000";
    let list: Vec<Value> =
        (0..300).map(|n| message(n, &if n == 0 { root.to_owned() } else { format!("m{}", n - 1) })).collect();
    let flat = taken(&json!({"conversationId": "c4", "title": "Long", "recursive": false, "messages": list}));
    // Deeper than JSON may be read.
    let mut tree = String::new();
    for one in list.iter().rev() {
        let children = if tree.is_empty() { "[]".to_owned() } else { format!("[{tree}]") };
        tree = format!("{},\"children\":{children}}}", one.to_string().trim_end_matches('}'));
    }
    let deep = format!(
        "{{\"conversationId\":\"c4\",\"title\":\"Long\",\"recursive\":true,\"messagesTree\":[{tree}]}}"
    );
    let deep = read(deep.as_bytes()).unwrap();
    assert_eq!(flat.turns.len(), 300);
    assert_eq!((&deep.turns, &deep.ways), (&flat.turns, &flat.ways));
}

#[test]
fn items_are_taken_out_of_their_lists_and_nothing_else_is() {
    let json = br#"{"a": {"messages": [1]}, "messages" : [ {"t": "\"children\": [", "x": {"children": [2]}, "children": [{"y": []}, null]}, {"z": 1} ]}"#;
    let flat = nested::flatten(json, &["messages"], "children").unwrap();
    let text = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    assert_eq!(text(&flat.rest), json!({"a": {"messages": [1]}, "messages": []}));
    let items: Vec<_> = flat.items.iter().map(|item| (item.parent, text(&item.json))).collect();
    let first = json!({"t": "\"children\": [", "x": {"children": [2]}, "children": []});
    assert_eq!(items, [(None, first), (Some(0), json!({"y": []})), (None, json!({"z": 1}))]);
    for broken in [&b"{\"messages\": [{]}"[..], b"{\"messages\": [", b"}", b"{\"a", b"{\"messages\": [1]}"] {
        assert!(nested::flatten(broken, &["messages"], "children").is_err());
    }
}

#[test]
fn what_cannot_be_a_conversation_is_refused_in_words() {
    let refused = |json: &str| read(json.as_bytes()).unwrap_err();
    for nobodys in ["{}", "[]", "7", "{\"mapping\": null}", "nonsense"] {
        assert_eq!(source_of(nobodys.as_bytes()), None);
        assert!(refused(nobodys).contains("is no conversation"), "{nobodys}");
    }
    assert!(
        refused("{\"mapping\": {\"a\": 5}}").contains("must be"),
        "{}",
        refused("{\"mapping\": {\"a\": 5}}")
    );
    assert_eq!(refused("{\"mapping\": {}}"), "has no message with words in it");
    let circle = json!({"mapping": {"a": node(Some("b"), "user", "x", 1.0), "b": node(Some("a"), "user", "y", 1.0)}, "current_node": "a"});
    assert_eq!(refused(&circle.to_string()), "has no message with words in it");
    assert!(refused(&format!("{{\"mapping\": [{}0]}}", "0,".repeat(1_000_000))).contains("values"));
    assert_eq!(read(super::TOO_LARGE).unwrap_err(), "is larger than 16777216 bytes");
    let many: Vec<Value> = (0..=TURNS_MAX).map(|_| json!({"role": "user", "content": "x"})).collect();
    assert!(refused(&json!({"messages": many}).to_string()).contains("more than"));
}

#[test]
fn a_text_too_long_for_one_message_is_several_and_none_of_it_is_lost() {
    let long = "word ".repeat(20_000);
    let found = taken(
        &json!({"messages": [{"role": "user", "content": long}, {"role": "assistant", "content": "ok\0"}]}),
    );
    assert_eq!(found.ways.len(), 1);
    assert!(found.turns.iter().all(|turn| turn.text.chars().count() <= 32_000 && !turn.text.contains('\0')));
    let said: Vec<&str> =
        found.turns.iter().filter(|turn| turn.role == Role::User).map(|turn| turn.text.as_str()).collect();
    assert!(said.len() > 3 && said.join(" ") == long.trim());
}

#[test]
fn an_id_belongs_to_a_user_a_source_a_conversation_and_a_message() {
    let user = |n| rapport_core::domain::ids::UserId(uuid::Uuid::from_u128(n));
    let id = local_id(user(1), Source::Claude, "ab", "c", 0);
    assert_eq!(id, local_id(user(1), Source::Claude, "ab", "c", 0));
    for other in [
        local_id(user(2), Source::Claude, "ab", "c", 0),
        local_id(user(1), Source::ChatGpt, "ab", "c", 0),
        local_id(user(1), Source::Claude, "a", "bc", 0),
        local_id(user(1), Source::Claude, "ab", "c", 1),
    ] {
        assert_ne!(id, other);
    }
}

fn said(id: &str, parent: Option<&str>, is_user: bool, text: &str) -> Value {
    json!({"messageId": id, "parentMessageId": parent, "isCreatedByUser": is_user, "text": text})
}

#[test]
fn ids_and_names_of_models_take_little_room_however_long_they_are() {
    let (long, model) = ("i".repeat(1 << 20), format!("gpt\0{}", "m".repeat(1 << 20)));
    let mut children: Vec<Value> =
        (0..3).map(|n| said(&format!("c{n}"), None, false, "An answer.")).collect();
    children.push(json!({"messageId": "words", "text": "word ".repeat(50_000), "model": model}));
    let root = json!({"messageId": long, "isCreatedByUser": true, "text": "Well?", "children": children});
    let tree = taken(&json!({"conversationId": "c".repeat(1 << 20), "messagesTree": [root]}));
    assert!(tree.turns.len() > 8 && tree.turns[1..].iter().all(|turn| turn.parent.is_some()));
    assert!(tree.id.len() < 200 && tree.turns.iter().all(|turn| turn.id.len() <= 200));
    let models: Vec<&str> = tree.turns.iter().filter_map(|turn| turn.model.as_deref()).collect();
    assert!(!models.is_empty() && models.iter().all(|name| name.len() <= 200 && name.starts_with("gpt m")));
    // By name they are found as well, and others are others.
    let other = "i".repeat((1 << 20) + 1);
    let list = json!([
        said(&long, None, true, "Well?"),
        said("a", Some(&long), false, "Yes."),
        said("b", Some(&other), false, "No.")
    ]);
    let list = taken(&json!({"conversationId": "x", "messages": list}));
    assert_eq!(ways(&list), [vec!["No."], vec!["Well?", "Yes."]]);
    assert_eq!(list.turns.iter().find(|turn| turn.text == "Well?").unwrap().id, tree.turns[0].id);
}

#[test]
fn no_two_turns_of_a_conversation_have_one_id() {
    let long = "word ".repeat(15_000);
    let list = json!([said("a", None, true, &long), said("a#1", Some("a"), false, "one"), said("a", Some("a#1"), true, "again"),
        said("b", Some("a#1"), true, "two"), said("b", None, true, "twice"),
        {"parentMessageId": "b", "text": "three"}, said("5", Some("b"), false, "four")]);
    let found = taken(&json!({"conversationId": "x", "messages": list}));
    let user = rapport_core::domain::ids::UserId(uuid::Uuid::nil());
    let ids: std::collections::HashSet<_> =
        found.turns.iter().map(|turn| found.local_id(user, turn)).collect();
    assert_eq!(ids.len(), found.turns.len());
    let texts: Vec<&str> =
        found.turns.iter().map(|turn| turn.text.as_str()).filter(|text| text.len() < 10).collect();
    assert_eq!(texts, ["one", "two", "four", "three"], "the first under an id is the message");
    // What hangs from a second one hangs from the first.
    let tree = json!([{"messageId": "a", "isCreatedByUser": true, "text": "one", "children": []},
        {"messageId": "a", "text": "again", "children": [said("b", None, false, "two")]}]);
    assert_eq!(ways(&taken(&json!({"conversationId": "x", "messagesTree": tree}))), [["one", "two"]]);
}

#[test]
fn a_conversation_becomes_so_many_sessions_at_most() {
    // A spine that the shown way leaves at each step.
    let mut caterpillar = vec![said("q0", None, true, "0")];
    for n in 1..2_000 {
        let above = format!("q{}", n - 1);
        caterpillar.push(json!({"messageId": format!("q{n}"), "parentMessageId": above, "isCreatedByUser": true, "text": "on",
            "createdAt": "2024-01-01T00:00:00Z"}));
        caterpillar.push(json!({"messageId": format!("x{n}"), "parentMessageId": above, "isCreatedByUser": true, "text": "aside",
            "createdAt": "2024-01-02T00:00:00Z"}));
    }
    let found = taken(&json!({"conversationId": "x", "messages": caterpillar}));
    assert_eq!((found.ways.len(), found.left_out), (1 + BRANCHES_MAX, 1));
    assert_eq!(found.ways.iter().map(Vec::len).sum::<usize>(), found.turns.len());
    // Other answers become no sessions.
    let mut answers = vec![said("q", None, true, "Well?")];
    answers.extend((0..1_000).map(|n| said(&format!("a{n}"), Some("q"), false, "An answer.")));
    let found = taken(&json!({"conversationId": "x", "messages": answers}));
    assert_eq!((found.ways.len(), found.left_out), (1_000, 0));
}

#[test]
fn what_has_no_time_has_that_of_the_file() {
    let file = json!({"conversationId": "x", "messages": [said("1", None, true, "one"), said("2", Some("1"), false, "two")]});
    let found = taken(&file);
    let times: Vec<i64> = found.turns.iter().map(|turn| turn.at.timestamp_micros()).collect();
    assert_eq!(times, [ARRIVED * 1_000_000, ARRIVED * 1_000_000 + 1]);
    assert_eq!(taken(&file).turns, found.turns);
    // Of a time further down, if there is one.
    let mut later = file.clone();
    later["messages"][1]["createdAt"] = json!("2024-05-01T10:00:00Z");
    assert!(taken(&later).turns.iter().all(|turn| turn.at.timestamp() == 1_714_557_600));
}
