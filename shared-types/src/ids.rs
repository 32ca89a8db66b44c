//! Identifiers, one type per kind of thing, so that one can't stand in for another.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id! {
    /// A person: the `sub` of an access token and `users.id`.
    UserId
}
id! {
    /// An uploaded document: `knowledge_base_docs.id`.
    DocumentId
}
id! {
    /// A searchable piece of a document: `document_chunks.id`.
    ChunkId
}
id! {
    /// An invitation to become a teacher's student: `invitations.id`.
    InvitationId
}
id! {
    /// A conversation: `chat_sessions.id`.
    ChatSessionId
}
id! {
    /// A question in a conversation with its answer: `chat_messages.id`.
    MessageId
}
id! {
    /// An answer that a teacher wrote: `curated_answers.id`.
    CuratedAnswerId
}
id! {
    /// One request through the edge; travels as `x-request-id`.
    RequestId
}
id! {
    /// A sign-in and all that is refreshed from it: the `session_id` of an access token.
    SessionId
}
