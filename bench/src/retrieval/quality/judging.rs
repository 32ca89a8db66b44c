//! How good a ranking is, by labels.

use std::collections::BTreeSet;

/// Parts that settings are chosen in and tried on in turn.
const FOLDS: usize = 5;

/// A ranking of one question, judged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Judged {
    /// Normalised discounted cumulative gain of the first ten; a document is relevant or not.
    pub ndcg_10: f64,
    /// The share of the relevant ones among the first 20: what a reranker is handed.
    pub recall_20: f64,
    /// The share of the relevant ones among the first 100.
    pub recall_100: f64,
    /// Average precision: the mean of the precision at each relevant one, 0 at those not ranked.
    pub average_precision: f64,
}

/// Judges a ranking, best first.
pub fn judge(ranking: &[usize], relevant: &BTreeSet<usize>) -> Judged {
    let total = relevant.len().max(1) as f64;
    let gain = |rank: usize| 1.0 / ((rank + 2) as f64).log2();
    let recall = |depth: usize| {
        let first = ranking.iter().take(depth);
        first.filter(|number| relevant.contains(number)).count() as f64 / total
    };
    let hits = ranking
        .iter()
        .enumerate()
        .filter(|(_, number)| relevant.contains(number))
        .map(|(rank, _)| rank);
    let gained: f64 = hits.clone().take_while(|rank| *rank < 10).map(gain).sum();
    let ideal: f64 = (0..relevant.len().min(10)).map(gain).sum();
    let precisions = hits
        .enumerate()
        .map(|(found, rank)| (found + 1) as f64 / (rank + 1) as f64);
    Judged {
        ndcg_10: if ideal > 0.0 { gained / ideal } else { 0.0 },
        recall_20: recall(20),
        recall_100: recall(100),
        average_precision: precisions.sum::<f64>() / total,
    }
}

/// The mean over all questions.
pub fn mean(judged: &[Judged]) -> Judged {
    let mean =
        |of: fn(&Judged) -> f64| judged.iter().map(of).sum::<f64>() / judged.len().max(1) as f64;
    Judged {
        ndcg_10: mean(|judged| judged.ndcg_10),
        recall_20: mean(|judged| judged.recall_20),
        recall_100: mean(|judged| judged.recall_100),
        average_precision: mean(|judged| judged.average_precision),
    }
}

/// What settings come to on questions that they were not chosen by.
pub struct CrossValidated<'a, S> {
    /// Each question judged under what the other parts chose.
    pub judged: Vec<Judged>,
    /// What was chosen for each part.
    pub chosen: Vec<&'a S>,
}

/// Every fifth question is one part. For each part, the settings are taken that have the best mean nDCG@10 on the
/// other four. `tried` must not be empty and judge the same questions throughout.
pub fn cross_validate<S>(tried: &[(S, Vec<Judged>)]) -> CrossValidated<'_, S> {
    let questions = tried[0].1.len();
    let mut judged = vec![Judged::default(); questions];
    let chosen = (0..FOLDS)
        .map(|fold| {
            let elsewhere = |judged: &[Judged]| -> f64 {
                let outside = judged.iter().enumerate();
                let outside = outside.filter(|(question, _)| question % FOLDS != fold);
                outside.map(|(_, judged)| judged.ndcg_10).sum()
            };
            let best = tried
                .iter()
                .reduce(|best, next| {
                    if elsewhere(&next.1) > elsewhere(&best.1) {
                        next
                    } else {
                        best
                    }
                })
                .unwrap_or(&tried[0]);
            for question in (fold..questions).step_by(FOLDS) {
                judged[question] = best.1[question];
            }
            &best.0
        })
        .collect();
    CrossValidated { judged, chosen }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ranking_is_judged_as_trec_eval_does() {
        let relevant = BTreeSet::from([3, 5, 9]);
        let judged = judge(&[3, 1, 5, 7], &relevant);
        let ideal = 1.0 + 1.0 / 3f64.log2() + 0.5;
        assert!((judged.ndcg_10 - 1.5 / ideal).abs() < 1e-12);
        assert!((judged.recall_20 - 2.0 / 3.0).abs() < 1e-12);
        assert!((judged.average_precision - (1.0 + 2.0 / 3.0) / 3.0).abs() < 1e-12);
        assert_eq!(judge(&[], &relevant), Judged::default());
        // The eleventh counts for recall and precision, and no more for the gain.
        let late: Vec<usize> = (20..30).chain([3]).collect();
        assert!(judge(&late, &relevant).ndcg_10.abs() < 1e-12);
        assert!(judge(&late, &relevant).recall_100 > 0.3);
    }

    #[test]
    fn settings_are_tried_on_questions_that_did_not_choose_them() {
        let judged = |gains: &[f64]| -> Vec<Judged> {
            let judged = |ndcg_10| Judged {
                ndcg_10,
                ..Judged::default()
            };
            gains.iter().copied().map(judged).collect()
        };
        // The first is the better one for all but the first question, by which it is chosen nowhere else.
        let tried = [
            ("steady", judged(&[0.0, 0.5, 0.5, 0.5, 0.5])),
            ("lucky", judged(&[1.9, 0.1, 0.1, 0.1, 0.1])),
        ];
        let found = cross_validate(&tried);
        assert_eq!(found.chosen[0], &"steady");
        assert_eq!(found.chosen[1], &"lucky");
        assert!(mean(&found.judged).ndcg_10 < 0.1 + 1e-12);
    }
}
