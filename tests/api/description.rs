//! Compares the description of the JSON API with the API itself.
use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::TestServer;

const DOCUMENT: &str = "/api/documents/default";
const POSITIONS: &str = "/api/documents/default/positions";

async fn with_ui() -> TestServer {
    let server = TestServer::start().await;
    server.send("POST", POSITIONS, &ui()).await.expect(201);
    server
}

fn ui() -> Value {
    json!({ "id": "ui", "designation": "UI", "department": "Engineering", "budget": 11.5, "location": "Ahmedabad" })
}

#[tokio::test]
async fn api_page_loads_no_external_resource() {
    let server = TestServer::start().await;
    assert_eq!(server.get("/api").await.header("location"), "api/");
    let page = server.get("/api/").await;
    assert!(page.status == 200 && page.header("content-type").starts_with("text/html"), "{page:?}");
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert!(!page.text().contains("//") && !page.text().contains("<script>"), "{}", page.text());
    for file in page.text().split(['"']).filter(|text| text.ends_with(".js") || text.ends_with(".css")) {
        let file = file.trim_start_matches("./");
        assert_eq!(server.get(&format!("/api/{file}")).await.status, 200, "{file}");
    }
    let setup = server.get("/api/swagger-initializer.js").await;
    assert!(setup.text().contains("\"openapi.json\"") && setup.text().contains("\"none\""), "{}", setup.text());
    server.get("/api/nothing.js").await.problem(404);
}

/// The API description: operations by path and method, and schemas of answers.
struct Description(Value);

impl Description {
    fn methods(&self, path: &str) -> BTreeSet<String> {
        let mut methods: BTreeSet<String> =
            self.0["paths"][path].as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        if methods.contains("GET") {
            methods.insert("HEAD".to_owned());
        }
        methods
    }

    fn schema(&self, method: &str, path: &str, status: u16) -> &Value {
        let content = &self.0["paths"][path][method]["responses"][status.to_string()]["content"];
        let (_, content) = content.as_object().unwrap().iter().next().unwrap();
        &content["schema"]
    }

    /// Why a value does not match a schema. Every property must be described.
    fn misfit(&self, schema: &Value, value: &Value) -> Option<String> {
        if let Some(reference) = schema["$ref"].as_str() {
            return self.misfit(self.0.pointer(reference.trim_start_matches('#')).unwrap(), value);
        }
        if schema["enum"].as_array().is_some_and(|names| !names.contains(value)) {
            return Some(format!("{value} is not one of {}", schema["enum"]));
        }
        if let Some(variants) = schema["oneOf"].as_array() {
            let misfits: Vec<String> = variants.iter().filter_map(|one| self.misfit(one, value)).collect();
            return (misfits.len() == variants.len()).then(|| misfits.join("; "));
        }
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_u64() => "integer",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let kinds: Vec<&str> = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect(),
        };
        let whole_number = kind == "integer" && kinds.contains(&"number");
        if !(kinds.is_empty() || kinds.contains(&kind) || whole_number) {
            return Some(format!("{value} is not of type {kinds:?}"));
        }
        match value {
            Value::Array(values) => values.iter().find_map(|value| self.misfit(&schema["items"], value)),
            Value::Object(object) => {
                let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let missing =
                    required.filter(|name| !object.contains_key(*name)).map(|name| format!("{name} is missing"));
                let properties = &schema["properties"];
                missing
                    .chain(object.iter().filter_map(|(name, value)| match properties.get(name) {
                        Some(schema) => self.misfit(schema, value),
                        None if schema.get("additionalProperties").is_some() => None,
                        // Any value.
                        None if kinds.is_empty() && properties.is_null() => None,
                        None => Some(format!("{name} is not described in {schema}")),
                    }))
                    .next()
            }
            _ => None,
        }
    }
}

/// A described path with the ids of the server.
fn real_path(path: &str, id: &str, scenario: &str) -> String {
    let real = path.replace("{documentId}", id).replace("{positionId}", "ui").replace("{user}", "cfo");
    real.replace("{scenarioId}", scenario)
}

/// Adds the required parameters to the path of a `GET`.
fn with_query(path: String, scenario: &str) -> String {
    match path.rsplit_once('/') {
        Some((_, "attribution")) => format!("{path}?changes={}", "ab".repeat(32)),
        Some((_, "diff")) => format!("{path}?with={scenario}"),
        _ => path,
    }
}

