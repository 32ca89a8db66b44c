//! Logistic regression of what is answered by the score.

use rag_core::confidence::Logistic;

/// Steps of Newton's method; it takes six or so.
const STEPS: usize = 25;
/// Keeps the sums finite where the two sets can be told apart without fault.
const RIDGE: f64 = 1e-3;

/// A case with its outcome.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The logit of the score.
    pub score: f64,
    /// Whether it turned out true.
    pub is_true: bool,
}

/// The coefficients that make the outcomes most probable (with [`RIDGE`]).
pub fn fit(cases: &[Case]) -> Logistic {
    let mut weights = [0.0; 2];
    for _ in 0..STEPS {
        let mut slope = weights.map(|weight| -RIDGE * weight);
        let mut bend = [[RIDGE, 0.0], [0.0, RIDGE]];
        for case in cases {
            let features = [1.0, case.score];
            let sum: f64 = weights.iter().zip(features).map(|(w, f)| w * f).sum();
            let probability = 1.0 / (1.0 + (-sum).exp());
            let error = f64::from(u8::from(case.is_true)) - probability;
            for (row, feature) in features.iter().enumerate() {
                slope[row] += error * feature;
                for (column, other) in features.iter().enumerate() {
                    bend[row][column] += probability * (1.0 - probability) * feature * other;
                }
            }
        }
        let [[a, b], [c, d]] = bend;
        let determinant = a * d - b * c;
        weights[0] += (d * slope[0] - b * slope[1]) / determinant;
        weights[1] += (a * slope[1] - c * slope[0]) / determinant;
    }
    let [constant, slope] = weights;
    Logistic { constant, slope }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(score: f64, is_true: bool) -> Case {
        Case { score, is_true }
    }

    #[test]
    fn the_odds_of_a_coin_are_found_again() {
        // Three in four are true, whatever the score.
        let cases: Vec<Case> = (0..400)
            .map(|at| case(f64::from(at / 4 % 2), at % 4 != 0))
            .collect();
        let fitted = fit(&cases);
        assert!((fitted.constant - 3f64.ln()).abs() < 0.05, "{fitted:?}");
        assert!(fitted.slope.abs() < 0.05, "{fitted:?}");
    }

    #[test]
    fn a_score_that_tells_them_apart_gets_the_weight_and_the_sum_stays_finite() {
        let scores = (0..200).map(|at| f64::from(at % 10) - 4.5);
        let cases: Vec<Case> = scores.map(|score| case(score, score > 0.0)).collect();
        let fitted = fit(&cases);
        assert!(fitted.slope > 1.0 && fitted.slope.is_finite(), "{fitted:?}");
    }
}
