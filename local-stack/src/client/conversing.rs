//! Conversations.

use super::{Client, answer, refusal};
use crate::{StackError, Stopwatch};
use reqwest::Method;
use serde_json::json;
use shared_types::{
    conversation::{ChatSession, Message, MessageList, MessageReply, SessionList},
    feedback::{CurateAnswer, CuratedAnswer},
    ids::ChatSessionId,
};
use std::time::Duration;

/// How long an answer may take to be written down.
const PATIENCE: Duration = Duration::from_secs(10);

impl Client {
    /// Begins a conversation.
    pub async fn begin_conversation(&self) -> Result<ChatSession, StackError> {
        let what = "a new conversation";
        let request = self.request(Method::POST, "/api/chat/sessions");
        let response = request.json(&json!({})).send().await;
        answer(what, response.map_err(StackError::http(what))?).await
    }

    /// The first part of the list of conversations, the one last asked in first.
    pub async fn conversations(&self) -> Result<Vec<ChatSession>, StackError> {
        let what = "the conversations";
        let request = self.request(Method::GET, "/api/chat/sessions");
        let response = request.send().await.map_err(StackError::http(what))?;
        let list: SessionList = answer(what, response).await?;
        Ok(list.sessions)
    }

    /// The last messages of a conversation, the last one first.
    pub async fn messages(&self, id: ChatSessionId) -> Result<Vec<Message>, StackError> {
        let what = "the messages";
        let path = format!("/api/chat/sessions/{id}/messages");
        let response = self.request(Method::GET, &path).send().await;
        let response = response.map_err(StackError::http(what))?;
        let list: MessageList = answer(what, response).await?;
        Ok(list.messages)
    }

    /// The last messages once every question has its answer: that is written down after it was told.
    pub async fn sees_answers_in(&self, id: ChatSessionId) -> Result<Vec<Message>, StackError> {
        let started = Stopwatch::start();
        loop {
            let messages = self.messages(id).await?;
            let is_open = |message: &Message| message.reply == MessageReply::Unanswered;
            if !messages.iter().any(is_open) || started.elapsed() > PATIENCE {
                return Ok(messages);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Keeps an answer of the teacher's own.
    pub async fn curate(&self, question: &str, answer: &str) -> Result<CuratedAnswer, StackError> {
        let what = "the answer of one's own";
        let request = self.request(Method::POST, "/api/curated-answers");
        let request = request.json(&CurateAnswer {
            question: question.to_owned(),
            answer: answer.to_owned(),
        });
        let response = request.send().await.map_err(StackError::http(what))?;
        super::answer(what, response).await
    }

    /// Removes a conversation.
    pub async fn remove_conversation(&self, id: ChatSessionId) -> Result<(), StackError> {
        let what = "the conversation";
        let path = format!("/api/chat/sessions/{id}");
        let response = self.request(Method::DELETE, &path).send().await;
        let response = response.map_err(StackError::http(what))?;
        if response.status().is_success() {
            Ok(())
        } else {
            Err(refusal(what, response).await)
        }
    }
}
