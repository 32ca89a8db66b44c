//! What no real service lets one ask for: messages that are lost, doubled, late or out of order, and wrong tokens.

use super::{PubSub, delivery::Message};
use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The pause between two messages that come in the wrong order.
const APART: Duration = Duration::from_millis(50);
/// Messages that can be told to wait for each other.
const MAX_REVERSED: usize = 1_000;

/// What becomes of the next published messages.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Disturbance {
    /// The next message is never delivered.
    Drop,
    /// The next message is delivered twice, whether acknowledged or not.
    Twice,
    /// The next message is delivered after so long.
    Late {
        /// Milliseconds.
        ms: u64,
    },
    /// The next messages are kept until there are so many, and come last first.
    Reversed {
        /// How many.
        messages: usize,
    },
}

/// Which token pushes come with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TokenKind {
    /// The subscription's.
    #[default]
    Genuine,
    /// None.
    Missing,
    /// One that ended an hour ago.
    Expired,
    /// One that a key signed that is not published.
    ForeignKey,
    /// One for somebody else.
    OtherAudience,
    /// One of another service account.
    OtherAccount,
    /// One of another issuer.
    OtherIssuer,
}

/// How a message is delivered.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    /// Wait before the first delivery.
    pub(super) after: Duration,
}

const AT_ONCE: How = How {
    after: Duration::ZERO,
};

#[derive(Default)]
pub(super) struct Control(Mutex<Orders>);

#[derive(Default)]
struct Orders {
    disturbances: VecDeque<Disturbance>,
    held: Vec<Arc<Message>>,
    token: TokenKind,
}

impl Control {
    fn state(&self) -> std::sync::MutexGuard<'_, Orders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn token(&self) -> TokenKind {
        self.state().token
    }

    /// What is delivered now that this message has come, and how.
    pub(super) fn dispose(&self, message: Arc<Message>) -> Vec<(Arc<Message>, How)> {
        let mut state = self.state();
        match state.disturbances.front().copied() {
            None => vec![(message, AT_ONCE)],
            Some(Disturbance::Reversed { messages }) => {
                state.held.push(message);
                if state.held.len() < messages {
                    return Vec::new();
                }
                state.disturbances.pop_front();
                let held = std::mem::take(&mut state.held).into_iter().rev();
                (0..)
                    .zip(held)
                    .map(|(place, message)| {
                        let after = APART * place;
                        (message, How { after })
                    })
                    .collect()
            }
            Some(once) => {
                state.disturbances.pop_front();
                match once {
                    Disturbance::Twice => vec![(Arc::clone(&message), AT_ONCE), (message, AT_ONCE)],
                    Disturbance::Late { ms } => {
                        let after = Duration::from_millis(ms);
                        vec![(message, How { after })]
                    }
                    Disturbance::Drop | Disturbance::Reversed { .. } => Vec::new(),
                }
            }
        }
    }
}

/// Disturbances strike in the order in which they were armed.
pub(super) async fn disturb(
    State(pubsub): State<Arc<PubSub>>,
    Json(disturbance): Json<Disturbance>,
) -> Result<StatusCode, (StatusCode, &'static str)> {
    if matches!(disturbance, Disturbance::Reversed { messages } if !(2..=MAX_REVERSED).contains(&messages))
    {
        return Err((
            StatusCode::UNPROCESSABLE_ENTITY,
            "messages must be 2 to 1000",
        ));
    }
    pubsub.control.state().disturbances.push_back(disturbance);
    Ok(StatusCode::NO_CONTENT)
}

/// Pushes come with this token from now on.
pub(super) async fn choose_token(
    State(pubsub): State<Arc<PubSub>>,
    Json(kind): Json<TokenKind>,
) -> StatusCode {
    pubsub.control.state().token = kind;
    StatusCode::NO_CONTENT
}