#[tokio::test]
async fn every_read_has_an_etag_and_is_sent_once() {
    let server = with_ui().await;
    let description = server.get("/api/openapi.json").await.expect(200);
    let scenario =
        server.send("POST", &format!("{DOCUMENT}/scenarios"), &json!({ "name": "Freeze" })).await.expect(201);
    let scenario = scenario["id"].as_str().unwrap();
    let mut checked = 0;
    for (path, operations) in description["paths"].as_object().unwrap() {
        // These may change with every request, and are not stored.
        let is_live = ["/api/session", "/api/webhooks"].contains(&path.as_str()) || path.ends_with("/changes");
        if operations["get"].is_null() || is_live {
            continue;
        }
        let real = with_query(real_path(path, server.document.as_str(), scenario), scenario);
        let first = server.get(&real).await;
        let tag = first.header("etag").to_owned();
        assert!(first.status == 200 && !tag.is_empty(), "{path}: {first:?}");
        let again = server.call("GET", &real, &[("if-none-match", &tag)], "").await;
        assert_eq!((again.status.as_u16(), again.header("etag"), again.text()), (304, tag.as_str(), ""), "{path}");
        let responses = &operations["get"]["responses"];
        for status in ["200", "304"] {
            assert!(responses[status]["headers"]["ETag"].is_object(), "{path}: {status}");
        }
        checked += 1;
    }
    assert!(checked > 10, "{checked}");
}

#[tokio::test]
async fn lists_have_another_etag_after_a_change() {
    let server = with_ui().await;
    let scenarios = format!("{DOCUMENT}/scenarios");
    let scenario = server.send("POST", &scenarios, &json!({ "name": "Freeze" })).await.expect(201);
    let scenario = scenario["id"].as_str().unwrap();
    let lists = ["/api/documents".to_owned(), scenarios.clone(), format!("{DOCUMENT}/diff?with={scenario}")];
    let mut tags: Vec<String> = Vec::new();
    for list in &lists {
        tags.push(server.get(list).await.header("etag").to_owned());
    }
    server.send("PATCH", &format!("{scenarios}/{scenario}"), &json!({ "name": "Growth" })).await.expect(200);
    server.send("PATCH", &format!("/api/documents/{scenario}/positions/ui"), &json!({ "budget": 3 })).await.expect(200);
    for (list, tag) in lists.iter().zip(&tags) {
        let answer = server.call("GET", list, &[("if-none-match", tag)], "").await;
        assert_eq!(answer.status, 200, "{list}");
        assert_ne!(answer.header("etag"), tag, "{list}");
    }
}

