//! An adapter on the bench: it is asked, and what it tells is held against what its provider sent.

use super::{
    server::{Reply, Server},
    shapes::Shape,
};
use crate::llm::{
    AnswerModel, Begun, ModelError, ModelEvent, Prompt, PromptPassage, Quote,
    configured::configured, connect,
};
use futures_util::StreamExt;
use shared_types::chat::{FinishReason, Usage};
use std::sync::Arc;

/// An adapter under test, and its provider.
pub(super) struct Bench {
    pub(super) shape: Shape,
    pub(super) server: Server,
    model: Arc<dyn AnswerModel>,
}

impl Bench {
    pub(super) async fn new(shape: Shape) -> Self {
        Self::with(shape, &[]).await
    }

    /// With these variables beside the usual ones.
    pub(super) async fn with(shape: Shape, variables: &[(&str, &str)]) -> Self {
        let server = Server::start().await;
        let base = format!("http://{}", server.address);
        let vertex = format!("{base}/v1");
        let own = [
            ("ANTHROPIC_API_KEY", "the-key"),
            ("ANTHROPIC_BASE_URL", &base),
            ("VERTEX_BASE_URL", &vertex),
            ("GCE_METADATA_HOST", &server.address),
            ("LLM_INPUT_PRICE_MICROUSD", "1000000"),
            ("LLM_OUTPUT_PRICE_MICROUSD", "5000000"),
            ("LLM_CACHE_READ_PRICE_MICROUSD", "100000"),
            ("LLM_CACHE_WRITE_PRICE_MICROUSD", "1250000"),
        ];
        let all = [variables, shape.variables, &own].concat();
        let model = connect(&configured(&all)).unwrap();
        Self {
            shape,
            server,
            model,
        }
    }

    pub(super) async fn ask(&self) -> Result<Begun, ModelError> {
        self.model.answer(prompt()).await
    }

    /// All that is told in reply to this, neighbouring texts as one, and how it ends.
    pub(super) async fn told(&self, reply: Reply) -> (Vec<ModelEvent>, Result<(), ModelError>) {
        self.server.will(reply);
        told(self.ask().await.unwrap()).await
    }

    /// Why there is no answer.
    pub(super) async fn refused(&self) -> ModelError {
        self.ask().await.err().expect("there is no answer")
    }

    /// The answer that [`Shape::answer`] is.
    pub(super) async fn answers(&self) {
        let (events, outcome) = told(self.ask().await.unwrap()).await;
        outcome.unwrap();
        assert_answer(&events);
    }

    pub(super) fn calls(&self) -> usize {
        self.server.asked().len()
    }
}

fn prompt() -> Prompt {
    Prompt {
        system: "Answer from the search results.",
        passages: vec![PromptPassage {
            title: "Posture".into(),
            blocks: vec!["Sit tall.".into(), "Keep the wrist level.".into()],
        }],
        question: "Wie halte ich mein Handgelenk?".into(),
    }
}

async fn told(mut begun: Begun) -> (Vec<ModelEvent>, Result<(), ModelError>) {
    let mut told: Vec<ModelEvent> = Vec::new();
    while let Some(event) = begun.events.next().await {
        match event {
            Ok(ModelEvent::Text(more)) => match told.last_mut() {
                Some(ModelEvent::Text(before)) => before.push_str(&more),
                _ => told.push(ModelEvent::Text(more)),
            },
            // What it has used by now; its end repeats it.
            Ok(ModelEvent::Counted(_)) => {}
            Ok(event) => told.push(event),
            Err(error) => {
                assert!(begun.events.next().await.is_none(), "nothing follows");
                return (told, Err(error));
            }
        }
    }
    (told, Ok(()))
}

fn text(text: &str) -> ModelEvent {
    ModelEvent::Text(text.into())
}

fn assert_answer(events: &[ModelEvent]) {
    let quote = Quote {
        passage: 0,
        start_block: 1,
        end_block: 2,
        text: "Keep the wrist level.".into(),
    };
    let [claims @ .., end] = events else {
        panic!("nothing was told");
    };
    let expected = [
        text("Halte das Handgelenk ruhig – für Geläufigkeit."),
        ModelEvent::Cited(vec![quote]),
        text(" Übe langsam."),
        ModelEvent::Cited(vec![]),
    ];
    assert_eq!(claims, expected);
    let ModelEvent::End {
        finish_reason,
        usage,
    } = end
    else {
        panic!("{end:?} is no end");
    };
    assert_eq!(*finish_reason, FinishReason::Complete);
    // 412 tokens of the prompt at 1 dollar a million, 8 from the cache at 0.1, and 37 of the answer at 5.
    let expected = Usage {
        input_tokens: 420,
        output_tokens: 37,
        cache_read_tokens: 8,
        cache_write_tokens: 0,
        cost_microusd: Some(598),
    };
    assert_eq!(*usage, expected);
}
