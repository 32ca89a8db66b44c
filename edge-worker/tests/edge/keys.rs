//! How the sign-in service's keys are come by, kept and forgotten.

use crate::support::{
    Edge, Failure, Received,
    issuer::Issuer,
    library::{FIRST_STUDENT, Library},
};
use edge_worker::ports::Layer;
use rag_core::jwks::{Jwk, KeySet, KeySetKey};
use serde_json::json;
use shared_types::{
    cache::{CacheKey, CacheValue, CacheValueError, open, seal},
    problem::ProblemKind,
};

fn edge() -> Edge {
    Edge::new(Library::of_two_teachers())
}

async fn ask(edge: &Edge) -> Received {
    edge.ask(FIRST_STUDENT, "scales?").await
}

/// Asks with a token whose key nobody has published.
async fn ask_forged(edge: &Edge, kid: &str) -> Received {
    let token = Issuer::new(kid).token(FIRST_STUDENT, edge.now_s());
    let mut sent = edge.question(FIRST_STUDENT, "scales?");
    sent.headers.authorization = Some(format!("Bearer {token}"));
    edge.send(sent).await
}

fn fetches(edge: &Edge) -> usize {
    edge.calls().iter().filter(|call| *call == "jwks").count()
}

fn key_in_kv() -> (Layer, String) {
    let key = KeySetKey {
        url: "https://auth.example",
    };
    (Layer::Keys, key.text())
}

/// Bytes as somebody might write them.
struct Written(Vec<u8>);

impl CacheValue for Written {
    fn encode(&self) -> Vec<u8> {
        self.0.clone()
    }
    fn decode(bytes: &[u8]) -> Result<Self, CacheValueError> {
        Ok(Self(bytes.to_owned()))
    }
}

/// Puts a value into KV in the place of the key set, with the sum that belongs to it.
fn write_kv(edge: &Edge, value: Vec<u8>) {
    let (layer, key) = key_in_kv();
    let ends_s = edge.now_s() + 24 * 60 * 60;
    let sealed = seal(&key, &Written(value));
    let mut cached = edge.world.cached.borrow_mut();
    cached.insert((layer, key), (sealed, ends_s));
}

fn kept(keys: &[Jwk], fetched_at_s: i64) -> Vec<u8> {
    let kept = json!({ "fetched_at_s": fetched_at_s, "keys": keys });
    kept.to_string().into_bytes()
}

fn is_refused(reply: &Received, kind: ProblemKind) -> bool {
    reply.status == kind.status() && reply.problem().is(kind)
}

#[tokio::test]
async fn keys_are_fetched_once_in_ten_minutes() {
    let edge = edge();
    for _ in 0..5 {
        ask(&edge).await;
    }
    assert_eq!(fetches(&edge), 1);
    edge.wait_s(599);
    assert!(ask(&edge).await.is_done());
    assert_eq!(fetches(&edge), 0);
    edge.wait_s(1);
    assert!(ask(&edge).await.is_done());
    assert_eq!(fetches(&edge), 1);
}

#[tokio::test]
async fn many_who_need_keys_at_once_cost_one_fetch() {
    let edge = edge();
    edge.break_(|faults| faults.auth = Some(Failure::Lags(700)));
    for moment in ["when the isolate starts", "when the keys are old"] {
        let questions = (0..40).map(|_| edge.question(FIRST_STUDENT, "scales?"));
        let replies = edge.send_at_once(questions.collect()).await;
        assert!(replies.iter().all(Received::is_done), "{moment}");
        assert_eq!(fetches(&edge), 1, "{moment}");
        edge.wait_s(601);
    }
}

#[tokio::test]
async fn who_has_a_known_key_does_not_wait_for_newer_ones() {
    let edge = edge();
    ask(&edge).await;
    edge.wait_s(601);
    edge.break_(|faults| faults.auth = Some(Failure::Lags(1_200)));
    let questions = (0..3).map(|_| edge.question(FIRST_STUDENT, "scales?"));
    let replies = edge.send_at_once(questions.collect()).await;
    let waited: Vec<bool> = replies
        .iter()
        .map(|reply| {
            let stages = reply.headers["server-timing"].to_str().unwrap();
            !stages.contains("auth;dur=0.0")
        })
        .collect();
    assert_eq!(waited, [true, false, false]);
}

#[tokio::test]
async fn a_request_that_is_given_up_on_its_way_to_the_keys_stops_nobody() {
    let edge = edge();
    edge.break_(|faults| faults.auth = Some(Failure::Stalls));
    let mut given_up = Box::pin(edge.begin(edge.question(FIRST_STUDENT, "scales?")));
    assert!(futures_util::poll!(&mut given_up).is_pending());
    drop(given_up);
    edge.repair();
    assert!(ask(&edge).await.is_done());
}

