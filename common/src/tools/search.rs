//! `web_search` over Tavily. <https://docs.tavily.com/documentation/api-reference/endpoint/search>

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Caller, Tool, ToolError, from_egress, read, spec};
use crate::{
    egress::{Egress, Request},
    providers::ToolSpec,
    secret::Secret,
    settings,
};

#[derive(Deserialize, JsonSchema)]
struct Arguments {
    /// What to look for.
    query: String,
    /// How many results, 1 to 10; 5 when absent.
    max_results: Option<u8>,
}

struct WebSearch {
    spec: ToolSpec,
    egress: Egress,
    key: Secret,
    base_url: String,
}

pub fn all(settings: &settings::Tools, egress: &Egress) -> Option<Arc<dyn Tool>> {
    let key = settings.tavily_key.clone()?;
    let spec =
        spec::<Arguments>("web_search", "Searches the web; gives titles, addresses and excerpts of pages.");
    Some(Arc::new(WebSearch { spec, egress: egress.clone(), key, base_url: settings.tavily_url.clone() }))
}

#[async_trait]
impl Tool for WebSearch {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, _: &Caller<'_>, arguments: Value) -> Result<Value, ToolError> {
        let Arguments { query, max_results } = read(arguments)?;
        let query: String = query.chars().take(400).collect();
        if query.trim().is_empty() {
            return Err(ToolError("query must not be empty".to_owned()));
        }
        let body = json!({
            "query": query, "max_results": max_results.unwrap_or(5).clamp(1, 10), "search_depth": "basic", "include_answer": true,
        });
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", self.key.expose()))
            .map_err(|_| ToolError("the search service's key is no header value".to_owned()))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        let url = format!("{}/search", self.base_url);
        let request = Request {
            method: Method::POST,
            headers,
            body: Some(body.to_string().into()),
            ..Request::get(url)
        };
        let answer = self.egress.send(request).await.map_err(from_egress("the search service"))?;
        match answer.status.as_u16() {
            200 => {}
            401 | 403 => return Err(ToolError("the search service refuses our key".to_owned())),
            429 | 432 | 433 => return Err(ToolError("the search service limits our requests".to_owned())),
            status => return Err(ToolError(format!("the search service failed with status {status}"))),
        }
        let found: Value = serde_json::from_slice(&answer.body)
            .map_err(|_| ToolError("the search service sent something unreadable".to_owned()))?;
        let results: Vec<Value> = found["results"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|result| json!({"title": result["title"], "url": result["url"], "content": result["content"]}))
            .collect();
        Ok(json!({"answer": found["answer"], "results": results}))
    }
}
