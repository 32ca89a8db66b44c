//! Readers of one and the same kind of stream, by three ways.

use super::{
    EVERY, OF_ONE_PERSON, WORDS,
    model::{Listener, Model},
};
use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use local_stack::{Client, Stack};
use rag_core::sse::Decoder;
use reqwest::{Method, RequestBuilder, header};
use serde_json::{Value, json};
use shared_types::{event::EVENT_STREAM, headers::EDGE_TOKEN};
use std::time::Duration;

/// How long a whole stream may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// How the words come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the model itself.
    Straight,
    /// Through the origin.
    Origin,
    /// Through the edge and the origin.
    EdgeAndOrigin,
}

impl Way {
    /// As the table says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Straight => "straight",
            Self::Origin => "origin",
            Self::EdgeAndOrigin => "edge and origin",
        }
    }
}

/// Somebody who reads.
pub struct Person {
    /// At the edge.
    pub browser: Client,
    /// At the origin, past the edge.
    pub at_origin: Client,
}

/// The ages of words, in milliseconds.
pub struct Heard {
    firsts: Vec<f64>,
    all: Vec<f64>,
}

impl Heard {
    /// A quantile of first words.
    pub fn first(&self, quantile: f64) -> f64 {
        at(&self.firsts, quantile)
    }

    /// A quantile of all words.
    pub fn every(&self, quantile: f64) -> f64 {
        at(&self.all, quantile)
    }

    /// The share of words that came after the model had said the next.
    pub fn late(&self) -> f64 {
        let every_ms = EVERY.as_secs_f64() * 1e3;
        let late = self.all.iter().filter(|age| **age > every_ms).count();
        late as f64 / self.all.len().max(1) as f64
    }
}

fn at(sorted: &[f64], quantile: f64) -> f64 {
    let place = ((sorted.len() as f64 * quantile) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

/// Reads so many streams at once, to their ends.
pub async fn read(
    stack: &Stack,
    model: &Model,
    people: &[Person],
    way: Way,
    streams: usize,
) -> anyhow::Result<Heard> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    // Each asks something of its own, else all would be told one answer.
    let questions: Vec<String> = (1..=streams)
        .map(|number| format!("On which beat do I release the pedal in waltz number {number}?"))
        .collect();
    let requests = match way {
        Way::Straight => {
            let url = model.stream_url();
            let request = || http.post(&url).bearer_auth("token").body("{}");
            questions.iter().map(|_| request()).collect()
        }
        Way::Origin => {
            let passage = passage(&people[0].browser).await?;
            let request = |question: &String| {
                let body = json!({ "query": question, "passages": [passage] });
                let request = people[0].at_origin.request(Method::POST, "/v1/answer");
                request
                    .header(EDGE_TOKEN, &stack.secrets().edge_token)
                    .json(&body)
            };
            questions.iter().map(request).collect()
        }
        Way::EdgeAndOrigin => {
            // What is searched for is found in the cache afterwards, so the model is all that is waited for.
            for (question, person) in questions.iter().zip(askers(people)) {
                ask(person, question).send().await?.bytes().await?;
            }
            let askers = questions.iter().zip(askers(people));
            askers
                .map(|(question, person)| ask(person, question))
                .collect::<Vec<_>>()
        }
    };
    let heard = try_join_all(requests.into_iter().map(|request| listen(request, way))).await?;
    let mut firsts: Vec<f64> = heard.iter().map(|ages| ages[0]).collect();
    let mut all: Vec<f64> = heard.concat();
    firsts.sort_by(f64::total_cmp);
    all.sort_by(f64::total_cmp);
    Ok(Heard { firsts, all })
}

/// Everybody, each as often as the edge lets them.
fn askers(people: &[Person]) -> impl Iterator<Item = &Client> + Clone {
    people
        .iter()
        .flat_map(|person| std::iter::repeat_n(&person.browser, OF_ONE_PERSON))
}

fn ask(person: &Client, question: &str) -> RequestBuilder {
    person
        .request(Method::POST, "/api/chat/query")
        .header(header::ACCEPT, EVENT_STREAM)
        .json(&json!({ "query": question }))
}

/// A passage that anybody may be answered from.
async fn passage(person: &Client) -> anyhow::Result<Value> {
    let answer = person
        .ask_json("On which beat do I release the pedal in a waltz?")
        .await?;
    let source = answer.sources.first().context("nothing was found")?;
    Ok(json!({ "chunk_id": source.chunk_id, "rerank_score": 0.99 }))
}

/// The ages of a stream's words.
async fn listen(request: RequestBuilder, way: Way) -> anyhow::Result<Vec<f64>> {
    let mut response = request.timeout(PATIENCE).send().await?;
    ensure!(
        response.status().is_success(),
        "{}: {}",
        way.name(),
        response.status()
    );
    let (mut decoder, mut listener) = (Decoder::new(), Listener::default());
    let mut ages = Vec::new();
    while let Some(bytes) = response.chunk().await? {
        for event in decoder.push(&bytes)? {
            let data: Value = serde_json::from_str(&event.data)?;
            let text = match &*event.name {
                "content_block_delta" => data["delta"]["text"].as_str(),
                "delta" => data["text"].as_str(),
                "error" => anyhow::bail!("{}: {data}", way.name()),
                _ => None,
            };
            let heard = listener.hear(text.unwrap_or_default());
            ages.extend(heard.iter().map(|age| age.as_secs_f64() * 1e3));
        }
    }
    ensure!(
        ages.len() == WORDS,
        "{} of {WORDS} words were heard",
        ages.len()
    );
    Ok(ages)
}
