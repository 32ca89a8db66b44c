//! The request body, refused for what the real service refuses it for.

use crate::vertex::answer::Question;
use serde::{Deserialize, de::IgnoredAny};

/// The only version that Vertex AI knows.
const VERSION: &str = "vertex-2023-10-16";

/// A request that may be answered.
pub(super) struct ParsedRequest {
    /// Whether the body asks for a stream.
    pub(super) stream: bool,
    /// The question, its sentences without their source.
    pub(super) question: Question,
    /// What citations need of each passage.
    pub(super) passages: Vec<Cited>,
    /// All text of the request, for its token count.
    pub(super) characters: usize,
}

/// A search result as citations name it.
#[derive(Clone, Debug)]
pub(super) struct Cited {
    pub(super) source: String,
    pub(super) title: String,
    pub(super) sentences: Vec<String>,
    pub(super) enabled: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    anthropic_version: Option<String>,
    max_tokens: Option<usize>,
    messages: Option<Vec<Message>>,
    system: Option<Text>,
    #[serde(default)]
    stream: bool,
    model: Option<IgnoredAny>,
    #[serde(rename = "anthropic_beta")]
    _anthropic_beta: Option<IgnoredAny>,
    #[serde(rename = "metadata")]
    _metadata: Option<IgnoredAny>,
    #[serde(rename = "stop_sequences")]
    _stop_sequences: Option<IgnoredAny>,
    #[serde(rename = "temperature")]
    _temperature: Option<IgnoredAny>,
    #[serde(rename = "top_k")]
    _top_k: Option<IgnoredAny>,
    #[serde(rename = "top_p")]
    _top_p: Option<IgnoredAny>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum MessageRole {
    User,
    Assistant,
}

#[derive(Deserialize)]
struct Message {
    role: MessageRole,
    content: Text,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Blocks(Vec<Block>),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        text: String,
    },
    SearchResult {
        source: String,
        title: String,
        content: Vec<Block>,
        #[serde(default)]
        citations: Switch,
    },
}

#[derive(Default, Deserialize)]
struct Switch {
    #[serde(default)]
    enabled: bool,
}

/// Reads the body, or says in the service's words what is wrong with it.
pub(super) fn parse(body: &[u8]) -> Result<ParsedRequest, String> {
    let body: Body = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    match body.anthropic_version.as_deref() {
        None => return Err("anthropic_version: Field required".into()),
        Some(VERSION) => {}
        Some(_) => return Err(format!("anthropic_version: Input should be '{VERSION}'")),
    }
    if body.model.is_some() {
        return Err("model: Extra inputs are not permitted".into());
    }
    let max_tokens = body.max_tokens.ok_or("max_tokens: Field required")?;
    if max_tokens == 0 {
        return Err("max_tokens: Input should be greater than or equal to 1".into());
    }
    let messages = body.messages.ok_or("messages: Field required")?;
    match messages.first() {
        None => return Err("messages: at least one message is required".into()),
        Some(first) if first.role != MessageRole::User => {
            return Err("messages: first message must use the \"user\" role".into());
        }
        Some(_) => {}
    }

    let system = match body.system {
        Some(system) => plain(&system, "system")?,
        None => String::new(),
    };
    let mut characters = system.chars().count();
    let mut question = Question {
        system,
        max_tokens,
        ..Question::default()
    };
    let mut passages = Vec::new();
    for (at, message) in messages.into_iter().enumerate() {
        let path = format!("messages.{at}");
        let text = read_message(message, &path, &mut passages)?;
        if let Some(text) = text {
            characters += text.chars().count();
            question.text = text;
        }
    }
    if passages
        .iter()
        .any(|passage: &Cited| passage.enabled != passages[0].enabled)
    {
        return Err("citations must be enabled on all search results or on none".into());
    }
    characters += passages
        .iter()
        .flat_map(|p| &p.sentences)
        .map(|s| s.chars().count())
        .sum::<usize>();
    question.passages = passages
        .iter()
        .map(|passage| passage.sentences.clone())
        .collect();
    Ok(ParsedRequest {
        stream: body.stream,
        question,
        passages,
        characters,
    })
}

