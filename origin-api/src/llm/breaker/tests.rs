//! Providers that come and go, on a clock that the tests turn.

use super::*;
use proptest::prelude::*;

const OUT: Outcome = Outcome::Out(None);

fn after(start: Instant, seconds: u64) -> Instant {
    start + Duration::from_secs(seconds)
}

/// A breaker that has just opened, at `start`.
fn open(start: Instant) -> Breaker {
    let mut breaker = Breaker::new();
    for failure in 1..=FAILURES {
        let ticket = breaker.admit(start).unwrap();
        let change = breaker.settle(ticket, OUT, start);
        let expected = (failure == FAILURES).then_some(Change::Rests(FIRST_REST));
        assert_eq!(change, expected);
    }
    breaker
}

#[test]
fn a_provider_that_fails_now_and_then_is_not_left_alone() {
    let start = Instant::now();
    let mut breaker = Breaker::new();
    for call in 0..100 {
        let ticket = breaker.admit(start).unwrap();
        let outcome = if call % FAILURES == 0 {
            Outcome::Well
        } else {
            OUT
        };
        assert_eq!(breaker.settle(ticket, outcome, start), None);
    }
}

#[test]
fn one_call_tries_a_provider_that_has_rested() {
    let start = Instant::now();
    let mut breaker = open(start);
    assert_eq!(breaker.admit(after(start, 3)), Err(Duration::from_secs(2)));
    let trial = breaker.admit(after(start, 5)).unwrap();
    assert_eq!(breaker.admit(after(start, 6)), Err(TRIAL));
    assert_eq!(
        breaker.settle(trial, Outcome::Well, after(start, 6)),
        Some(Change::Back)
    );
    assert!(breaker.admit(after(start, 6)).is_ok());
    assert!(breaker.admit(after(start, 6)).is_ok());
}

#[test]
fn each_failed_trial_makes_the_rest_longer_up_to_a_minute() {
    let mut now = Instant::now();
    let mut breaker = open(now);
    let mut rest = FIRST_REST;
    for seconds in [10, 20, 40, 60, 60] {
        now += rest;
        let trial = breaker.admit(now).unwrap();
        rest = Duration::from_secs(seconds);
        assert_eq!(breaker.settle(trial, OUT, now), Some(Change::Rests(rest)));
    }
}

#[test]
fn a_provider_may_ask_for_a_longer_rest_but_not_for_any_length() {
    for (asked, rest) in [(1, 5), (30, 30), (3_600, 60)] {
        let start = Instant::now();
        let mut breaker = Breaker::new();
        let asked = Outcome::Out(Some(Duration::from_secs(asked)));
        let mut change = None;
        for _ in 0..FAILURES {
            let ticket = breaker.admit(start).unwrap();
            change = breaker.settle(ticket, asked, start);
        }
        assert_eq!(change, Some(Change::Rests(Duration::from_secs(rest))));
    }
}

#[test]
fn a_trial_that_its_caller_gave_up_makes_room_for_the_next() {
    let start = Instant::now();
    let mut breaker = open(start);
    let trial = breaker.admit(after(start, 5)).unwrap();
    breaker.settle(trial, Outcome::Unknown, after(start, 6));
    assert!(breaker.admit(after(start, 6)).is_ok());
}

