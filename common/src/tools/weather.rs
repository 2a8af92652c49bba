//! Weather over WeatherAPI.com: now, the days ahead, sun and moon, and places by name.
//! <https://www.weatherapi.com/docs/>

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{Caller, Tool, ToolError, from_egress, read, spec};
use crate::{
    egress::{Egress, Request},
    providers::ToolSpec,
    secret::Secret,
    settings,
};

#[derive(Deserialize, JsonSchema)]
struct Place {
    /// A city, a postcode, or latitude and longitude as "48.85,2.35".
    location: String,
}

#[derive(Deserialize, JsonSchema)]
struct Forecast {
    /// A city, a postcode, or latitude and longitude as "48.85,2.35".
    location: String,
    /// Days ahead with today, 1 to 10; 3 when absent.
    days: Option<u8>,
}

#[derive(Deserialize, JsonSchema)]
struct Astronomy {
    /// A city, a postcode, or latitude and longitude as "48.85,2.35".
    location: String,
    /// As 2026-11-30; today when absent.
    date: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct Locations {
    /// The beginning of a place's name.
    query: String,
}

#[derive(Clone, Copy)]
enum Function {
    Current,
    Forecast,
    Astronomy,
    Search,
}

struct Weather {
    spec: ToolSpec,
    function: Function,
    egress: Egress,
    key: Secret,
    base_url: String,
}

pub fn all(settings: &settings::Tools, egress: &Egress) -> Vec<Arc<dyn Tool>> {
    let Some(key) = settings.weather_key.clone() else { return Vec::new() };
    let tool = |spec: ToolSpec, function: Function| -> Arc<dyn Tool> {
        let (egress, key, base_url) = (egress.clone(), key.clone(), settings.weather_url.clone());
        Arc::new(Weather { spec, function, egress, key, base_url })
    };
    vec![
        tool(spec::<Place>("get_current_weather", "The weather at a place now."), Function::Current),
        tool(
            spec::<Forecast>("get_weather_forecast", "The weather at a place for the days ahead."),
            Function::Forecast,
        ),
        tool(
            spec::<Astronomy>("get_astronomy_data", "Sunrise, sunset and the moon at a place on a day."),
            Function::Astronomy,
        ),
        tool(
            spec::<Locations>("search_locations", "Places whose name begins so, to choose among."),
            Function::Search,
        ),
    ]
}

impl Weather {
    async fn ask(&self, method: &str, parameters: &[(&str, &str)]) -> Result<Value, ToolError> {
        let mut url = Url::parse(&format!("{}/{method}.json", self.base_url))
            .map_err(|_| ToolError("the weather service's address is wrong".to_owned()))?;
        url.query_pairs_mut().append_pair("key", self.key.expose()).extend_pairs(parameters);
        let answer = self.egress.send(Request::get(url)).await.map_err(from_egress("the weather service"))?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status.is_success() && !body.is_null() {
            return Ok(body);
        }
        // Its codes, not its words: those may repeat what we sent.
        Err(ToolError(match (body["error"]["code"].as_i64(), answer.status.as_u16()) {
            (Some(1006), _) => "no place of that name is known".to_owned(),
            (Some(2006..=2009) | None, 401 | 403) => "the weather service refuses our key".to_owned(),
            (_, status) => format!("the weather service failed with status {status}"),
        }))
    }
}

fn text(value: &str, field: &str) -> Result<String, ToolError> {
    let value: String = value.trim().chars().take(200).collect();
    if value.is_empty() { Err(ToolError(format!("{field} must not be empty"))) } else { Ok(value) }
}

/// What is told of the weather now, and of a day.
const NOW: [&str; 10] = [
    "temp_c",
    "temp_f",
    "feelslike_c",
    "humidity",
    "wind_kph",
    "wind_dir",
    "precip_mm",
    "cloud",
    "uv",
    "last_updated",
];
const DAY: [&str; 8] = [
    "mintemp_c",
    "maxtemp_c",
    "avgtemp_c",
    "totalprecip_mm",
    "maxwind_kph",
    "daily_chance_of_rain",
    "daily_chance_of_snow",
    "uv",
];

/// These fields of an object, without those that are not there.
fn pick(value: &Value, fields: &[&str]) -> Value {
    let there = fields.iter().filter(|field| !value[**field].is_null());
    there.map(|field| ((*field).to_owned(), value[*field].clone())).collect::<serde_json::Map<_, _>>().into()
}

fn place(value: &Value) -> Value {
    pick(&value["location"], &["name", "region", "country", "localtime"])
}

#[async_trait]
impl Tool for Weather {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, _: &Caller<'_>, arguments: Value) -> Result<Value, ToolError> {
        match self.function {
            Function::Current => {
                let location = text(&read::<Place>(arguments)?.location, "location")?;
                let found = self.ask("current", &[("q", &location)]).await?;
                let mut now = pick(&found["current"], &NOW);
                now["condition"] = found["current"]["condition"]["text"].clone();
                Ok(json!({"location": place(&found), "current": now}))
            }
            Function::Forecast => {
                let Forecast { location, days } = read(arguments)?;
                let location = text(&location, "location")?;
                let days = days.unwrap_or(3).clamp(1, 10).to_string();
                let found = self.ask("forecast", &[("q", &location), ("days", &days)]).await?;
                let day = |one: &Value| {
                    let mut day = pick(&one["day"], &DAY);
                    day["date"] = one["date"].clone();
                    day["condition"] = one["day"]["condition"]["text"].clone();
                    day
                };
                let days: Vec<Value> =
                    found["forecast"]["forecastday"].as_array().into_iter().flatten().map(day).collect();
                Ok(json!({"location": place(&found), "days": days}))
            }
            Function::Astronomy => {
                let Astronomy { location, date } = read(arguments)?;
                let location = text(&location, "location")?;
                let date = date.unwrap_or_else(|| crate::clock::now().format("%Y-%m-%d").to_string());
                let found = self.ask("astronomy", &[("q", &location), ("dt", &date)]).await?;
                Ok(json!({"location": place(&found), "date": date, "astronomy": found["astronomy"]["astro"]}))
            }
            Function::Search => {
                let query = text(&read::<Locations>(arguments)?.query, "query")?;
                let found = self.ask("search", &[("q", &query)]).await?;
                let one = |place: &Value| pick(place, &["name", "region", "country", "lat", "lon"]);
                let places: Vec<Value> = found.as_array().into_iter().flatten().take(20).map(one).collect();
                Ok(json!({"locations": places}))
            }
        }
    }
}
