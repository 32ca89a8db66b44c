//! Whether it is answered what the library answers, and refused what it does not: the questions of
//! `tests/data/questions.toml`, asked through the edge. `docs/benchmarks.md` says what the figures mean.

mod regression;

use crate::{
    library::{Member, fill},
    report::Report,
};
use journeys::questions::{Question, Questions};
use local_stack::{Encoder, Install, Stack, StackConfig};
use rag_core::confidence::{Calibration, NOT_COVERED_TEXT, Weighing, logit};
use regression::{Case, fit};
use shared_types::chat::{ChatAnswer, FinishReason};
use std::collections::BTreeMap;

const ENCODERS: [Encoder; 2] = [Encoder::Small, Encoder::Mpnet];
/// Of the questions that nothing answers, one in so many may be answered.
const ANSWERED_ONE_IN: f64 = 15.0;
/// The share of the questions with an answer that may be refused.
const MAX_REFUSED: f64 = 3.0 / 65.0;
/// Upper ends of the bins of the reliability table.
const BINS: [f64; 6] = [0.5, 0.7, 0.8, 0.9, 0.95, 1.0];

/// A question that was asked, and what came of it.
struct Asked {
    text: String,
    is_answerable: bool,
    /// The reranker's best score of the sources.
    best_score: Option<f64>,
    outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Answered,
    /// No model was asked.
    Refused,
    /// The model found no sentence that answers.
    RefusedByModel,
}

impl Asked {
    fn is_wrong(&self) -> bool {
        (self.outcome == Outcome::Answered) != self.is_answerable
    }

    fn case(&self) -> Case {
        Case {
            score: logit(self.best_score.unwrap_or(0.5)),
            is_true: self.is_answerable,
        }
    }
}

/// The calibration of the stand-in with this encoder.
fn shipped(encoder: Encoder) -> Calibration {
    Calibration::of(&format!("@local/reranker#{}", encoder.name()))
}

/// Asks every question with either encoder.
pub async fn run() -> anyhow::Result<Report> {
    let install = Install::from_env()?;
    let questions = Questions::read();
    let mut report = Report::default();
    let mut asked: Vec<(Encoder, Vec<Asked>)> = Vec::new();
    for encoder in ENCODERS {
        let home = tempfile::Builder::new().prefix("etude-bench-").tempdir()?;
        let mut config = StackConfig::for_test(home.path())?;
        config.encoder = encoder;
        let stack = Stack::start(config).await?;
        let outcomes = ask(&stack, &install, &questions).await;
        stack.stop().await;
        asked.push((encoder, outcomes?));
    }
    outcomes(&asked, &mut report);
    probabilities(&asked, &mut report);
    wrong(&asked, &mut report);
    Ok(report)
}

async fn ask(
    stack: &Stack,
    install: &Install,
    questions: &Questions,
) -> anyhow::Result<Vec<Asked>> {
    let members = fill(stack, &install.repository, questions).await?;
    let mut asked = Vec::new();
    for question in &questions.questions {
        asked.push(ask_one(question, &members[&question.asker]).await?);
    }
    Ok(asked)
}

async fn ask_one(question: &Question, asker: &Member) -> anyhow::Result<Asked> {
    let answer = asker.browser.ask_json(&question.text).await?;
    let scores = answer.sources.iter().filter_map(|source| source.score);
    Ok(Asked {
        text: question.text.clone(),
        is_answerable: !question.answers.is_empty(),
        best_score: scores.max_by(f64::total_cmp),
        outcome: outcome(&answer),
    })
}

fn outcome(answer: &ChatAnswer) -> Outcome {
    match answer.finish_reason {
        FinishReason::NotCovered if answer.answer == NOT_COVERED_TEXT => Outcome::Refused,
        FinishReason::NotCovered => Outcome::RefusedByModel,
        _ => Outcome::Answered,
    }
}

/// What the edge said, held against the targets.
fn outcomes(asked: &[(Encoder, Vec<Asked>)], report: &mut Report) {
    report.begin(
        "Answers through the edge",
        &[
            "encoder",
            "questions",
            "answered",
            "refused",
            "refused by the model",
            "wrong",
        ],
    );
    for (encoder, asked) in asked {
        for (is_answerable, name) in [(true, "with an answer"), (false, "without")] {
            let set = || {
                asked
                    .iter()
                    .filter(|asked| asked.is_answerable == is_answerable)
            };
            let count = |outcome| set().filter(|asked| asked.outcome == outcome).count();
            let wrong = set().filter(|asked| asked.is_wrong()).count();
            let questions = set().count() as f64;
            report.row(vec![
                encoder.name().to_owned(),
                format!("{questions} {name}"),
                count(Outcome::Answered).to_string(),
                count(Outcome::Refused).to_string(),
                count(Outcome::RefusedByModel).to_string(),
                wrong.to_string(),
            ]);
            let (what, bound) = if is_answerable {
                ("refused without reason", questions * MAX_REFUSED)
            } else {
                ("answered without reason", questions / ANSWERED_ONE_IN)
            };
            let what = format!("{}, {what}", encoder.name());
            report.at_most(&what, wrong as f64, bound.floor(), "questions");
        }
    }
}

