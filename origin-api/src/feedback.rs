//! What people say of answers, what their teachers are told of it, and what teachers answer themselves.

use crate::{
    error::ApiError,
    extract::part::Part,
    host,
    library::{as_json, changed},
};
use rag_core::query::{normalise, storable};
use shared_types::{
    claims::AccessClaims,
    feedback::{
        CurateAnswer, CuratedList, Feedback, MAX_CURATED, MAX_CURATED_CHARS, MAX_REASON_CHARS,
        UnansweredList,
    },
    ids::{CuratedAnswerId, MessageId},
    origin::Changed,
    problem::ProblemKind,
};
use storage::{
    PgPool,
    curated::{self, New},
    feedback, people, reader,
};

/// Writes down what the caller says of an answer.
pub async fn give(
    pool: &PgPool,
    claims: &AccessClaims,
    message: MessageId,
    mut given: Feedback,
) -> Result<(), ApiError> {
    let reason = given.reason.as_deref().map(str::trim);
    let reason = reason.filter(|reason| !reason.is_empty());
    if reason.is_some_and(|reason| reason.chars().count() > MAX_REASON_CHARS) {
        return Err(ApiError::refused(
            ProblemKind::BodyInvalid,
            format!("A reason has at most {MAX_REASON_CHARS} characters."),
        ));
    }
    given.reason = reason.map(storable);
    let mut reader = reader::begin(pool, claims).await?;
    feedback::give(&mut reader, message, &given).await?;
    Ok(reader.commit().await?)
}

/// What the caller's students asked that was not answered, or not well.
pub async fn unanswered(
    pool: &PgPool,
    claims: &AccessClaims,
    part: Part,
) -> Result<UnansweredList, ApiError> {
    let mut reader = reader::begin(pool, claims).await?;
    let listed = feedback::unanswered(&mut reader, part.behind, part.limit).await?;
    Ok(UnansweredList {
        questions: listed.items,
        next_cursor: listed.next.map(|cursor| cursor.to_string()),
    })
}

/// Keeps an answer of the caller, who is a teacher, for her students.
pub async fn curate(
    pool: &PgPool,
    claims: &AccessClaims,
    wanted: CurateAnswer,
) -> Result<Changed, ApiError> {
    let CurateAnswer { question, answer } = wanted;
    let question = normalise(&question)?;
    let answer = storable(answer.trim());
    if !(1..=MAX_CURATED_CHARS).contains(&answer.chars().count()) {
        return Err(ApiError::refused(
            ProblemKind::BodyInvalid,
            format!("An answer has 1 to {MAX_CURATED_CHARS} characters."),
        ));
    }
    let new = New {
        id: CuratedAnswerId(host::new_id()),
        question: &question,
        answer: &answer,
    };
    let mut reader = reader::begin(pool, claims).await?;
    let kept = match curated::create(&mut reader, &new).await {
        Err(storage::Error::Conflict) => {
            return Err(ApiError::refused(
                ProblemKind::Conflict,
                format!("At most {MAX_CURATED} answers of one's own are kept. Remove some."),
            ));
        }
        kept => kept?,
    };
    let readers = people::readers_of(reader.connection(), claims.sub).await?;
    reader.commit().await?;
    Ok(changed(as_json(&kept), readers))
}

/// The caller's own answers.
pub async fn curated(
    pool: &PgPool,
    claims: &AccessClaims,
    part: Part,
) -> Result<CuratedList, ApiError> {
    let mut reader = reader::begin(pool, claims).await?;
    let listed = curated::list(&mut reader, part.behind, part.limit).await?;
    Ok(CuratedList {
        answers: listed.items,
        next_cursor: listed.next.map(|cursor| cursor.to_string()),
    })
}

/// Removes one of them.
pub async fn withdraw(
    pool: &PgPool,
    claims: &AccessClaims,
    id: CuratedAnswerId,
) -> Result<Changed, ApiError> {
    let mut reader = reader::begin(pool, claims).await?;
    curated::delete(&mut reader, id).await?;
    let readers = people::readers_of(reader.connection(), claims.sub).await?;
    reader.commit().await?;
    Ok(changed(String::new(), readers))
}
