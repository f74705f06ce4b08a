//! Queries and bodies as Alpaca's clients send them, which is not always as its documents say.
//!
//! Both Python clients write `True` for a boolean, lists are joined by commas, numbers come as numbers and as text, and
//! parameters that nobody knows are sent along. So what is not known is ignored here, as Alpaca does.

use std::collections::HashMap;
use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use domain::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;

use super::Refusal;
use crate::json;

/// The part of the address after the question mark. Where something is given twice, the last counts.
pub(super) struct Query(HashMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// What is given; empty is not given.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// The same as a type.
    pub(super) fn get<T: FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        self.text(name).map(|text| text.parse().map_err(|_| wrong(name, text))).transpose()
    }

    /// What must be given.
    pub(super) fn needed(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| Refusal::parameter(format!("{name} is required")))
    }

    /// `true`, `True` or `1`; else no.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.text(name).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false" | "0" | "none") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(other) => Err(wrong(name, other)),
        }
    }

    /// A list with commas; empty where nothing is given.
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        let text = self.text(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect()
    }

    /// A moment: RFC 3339, or a day, which begins at midnight UTC.
    pub(super) fn moment(&self, name: &str) -> Result<Option<Timestamp>, Refusal> {
        self.text(name).map(|text| moment(text).ok_or_else(|| wrong(name, text))).transpose()
    }
}

/// A moment as the clients write it. A plus sign that was not encoded has become a blank on the way.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim().replace(' ', "+");
    text.parse().ok().or_else(|| {
        let day: Date = text.parse().ok()?;
        day.to_zoned(TimeZone::UTC).ok().map(|midnight| midnight.timestamp())
    })
}

fn wrong(name: &str, text: &str) -> Refusal {
    let given: String = text.chars().take(60).collect();
    Refusal::parameter(format!("invalid value for {name}: {given:?}"))
}

/// A body as a type. Fields that are not known are ignored.
pub(super) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let bytes = json::any_bytes::<{ json::LARGEST_ORDER }>(request).await?;
        json::read(&bytes).map(Self).map_err(|problem| match problem.code.status() {
            StatusCode::BAD_REQUEST => Refusal::new(StatusCode::BAD_REQUEST, "failed to decode request body"),
            _ => problem.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_sdks_send_is_understood() {
        let query = Query::parse(
            "nested=True&cancel_orders=true&symbols=AAPL%2CMSFT,&limit=50&after=2026-02-03T14%3A30%3A00%2B00%3A00\
             &until=2026-02-03T14:30:00+00:00&start=2026-02-03&side=&extended_hours=False",
        );
        assert!(query.flag("nested").unwrap() && query.flag("cancel_orders").unwrap());
        assert!(!query.flag("extended_hours").unwrap() && !query.flag("none").unwrap());
        assert_eq!(query.list("symbols"), ["AAPL", "MSFT"]);
        assert_eq!(query.get::<u32>("limit").unwrap(), Some(50));
        assert_eq!(query.moment("after").unwrap(), query.moment("until").unwrap());
        assert_eq!(query.moment("start").unwrap(), "2026-02-03T00:00:00Z".parse().ok());
        assert_eq!(query.text("side"), None);
        assert!(Query::parse("limit=many").get::<u32>("limit").is_err());
        assert!(Query::parse("nested=perhaps").flag("nested").is_err());
    }
}