#[test]
fn a_call_from_before_says_nothing_about_the_trial() {
    let start = Instant::now();
    let mut breaker = Breaker::new();
    let early = breaker.admit(start).unwrap();
    for _ in 0..FAILURES {
        let ticket = breaker.admit(start).unwrap();
        breaker.settle(ticket, OUT, start);
    }
    assert_eq!(breaker.settle(early, Outcome::Well, start), None);
    assert!(breaker.admit(after(start, 1)).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_waited_long_in_vain_counts_as_a_failure() {
    let patience = Duration::from_secs(5);
    let breaker = SharedBreaker::new(patience);
    for _ in 0..FAILURES {
        drop(breaker.admit().unwrap());
    }
    assert!(breaker.admit().is_ok(), "they left at once");
    for _ in 0..FAILURES {
        let permit = breaker.admit().unwrap();
        tokio::time::advance(patience).await;
        drop(permit);
    }
    assert!(breaker.admit().is_err());
}

#[test]
fn a_request_of_ours_that_is_wrong_is_not_held_against_the_provider() {
    let status = |status| ModelError::Status {
        status,
        kind: "unknown".into(),
        retry_after: Some(Duration::from_secs(7)),
        should_retry: None,
    };
    assert_eq!(outcome(&status(400)), Outcome::Unknown);
    for out in [401, 403, 404, 429, 500, 529] {
        assert_eq!(
            outcome(&status(out)),
            Outcome::Out(Some(Duration::from_secs(7)))
        );
    }
    assert_eq!(outcome(&ModelError::Truncated), OUT);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Pass(u64),
    Call,
    Settle(usize, Outcome),
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        1 => Just(Outcome::Well),
        4 => prop::option::of(0..100_u64).prop_map(|s| Outcome::Out(s.map(Duration::from_secs))),
        1 => Just(Outcome::Unknown),
    ];
    prop_oneof![
        (0..40_u64).prop_map(Step::Pass),
        Just(Step::Call),
        (any::<usize>(), outcome).prop_map(|(call, outcome)| Step::Settle(call, outcome)),
    ]
}

proptest! {
    /// Whatever happens: once a provider rests, nobody calls it before the time that was told, one does
    /// afterwards, and all may once that one succeeded. It rests after so many failures in a row and no sooner.
    #[test]
    fn a_provider_is_left_alone_and_never_for_good(steps in prop::collection::vec(step(), 0..200)) {
        let mut now = Instant::now();
        let mut breaker = Breaker::new();
        let mut calls: Vec<Ticket> = Vec::new();
        let mut failures = 0;
        let mut rests_until = None;
        let mut trial: Option<Ticket> = None;
        for step in steps {
            match step {
                Step::Pass(seconds) => now += Duration::from_secs(seconds),
                Step::Call => match breaker.admit(now) {
                    Ok(ticket) => {
                        if let Some(until) = rests_until {
                            prop_assert!(now >= until);
                            prop_assert!(trial.is_none());
                            trial = Some(ticket);
                        }
                        calls.push(ticket);
                    }
                    Err(wait) => {
                        let until = rests_until.expect("only who rests refuses");
                        prop_assert!(trial.is_some() || now + wait == until);
                        prop_assert!(wait <= LONGEST_REST);
                    }
                },
                Step::Settle(call, outcome) if !calls.is_empty() => {
                    let ticket = calls.swap_remove(call % calls.len());
                    let change = breaker.settle(ticket, outcome, now);
                    if rests_until.is_none() {
                        match outcome {
                            Outcome::Well => failures = 0,
                            Outcome::Out(_) => failures += 1,
                            Outcome::Unknown => {}
                        }
                    }
                    if trial == Some(ticket) {
                        trial = None;
                        if outcome == Outcome::Unknown {
                            rests_until = Some(now);
                        }
                    }
                    match change {
                        Some(Change::Rests(rest)) => {
                            prop_assert!(rests_until.is_some() || failures == FAILURES);
                            prop_assert!(rest >= FIRST_REST && rest <= LONGEST_REST);
                            rests_until = Some(now + rest);
                        }
                        Some(Change::Back) => {
                            rests_until = None;
                            failures = 0;
                            // What is still under way began before.
                            calls.clear();
                        }
                        None => prop_assert!(rests_until.is_some() || failures < FAILURES),
                    }
                }
                Step::Settle(..) => {}
            }
        }
        now += LONGEST_REST;
        prop_assert!(trial.is_some() || breaker.admit(now).is_ok());
    }
}