#[tokio::test]
async fn the_keys_of_one_isolate_are_every_isolates() {
    let first = edge();
    ask(&first).await;
    assert_eq!(fetches(&first), 1);
    let second = first.another_isolate();
    assert!(ask(&second).await.is_done());
    assert_eq!(fetches(&second), 0);

    first.wait_s(599);
    assert!(ask(&second).await.is_done());
    assert_eq!(fetches(&second), 0);
    first.wait_s(1);
    assert!(ask(&second).await.is_done());
    assert_eq!(
        fetches(&second),
        1,
        "the age counts from the fetch, whoever made it"
    );
    assert!(ask(&first).await.is_done());
    assert_eq!(fetches(&first), 0);
}

#[tokio::test]
async fn a_new_key_is_found_at_once_and_an_old_one_forgotten() {
    let edge = edge();
    let before = edge.question(FIRST_STUDENT, "scales?");
    ask(&edge).await;
    edge.wait_s(30);
    *edge.world.issuer.borrow_mut() = Issuer::new("key-2");
    assert!(ask(&edge).await.is_done());
    assert_eq!(fetches(&edge), 2);
    let refused = edge.send(before).await;
    assert!(is_refused(&refused, ProblemKind::TokenKeyUnknown));
}

#[tokio::test]
async fn a_key_that_was_taken_back_is_trusted_for_ten_minutes_at_most() {
    let edge = edge();
    ask(&edge).await;
    let before = edge.world.issuer.replace(Issuer::new("key-2"));
    let with_old_key = |edge: &Edge| {
        let token = before.token(FIRST_STUDENT, edge.now_s());
        let mut sent = edge.question(FIRST_STUDENT, "scales?");
        sent.headers.authorization = Some(format!("Bearer {token}"));
        sent
    };
    edge.wait_s(599);
    // Another isolate takes the set from KV, and not for longer than the first.
    let other = edge.another_isolate();
    assert!(other.send(with_old_key(&edge)).await.is_done());
    edge.wait_s(1);
    for isolate in [&edge, &other, &edge.another_isolate()] {
        let refused = isolate.send(with_old_key(&edge)).await;
        assert!(is_refused(&refused, ProblemKind::TokenKeyUnknown));
    }
}

#[tokio::test]
async fn a_thousand_invented_keys_cost_one_fetch() {
    let isolates: Vec<Edge> = {
        let first = edge();
        let others: Vec<Edge> = (0..4).map(|_| first.another_isolate()).collect();
        std::iter::once(first).chain(others).collect()
    };
    let edge = &isolates[0];
    ask(edge).await;
    assert_eq!(fetches(edge), 1);
    edge.wait_s(30);
    for number in 0..1_000 {
        let isolate = &isolates[number % isolates.len()];
        let refused = ask_forged(isolate, &format!("invented-{number}")).await;
        assert!(is_refused(&refused, ProblemKind::TokenKeyUnknown));
    }
    assert_eq!(fetches(edge), 1);
    assert_eq!(edge.world.verifications.get(), 1, "the genuine one's");

    for _ in 0..10 {
        edge.wait_s(3);
        ask_forged(edge, "invented").await;
    }
    assert_eq!(fetches(edge), 1, "after half a minute");
}

#[tokio::test]
async fn inventors_of_keys_do_not_keep_the_genuine_waiting() {
    let edge = edge();
    ask(&edge).await;
    edge.wait_s(30);
    edge.break_(|faults| faults.auth = Some(Failure::Stalls));
    let mut all = vec![edge.question(FIRST_STUDENT, "scales?")];
    let forged = Issuer::new("invented").token(FIRST_STUDENT, edge.now_s());
    all[0].headers.authorization = Some(format!("Bearer {forged}"));
    all.push(edge.question(FIRST_STUDENT, "scales?"));
    let replies = edge.send_at_once(all).await;
    assert!(is_refused(&replies[0], ProblemKind::TokenKeyUnknown));
    let stages = replies[1].headers["server-timing"].to_str().unwrap();
    assert!(stages.starts_with("auth;dur=0.0"), "{stages}");
}

#[tokio::test]
async fn known_keys_outlive_an_outage_of_a_day() {
    for failure in [Failure::Fails, Failure::Stalls] {
        let edge = edge();
        ask(&edge).await;
        edge.break_(|faults| faults.auth = Some(failure));
        edge.wait_s(24 * 60 * 60 - 10);
        assert!(ask(&edge).await.is_done());
        // From KV, in an isolate that never saw the service.
        assert!(ask(&edge.another_isolate()).await.is_done());
        edge.wait_s(10);
        for isolate in [&edge, &edge.another_isolate()] {
            let refused = ask(isolate).await;
            assert!(is_refused(&refused, ProblemKind::AuthUnavailable));
        }
        edge.repair();
        edge.wait_s(1);
        assert!(ask(&edge).await.is_done());
    }
}

