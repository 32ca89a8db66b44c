//! Asking: by people who wait for their answers, and at a rate that waits for nobody.

use super::{
    crowd::Question,
    tally::{Ending, Reply, Tally},
};
use indicatif::{ProgressBar, ProgressStyle};
use local_stack::Stopwatch;
use reqwest::{Method, Response, header};
use serde_json::json;
use shared_types::{chat::ChatAnswer, problem::Problem};
use std::{
    io::{IsTerminal, stderr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

/// Longer than the edge takes for anything.
const PATIENCE: Duration = Duration::from_mins(1);
const TICK: Duration = Duration::from_millis(200);

/// A bar that says how far something is.
pub fn bar(name: &str, total: u64) -> ProgressBar {
    if !stderr().is_terminal() {
        eprintln!("{name} …");
    }
    // The template is a constant.
    let style = ProgressStyle::with_template("{spinner} {msg:36} {bar:30} {pos}/{len} {elapsed}");
    let bar = ProgressBar::new(total)
        .with_style(style.unwrap_or(ProgressStyle::default_bar()))
        .with_message(name.to_owned());
    bar.enable_steady_tick(TICK);
    bar
}

/// Waits for work that takes about so long, and shows how far it is.
pub async fn watched<T>(name: &str, length: Duration, work: impl Future<Output = T>) -> T {
    let clock = Stopwatch::start();
    let bar = bar(name, length.as_secs());
    tokio::pin!(work);
    let mut ticks = interval(TICK);
    let result = loop {
        tokio::select! {
            result = &mut work => break result,
            _ = ticks.tick() => bar.set_position(clock.elapsed().as_secs().min(length.as_secs())),
        }
    };
    bar.finish_and_clear();
    result
}

/// Asks one question.
pub async fn ask(question: &Question) -> Reply {
    send(question, None).await
}

/// The same over a connection of its own, as somebody who comes for the first time.
async fn ask_anew(question: &Question) -> Reply {
    send(question, Some("close")).await
}

async fn send(question: &Question, connection: Option<&'static str>) -> Reply {
    let clock = Stopwatch::start();
    let mut request = question
        .asker
        .request(Method::POST, "/api/chat/query")
        .header(header::ACCEPT, "application/json")
        .timeout(PATIENCE)
        .json(&json!({ "query": question.text }));
    if let Some(connection) = connection {
        request = request.header(header::CONNECTION, connection);
    }
    let ending = match request.send().await {
        Ok(response) => read(response).await,
        Err(error) => Ending::Broken(broken(&error).to_owned()),
    };
    Reply {
        ending,
        took: clock.elapsed(),
    }
}

async fn read(response: Response) -> Ending {
    let status = response.status();
    let names_a_time = response.headers().contains_key(header::RETRY_AFTER);
    let body = match response.bytes().await {
        Ok(body) => body,
        Err(error) => return Ending::Broken(broken(&error).to_owned()),
    };
    if status.is_success() {
        match serde_json::from_slice::<ChatAnswer>(&body) {
            Ok(answer) => Ending::answered(&answer),
            Err(_) => Ending::Broken("no answer".to_owned()),
        }
    } else {
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Ending::refused(&problem, names_a_time),
            Err(_) => Ending::Broken(format!("{} without a problem", status.as_u16())),
        }
    }
}

fn broken(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no reply in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "cut off"
    }
}

/// So many people, each of whom asks, reads the answer and asks again, for so long. Then the last answers are waited for.
pub async fn people(
    name: &str,
    number: u32,
    thinking: Duration,
    length: Duration,
    next: impl Fn() -> Question + Send + Sync + Clone + 'static,
) -> anyhow::Result<Tally> {
    let clock = Stopwatch::start();
    let mut askers = JoinSet::new();
    for person in 0..number {
        let next = next.clone();
        askers.spawn(async move {
            let mut replies = Vec::new();
            // They do not all begin at once.
            sleep(thinking.mul_f64(f64::from(person) / f64::from(number))).await;
            while clock.elapsed() < length {
                replies.push(ask(&next()).await);
                sleep(thinking).await;
            }
            replies
        });
    }
    let replies = watched(name, length, askers.join_all()).await;
    let replies = replies.into_iter().flatten().collect();
    Ok(Tally::of(replies, clock.elapsed()))
}

/// A list of questions, asked by so many at a time.
pub async fn list(name: &str, number: u32, questions: Vec<Question>) -> anyhow::Result<Tally> {
    let clock = Stopwatch::start();
    let bar = bar(name, questions.len() as u64);
    let waiting = Arc::new(Mutex::new(questions.into_iter()));
    let mut askers = JoinSet::new();
    for _ in 0..number {
        let (waiting, bar) = (Arc::clone(&waiting), bar.clone());
        askers.spawn(async move {
            let mut replies = Vec::new();
            loop {
                let Some(question) = waiting.lock().await.next() else {
                    return replies;
                };
                replies.push(ask(&question).await);
                bar.inc(1);
            }
        });
    }
    let replies = askers.join_all().await.into_iter().flatten().collect();
    bar.finish_and_clear();
    Ok(Tally::of(replies, clock.elapsed()))
}

/// So many questions a second, whoever is answered or not, for so long. Then all that are under way are waited for.
pub async fn rate(
    name: &str,
    per_second: f64,
    length: Duration,
    next: impl Fn() -> Question,
) -> anyhow::Result<Tally> {
    let clock = Stopwatch::start();
    let due = (per_second * length.as_secs_f64()) as u64;
    let bar = bar(name, due);
    let mut ticks = interval(Duration::from_secs_f64(1.0 / per_second));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut under_way = JoinSet::new();
    for _ in 0..due {
        ticks.tick().await;
        let question = next();
        under_way.spawn(async move { ask_anew(&question).await });
        bar.inc(1);
    }
    let replies = under_way.join_all().await;
    bar.finish_and_clear();
    Ok(Tally::of(replies, clock.elapsed()))
}