/// What the probabilities are worth, of each calibration as it is and of one that never saw the question.
fn probabilities(asked: &[(Encoder, Vec<Asked>)], report: &mut Report) {
    let mut reliabilities = Vec::new();
    report.begin(
        "Probability that the passages answer",
        &[
            "encoder",
            "how",
            "constant, slope",
            "threshold",
            "refused without reason",
            "answered without reason",
            "Brier score",
        ],
    );
    for (encoder, asked) in asked {
        let shipped = shipped(*encoder);
        let cases: Vec<Case> = asked.iter().map(Asked::case).collect();
        let is_true: Vec<bool> = cases.iter().map(|case| case.is_true).collect();
        let by =
            |calibration: Calibration, asked: &Asked| calibration.probability(asked.best_score);
        let fitted = |left_out: Option<usize>| {
            let others = cases.iter().enumerate();
            let others = others.filter(|(at, _)| Some(*at) != left_out);
            let others: Vec<Case> = others.map(|(_, case)| *case).collect();
            Calibration {
                weighing: Weighing::Logistic(fit(&others)),
                ..shipped
            }
        };
        let unseen = asked.iter().enumerate();
        let unseen: Vec<f64> = unseen
            .map(|(at, asked)| by(fitted(Some(at)), asked))
            .collect();
        let in_sample = asked.iter().map(|asked| by(shipped, asked)).collect();
        for (how, weighing, probabilities) in [
            ("as shipped", shipped.weighing, &in_sample),
            ("leave one out", fitted(None).weighing, &unseen),
        ] {
            let wrong = |is_answerable: bool| {
                let pairs = probabilities.iter().zip(&is_true);
                let of_set = pairs.filter(|(_, is_true)| **is_true == is_answerable);
                let refused = of_set.map(|(p, _)| *p < shipped.refusal_threshold);
                refused.filter(|refused| *refused == is_answerable).count()
            };
            report.row(vec![
                encoder.name().to_owned(),
                how.to_owned(),
                coefficients(weighing),
                shipped.refusal_threshold.to_string(),
                wrong(true).to_string(),
                wrong(false).to_string(),
                format!("{:.3}", brier(probabilities, &is_true)),
            ]);
        }
        reliabilities.push((encoder.name(), unseen, is_true));
    }
    for (encoder, unseen, is_true) in reliabilities {
        reliability(encoder, &unseen, &is_true, report);
    }
}

fn coefficients(weighing: Weighing) -> String {
    match weighing {
        Weighing::Score => "the score itself".to_owned(),
        Weighing::Logistic(of) => format!("{:.2}, {:.2}", of.constant, of.slope),
    }
}

/// The mean square of what a probability is off by.
fn brier(probabilities: &[f64], is_true: &[bool]) -> f64 {
    let off = probabilities.iter().zip(is_true);
    let off = off.map(|(p, truth)| (p - f64::from(u8::from(*truth))).powi(2));
    off.sum::<f64>() / is_true.len().max(1) as f64
}

fn reliability(encoder: &str, probabilities: &[f64], is_true: &[bool], report: &mut Report) {
    report.begin(
        &format!("Reliability, {encoder}, leave one out"),
        &["probability", "questions", "mean", "with an answer"],
    );
    let mut from = 0.0;
    for to in BINS {
        let held: Vec<(f64, bool)> = probabilities
            .iter()
            .zip(is_true)
            .filter(|(p, _)| (from..to).contains(*p))
            .map(|(p, truth)| (*p, *truth))
            .collect();
        let count = held.len().max(1) as f64;
        let mean = held.iter().map(|(p, _)| p).sum::<f64>() / count;
        let share = held.iter().filter(|(_, truth)| *truth).count() as f64 / count;
        report.row(vec![
            format!("{from} to {to}"),
            held.len().to_string(),
            format!("{mean:.2}"),
            format!("{share:.2}"),
        ]);
        from = to;
    }
}

/// The wrong ones by name.
fn wrong(asked: &[(Encoder, Vec<Asked>)], report: &mut Report) {
    report.begin(
        "What went wrong",
        &["question", "what", "encoders", "probability"],
    );
    let mut wrong: BTreeMap<(bool, &str), Vec<(&str, f64)>> = BTreeMap::new();
    for (encoder, asked) in asked {
        for asked in asked.iter().filter(|asked| asked.is_wrong()) {
            let entry = (
                encoder.name(),
                shipped(*encoder).probability(asked.best_score),
            );
            let key = (asked.is_answerable, asked.text.as_str());
            wrong.entry(key).or_default().push(entry);
        }
    }
    for ((is_answerable, text), entries) in wrong {
        let what = if is_answerable { "refused" } else { "answered" };
        let names: Vec<&str> = entries.iter().map(|(name, _)| *name).collect();
        let probabilities: Vec<String> = entries.iter().map(|(_, p)| format!("{p:.2}")).collect();
        report.row(vec![
            text.to_owned(),
            what.to_owned(),
            names.join(", "),
            probabilities.join(", "),
        ]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sure_and_right_forecast_has_a_brier_score_of_nothing() {
        assert!(brier(&[1.0, 0.0], &[true, false]).abs() < 1e-12);
        assert!((brier(&[0.5, 0.0], &[true, true]) - 0.625).abs() < 1e-12);
    }

    #[test]
    fn what_is_refused_though_it_has_an_answer_is_wrong_and_so_is_the_reverse() {
        let asked = |is_answerable, outcome| Asked {
            text: String::new(),
            is_answerable,
            best_score: None,
            outcome,
        };
        assert!(asked(true, Outcome::Refused).is_wrong());
        assert!(asked(true, Outcome::RefusedByModel).is_wrong());
        assert!(asked(false, Outcome::Answered).is_wrong());
        assert!(!asked(false, Outcome::RefusedByModel).is_wrong());
        assert!(!asked(true, Outcome::Answered).is_wrong());
    }
}
