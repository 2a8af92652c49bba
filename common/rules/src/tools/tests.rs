use serde_json::{Value, json};

use super::{Definition, Described, Place, header_names, openapi};

fn described(url: &str, method: &str) -> Described {
    let parameters =
        json!({"type": "object", "properties": {"id": {"type": "string"}, "q": {}}, "required": ["id"]});
    Described {
        name: "find".to_owned(),
        parameters: Some(parameters),
        url: url.to_owned(),
        method: Some(method.to_owned()),
        ..Described::default()
    }
}

fn made(url: &str, method: &str) -> Definition {
    Definition::of(described(url, method)).unwrap()
}

fn call(tool: &Definition, arguments: Value) -> Result<(String, Option<String>), String> {
    let filled = tool.filled(arguments.as_object().unwrap())?;
    Ok((filled.url.to_string(), filled.body))
}

#[test]
fn arguments_go_where_the_method_and_the_address_say() {
    let get = made("https://a.example/x/{id}?v=1", "get");
    assert!(!get.changes_something);
    let (url, body) = call(&get, json!({"id": "a/b ?#%", "q": ["x", 2, null], "on": true})).unwrap();
    assert_eq!((url.as_str(), body), ("https://a.example/x/a%2Fb%20%3F%23%25?v=1&on=true&q=x&q=2", None));
    let post = made("https://a.example/{id}", "POST");
    assert!(post.changes_something);
    let (url, body) = call(&post, json!({"id": 7, "q": {"deep": 1}})).unwrap();
    assert_eq!((url.as_str(), body.as_deref()), ("https://a.example/7", Some(r#"{"q":{"deep":1}}"#)));
}

#[test]
fn no_argument_leads_out_of_its_segment() {
    let tool = made("https://a.example/users/{id}/notes", "GET");
    for id in ["..", "."] {
        assert!(call(&tool, json!({"id": id})).unwrap_err().contains("must not be"), "{id}");
    }
    for id in ["../admin", "%2e%2e", "..\\..", "x@evil.example/", "\u{202e}", "//evil.example"] {
        let (url, _) = call(&tool, json!({"id": id})).unwrap();
        let url = url::Url::parse(&url).unwrap();
        assert_eq!(url.host_str(), Some("a.example"), "{id}");
        let segments: Vec<&str> = url.path_segments().unwrap().collect();
        assert_eq!((segments.len(), segments[0], segments[2]), (3, "users", "notes"), "{id}: {url}");
    }
    for missing in [json!({}), json!({"id": ""}), json!({"id": null})] {
        assert!(call(&tool, missing).unwrap_err().contains("`id` is missing"));
    }
    assert!(call(&tool, json!({"id": "x".repeat(9_000)})).unwrap_err().contains("too long"));
}

#[test]
fn what_cannot_be_called_is_refused() {
    for url in [
        "ftp://a.example/",
        "a.example",
        "https://{id}.example/",
        "https://a.example/?q={id}",
        "https://a.example/{nobody}",
        "https://a.example/{id",
        "https://a.example/id}",
        "https://a.example/{i{d}}",
        "https://a.example/#x",
        "https://a.example\\@evil.example/",
        "https://a.example/a b",
        "https://",
    ] {
        let error = Definition::of(described(url, "GET")).unwrap_err();
        assert_eq!(error.errors[0].field, "url", "{url}");
    }
    for parameters in [
        json!([]),
        json!({}),
        json!({"type": "string"}),
        json!({"type": "object", "properties": {"id": 5}}),
        json!({"type": "object", "properties": {}, "required": ["id"]}),
        json!({"type": "object", "properties": {"id": {"const": "x".repeat(20_000)}}}),
        json!({"type": "object", "properties": {"id": {"const": "\0"}}}),
    ] {
        let parameters = Some(parameters);
        let error = Definition::of(Described { parameters, ..described("https://a.example/", "GET") });
        assert_eq!(error.unwrap_err().errors[0].field, "parameters");
    }
    let many = Described {
        name: "a b".to_owned(),
        description: "x".repeat(1_001),
        timeout_seconds: Some(31),
        ..described("https://a.example/", "TRACE")
    };
    let fields: Vec<String> =
        Definition::of(many).unwrap_err().errors.into_iter().map(|error| error.field).collect();
    assert_eq!(fields, ["name", "description", "method", "timeout_seconds"]);
    let names = |name: &str, value: &str| header_names([(&name.to_owned(), value)]);
    assert_eq!(names("X-Api-Key", "s3cret").unwrap(), ["x-api-key"]);
    for (name, value) in [("Host", "x"), ("webhook-signature", "x"), ("a b", "x"), ("x", ""), ("x", "a\nb")] {
        assert!(names(name, value).is_err(), "{name}");
    }
}

#[test]
fn operations_of_a_document_become_tools() {
    let document = json!({
        "openapi": "3.0.3",
        "servers": [{"url": "https://{region}.example.com/v1/", "variables": {"region": {"default": "eu"}}}],
        "paths": {
            "/pets/{petId}": {
                "parameters": [{"$ref": "#/components/parameters/Pet"}],
                "get": {"operationId": "pets.show", "summary": "Shows a pet.", "parameters": [
                    {"name": "fields", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                    {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
                    {"name": "Authorization", "in": "header", "required": true, "schema": {"type": "string"}}]},
                "put": {"operationId": "putPet", "requestBody": {"required": true, "content": {"application/json": {
                    "schema": {"$ref": "#/components/schemas/Pet"}}}}},
                "delete": {"summary": "has no id"},
            },
            "/upload": {"post": {"operationId": "upload", "requestBody": {"required": true, "content": {"image/png": {}}}}},
            "/twice/{a}": {"get": {"operationId": "twice", "parameters": [{"name": "a", "in": "query"}, {"name": "a", "in": "path"}]}},
            "/cookie": {"get": {"operationId": "cookie", "parameters": [{"name": "c", "in": "cookie", "required": true}]}},
            "/far": {"get": {"operationId": "far", "parameters": [{"name": "a", "in": "query", "schema": {"$ref": "other.json#/A"}}]}},
            "/lost": {"$ref": "#/components/nowhere"},
            "/same": {"get": {"operationId": "pets/show"}},
        },
        "components": {
            "parameters": {"Pet": {"name": "petId", "in": "path", "required": true, "description": "Which.", "schema": {"type": "string"}}},
            "schemas": {"Pet": {"type": "object", "xml": {"name": "pet"}, "example": {}, "properties": {
                "example": {"type": "string", "nullable": true}, "parent": {"$ref": "#/components/schemas/Pet"}}}},
        },
    });
    let found = openapi::tools(&document, None, None).unwrap();
    let names: Vec<&str> = found.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["pets_show", "putPet"]);
    let show = &found.tools[0];
    assert_eq!(show.url, "https://eu.example.com/v1/pets/{petId}");
    assert_eq!(show.places["X-Trace"], Place::Header);
    assert_eq!(show.parameters["required"], json!(["petId"]));
    assert_eq!(show.parameters["properties"]["petId"], json!({"type": "string", "description": "Which."}));
    let arguments = json!({"petId": "7", "fields": ["a", "b"], "X-Trace": "t"});
    let filled = show.filled(arguments.as_object().unwrap()).unwrap();
    assert_eq!(filled.url.as_str(), "https://eu.example.com/v1/pets/7?fields=a&fields=b");
    assert_eq!((filled.headers, filled.body), (vec![("X-Trace".to_owned(), "t".to_owned())], None));
    assert!(call(show, json!({"petId": "7", "other": 1})).unwrap_err().contains("no argument `other`"));
    let put = &found.tools[1];
    assert!(put.changes_something);
    // Written out, but for what goes round in a circle; a property may be called what a schema's keyword is.
    assert_eq!(
        put.parameters["properties"]["body"],
        json!({"type": "object", "properties": {"example": {"type": ["string", "null"]}, "parent": {}}})
    );
    let (url, body) = call(put, json!({"petId": "7", "body": {"example": "x"}})).unwrap();
    assert_eq!((url.ends_with("/pets/7"), body.as_deref()), (true, Some(r#"{"example":"x"}"#)));
    let mut skipped: Vec<&str> = found.skipped.iter().map(|one| one.operation.as_str()).collect();
    skipped.sort_unstable();
    assert_eq!(skipped, ["/lost", "DELETE /pets/{petId}", "cookie", "far", "pets/show", "twice", "upload"]);
}

#[test]
fn a_document_may_be_read_in_part_and_elsewhere() {
    let document = json!({"openapi": "3.1.0", "paths": {
        "/a": {"get": {"operationId": "a"}, "post": {}}, "/b": {"get": {"operationId": "b"}}}});
    let wanted = ["b".to_owned(), "c".to_owned()];
    let found = openapi::tools(&document, Some("https://x.example/"), Some(&wanted)).unwrap();
    assert_eq!(found.tools[0].url, "https://x.example/b");
    assert_eq!((found.tools.len(), found.skipped[0].operation.as_str()), (1, "c"));
    // Nobody says where it is.
    assert_eq!(openapi::tools(&document, None, None).unwrap().tools, []);
    for wrong in
        [json!({}), json!("3.1"), json!({"swagger": "2.0", "paths": {}}), json!({"openapi": "3.1.0"})]
    {
        assert_eq!(openapi::tools(&wrong, None, None).unwrap_err().errors[0].field, "document");
    }
}

#[test]
fn a_schema_that_grows_without_end_is_refused() {
    // Twelve levels, each of which names the next four times: 16 million schemas if written out.
    let mut schemas = serde_json::Map::new();
    for level in 0..12 {
        let next = json!({"$ref": format!("#/components/schemas/S{}", level + 1)});
        let properties = json!({"a": next, "b": next, "c": next, "d": next});
        schemas.insert(format!("S{level}"), json!({"type": "object", "properties": properties}));
    }
    schemas.insert("S12".to_owned(), json!({"type": "string"}));
    let document = json!({"openapi": "3.1.0", "components": {"schemas": schemas}, "paths": {"/a": {"post": {
        "operationId": "a", "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/S0"}}}}}}}});
    let found = openapi::tools(&document, Some("https://x.example"), None).unwrap();
    assert_eq!(found.skipped[0].reason, "its schema is too large");
}

/// The reason for which the only operation of a document became no tool.
fn refused(schemas: serde_json::Value, operation: serde_json::Value, servers: serde_json::Value) -> String {
    let document = json!({"openapi": "3.1.0", "components": {"schemas": schemas}, "servers": servers,
        "paths": {"/a": {"post": operation}}});
    openapi::tools(&document, None, None).unwrap().skipped[0].reason.clone()
}

#[test]
fn what_grows_by_being_named_again_is_refused_before_it_is_written() {
    let servers = json!([{"url": "https://x.example"}]);
    let of_schema = |schema: serde_json::Value| json!({"operationId": "a", "requestBody": {"content": {"application/json": {"schema": schema}}}});
    // 50 kB, a thousand times.
    let large = json!({"Large": {"enum": vec![0; 25_000]}});
    let named: serde_json::Map<String, serde_json::Value> =
        (0..990).map(|n| (format!("p{n}"), json!({"$ref": "#/components/schemas/Large"}))).collect();
    let reason = refused(large, of_schema(json!({"type": "object", "properties": named})), servers.clone());
    assert_eq!(reason, "its schema is too large");
    // 60 levels in each of three that follow one another.
    let nested = |last: serde_json::Value| (0..60).fold(last, |schema, _| json!({"not": schema}));
    let deep = json!({"A": nested(json!({"$ref": "#/components/schemas/B"})), "B": nested(json!({}))});
    let reason = refused(deep, of_schema(json!({"$ref": "#/components/schemas/A"})), servers.clone());
    assert_eq!(reason, "its schema is nested too deep");
    // A thousand times a thousand times a thousand.
    let default = |word: &str, n| json!({"default": word.repeat(n)});
    let variables = json!({"a": default("{b}", 600), "b": default("{c}", 600), "c": default("{d}", 600), "d": default("x", 600)});
    let growing = json!([{"url": "https://x/{a}", "variables": variables}]);
    let reason = refused(json!({}), json!({"operationId": "a"}), growing);
    assert_eq!(reason, "its server's address is too long");
    let many: Vec<_> = (0..200).map(|n| json!({"name": format!("p{n}"), "in": "query"})).collect();
    let reason = refused(json!({}), json!({"operationId": "a", "parameters": many}), servers);
    assert!(reason.contains("more than 100 parameters"), "{reason}");
}
