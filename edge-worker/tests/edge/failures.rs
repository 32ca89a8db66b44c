//! Caches, models and counters may fail: a question is answered all the same, and says so.

use crate::support::{
    Edge, Failure,
    library::{FIRST_STUDENT, Library, passage},
};
use edge_worker::ports::{Allowance, Layer};
use shared_types::{
    cache::{AnswerPiece, StoredAnswer, answer_key_text, open, seal},
    chat::{
        CacheOutcome::{Failed, Hit, Miss},
        Degradation,
    },
    problem::{Problem, ProblemKind},
};

const BOTH_WAYS: [Failure; 2] = [Failure::Fails, Failure::Stalls];

#[tokio::test]
async fn without_caches_everything_is_made_anew() {
    for failure in BOTH_WAYS {
        let edge = Edge::new(Library::of_two_teachers());
        edge.break_(|faults| faults.caches = Some(failure));
        let received = edge.ask(FIRST_STUDENT, "scales?").await;
        assert!(received.is_done(), "{failure:?}");
        let meta = received.meta();
        let cache = meta.cache;
        assert_eq!(
            [cache.scope, cache.search, cache.embedding, cache.answer],
            [Failed; 4]
        );
        assert_eq!(meta.degraded, [Degradation::CacheUnavailable]);
    }
}

#[tokio::test]
async fn without_the_encoder_the_search_is_by_words_and_nothing_is_kept_of_it() {
    for failure in BOTH_WAYS {
        let edge = Edge::new(Library::of_two_teachers());
        edge.break_(|faults| faults.embedder = Some(failure));
        let received = edge.ask(FIRST_STUDENT, "scales?").await;
        assert!(received.is_done());
        assert_eq!(
            received.meta().degraded,
            [Degradation::EmbeddingUnavailable]
        );
        assert!(edge.calls().contains(&"searched by words".to_owned()));
        assert_eq!((edge.kept(Layer::Search), edge.kept(Layer::Answer)), (0, 0));

        edge.repair();
        let later = edge.ask(FIRST_STUDENT, "scales?").await;
        assert!(later.meta().degraded.is_empty());
        assert!(
            edge.calls()
                .contains(&"searched by vector and words".to_owned())
        );
    }
}

#[tokio::test]
async fn without_the_reranker_the_order_of_fusion_stays_and_nothing_is_kept_of_it() {
    for failure in BOTH_WAYS {
        let edge = Edge::new(Library::of_two_teachers());
        edge.break_(|faults| faults.reranker = Some(failure));
        let received = edge.ask(FIRST_STUDENT, "scales?").await;
        assert!(received.is_done());
        let meta = received.meta();
        assert_eq!(meta.degraded, [Degradation::RerankerUnavailable]);
        let ids: Vec<u128> = meta
            .sources
            .iter()
            .map(|s| s.chunk_id.0.as_u128())
            .collect();
        assert_eq!(ids, [1, 2, 3]);
        assert!(meta.sources.iter().all(|source| source.score.is_none()));
        assert_eq!((edge.kept(Layer::Search), edge.kept(Layer::Answer)), (0, 0));
    }
}

#[tokio::test]
async fn without_the_counters_nobody_is_turned_away() {
    for failure in BOTH_WAYS {
        let edge = Edge::new(Library::of_two_teachers());
        edge.break_(|faults| faults.limiter = Some(failure));
        assert!(edge.ask(FIRST_STUDENT, "scales?").await.is_done());
    }
}

#[tokio::test]
async fn unreadable_values_in_the_caches_are_misses() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.ask(FIRST_STUDENT, "scales?").await;
    for (value, _) in edge.world.cached.borrow_mut().values_mut() {
        *value = b"{\"from\":\"another version\"}".to_vec();
    }
    assert!(edge.ask(FIRST_STUDENT, "scales?").await.is_done());
    assert!(
        edge.ask(FIRST_STUDENT, "scales?").await.is_whole,
        "the caches have healed"
    );
}