#[tokio::test]
async fn api_description_matches_the_server() {
    let server = with_ui().await;
    let description = Description(server.get("/api/openapi.json").await.expect(200));
    assert!(description.0["openapi"].as_str().unwrap().starts_with("3.1"));

    let id = server.document.as_str();
    let scenarios = format!("{DOCUMENT}/scenarios");
    let scenario = server.send("POST", &scenarios, &json!({ "name": "Freeze" })).await.expect(201);
    let scenario = scenario["id"].as_str().unwrap();
    for path in description.0["paths"].as_object().unwrap().keys() {
        if !path.starts_with("/api/") {
            continue;
        }
        let real = real_path(path, id, scenario);
        let answer = server.call("PURGE", &real, &[], "").await;
        answer.problem(405);
        let allowed: BTreeSet<String> = answer.header("allow").split(',').map(str::to_owned).collect();
        assert_eq!(allowed, description.methods(path), "{path}");
        let real = with_query(real, scenario);
        assert_eq!(server.get(&real).await.status, if allowed.contains("GET") { 200 } else { 405 }, "{path}");
    }

    let (document, positions) = ("/api/documents/{documentId}", "/api/documents/{documentId}/positions");
    let position = "/api/documents/{documentId}/positions/{positionId}";
    let new = json!({ "designation": "UI", "budget": 1 });
    let row = format!("{POSITIONS}/ui");
    for (method, path, status, answer) in [
        ("get", "/api/documents", 200, server.get("/api/documents").await),
        ("post", "/api/documents", 201, server.send("POST", "/api/documents", &json!({ "name": "x" })).await),
        ("get", document, 200, server.get(DOCUMENT).await),
        ("patch", document, 200, server.send("PATCH", DOCUMENT, &json!({ "totalBudget": 5 })).await),
        ("get", positions, 200, server.get(POSITIONS).await),
        ("post", positions, 201, server.send("POST", POSITIONS, &new).await),
        ("get", position, 200, server.get(&row).await),
        ("patch", position, 200, server.send("PATCH", &row, &json!({ "budget": 9.5 })).await),
        ("get", &format!("{document}/scenarios"), 200, server.get(&scenarios).await),
        ("post", &format!("{document}/scenarios"), 201, server.send("POST", &scenarios, &json!({ "name": "x" })).await),
        (
            "patch",
            &format!("{document}/scenarios/{{scenarioId}}"),
            200,
            server.send("PATCH", &format!("{scenarios}/{scenario}"), &json!({ "name": "y" })).await,
        ),
        ("get", &format!("{document}/diff"), 200, server.get(&format!("{DOCUMENT}/diff?with={scenario}")).await),
        (
            "post",
            &format!("{document}/merge"),
            200,
            server.send("POST", &format!("{DOCUMENT}/merge"), &json!({ "scenario": scenario })).await,
        ),
        ("get", "/api/documents", 200, server.get("/api/documents").await),
        ("get", "/api/session", 200, server.get("/api/session").await),
        ("get", &format!("{document}/access"), 200, server.get(&format!("{DOCUMENT}/access")).await),
        ("get", &format!("{document}/problems"), 200, server.get(&format!("{DOCUMENT}/problems")).await),
        ("get", &format!("{document}/history"), 200, server.get(&format!("{DOCUMENT}/history")).await),
        ("get", &format!("{document}/history"), 400, server.get(&format!("{DOCUMENT}/history?limit=x")).await),
        ("get", &format!("{document}/content"), 200, server.get(&format!("{DOCUMENT}/content")).await),
        ("get", positions, 200, server.get(&format!("{POSITIONS}?limit=1")).await),
        (
            "post",
            &format!("{positions}:batch"),
            200,
            server
                .send("POST", &format!("{POSITIONS}:batch"), &json!({ "change": [{ "id": "ui", "budget": 7 }] }))
                .await,
        ),
        (
            "post",
            "/api/documents/import",
            201,
            server.send("POST", "/api/documents/import?skipInvalid=true", &json!([{ "designation": "UI" }, {}])).await,
        ),
        ("post", "/api/documents/import", 422, server.send("POST", "/api/documents/import", &json!([{}])).await),
        (
            "post",
            &format!("{document}/import"),
            200,
            server.send("POST", &format!("{DOCUMENT}/import"), &json!([{ "designation": "UI" }])).await,
        ),
        ("get", &format!("{document}/export.json"), 200, server.get(&format!("{DOCUMENT}/export.json")).await),
        ("post", positions, 409, server.send("POST", POSITIONS, &ui()).await),
        ("post", positions, 422, server.send("POST", POSITIONS, &json!({})).await),
        ("post", positions, 415, server.call("POST", POSITIONS, &[], "{}").await),
        ("get", position, 404, server.get(&format!("{POSITIONS}/x")).await),
        ("get", document, 400, server.get("/api/documents/x").await),
    ] {
        let value = answer.expect(status);
        let misfit = description.misfit(description.schema(method, path, status), &value);
        assert_eq!(misfit, None, "{method} {path} {status}: {value}");
    }
}

/// The server accepts the example bodies of the description, and requires the fields that it calls required.
#[tokio::test]
async fn described_bodies_are_accepted() {
    let server = with_ui().await;
    let description = server.get("/api/openapi.json").await.expect(200);
    for (schema, method, path, success) in [
        ("NewDocument", "POST", "/api/documents", 201),
        ("DocumentPatch", "PATCH", DOCUMENT, 200),
        ("NewPosition", "POST", POSITIONS, 201),
        ("PositionPatch", "PATCH", "/api/documents/default/positions/ui", 200),
        ("ScenarioName", "POST", "/api/documents/default/scenarios", 201),
        ("NewRole", "PUT", "/api/documents/default/access/cfo", 204),
    ] {
        let schema = &description["components"]["schemas"][schema];
        let mut properties = schema["properties"].as_object().unwrap().clone();
        for property in properties.values_mut() {
            if let Some(reference) = property["$ref"].as_str() {
                *property = description.pointer(reference.trim_start_matches('#')).unwrap().clone();
            }
        }
        let body: Value =
            properties.iter().map(|(name, property)| (name.clone(), property["example"].clone())).collect();
        server.send(method, path, &body).await.expect(success);
        assert_eq!(schema["additionalProperties"], false);
        for (name, property) in &properties {
            // Only fields that are described as nullable may be null: budgets, which may be unknown, and optional fields.
            let mut body = body.clone();
            body[name] = Value::Null;
            if property["type"].as_array().is_some_and(|kinds| kinds.contains(&json!("null"))) {
                assert!(["budget", "status", "start", "end", "yearStart"].contains(&name.as_str()), "{name}");
                if path == POSITIONS {
                    body["id"] = json!(format!("without {name}"));
                }
                server.send(method, path, &body).await.expect(success);
                continue;
            }
            assert!(property["type"].is_string(), "{name}: {property}");
            assert_eq!(server.send(method, path, &body).await.problem(422), *name);
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let mut body = body.clone();
            body.as_object_mut().unwrap().remove(name);
            assert_eq!(server.send(method, path, &body).await.problem(422), name);
        }
    }
}