#[tokio::test]
async fn in_an_outage_the_service_is_asked_once_in_half_a_minute() {
    let edge = edge();
    ask(&edge).await;
    edge.break_(|faults| faults.auth = Some(Failure::Fails));
    edge.wait_s(600);
    fetches(&edge);
    for _ in 0..30 {
        assert!(ask(&edge).await.is_done());
        edge.wait_s(1);
    }
    assert_eq!(fetches(&edge), 1);
    assert!(ask(&edge).await.is_done());
    assert_eq!(fetches(&edge), 1);
}

#[tokio::test]
async fn an_edge_that_never_saw_a_key_says_that_sign_in_is_down_and_does_not_insist() {
    for failure in [Failure::Fails, Failure::Stalls] {
        let edge = edge();
        edge.break_(|faults| faults.auth = Some(failure));
        for _ in 0..20 {
            let refused = ask(&edge).await;
            assert!(is_refused(&refused, ProblemKind::AuthUnavailable));
            assert_eq!(refused.headers["retry-after"], "1");
        }
        assert_eq!(fetches(&edge), 1);
        edge.repair();
        edge.wait_s(1);
        assert!(ask(&edge).await.is_done());
    }
}

#[tokio::test]
async fn what_kv_holds_is_checked_before_it_is_trusted() {
    let forger = Issuer::new("key-1");
    let weak = Jwk {
        x: Some("AAAA".into()),
        ..forger.jwks.keys[0].clone()
    };
    let now = edge().now_s();
    let untrusted = [
        b"".to_vec(),
        b"\xff\xfe".to_vec(),
        b"{\"keys\":".to_vec(),
        serde_json::to_vec(&forger.jwks).unwrap(),
        kept(&[], now),
        kept(&[weak], now),
        // Not from this day, and from a time that has not come.
        kept(&forger.jwks.keys, now - 24 * 60 * 60),
        kept(&forger.jwks.keys, now + 61),
        kept(&forger.jwks.keys, i64::MIN),
        kept(&forger.jwks.keys, i64::MAX),
    ];
    for value in untrusted {
        let told = String::from_utf8_lossy(&value).into_owned();
        let edge = edge();
        write_kv(&edge, value);
        let reply = ask(&edge).await;
        assert!(reply.is_done(), "{told}: {}", reply.body);
        assert_eq!(fetches(&edge), 1, "{told}");
        let key = key_in_kv();
        let mended = edge.world.cached.borrow()[&key].0.clone();
        let mended: KeySet = open(&key.1, &mended).unwrap();
        assert_eq!(mended.fetched_at_s(), now);
    }
}

#[tokio::test]
async fn an_old_set_in_kv_is_for_an_outage_only() {
    let edge = edge();
    let genuine = edge.world.issuer.borrow().jwks.keys.clone();
    let old = edge.now_s() - 700;
    write_kv(&edge, kept(&genuine, old));
    assert!(ask(&edge).await.is_done());
    assert_eq!(fetches(&edge), 1);

    write_kv(&edge, kept(&genuine, old));
    edge.break_(|faults| faults.auth = Some(Failure::Fails));
    assert!(ask(&edge.another_isolate()).await.is_done());
}

#[tokio::test]
async fn an_isolate_does_not_go_back_to_an_older_set() {
    let edge = edge();
    ask(&edge).await;
    let before = edge.world.issuer.replace(Issuer::new("key-2"));
    edge.wait_s(30);
    assert!(ask(&edge).await.is_done());
    // KV answers as of a while ago.
    write_kv(&edge, kept(&before.jwks.keys, edge.now_s() - 30));
    edge.wait_s(30);
    let token = before.token(FIRST_STUDENT, edge.now_s());
    let mut sent = edge.question(FIRST_STUDENT, "scales?");
    sent.headers.authorization = Some(format!("Bearer {token}"));
    let refused = edge.send(sent).await;
    assert!(is_refused(&refused, ProblemKind::TokenKeyUnknown));
    assert!(ask(&edge).await.is_done());
}

#[tokio::test]
async fn without_kv_the_keys_come_from_the_service() {
    for failure in [Failure::Fails, Failure::Stalls] {
        let edge = edge();
        edge.break_(|faults| faults.caches = Some(failure));
        assert!(ask(&edge).await.is_done());
        assert_eq!(fetches(&edge), 1);
        assert!(ask(&edge).await.is_done());
        assert_eq!(fetches(&edge), 0);
    }
}
