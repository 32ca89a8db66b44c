//! How far two readers agree about the words of a page.

use super::{
    MANUALS, READERS, manual,
    reading::{Reader, Readers},
};
use crate::report::Report;
use std::{collections::HashMap, path::Path};
use unicode_normalization::UnicodeNormalization;

const MAX_WORD_ERROR_RATE: f64 = 0.08;

/// Pages of one reader.
type Texts = Vec<String>;

/// Compares all readers with pdftotext, and with PyMuPDF.
pub async fn measure(readers: &Readers, pdfs: &Path, report: &mut Report) -> anyhow::Result<()> {
    let mut texts: Vec<Texts> = vec![Vec::new(); READERS.len()];
    let mut printed: Vec<Option<String>> = Vec::new();
    let mut unmusical: Texts = Vec::new();
    for name in MANUALS {
        unmusical.extend(readers.unmusical(&manual(pdfs, name)).await?);
        for (reader, texts) in READERS.iter().zip(&mut texts) {
            let reading = readers.read(*reader, &manual(pdfs, name)).await?;
            texts.extend(reading.texts);
            printed.extend(reading.printed);
        }
    }
    let of = |wanted: Reader| {
        let at = READERS.iter().position(|reader| *reader == wanted);
        at.map_or(&[][..], |at| texts[at].as_slice())
    };
    // Dots that lead to a page number are words to some and nothing to others.
    let is_counted = |page: &usize| {
        let text = &of(Reader::PdfToText)[*page];
        !text.contains("....") && !text.contains(". . . .")
    };
    let all: Vec<usize> = (0..printed.len()).filter(is_counted).collect();
    let prose: Vec<usize> = all
        .iter()
        .copied()
        .filter(|page| printed[*page].is_none())
        .collect();
    let without_music: Texts = of(Reader::PyMuPdf)
        .iter()
        .zip(&printed)
        .map(|(text, printed)| printed.as_ref().unwrap_or(text).clone())
        .collect();
    report.begin(
        "Agreement of the text: word error rate / share of the words",
        &[
            "reader",
            "reference",
            "pages",
            "word error rate",
            "words found",
        ],
    );
    let comparisons = [
        (
            "pdftotext without the fonts of music",
            unmusical.as_slice(),
            &all,
        ),
        (
            "pdftotext, pages without music",
            of(Reader::PdfToText),
            &prose,
        ),
        ("PyMuPDF, pages without music", of(Reader::PyMuPdf), &prose),
        ("PyMuPDF without the fonts of music", &without_music, &all),
        (
            "pdftotext, note heads being letters",
            of(Reader::PdfToText),
            &all,
        ),
        (
            "PyMuPDF, note heads being letters",
            of(Reader::PyMuPdf),
            &all,
        ),
    ];
    for (number, (name, reference, pages)) in comparisons.iter().enumerate() {
        for (reader, texts) in READERS.iter().zip(&texts) {
            if std::ptr::eq(texts.as_slice(), *reference) {
                continue;
            }
            let agreement = agreement(reference, texts, pages);
            report.row(vec![
                reader.name().to_owned(),
                (*name).to_owned(),
                pages.len().to_string(),
                format!("{:.3}", agreement.word_error_rate),
                format!("{:.3}", agreement.found),
            ]);
            if number == 0 && *reader == Reader::Etude {
                let rate = agreement.word_error_rate;
                report.at_most("word error rate", rate, MAX_WORD_ERROR_RATE, "");
            }
        }
    }
    Ok(())
}

struct Agreement {
    /// Words to insert, delete or replace, for each word of the reference.
    word_error_rate: f64,
    /// Of the reference's words, those that are on the same page of the other, wherever.
    found: f64,
}

fn agreement(reference: &[String], other: &[String], pages: &[usize]) -> Agreement {
    let (mut errors, mut found, mut all) = (0, 0, 0);
    for page in pages {
        let (wanted, got) = (words(&reference[*page]), words(&other[*page]));
        errors += distance(&wanted, &got);
        found += shared(&wanted, &got);
        all += wanted.len();
    }
    let share = |count: usize| count as f64 / all.max(1) as f64;
    Agreement {
        word_error_rate: share(errors),
        found: share(found),
    }
}

/// In NFKC, without control characters.
fn words(text: &str) -> Vec<String> {
    let text: String = text
        .nfkc()
        .filter(|c| !c.is_control() || c.is_whitespace())
        .collect();
    text.split_whitespace().map(str::to_owned).collect()
}

/// Levenshtein's.
fn distance(one: &[String], other: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, word) in one.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, candidate) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(word != candidate);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

fn shared(wanted: &[String], got: &[String]) -> usize {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for word in got {
        *counts.entry(word).or_default() += 1;
    }
    let mut is_there = |word: &&String| {
        let left = counts.get_mut(word.as_str()).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    };
    wanted.iter().filter(|word| is_there(word)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(reference: &str, other: &str) -> (f64, f64) {
        let agreement = agreement(&[reference.to_owned()], &[other.to_owned()], &[0]);
        (agreement.word_error_rate, agreement.found)
    }

    #[test]
    fn ligatures_and_line_ends_are_no_errors() {
        assert_eq!(
            compare("the \u{fb01}fth\nfinger", "the fifth finger"),
            (0.0, 1.0)
        );
    }

    #[test]
    fn a_lost_a_new_and_a_changed_word_are_an_error_each() {
        assert_eq!(compare("a b c d", "a c x e"), (0.75, 0.5));
    }

    #[test]
    fn words_in_another_order_are_found_and_are_errors() {
        assert_eq!(compare("a b", "b a"), (1.0, 1.0));
    }
}
