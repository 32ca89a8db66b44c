//! Asking, and reading the answer as it streams in.

use super::{Client, answer, refusal};
use crate::{StackError, Stopwatch};
use rag_core::sse::Decoder;
use reqwest::{Method, Response, header};
use shared_types::{
    chat::{ChatAnswer, ChatQuery, Citation},
    event::{AnswerEvent, Done, EVENT_STREAM, Meta},
    headers::SERVER_TIMING,
    problem::Problem,
};
use std::{collections::VecDeque, time::Duration};

const WHAT: &str = "the question";

/// An event and when it arrived, counted from the request.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The event.
    pub event: AnswerEvent,
    /// When it arrived.
    pub at: Duration,
}

/// An answer that streams in.
#[derive(Debug)]
pub struct Answering {
    response: Response,
    decoder: Decoder,
    arrived: VecDeque<Moment>,
    clock: Stopwatch,
    head: Duration,
    stages: Vec<(String, Option<f64>, Option<String>)>,
}

/// A whole answer, as it streamed in.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was known before the model spoke.
    pub meta: Option<Meta>,
    /// The text, with ` [n]` where citation `n` stands.
    pub text: String,
    /// In order of arrival.
    pub citations: Vec<Citation>,
    /// The end of a complete answer.
    pub done: Option<Done>,
    /// The end of an answer that broke off.
    pub error: Option<Problem>,
    /// From the request until the first text.
    pub first_text: Option<Duration>,
    /// From the request until the last byte.
    pub total: Duration,
    /// `Server-Timing`: stage, milliseconds, description.
    pub stages: Vec<(String, Option<f64>, Option<String>)>,
}

impl Client {
    /// Asks, and returns once the answer begins to stream.
    pub async fn ask(&self, question: &str) -> Result<Answering, StackError> {
        let query = ChatQuery {
            query: question.to_owned(),
            ..ChatQuery::default()
        };
        self.ask_query(&query).await
    }

    /// Asks with filters or in a conversation, and returns once the answer begins to stream.
    pub async fn ask_query(&self, query: &ChatQuery) -> Result<Answering, StackError> {
        let clock = Stopwatch::start();
        let response = self
            .request(Method::POST, "/api/chat/query")
            .header(header::ACCEPT, EVENT_STREAM)
            .json(query)
            .send()
            .await
            .map_err(StackError::http(WHAT))?;
        if !response.status().is_success() {
            return Err(refusal(WHAT, response).await);
        }
        let timing = response
            .headers()
            .get(SERVER_TIMING)
            .and_then(|value| value.to_str().ok());
        Ok(Answering {
            stages: timing.map(server_timing).unwrap_or_default(),
            decoder: Decoder::new(),
            arrived: VecDeque::new(),
            head: clock.elapsed(),
            clock,
            response,
        })
    }

    /// Asks and reads the answer to its end.
    pub async fn ask_to_end(&self, question: &str) -> Result<Answer, StackError> {
        self.ask(question).await?.to_end(|_| ()).await
    }

    /// Asks for the answer as one JSON object.
    pub async fn ask_json(&self, question: &str) -> Result<ChatAnswer, StackError> {
        let query = ChatQuery {
            query: question.to_owned(),
            ..ChatQuery::default()
        };
        self.ask_json_query(&query).await
    }

    /// Asks with filters or in a conversation, for the answer as one JSON object.
    pub async fn ask_json_query(&self, query: &ChatQuery) -> Result<ChatAnswer, StackError> {
        let response = self
            .request(Method::POST, "/api/chat/query")
            .header(header::ACCEPT, "application/json")
            .json(query)
            .send()
            .await
            .map_err(StackError::http(WHAT))?;
        answer(WHAT, response).await
    }
}

impl Answering {
    /// From the request until the head of the response.
    #[must_use]
    pub fn head(&self) -> Duration {
        self.head
    }

    /// The next event; `None` after the last byte.
    pub async fn next(&mut self) -> Result<Option<Moment>, StackError> {
        loop {
            if let Some(moment) = self.arrived.pop_front() {
                return Ok(Some(moment));
            }
            let Some(bytes) = self
                .response
                .chunk()
                .await
                .map_err(StackError::http(WHAT))?
            else {
                return Ok(None);
            };
            let at = self.clock.elapsed();
            let events = self
                .decoder
                .push(&bytes)
                .map_err(|error| StackError::Stream(error.to_string()))?;
            for event in events {
                let event = AnswerEvent::parse(&event.name, &event.data)
                    .map_err(|error| StackError::Stream(error.to_string()))?;
                self.arrived.push_back(Moment { event, at });
            }
        }
    }

    /// Reads to the end; `watch` sees each event as it arrives.
    pub async fn to_end(mut self, mut watch: impl FnMut(&Moment)) -> Result<Answer, StackError> {
        let mut answer = Answer {
            meta: None,
            text: String::new(),
            citations: Vec::new(),
            done: None,
            error: None,
            first_text: None,
            total: Duration::ZERO,
            stages: std::mem::take(&mut self.stages),
        };
        while let Some(moment) = self.next().await? {
            watch(&moment);
            match moment.event {
                AnswerEvent::Meta(meta) => answer.meta = Some(meta),
                AnswerEvent::Delta(delta) => {
                    answer.first_text.get_or_insert(moment.at);
                    answer.text.push_str(&delta.text);
                }
                AnswerEvent::Citation(citation) => answer.citations.push(citation),
                AnswerEvent::Done(done) => answer.done = Some(done),
                AnswerEvent::Error(problem) => answer.error = Some(problem),
            }
        }
        answer.total = self.clock.elapsed();
        Ok(answer)
    }
}

/// Reads `Server-Timing`: `auth;dur=0.4, scope;dur=1.2;desc="hit"`.
fn server_timing(header: &str) -> Vec<(String, Option<f64>, Option<String>)> {
    header
        .split(',')
        .filter_map(|metric| {
            let mut parts = metric.split(';').map(str::trim);
            let name = parts.next().filter(|name| !name.is_empty())?.to_owned();
            let mut duration = None;
            let mut description = None;
            for part in parts {
                match part.split_once('=') {
                    Some(("dur", value)) => duration = value.parse().ok(),
                    Some(("desc", value)) => description = Some(value.trim_matches('"').to_owned()),
                    _ => {}
                }
            }
            Some((name, duration, description))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_timing_names_stages_with_their_milliseconds() {
        let stages = server_timing(r#"auth;dur=0.4, search;desc="hit";dur=1.25, cold"#);
        assert_eq!(
            stages,
            [
                ("auth".into(), Some(0.4), None),
                ("search".into(), Some(1.25), Some("hit".into())),
                ("cold".into(), None, None),
            ]
        );
    }
}
