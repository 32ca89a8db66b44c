//! How sure an answer may sound, and when there is none.

/// What is said where the library does not cover a question.
pub const NOT_COVERED_TEXT: &str = "Your library does not cover this question. \
The pages listed as sources come nearest to it.";

/// What is assumed of the best passage where the reranker did not answer.
const UNKNOWN_SCORE: f64 = 0.5;

/// Thresholds of one reranker; another model has others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// A best score below this means: not covered. 0 to 1.
    pub refusal_threshold: f64,
}

/// Whether the best passage is near enough to answer from. Without a score the model decides.
#[must_use]
pub fn covers(best_score: Option<f64>, calibration: &Calibration) -> bool {
    best_score.is_none_or(|score| score >= calibration.refusal_threshold)
}

/// Confidence from 0 to 1: the relevance of the best passage, discounted by up to half for text that
/// no citation carries. `cited_share` is the part of the answer's characters that is cited, 0 to 1.
#[must_use]
pub fn confidence(best_score: Option<f64>, cited_share: f64) -> f64 {
    let relevance = best_score.unwrap_or(UNKNOWN_SCORE).clamp(0.0, 1.0);
    relevance * (0.5 + 0.5 * cited_share.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uncited_answer_is_half_as_sure_as_a_cited_one() {
        assert!((confidence(Some(0.8), 1.0) - 0.8).abs() < 1e-9);
        assert!((confidence(Some(0.8), 0.0) - 0.4).abs() < 1e-9);
        assert!((confidence(None, 1.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_far_passage_is_no_answer_and_a_silent_reranker_is_no_verdict() {
        let calibration = Calibration {
            refusal_threshold: 0.3,
        };
        assert!(!covers(Some(0.29), &calibration));
        assert!(covers(Some(0.3), &calibration));
        assert!(covers(None, &calibration));
    }
}
