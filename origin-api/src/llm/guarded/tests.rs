//! Providers that follow a script, on a clock on which nothing but waiting takes time.

use super::*;
use futures_util::{StreamExt, stream};
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};
use tokio::time::sleep;

const TIMEOUT: Duration = Duration::from_secs(10);

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    /// Speaks after so many milliseconds.
    Speaks(u64),
    /// Fails with this status after so many milliseconds, and asks to be left alone for as many.
    Fails(u16, u64, Option<u64>),
    /// Never says anything.
    Silent,
}

/// Follows one script a call, the last of them for ever.
struct Scripted {
    scripts: Mutex<VecDeque<Script>>,
    calls: Arc<Mutex<Vec<Instant>>>,
}

type Calls = Arc<Mutex<Vec<Instant>>>;

impl Scripted {
    fn new(scripts: &[Script]) -> (Self, Calls) {
        let calls = Calls::default();
        let scripted = Self {
            scripts: Mutex::new(scripts.iter().copied().collect()),
            calls: calls.clone(),
        };
        (scripted, calls)
    }

    fn next(&self) -> Script {
        let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        let next = scripts[0];
        if scripts.len() > 1 {
            scripts.pop_front();
        }
        next
    }
}

impl Call for Scripted {
    fn call<'a>(&'a self, _: &'a Prompt) -> BoxFuture<'a, Result<ModelStream, ModelError>> {
        async {
            self.calls.lock().unwrap().push(Instant::now());
            match self.next() {
                Script::Speaks(ms) => {
                    sleep(Duration::from_millis(ms)).await;
                    Ok(stream::empty().boxed())
                }
                Script::Fails(status, ms, asked_ms) => {
                    sleep(Duration::from_millis(ms)).await;
                    Err(ModelError::Status {
                        status,
                        kind: "unknown".into(),
                        retry_after: asked_ms.map(Duration::from_millis),
                        should_retry: None,
                    })
                }
                Script::Silent => std::future::pending().await,
            }
        }
        .boxed()
    }
}

fn prompt() -> Prompt {
    Prompt {
        system: "",
        passages: vec![],
        question: "How do I sit?".into(),
    }
}

/// One provider with this script.
fn alone(scripts: &[Script]) -> (Providers<Scripted>, Calls) {
    let (scripted, calls) = Scripted::new(scripts);
    let providers = Providers::new(("first".into(), scripted), None, TIMEOUT);
    (providers, calls)
}

/// Two providers with these scripts.
fn pair(first: &[Script], second: &[Script]) -> (Providers<Scripted>, Calls, Calls) {
    let (first, first_calls) = Scripted::new(first);
    let (second, second_calls) = Scripted::new(second);
    let second = Some(("second".into(), second));
    let providers = Providers::new(("first".into(), first), second, TIMEOUT);
    (providers, first_calls, second_calls)
}

/// Who answered, and how long that took.
async fn ask(providers: &Providers<Scripted>) -> (Result<Arc<str>, ModelError>, Duration) {
    let asked = Instant::now();
    let begun = providers.begin(&prompt()).await;
    (begun.map(|begun| begun.model), asked.elapsed())
}

