//! What a person may read right now, as versions.

use crate::{
    Error, ReaderTx,
    rows::unsigned,
    search::{CorpusFacts, Readable},
};
use rag_core::scope::ScopeFacts;
use shared_types::{
    ids::UserId,
    purge::{ANSWER_PURGE_LIFE_S, PurgedAnswer, Purges},
};
use sqlx::FromRow;
use uuid::Uuid;

#[derive(FromRow)]
struct Row {
    public_version: i64,
    public_passages: i64,
    owners: Vec<Uuid>,
    versions: Vec<i64>,
    passages: Vec<i64>,
    stems: i64,
    everything: i64,
    reader: i64,
    corpora_purged: i64,
    answer_ids: Vec<String>,
    answer_numbers: Vec<i64>,
    is_known: bool,
    question_stems: Vec<String>,
}

/// The facts behind the person's scope version: every owner whose private documents the person may
/// read and who has or had any (the person, too; all such owners for an admin), with the version of
/// that corpus, and the version of the public corpus. A version grows in the transaction that changes its corpus.
/// Beside them stand the purges that concern the person. [`Error::UnknownPerson`]: the account is gone, and the token
/// has outlived it.
pub async fn facts(reader: &mut ReaderTx) -> Result<ScopeFacts, Error> {
    survey(reader).await.map(|(facts, _)| facts)
}

/// The same, and how much that is. Exact: a corpus is counted by the transaction that changes it.
pub async fn survey(reader: &mut ReaderTx) -> Result<(ScopeFacts, Readable), Error> {
    let (facts, readable, _) = ask(reader, "").await?;
    Ok((facts, readable))
}

/// The same, ready to be searched for a question, which is normalised.
pub async fn survey_for(
    reader: &mut ReaderTx,
    question: &str,
) -> Result<(ScopeFacts, Readable), Error> {
    let (facts, readable, stems) = ask(reader, question).await?;
    Ok((facts, readable.asked(question, stems)))
}

#[tracing::instrument(name = "sql.scope.survey", skip_all)]
async fn ask(
    reader: &mut ReaderTx,
    question: &str,
) -> Result<(ScopeFacts, Readable, Vec<String>), Error> {
    let (user_id, role) = (reader.user_id(), reader.role());
    let row: Row = sqlx::query_as(include_str!("scope/facts.sql"))
        .bind(user_id.0)
        .bind(role.as_str())
        .bind(f64::from(ANSWER_PURGE_LIFE_S))
        .bind(question)
        .fetch_one(reader.connection())
        .await?;
    if !row.is_known {
        return Err(Error::UnknownPerson);
    }
    let readable = row.readable()?;
    let number = |number| unsigned(number, "purge number");
    let answers = row.answer_ids.into_iter().zip(row.answer_numbers);
    let answers = answers.map(|(id, generation)| {
        Ok(PurgedAnswer {
            id: id.try_into().map_err(|_| Error::Corrupt("answer id"))?,
            generation: number(generation)?,
        })
    });
    let owners = row.owners.into_iter().map(UserId);
    let facts = ScopeFacts {
        role,
        owners: owners.zip(row.versions).collect(),
        public_version: row.public_version,
        purges: Purges {
            everything: number(row.everything)?,
            reader: number(row.reader)?,
            answers: answers.collect::<Result<_, Error>>()?,
        },
        corpora_purged: number(row.corpora_purged)?,
    };
    Ok((facts, readable, row.question_stems))
}

impl Row {
    fn readable(&self) -> Result<Readable, Error> {
        let size = |count| unsigned(count, "corpus size");
        let public = CorpusFacts {
            owner: None,
            version: self.public_version,
            passages: size(self.public_passages)?,
        };
        let mut corpora = vec![public];
        let owners = self.owners.iter().zip(&self.versions).zip(&self.passages);
        for ((owner, version), passages) in owners {
            corpora.push(CorpusFacts {
                owner: Some(*owner),
                version: *version,
                passages: size(*passages)?,
            });
        }
        Ok(Readable::everything(corpora, size(self.stems)?))
    }
}
