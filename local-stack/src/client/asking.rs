//! Asking, and reading the answer as it streams in.

use super::{Client, answer, refusal};
use crate::{StackError, Stopwatch};
use rag_core::sse::{Decoder, SseEvent};
use reqwest::{Method, Response, header};
use shared_types::{
    chat::{ChatAnswer, ChatQuery, Citation},
    event::{AnswerEvent, Done, EVENT_STREAM, Meta},
    headers::SERVER_TIMING,
    problem::Problem,
};
use std::{collections::VecDeque, time::Duration};

const WHAT: &str = "the question";
/// How often somebody who was cut off comes back.
const RETURNS: usize = 3;
/// How long that takes them: less than an answer waits for them.
const PAUSE: Duration = Duration::from_millis(500);

/// An event and when it arrived, counted from the request.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The event.
    pub event: AnswerEvent,
    /// Its id, to go on from; empty where it has none.
    pub id: String,
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
    /// The text, without markers.
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
        self.ask_behind(query, "").await
    }

    /// Asks for what comes behind the event of this id, as somebody who was cut off; all of it where it is empty.
    pub async fn ask_behind(
        &self,
        query: &ChatQuery,
        last_event_id: &str,
    ) -> Result<Answering, StackError> {
        let clock = Stopwatch::start();
        let mut request = self
            .request(Method::POST, "/api/chat/query")
            .header(header::ACCEPT, EVENT_STREAM)
            .json(query);
        if !last_event_id.is_empty() {
            request = request.header("last-event-id", last_event_id);
        }
        let response = request.send().await.map_err(StackError::http(WHAT))?;
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

    /// Asks and reads the answer to its end; `watch` sees each event as it arrives. Whoever is cut off comes back and
    /// goes on, three times at most: the error or the `error` event is the last one's.
    pub async fn ask_persistently(
        &self,
        question: &str,
        mut watch: impl FnMut(&Moment),
    ) -> Result<Answer, StackError> {
        let query = ChatQuery {
            query: question.to_owned(),
            ..ChatQuery::default()
        };
        let mut answering = self.ask_query(&query).await?;
        let mut answer = Answer::begun(&answering);
        let mut last_event_id = String::new();
        for returns in 0.. {
            let told = answering
                .tell(&mut answer, &mut last_event_id, &mut watch)
                .await;
            answer.total = answering.clock.elapsed();
            if answer.done.is_some() {
                break;
            }
            if returns == RETURNS {
                told?;
                break;
            }
            tokio::time::sleep(PAUSE).await;
            // Whoever finds nobody there comes back once more, to where they were.
            if let Ok(next) = self.ask_behind(&query, &last_event_id).await {
                let clock = answering.clock;
                answering = next;
                answering.clock = clock;
                answer.error = None;
            }
        }
        Ok(answer)
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
            for SseEvent { name, data, id } in events {
                let event = AnswerEvent::parse(&name, &data)
                    .map_err(|error| StackError::Stream(error.to_string()))?;
                self.arrived.push_back(Moment { event, id, at });
            }
        }
    }

    /// Reads to the end, into `answer`, and keeps the id of the last event in `last_event_id`.
    async fn tell(
        &mut self,
        answer: &mut Answer,
        last_event_id: &mut String,
        watch: &mut impl FnMut(&Moment),
    ) -> Result<(), StackError> {
        while let Some(moment) = self.next().await? {
            watch(&moment);
            // What is told from its beginning has no place yet; an event without an id changes none.
            let begins_anew = matches!(&moment.event, AnswerEvent::Meta(meta) if !meta.resumed);
            if begins_anew || !moment.id.is_empty() {
                last_event_id.clone_from(&moment.id);
            }
            answer.take(moment);
        }
        Ok(())
    }

    /// Reads to the end; `watch` sees each event as it arrives.
    pub async fn to_end(mut self, mut watch: impl FnMut(&Moment)) -> Result<Answer, StackError> {
        let mut answer = Answer::begun(&self);
        self.tell(&mut answer, &mut String::new(), &mut watch)
            .await?;
        answer.total = self.clock.elapsed();
        Ok(answer)
    }
}

impl Answer {
    /// One of which nothing is known yet.
    fn begun(answering: &Answering) -> Self {
        Self {
            meta: None,
            text: String::new(),
            citations: Vec::new(),
            done: None,
            error: None,
            first_text: None,
            total: Duration::ZERO,
            stages: answering.stages.clone(),
        }
    }

    /// Adds an event. What is told from its beginning takes the place of what was there.
    fn take(&mut self, moment: Moment) {
        match moment.event {
            AnswerEvent::Meta(meta) => {
                if !meta.resumed {
                    self.text.clear();
                    self.citations.clear();
                }
                self.meta = Some(meta);
            }
            AnswerEvent::Delta(delta) => {
                self.first_text.get_or_insert(moment.at);
                self.text.push_str(&delta.text);
            }
            AnswerEvent::Citation(citation) => self.citations.push(citation),
            AnswerEvent::Done(done) => self.done = Some(done),
            AnswerEvent::Error(problem) => self.error = Some(problem),
        }
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