#[tokio::test]
async fn a_value_that_can_not_be_true_is_a_miss_with_a_warning_and_is_written_over() {
    let edge = Edge::new(Library::of_two_teachers());
    let answered = edge.ask(FIRST_STUDENT, "scales?").await;
    let id = answered.meta().answer_id.unwrap();
    let key = answer_key_text(&id, None);
    let kept = (Layer::Answer, key.clone());
    let bytes = edge.world.cached.borrow()[&kept].0.clone();
    let mut lie: StoredAnswer = open(&key, &bytes).unwrap();
    for piece in &mut lie.pieces {
        if let AnswerPiece::Citation(citation) = piece {
            citation.chunk_id = passage(201, "").chunk_id;
        }
    }
    let put = |bytes| edge.world.cached.borrow_mut().get_mut(&kept).unwrap().0 = bytes;
    put(seal(&key, &lie));
    edge.world.logged.borrow_mut().clear();

    let anew = edge.ask(FIRST_STUDENT, "scales?").await;
    assert_eq!(
        (anew.meta().cache.search, anew.meta().cache.answer),
        (Hit, Miss)
    );
    let logged = edge.world.logged.borrow().join("\n");
    let warning = "Warning cached value not to be trusted, made anew";
    assert!(logged.contains(warning), "{logged}");
    assert!(logged.contains("a citation of another passage"), "{logged}");
    assert_eq!(edge.world.cached.borrow()[&kept].0, bytes);
}

#[tokio::test]
async fn without_the_origin_there_is_a_problem_and_no_stream() {
    for path in ["/v1/scope", "/v1/retrieve", "/v1/answer"] {
        for failure in BOTH_WAYS {
            let edge = Edge::new(Library::of_two_teachers());
            edge.break_(|faults| faults.origin(path, failure));
            let received = edge.ask(FIRST_STUDENT, "scales?").await;
            assert_eq!(received.status, 503, "{path} {failure:?}");
            assert!(received.problem().is(ProblemKind::OriginUnavailable));
            assert_eq!(received.headers["retry-after"], "1");
            assert_eq!(edge.kept(Layer::Answer), 0);
        }
    }
}

#[tokio::test]
async fn an_answer_in_the_cache_needs_no_origin() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.ask(FIRST_STUDENT, "scales?").await;
    edge.break_(|faults| {
        for path in ["/v1/scope", "/v1/retrieve", "/v1/answer"] {
            faults.origin(path, Failure::Fails);
        }
    });
    assert!(edge.ask(FIRST_STUDENT, "scales?").await.is_done());
}

#[tokio::test]
async fn what_the_origin_says_about_the_request_reaches_the_caller() {
    let edge = Edge::new(Library::of_two_teachers());
    let busy = Problem::new(ProblemKind::ModelUnavailable).with_detail("Try again soon.");
    edge.break_(|faults| faults.refusal("/v1/answer", busy));
    for received in [
        edge.ask(FIRST_STUDENT, "scales?").await,
        edge.ask_json(FIRST_STUDENT, "scales?").await,
    ] {
        assert!(received.problem().is(ProblemKind::ModelUnavailable));
        assert_eq!(
            received.problem().detail.as_deref(),
            Some("Try again soon.")
        );
    }
}

#[tokio::test]
async fn what_the_origin_says_about_the_edge_does_not() {
    let edge = Edge::new(Library::of_two_teachers());
    let stranger = Problem::new(ProblemKind::NotFromEdge);
    edge.break_(|faults| faults.refusal("/v1/retrieve", stranger));
    let received = edge.ask(FIRST_STUDENT, "scales?").await;
    assert!(received.problem().is(ProblemKind::OriginUnavailable));
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.break_(|faults| faults.used_up.push(Allowance::User));
    let refused = edge.ask(FIRST_STUDENT, "scales?").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers["retry-after"], "60");
    assert!(refused.problem().is(ProblemKind::RateLimited));
    assert_eq!(edge.calls(), ["jwks"]);
    assert_eq!(
        *edge.world.counted.borrow(),
        [(Allowance::User, FIRST_STUDENT.to_string())]
    );
}
