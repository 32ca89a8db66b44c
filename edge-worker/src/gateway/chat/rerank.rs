//! The last ranking: the reranker reads each candidate beside the question.

use crate::{
    gateway::exchange::Exchange,
    ports::{Host, PortError},
};
use shared_types::{
    cache::FoundPassage,
    origin::{ANSWER_PASSAGES, Candidate},
    workers_ai::RerankScore,
};

/// The passages for the answer.
pub struct Ranking {
    /// Best first, at most [`ANSWER_PASSAGES`].
    pub passages: Vec<FoundPassage>,
    /// Whether the reranker judged them; otherwise they are in the order of fusion.
    pub is_judged: bool,
}

/// Picks the best candidates. `candidates` come in the order of fusion.
pub async fn best<H: Host>(
    exchange: &Exchange<H>,
    query: &str,
    candidates: Vec<Candidate<'_>>,
) -> Ranking {
    if candidates.is_empty() {
        return Ranking {
            passages: Vec::new(),
            is_judged: true,
        };
    }
    let texts: Vec<&str> = candidates.iter().map(|passage| &*passage.content).collect();
    let judging = exchange.host.rerank(query, &texts, ANSWER_PASSAGES);
    let judging = exchange.within(exchange.config.timeouts.rerank_ms, judging);
    let judged = exchange.stage("rerank", judging).await;
    let judged = judged.and_then(|scores| in_order(&scores, candidates.len()));
    let is_judged = judged.is_ok();
    let order: Vec<(usize, Option<f64>)> = match judged {
        Ok(order) => order
            .into_iter()
            .map(|(index, score)| (index, Some(score)))
            .collect(),
        Err(error) => {
            exchange.warn("reranker failed, order of fusion stays", &error);
            (0..ANSWER_PASSAGES).map(|index| (index, None)).collect()
        }
    };
    let mut candidates: Vec<_> = candidates.into_iter().map(Some).collect();
    let mut take = |(index, score): (usize, Option<f64>)| {
        let candidate = candidates.get_mut(index)?.take()?;
        Some(candidate.into_found(score))
    };
    Ranking {
        passages: order.into_iter().filter_map(&mut take).collect(),
        is_judged,
    }
}

/// Indices of the best candidates with their relevance from 0 to 1. Equal scores keep the order of
/// fusion, so that the same candidates always make the same answer key.
fn in_order(scores: &[RerankScore], candidates: usize) -> Result<Vec<(usize, f64)>, PortError> {
    let mut order: Vec<(usize, f64)> = Vec::new();
    for judged in scores {
        let is_new = order.iter().all(|(index, _)| *index != judged.id);
        if is_new && judged.id < candidates && judged.score.is_finite() {
            let judged = (judged.id, sigmoid(judged.score));
            let is_before = |other: &(usize, f64)| {
                let by_score = judged.1.total_cmp(&other.1);
                by_score.then(other.0.cmp(&judged.0)).is_lt()
            };
            order.insert(order.partition_point(is_before), judged);
        }
    }
    order.truncate(ANSWER_PASSAGES);
    if order.len() < candidates.min(ANSWER_PASSAGES) {
        return Err(PortError::Failed(format!(
            "the reranker judged {} of {candidates} candidates",
            order.len()
        )));
    }
    Ok(order)
}

/// The model's raw score as relevance from 0 to 1.
fn sigmoid(raw: f64) -> f64 {
    1.0 / (1.0 + (-raw).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(id: usize, score: f64) -> RerankScore {
        RerankScore { id, score }
    }

    #[test]
    fn raw_scores_become_relevance_and_ties_keep_the_order_of_fusion() {
        let order = in_order(&[score(2, 0.0), score(0, -4.0), score(1, 0.0)], 3).unwrap();
        assert_eq!(order[0], (1, 0.5));
        assert_eq!(order[1], (2, 0.5));
        assert!((order[2].1 - 0.018).abs() < 0.001);
    }

    #[test]
    fn a_judgement_of_nothing_or_of_things_that_do_not_exist_is_a_failure() {
        assert!(in_order(&[], 5).is_err());
        assert!(in_order(&[score(9, 1.0), score(0, f64::NAN), score(1, 1.0)], 5).is_err());
        assert!(in_order(&[score(0, 1.0)], 1).is_ok());
    }
}
