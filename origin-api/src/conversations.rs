//! Conversations: begun, listed, gone on with, removed. Each is one person's, and nobody else's to see.

use crate::{
    error::ApiError, extract::part::Part, host, requests::RequestContext, state::AppState,
    usage::quota,
};
use rag_core::{
    conversation::title_of,
    query::{normalise, storable},
};
use shared_types::{
    claims::AccessClaims,
    conversation::{
        Answered, Ask, ChatSession, CreateSession, MAX_MESSAGES, MAX_SESSIONS, MAX_TITLE_CHARS,
        Message, MessageList, SessionList, Turn,
    },
    ids::{ChatSessionId, MessageId},
    problem::ProblemKind,
};
use storage::{
    PgPool,
    conversations::{self, MESSAGE_LIST_LIMIT, Question},
    reader,
};

/// Begins a conversation of the caller.
pub async fn create(
    pool: &PgPool,
    claims: &AccessClaims,
    wanted: CreateSession,
) -> Result<ChatSession, ApiError> {
    let title = wanted.title.unwrap_or_default();
    let title = title.trim();
    if title.chars().count() > MAX_TITLE_CHARS {
        return Err(ApiError::refused(
            ProblemKind::BodyInvalid,
            format!("A title has at most {MAX_TITLE_CHARS} characters."),
        ));
    }
    if title.chars().any(char::is_control) {
        return Err(ApiError::refused(
            ProblemKind::BodyInvalid,
            "A title is one line of text.",
        ));
    }
    let id = ChatSessionId(host::new_id());
    let mut reader = reader::begin(pool, claims).await?;
    let session = match conversations::create(&mut reader, id, title).await {
        Err(storage::Error::Conflict) => {
            return Err(ApiError::refused(
                ProblemKind::Conflict,
                format!("At most {MAX_SESSIONS} conversations are kept. Remove some."),
            ));
        }
        created => created?,
    };
    reader.commit().await?;
    Ok(session)
}

/// The caller's conversations, the one last asked in first.
pub async fn list(
    pool: &PgPool,
    claims: &AccessClaims,
    part: Part,
) -> Result<SessionList, ApiError> {
    let mut reader = reader::begin(pool, claims).await?;
    let listed = conversations::list(&mut reader, part.behind, part.limit).await?;
    Ok(SessionList {
        sessions: listed.items,
        next_cursor: listed.next.map(|cursor| cursor.to_string()),
    })
}

/// One of them.
pub async fn get(
    pool: &PgPool,
    claims: &AccessClaims,
    id: ChatSessionId,
) -> Result<ChatSession, ApiError> {
    let mut reader = reader::begin(pool, claims).await?;
    Ok(conversations::get(&mut reader, id).await?)
}

/// Its messages, the last one first.
pub async fn messages(
    pool: &PgPool,
    claims: &AccessClaims,
    id: ChatSessionId,
    part: Part,
) -> Result<MessageList, ApiError> {
    let mut reader = reader::begin(pool, claims).await?;
    let listed = conversations::messages(&mut reader, id, part.behind, part.limit).await?;
    Ok(MessageList {
        messages: listed.items,
        next_cursor: listed.next.map(|cursor| cursor.to_string()),
    })
}

/// What one person's conversations hold, to be read one after the other.
pub struct Kept {
    pool: PgPool,
    claims: AccessClaims,
}

impl Kept {
    /// Of whom these claims are.
    #[must_use]
    pub fn of(pool: &PgPool, claims: &AccessClaims) -> Self {
        Self {
            pool: pool.clone(),
            claims: claims.clone(),
        }
    }

    /// All messages of a conversation, the last one first; none where it is gone.
    pub async fn messages(
        &self,
        id: ChatSessionId,
    ) -> Result<Option<Vec<Message>>, storage::Error> {
        let mut reader = reader::begin(&self.pool, &self.claims).await?;
        let (mut messages, mut behind) = (Vec::new(), None);
        loop {
            let part = conversations::messages(&mut reader, id, behind, MESSAGE_LIST_LIMIT).await;
            let part = match part {
                Err(storage::Error::NotFound) => return Ok(None),
                part => part?,
            };
            messages.extend(part.items);
            behind = part.next;
            if behind.is_none() {
                return Ok(Some(messages));
            }
        }
    }
}

/// Removes one with all its messages.
pub async fn delete(
    pool: &PgPool,
    claims: &AccessClaims,
    id: ChatSessionId,
) -> Result<(), ApiError> {
    let mut reader = reader::begin(pool, claims).await?;
    conversations::delete(&mut reader, id).await?;
    Ok(reader.commit().await?)
}

/// Puts a question behind the others of a conversation, in words that can be understood by themselves. Said again by
/// somebody who was cut off from its answer, the last question is that same one.
pub async fn ask(
    state: &AppState,
    context: &RequestContext,
    claims: &AccessClaims,
    session_id: ChatSessionId,
    ask: &Ask,
) -> Result<Turn, ApiError> {
    normalise(&ask.query)?;
    let asked = storable(&ask.query);
    let (earlier, used_up) = {
        let mut reader = reader::begin(&state.pool, claims).await?;
        let last = if ask.resumes {
            conversations::last(&mut reader, session_id).await?
        } else {
            None
        };
        if let Some((message_id, last)) = last.filter(|(_, last)| last.asked == asked) {
            return Ok(Turn {
                session_id,
                message_id,
                is_rewritten: last.question != asked,
                question: last.question,
            });
        }
        let earlier = conversations::context(&mut reader, session_id).await;
        let earlier = earlier.map_err(full)?;
        let used_up = quota::used_up(&mut reader, &state.quota).await?;
        reader.commit().await?;
        (earlier, used_up)
    };
    let account = match used_up {
        None => Some(state.ledger.open(claims.clone())),
        Some(_) => None,
    };
    // No connection is held while a model thinks.
    let rewriter = &state.rewriter;
    let rewritten = rewriter.rewrite(context.request_id, account, &earlier, &asked);
    let rewritten = rewritten.await;
    let turn = Turn {
        session_id,
        message_id: MessageId(host::new_id()),
        is_rewritten: rewritten.is_some(),
        question: rewritten.unwrap_or_else(|| asked.clone()),
    };
    let normalised = normalise(&turn.question)?;
    let title = title_of(&turn.question);
    let question = Question {
        id: turn.message_id,
        asked: &asked,
        question: &turn.question,
        normalised: &normalised,
        title: &title,
    };
    let mut reader = reader::begin(&state.pool, claims).await?;
    let put = conversations::ask(&mut reader, session_id, &question).await;
    put.map_err(full)?;
    reader.commit().await?;
    Ok(turn)
}

/// Writes down what a question of the caller was answered with.
pub async fn answered(
    pool: &PgPool,
    claims: &AccessClaims,
    id: MessageId,
    answered: &Answered,
) -> Result<(), ApiError> {
    let mut reader = reader::begin(pool, claims).await?;
    conversations::answered(&mut reader, id, answered).await?;
    Ok(reader.commit().await?)
}

fn full(error: storage::Error) -> ApiError {
    match error {
        storage::Error::Conflict => ApiError::refused(
            ProblemKind::Conflict,
            format!("A conversation has at most {MAX_MESSAGES} questions. Begin another."),
        ),
        other => other.into(),
    }
}
