//! How sure an answer may sound, and when there is none.

/// What is said where the library does not cover a question.
pub const NOT_COVERED_TEXT: &str = "Your library does not cover this question. \
The pages listed as sources come nearest to it.";

/// What is assumed of passages that no reranker has judged.
const UNKNOWN: f64 = 0.5;
/// Scores are kept this far from 0 and 1, where the logit has no end.
const MIN_SCORE: f64 = 1e-4;

/// What the scores of one reranker are worth; another has others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// How a score becomes a probability.
    pub weighing: Weighing,
    /// Where it is less probable than this that the passages answer, the question is not covered. 0 to 1.
    pub refusal_threshold: f64,
}

/// How the best score becomes the probability that the passages answer the question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weighing {
    /// The score as it is: of a reranker that nobody has measured.
    Score,
    /// By a logistic regression of what turned out to be answered.
    Logistic(Logistic),
}

/// `1 / (1 + exp(-(constant + slope * logit(score))))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Logistic {
    /// For a score of a half.
    pub constant: f64,
    /// For each step of the score's logit, which is the reranker's raw score.
    pub slope: f64,
}

impl Calibration {
    /// The calibration of a reranker by its model's name. Etude's own stand-in is one with each of its encoders.
    /// `docs/benchmarks.md` tells what they were fitted to; `cargo xtask bench answers` fits them anew.
    ///
    /// One that is not known has its score taken for a probability, and a threshold that is low on purpose: the
    /// model still says for itself when passages hold no answer. `@cf/baai/bge-reranker-base` is one of them.
    #[must_use]
    pub fn of(reranker: &str) -> Self {
        let fitted = |constant, slope, refusal_threshold| Self {
            weighing: Weighing::Logistic(Logistic { constant, slope }),
            refusal_threshold,
        };
        match reranker {
            "@local/reranker#small" => fitted(1.02, 1.09, 0.74),
            "@local/reranker#mpnet" => fitted(1.45, 1.21, 0.68),
            _ => Self {
                weighing: Weighing::Score,
                refusal_threshold: 0.1,
            },
        }
    }

    /// How probable it is that passages answer the question of which this is the best score; `None` where the
    /// reranker did not answer. 0 to 1.
    #[must_use]
    pub fn probability(&self, best_score: Option<f64>) -> f64 {
        let score = best_score.unwrap_or(UNKNOWN).clamp(0.0, 1.0);
        match self.weighing {
            Weighing::Logistic(weights) if best_score.is_some() => weights.probability(score),
            _ => score,
        }
    }

    /// Whether the best passage is near enough to answer from. Without a score the model decides.
    #[must_use]
    pub fn covers(&self, best_score: Option<f64>) -> bool {
        best_score.is_none() || self.probability(best_score) >= self.refusal_threshold
    }
}

impl Logistic {
    fn probability(self, score: f64) -> f64 {
        let sum = self.constant + self.slope * logit(score);
        1.0 / (1.0 + (-sum).exp())
    }
}

/// The logarithm of the odds of a score, as [`Logistic`] weighs it: finite for any.
#[must_use]
pub fn logit(score: f64) -> f64 {
    let score = score.clamp(MIN_SCORE, 1.0 - MIN_SCORE);
    (score / (1.0 - score)).ln()
}

/// Confidence from 0 to 1: the probability that the passages answer, discounted by up to half for text that
/// no citation carries. `cited_share` is the part of the answer's characters that is cited, 0 to 1.
#[must_use]
pub fn confidence(probability: f64, cited_share: f64) -> f64 {
    probability * (0.5 + 0.5 * cited_share.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNMEASURED: &str = "@cf/baai/bge-reranker-base";
    const MEASURED: [&str; 2] = ["@local/reranker#small", "@local/reranker#mpnet"];

    #[test]
    fn an_uncited_answer_is_half_as_sure_as_a_cited_one() {
        assert!((confidence(0.8, 1.0) - 0.8).abs() < 1e-9);
        assert!((confidence(0.8, 0.0) - 0.4).abs() < 1e-9);
    }

    #[test]
    fn a_far_passage_is_no_answer_and_a_silent_reranker_is_no_verdict() {
        let calibration = Calibration {
            refusal_threshold: 0.3,
            ..Calibration::of(UNMEASURED)
        };
        assert!(!calibration.covers(Some(0.29)));
        assert!(calibration.covers(Some(0.3)));
        for reranker in [UNMEASURED, MEASURED[0], MEASURED[1]] {
            let calibration = Calibration::of(reranker);
            assert!(calibration.covers(None));
            assert!((calibration.probability(None) - 0.5).abs() < 1e-9);
        }
    }

    #[test]
    fn a_reranker_that_was_not_measured_speaks_for_itself() {
        let unmeasured = Calibration::of(UNMEASURED);
        assert!((unmeasured.probability(Some(0.4)) - 0.4).abs() < 1e-9);
        assert!(unmeasured.covers(Some(0.1)) && !unmeasured.covers(Some(0.09)));
    }

    #[test]
    fn what_a_score_is_worth_depends_on_its_reranker() {
        let [small, mpnet] = MEASURED.map(Calibration::of);
        // Of the questions with such a score, about three in four were answered with the one encoder.
        assert!((small.probability(Some(0.5)) - 0.735).abs() < 1e-3);
        assert!((mpnet.probability(Some(0.5)) - 0.810).abs() < 1e-3);
        assert!(!small.covers(Some(0.45)) && mpnet.covers(Some(0.45)));
        for calibration in [small, mpnet] {
            assert!(calibration.probability(Some(0.4)) < calibration.probability(Some(0.6)));
            assert!(!calibration.covers(Some(0.0)) && calibration.covers(Some(1.0)));
        }
    }
}
