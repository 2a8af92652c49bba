//! What callers want of an answer in OpenAI's words, read for providers that have other words, or none: what one does not
//! have is refused, never left out.

use serde_json::Value;

use super::{ChatRequest, ProviderError};

/// Which function is to be called.
#[derive(Debug, PartialEq)]
pub enum Choice<'a> {
    Auto,
    None,
    /// Any, but one.
    Required,
    Named(&'a str),
}

/// What form the answer must have.
pub enum Format<'a> {
    Text,
    Json,
    /// JSON of this schema.
    Schema(&'a Value),
}

/// A part of a message.
pub enum Part<'a> {
    Text(&'a str),
    /// The bytes of an image or a recording: their media type, and the bytes in base64.
    Data(String, &'a str),
    /// An image that the provider fetches.
    Image(&'a str),
}

/// Reads requests for one provider.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    pub provider: &'static str,
    pub request: &'a ChatRequest,
}

impl<'a> Wanted<'a> {
    pub fn refuse(&self, field: &str) -> ProviderError {
        ProviderError::unsupported(self.provider, field)
    }

    /// Refuses what is asked for and not among the names of what the provider has.
    pub fn only(&self, known: &[&str]) -> Result<(), ProviderError> {
        let foreign = self.request.options.named().into_iter().find(|name| !known.contains(&name.as_str()));
        let named = self.request.messages.iter().any(|message| message.name.is_some());
        match foreign.or_else(|| named.then(|| "messages.name".to_owned())) {
            Some(field) => Err(self.refuse(&field)),
            None => Ok(()),
        }
    }

    pub fn choice(&self) -> Result<Option<Choice<'a>>, ProviderError> {
        let Some(choice) = &self.request.options.tool_choice else { return Ok(None) };
        let name = || choice["function"]["name"].as_str().filter(|_| choice["type"] == "function");
        match choice.as_str() {
            Some("auto") => Ok(Some(Choice::Auto)),
            Some("none") => Ok(Some(Choice::None)),
            Some("required") => Ok(Some(Choice::Required)),
            _ => match name() {
                Some(name) => Ok(Some(Choice::Named(name))),
                None => Err(self.refuse("tool_choice")),
            },
        }
    }

    pub fn format(&self) -> Result<Format<'a>, ProviderError> {
        if let Some(schema) = &self.request.schema {
            return Ok(Format::Schema(schema));
        }
        let Some(format) = &self.request.options.response_format else { return Ok(Format::Text) };
        match format["type"].as_str() {
            Some("text") => Ok(Format::Text),
            Some("json_object") => Ok(Format::Json),
            Some("json_schema") => Ok(Format::Schema(&format["json_schema"]["schema"])),
            _ => Err(self.refuse("response_format")),
        }
    }

    pub fn part(&self, part: &'a Value) -> Result<Part<'a>, ProviderError> {
        let refuse = || self.refuse("messages.content");
        match part["type"].as_str() {
            Some("text") => part["text"].as_str().map(Part::Text).ok_or_else(refuse),
            Some("image_url") => {
                let url = part["image_url"]["url"].as_str().ok_or_else(refuse)?;
                match url.strip_prefix("data:") {
                    Some(data) => {
                        let (kind, bytes) = data.split_once(";base64,").ok_or_else(refuse)?;
                        Ok(Part::Data(kind.to_owned(), bytes))
                    }
                    None => Ok(Part::Image(url)),
                }
            }
            Some("input_audio") => {
                let audio = &part["input_audio"];
                let (data, format) =
                    audio["data"].as_str().zip(audio["format"].as_str()).ok_or_else(refuse)?;
                Ok(Part::Data(format!("audio/{format}"), data))
            }
            _ => Err(refuse()),
        }
    }
}
