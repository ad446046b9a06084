//! A response, as any framework can send it.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_core::Stream;
use serde_json::json;

use super::{StatusEvents, page};

const JSON: (&str, &str) = ("content-type", "application/json");
/// The data is of the moment, and no proxy may change or collect it.
const NOT_KEPT: (&str, &str) = ("cache-control", "no-store, no-transform");
const TYPE_AS_STATED: (&str, &str) = ("x-content-type-options", "nosniff");

/// A response of a [`StatusPage`](crate::StatusPage), to be sent as it is.
#[derive(Debug)]
#[non_exhaustive]
pub struct StatusResponse {
    /// The status code, such as 200.
    pub status: u16,
    /// Names in lower case, and values. They include the type of the content, and what protects the page.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The content.
    pub body: StatusBody,
}

impl StatusResponse {
    pub(super) fn page() -> Self {
        let mut response = Self::with(200, ("content-type", "text/html; charset=utf-8"));
        let protection = [
            ("content-security-policy", page::content_security_policy()),
            ("referrer-policy", "no-referrer"),
        ];
        response.headers.extend(protection);
        response.body = StatusBody::text(Bytes::from_static(page::HTML.as_bytes()));
        response
    }

    pub(super) fn json(status: u16, json: String) -> Self {
        let mut response = Self::with(status, JSON);
        response.body = StatusBody::text(json.into());
        response
    }

    pub(super) fn events(events: StatusEvents) -> Self {
        let mut response = Self::with(200, ("content-type", "text/event-stream"));
        // nginx would collect the events otherwise.
        response.headers.push(("x-accel-buffering", "no"));
        response.body = StatusBody(Content::Events(Box::new(events)));
        response
    }

    pub(super) fn refusal(status: u16, why: &str) -> Self {
        Self::json(status, json!({ "error": why }).to_string())
    }

    pub(super) fn stopped() -> Self {
        Self::refusal(503, "the supervisor has stopped")
    }

    pub(super) fn wrong_method(allowed: &'static str) -> Self {
        let mut response = Self::refusal(405, "this method is not permitted here");
        response.headers.push(("allow", allowed));
        response
    }

    fn with(status: u16, content_type: (&'static str, &'static str)) -> Self {
        Self {
            status,
            headers: vec![content_type, NOT_KEPT, TYPE_AS_STATED],
            body: StatusBody::text(Bytes::new()),
        }
    }
}

/// The body of a [`StatusResponse`]: a stream of bytes that cannot fail. That of `events` is endless, all others
/// consist of one item.
///
/// In axum it is `Body::from_stream(body)`, in actix-web `HttpResponseBuilder::streaming(body)`.
#[derive(Debug)]
pub struct StatusBody(Content);

#[derive(Debug)]
enum Content {
    Text(Option<Bytes>),
    Events(Box<StatusEvents>),
}

impl StatusBody {
    fn text(text: Bytes) -> Self {
        Self(Content::Text(Some(text)))
    }
}

impl Stream for StatusBody {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.0 {
            Content::Text(text) => Poll::Ready(text.take().map(Ok)),
            Content::Events(events) => Pin::new(events).poll_next(cx).map(|item| item.map(Ok)),
        }
    }
}