/// The text of a message, if it is the user's; its search results go to `passages`.
fn read_message(
    message: Message,
    path: &str,
    passages: &mut Vec<Cited>,
) -> Result<Option<String>, String> {
    let blocks = match message.content {
        Text::Plain(text) => vec![Block::Text { text }],
        Text::Blocks(blocks) => blocks,
    };
    let mut texts = Vec::new();
    for (at, block) in blocks.into_iter().enumerate() {
        let path = format!("{path}.content.{at}");
        match block {
            Block::Text { text } => texts.push(non_blank(text, &path)?),
            Block::SearchResult { .. } if message.role != MessageRole::User => {
                return Err(format!(
                    "{path}: search_result blocks are only allowed in user messages"
                ));
            }
            Block::SearchResult {
                source,
                title,
                content,
                citations,
            } => {
                let sentences = content
                    .into_iter()
                    .enumerate()
                    .map(|(at, block)| match block {
                        Block::Text { text } => non_blank(text, &format!("{path}.content.{at}")),
                        Block::SearchResult { .. } => {
                            Err(format!("{path}.content.{at}: Input should be 'text'"))
                        }
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                if sentences.is_empty() {
                    return Err(format!("{path}.content: at least one block is required"));
                }
                passages.push(Cited {
                    source,
                    title,
                    sentences,
                    enabled: citations.enabled,
                });
            }
        }
    }
    if texts.is_empty() && passages.is_empty() {
        return Err(format!("{path}: content must not be empty"));
    }
    Ok((message.role == MessageRole::User && !texts.is_empty()).then(|| texts.join("\n")))
}

fn plain(text: &Text, path: &str) -> Result<String, String> {
    match text {
        Text::Plain(text) => Ok(text.clone()),
        Text::Blocks(blocks) => blocks
            .iter()
            .map(|block| match block {
                Block::Text { text } => Ok(text.as_str()),
                Block::SearchResult { .. } => Err(format!("{path}: Input should be 'text'")),
            })
            .collect::<Result<Vec<_>, _>>()
            .map(|texts| texts.join("\n")),
    }
}

fn non_blank(text: String, path: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err(format!(
            "{path}: text content blocks must contain non-whitespace text"
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn body() -> Value {
        json!({
            "anthropic_version": VERSION, "max_tokens": 100, "stream": true, "system": "Be brief.",
            "messages": [{ "role": "user", "content": [
                { "type": "search_result", "source": "1", "title": "Pedal",
                  "content": [{ "type": "text", "text": "Press it." }], "citations": { "enabled": true } },
                { "type": "text", "text": "How?" },
            ]}],
        })
    }

    fn complaint(change: impl Fn(&mut Value)) -> String {
        let mut body = body();
        change(&mut body);
        parse(body.to_string().as_bytes()).err().unwrap_or_default()
    }

    #[test]
    fn a_good_request_is_understood() {
        let request = parse(body().to_string().as_bytes()).ok().unwrap();
        assert!(request.stream);
        assert_eq!(request.question.text, "How?");
        assert_eq!(request.question.passages, [["Press it."]]);
        assert_eq!(request.passages[0].title, "Pedal");
    }

    #[test]
    fn a_bad_request_is_refused_as_the_service_refuses_it() {
        let complaints = [
            complaint(|body| body["anthropic_version"] = Value::Null),
            complaint(|body| body["anthropic_version"] = "2023-06-01".into()),
            complaint(|body| body["model"] = "claude-haiku-4-5".into()),
            complaint(|body| body["max_tokens"] = Value::Null),
            complaint(|body| body["messages"] = json!([])),
            complaint(|body| body["messages"][0]["role"] = "assistant".into()),
            complaint(|body| body["messages"][0]["content"][1]["text"] = " ".into()),
            complaint(|body| body["messages"][0]["content"][0]["content"][0]["text"] = "".into()),
            complaint(|body| body["passages"] = json!([])),
        ];
        insta::assert_debug_snapshot!(complaints);
    }
}
