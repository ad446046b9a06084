//! A failure of Redis, as the answer to a request.

use std::fmt;

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use redis_steward::{Error, Execution};
use serde_json::json;

/// Redis did not answer as it should. The caller learns whether a repetition is safe.
#[derive(Debug)]
pub struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        StatusCode::SERVICE_UNAVAILABLE
    }

    fn error_response(&self) -> HttpResponse {
        let had_no_effect = matches!(
            self.0.execution(),
            Execution::NotSent | Execution::NotExecuted
        );
        HttpResponse::build(self.status_code())
            .insert_header(("retry-after", "1"))
            // The text is for operators, and not for callers.
            .json(json!({ "error": "the store is not available", "had_no_effect": had_no_effect }))
    }
}
