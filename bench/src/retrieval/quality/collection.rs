//! The Cranfield collection: 1,400 abstracts on aerodynamics, 225 questions, and which abstract answers which.

use anyhow::{Context, ensure};
use shared_types::embedding::{DIMENSIONS, Embedding};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Documents, questions and labels. Numbers from 0.
pub struct Collection {
    /// Title, line feed, text.
    pub documents: Vec<Labelled>,
    /// The questions, in the order of the file: the labels count by that, not by the questions' own numbers.
    pub queries: Vec<Labelled>,
    /// For each question the documents that are relevant to it.
    pub relevant: Vec<BTreeSet<usize>>,
    /// The vectors of the documents, as a file.
    pub document_vectors: PathBuf,
    /// The vectors of the questions, as a file.
    pub query_vectors: PathBuf,
}

/// A text with its vector.
pub struct Labelled {
    pub text: String,
    pub embedding: Embedding,
}

impl Collection {
    /// Reads the files of a folder: `cran.all.1400`, `cran.qry`, `cranqrel`, `mpnet-documents.npy` and
    /// `mpnet-queries.npy`.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let text = |name: &str| {
            let path = folder.join(name);
            let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
            anyhow::Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let document_vectors = folder.join("mpnet-documents.npy");
        let query_vectors = folder.join("mpnet-queries.npy");
        let documents = records(&text("cran.all.1400")?)
            .iter()
            .map(|record| format!("{}\n{}", record.field('T'), record.field('W')))
            .collect();
        let queries = records(&text("cran.qry")?)
            .iter()
            .map(|record| record.field('W'))
            .collect();
        let documents = with_vectors(documents, &document_vectors)?;
        let queries = with_vectors(queries, &query_vectors)?;
        let relevant = labels(&text("cranqrel")?, queries.len(), documents.len())?;
        Ok(Self {
            documents,
            queries,
            relevant,
            document_vectors,
            query_vectors,
        })
    }
}

/// A record of the SMART format: fields, each behind a line with a point and a letter.
#[derive(Default)]
struct Record(Vec<(char, Vec<String>)>);

impl Record {
    fn field(&self, name: char) -> String {
        let found = self.0.iter().find(|(letter, _)| *letter == name);
        found.map(|(_, lines)| lines.join(" ")).unwrap_or_default()
    }
}

fn records(text: &str) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    for line in text.lines() {
        let mut characters = line.chars();
        let is_marker = characters.next() == Some('.');
        match characters.next() {
            Some('I') if is_marker => records.push(Record::default()),
            Some(letter) if is_marker && line.trim_end().len() == 2 => {
                if let Some(record) = records.last_mut() {
                    record.0.push((letter, Vec::new()));
                }
            }
            _ => {
                let field = records.last_mut().and_then(|record| record.0.last_mut());
                if let Some((_, lines)) = field {
                    lines.push(line.to_owned());
                }
            }
        }
    }
    records
}

fn with_vectors(texts: Vec<String>, path: &Path) -> anyhow::Result<Vec<Labelled>> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let vectors = matrix(&bytes, texts.len()).with_context(|| path.display().to_string())?;
    texts
        .into_iter()
        .zip(vectors)
        .map(|(text, vector)| {
            let embedding = Embedding::new(vector)?;
            Ok(Labelled { text, embedding })
        })
        .collect()
}

/// The rows of a matrix as NumPy saves it (format 1.0). Of its many kinds this one alone is of use here: single
/// precision, little-endian, row by row, [`DIMENSIONS`] wide.
fn matrix(bytes: &[u8], rows: usize) -> anyhow::Result<Vec<Vec<f32>>> {
    let (length, rest) = bytes
        .strip_prefix(b"\x93NUMPY\x01\x00")
        .and_then(|rest| rest.split_first_chunk::<2>())
        .context("it is not NumPy's format 1.0")?;
    let (header, data) = rest
        .split_at_checked(u16::from_le_bytes(*length).into())
        .context("its header is cut")?;
    let header = String::from_utf8_lossy(header);
    for property in [
        "'descr': '<f4'".to_owned(),
        "'fortran_order': False".to_owned(),
        format!("'shape': ({rows}, {DIMENSIONS})"),
    ] {
        ensure!(header.contains(&property), "{property} is not in {header}");
    }
    let (numbers, rest) = data.as_chunks::<4>();
    ensure!(
        rest.is_empty() && numbers.len() == rows * DIMENSIONS,
        "it is cut"
    );
    let numbers: Vec<f32> = numbers.iter().map(|n| f32::from_le_bytes(*n)).collect();
    Ok(numbers.chunks(DIMENSIONS).map(<[f32]>::to_vec).collect())
}

/// Codes 1 to 4 are degrees of relevance, which count alike; the one -1 of each question is a judgement against.
fn labels(text: &str, queries: usize, documents: usize) -> anyhow::Result<Vec<BTreeSet<usize>>> {
    let mut relevant = vec![BTreeSet::new(); queries];
    for line in text.lines() {
        let numbers: Vec<i64> = line
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()
            .with_context(|| format!("{line:?} is no label"))?;
        let [query, document, code] = numbers[..] else {
            continue;
        };
        if code >= 1 {
            let document = usize::try_from(document - 1)?;
            ensure!(document < documents, "there is no document {line:?}");
            let query = usize::try_from(query - 1)?;
            let query = relevant.get_mut(query).context("a label of no query")?;
            query.insert(document);
        }
    }
    Ok(relevant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_go_on_until_the_next_marker_and_points_within_a_text_are_text() {
        let text = ".I 1\n.T\nslip\nflow .\n.A\nnobody\n.W\n.5 of it\nends\n.I 7\n.W\nheat\n";
        let records = records(text);
        assert_eq!(records.len(), 2);
        assert_eq!(records[0].field('T'), "slip flow .");
        assert_eq!(records[0].field('W'), ".5 of it ends");
        assert_eq!(records[1].field('T'), "");
    }

    #[test]
    fn a_matrix_of_another_shape_or_kind_or_length_is_none() {
        let file = |header: &str, numbers: usize| -> Vec<u8> {
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend((header.len() as u16).to_le_bytes());
            bytes.extend(header.bytes());
            bytes.extend((0..numbers).flat_map(|n| (n as f32).to_le_bytes()));
            bytes
        };
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 768), }\n";
        let rows = matrix(&file(header, 2 * 768), 2).unwrap();
        assert_eq!((rows.len(), rows[1][0]), (2, 768.0));
        assert!(matrix(&file(header, 2 * 768), 3).is_err());
        assert!(matrix(&file(header, 2 * 768 - 1), 2).is_err());
        assert!(matrix(&file(&header.replace("f4", "f8"), 2 * 768), 2).is_err());
        assert!(matrix(b"\x93NUMPY\x01\x00\xff\xff{}", 2).is_err());
        assert!(matrix(b"PK", 2).is_err());
    }

    #[test]
    fn a_code_below_one_is_no_relevance() {
        let labels = labels("1 2 3\n1 1 -1\n2 1 1\n\n", 2, 2).unwrap();
        assert_eq!(labels, [BTreeSet::from([1]), BTreeSet::from([0])]);
        assert!(super::labels("3 1 1", 2, 2).is_err());
        assert!(super::labels("1 3 1", 2, 2).is_err());
    }
}