fn count(calls: &Calls) -> usize {
    calls.lock().unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_stumbles_is_asked_again_when_it_said_and_not_by_all_at_once() {
    let mut pauses = Vec::new();
    for _ in 0..20 {
        let (providers, calls) = alone(&[Script::Fails(529, 0, Some(2_000)), Script::Speaks(0)]);
        assert!(ask(&providers).await.0.is_ok());
        let calls = calls.lock().unwrap();
        pauses.push(calls[1] - calls[0]);
    }
    assert!(pauses.iter().all(|pause| *pause >= Duration::from_secs(2)));
    assert!(pauses.iter().all(|pause| *pause < Duration::from_secs(3)));
    pauses.dedup();
    assert!(pauses.len() > 10, "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_time_for_a_first_event() {
    for (first, second) in [
        (Script::Silent, Script::Silent),
        (Script::Fails(529, 4_000, None), Script::Silent),
        (
            Script::Fails(529, 0, Some(7_000)),
            Script::Fails(529, 4_900, None),
        ),
        (Script::Silent, Script::Fails(500, 3_000, None)),
    ] {
        let (providers, ..) = pair(&[first], &[second]);
        let (answer, waited) = ask(&providers).await;
        assert!(answer.is_err());
        assert!(waited <= TIMEOUT, "{first:?}, {second:?}: {waited:?}");
    }
    let (providers, _) = alone(&[Script::Silent]);
    let (answer, waited) = ask(&providers).await;
    assert!(matches!(
        answer,
        Err(ModelError::Timeout {
            waited_ms: 10_000,
            ..
        })
    ));
    assert_eq!(waited, TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_leaves_no_time_is_not_waited_for() {
    let (providers, calls) = alone(&[Script::Fails(529, 3_000, Some(7_500))]);
    let (answer, waited) = ask(&providers).await;
    assert!(matches!(
        answer,
        Err(ModelError::Status { status: 529, .. })
    ));
    assert_eq!((waited, count(&calls)), (Duration::from_secs(3), 1));
}

#[tokio::test(start_paused = true)]
async fn the_second_is_asked_where_the_first_is_out_and_only_then() {
    let (providers, first, second) = pair(&[Script::Speaks(100)], &[Script::Speaks(100)]);
    assert_eq!(&*ask(&providers).await.0.unwrap(), "first");
    assert_eq!((count(&first), count(&second)), (1, 0));

    for (script, calls, waited_ms) in [
        (Script::Silent, 1, 5_100),
        (Script::Fails(403, 10, None), 1, 110),
        (Script::Fails(429, 10, Some(30_000)), 1, 110),
    ] {
        let (providers, first, second) = pair(&[script], &[Script::Speaks(100)]);
        let (answer, waited) = ask(&providers).await;
        assert_eq!(&*answer.unwrap(), "second", "{script:?}");
        assert_eq!(waited, Duration::from_millis(waited_ms), "{script:?}");
        assert_eq!((count(&first), count(&second)), (calls, 1), "{script:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_out_costs_nobody_time_until_it_is_back() {
    let out = [Script::Silent; 5];
    let scripts = [out.as_slice(), &[Script::Silent, Script::Speaks(50)]].concat();
    let (providers, first, second) = pair(&scripts, &[Script::Speaks(100)]);
    for _ in 0..5 {
        assert_eq!(ask(&providers).await.1, Duration::from_millis(5_100));
    }
    // It rests for five seconds from its last failure, a tenth of a second ago.
    for _ in 0..20 {
        let (answer, waited) = ask(&providers).await;
        assert_eq!(&*answer.unwrap(), "second");
        assert_eq!(waited, Duration::from_millis(100));
    }
    assert_eq!((count(&first), count(&second)), (5, 25));

    // One caller tries it, and nobody else waits for the outcome.
    sleep(Duration::from_secs(5)).await;
    let (trial, other) = tokio::join!(ask(&providers), ask(&providers));
    assert_eq!(trial.1, Duration::from_millis(5_100));
    assert_eq!(other.1, Duration::from_millis(100));
    assert_eq!(count(&first), 6);

    // It rests for twice as long, and is back.
    sleep(Duration::from_secs(9)).await;
    assert_eq!(&*ask(&providers).await.0.unwrap(), "second");
    sleep(Duration::from_secs(1)).await;
    for _ in 0..3 {
        let (answer, waited) = ask(&providers).await;
        assert_eq!(&*answer.unwrap(), "first");
        assert_eq!(waited, Duration::from_millis(50));
    }
}

#[tokio::test(start_paused = true)]
async fn alone_a_provider_that_is_out_says_when_to_come_back() {
    let (providers, calls) = alone(&[Script::Fails(403, 0, None)]);
    for _ in 0..5 {
        let (answer, _) = ask(&providers).await;
        assert!(matches!(
            answer,
            Err(ModelError::Status { status: 403, .. })
        ));
    }
    sleep(Duration::from_secs(2)).await;
    let error = ask(&providers).await.0.unwrap_err();
    assert!(matches!(error, ModelError::Resting { .. }));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
    assert_eq!(count(&calls), 5);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_does_not_multiply_itself_by_trying_again() {
    // Every second call fails, so that the breaker stays closed.
    let scripts: Vec<Script> = (0..2_000)
        .map(|call| match call % 2 {
            0 => Script::Fails(500, 0, None),
            _ => Script::Speaks(0),
        })
        .collect();
    let (providers, calls) = alone(&scripts);
    let providers = &providers;
    let crowd = (0..500).map(|_| ask(providers));
    futures_util::future::join_all(crowd).await;
    let retries = count(&calls) - 500;
    assert!((50..=110).contains(&retries), "{retries}");
}
