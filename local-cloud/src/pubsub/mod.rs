//! Stands for Pub/Sub: topics, push subscriptions, publishing (REST, v1), and the keys of the tokens that pushes come
//! with. Messages live in memory. Of the real service's promises it keeps the weak ones: at least once, in no order.
//!
//! `ackDeadlineSeconds` may be shorter than the real service's ten, so that a test can miss it.

mod control;
mod delivery;
mod tokens;

use crate::{
    faults::{Faults, Target},
    host, http,
    supabase::KeyError,
};
use axum::{
    Json, Router,
    extract::{Path as UrlPath, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use control::Control;
use delivery::{Delivery, Message, Subscription};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokens::Tokens;

/// Deliveries that are remembered for `/control/pubsub/deliveries`.
const REMEMBERED: usize = 10_000;
/// Messages in one publication, as the real service takes.
const MAX_MESSAGES: usize = 1_000;

/// The service.
pub(crate) struct PubSub {
    http: reqwest::Client,
    faults: Arc<Faults>,
    tokens: Tokens,
    control: Control,
    next_message: AtomicU64,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    topics: BTreeSet<String>,
    subscriptions: BTreeMap<String, Arc<Subscription>>,
    deliveries: VecDeque<Delivery>,
}

impl PubSub {
    /// Reads or makes the signing keys.
    pub(crate) fn set_up(state_dir: &Path, faults: Arc<Faults>) -> Result<Self, KeyError> {
        Ok(Self {
            http: delivery::client(),
            faults,
            tokens: Tokens::set_up(state_dir)?,
            control: Control::default(),
            next_message: AtomicU64::new(1),
            inside: Mutex::default(),
        })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a message and has it delivered to every subscription of its topic.
    fn accept(self: &Arc<Self>, topic: &str, data: String, attributes: Value) -> String {
        let number = self.next_message.fetch_add(1, Ordering::Relaxed);
        let message = Arc::new(Message {
            id: number.to_string(),
            data,
            attributes,
            published: host::now(),
        });
        let to: Vec<Arc<Subscription>> = self
            .inside()
            .subscriptions
            .values()
            .filter(|subscription| subscription.topic == topic)
            .cloned()
            .collect();
        for (message, how) in self.control.dispose(Arc::clone(&message)) {
            for subscription in &to {
                let delivered =
                    Arc::clone(self).deliver(Arc::clone(subscription), Arc::clone(&message), how);
                tokio::spawn(delivered);
            }
        }
        message.id.clone()
    }

    fn remember(&self, delivery: Delivery) {
        let mut inside = self.inside();
        if inside.deliveries.len() == REMEMBERED {
            inside.deliveries.pop_front();
        }
        inside.deliveries.push_back(delivery);
    }
}

/// `/pubsub/v1`, `/google/oauth2/v3/certs` and `/control/pubsub`.
pub(crate) fn router(pubsub: Arc<PubSub>) -> Router {
    Router::new()
        .route(
            "/pubsub/v1/projects/{project}/topics/{topic}",
            put(create_topic).post(publish),
        )
        .route(
            "/pubsub/v1/projects/{project}/subscriptions/{subscription}",
            put(create_subscription),
        )
        .route("/google/oauth2/v3/certs", get(certs))
        .route("/control/pubsub/disturbances", post(control::disturb))
        .route("/control/pubsub/token", put(control::choose_token))
        .route("/control/pubsub/keys", post(rotate))
        .route("/control/pubsub/deliveries", get(deliveries))
        .with_state(pubsub)
}

async fn create_topic(
    State(pubsub): State<Arc<PubSub>>,
    UrlPath((project, topic)): UrlPath<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = http::admit(&pubsub.faults, Target::Pubsub, &headers).await {
        return refusal;
    }
    let name = format!("projects/{project}/topics/{topic}");
    if !pubsub.inside().topics.insert(name.clone()) {
        return http::google_error(409, "ALREADY_EXISTS", "Topic already exists.");
    }
    Json(json!({ "name": name })).into_response()
}

async fn create_subscription(
    State(pubsub): State<Arc<PubSub>>,
    UrlPath((project, subscription)): UrlPath<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if let Err(refusal) = http::admit(&pubsub.faults, Target::Pubsub, &headers).await {
        return refusal;
    }
    let name = format!("projects/{project}/subscriptions/{subscription}");
    let made = match Subscription::read(name.clone(), &body) {
        Ok(made) => made,
        Err(reason) => return http::google_error(400, "INVALID_ARGUMENT", reason),
    };
    let mut inside = pubsub.inside();
    if !inside.topics.contains(&made.topic) {
        return http::google_error(404, "NOT_FOUND", "Topic not found.");
    }
    if inside.subscriptions.contains_key(&name) {
        return http::google_error(409, "ALREADY_EXISTS", "Subscription already exists.");
    }
    inside.subscriptions.insert(name.clone(), Arc::new(made));
    drop(inside);
    let mut reply = body;
    reply["name"] = json!(name);
    reply["state"] = json!("ACTIVE");
    Json(reply).into_response()
}

/// `projects.topics.publish`: the verb follows the topic after a colon.
async fn publish(
    State(pubsub): State<Arc<PubSub>>,
    UrlPath((project, call)): UrlPath<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if let Err(refusal) = http::admit(&pubsub.faults, Target::Pubsub, &headers).await {
        return refusal;
    }
    let Some(topic) = call.strip_suffix(":publish") else {
        return http::google_error(404, "NOT_FOUND", "No such method.");
    };
    let topic = format!("projects/{project}/topics/{topic}");
    if !pubsub.inside().topics.contains(&topic) {
        return http::google_error(404, "NOT_FOUND", "Topic not found.");
    }
    let messages = body["messages"].as_array().map_or(&[][..], Vec::as_slice);
    if messages.is_empty() || messages.len() > MAX_MESSAGES || !messages.iter().all(is_sound) {
        let reason = "Each of 1 to 1000 messages has non-empty base64 data or an attribute.";
        return http::google_error(400, "INVALID_ARGUMENT", reason);
    }
    let ids: Vec<String> = messages
        .iter()
        .map(|message| {
            let data = message["data"].as_str().unwrap_or_default().to_owned();
            pubsub.accept(&topic, data, message["attributes"].clone())
        })
        .collect();
    Json(json!({ "messageIds": ids })).into_response()
}

fn is_sound(message: &Value) -> bool {
    use base64ct::{Base64, Encoding};
    let data = message["data"].as_str().unwrap_or_default();
    let has_attributes = message["attributes"]
        .as_object()
        .is_some_and(|attributes| !attributes.is_empty());
    Base64::decode_vec(data).is_ok() && (!data.is_empty() || has_attributes)
}

/// The public keys of Google's tokens, by which whoever is pushed to knows that it was Pub/Sub.
async fn certs(State(pubsub): State<Arc<PubSub>>) -> Json<Value> {
    Json(pubsub.tokens.jwks())
}

/// New tokens are signed with a new key from now on. The one before stays published.
async fn rotate(State(pubsub): State<Arc<PubSub>>) -> StatusCode {
    match pubsub.tokens.rotate() {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What was delivered, oldest first.
async fn deliveries(State(pubsub): State<Arc<PubSub>>) -> Json<Vec<Delivery>> {
    Json(pubsub.inside().deliveries.iter().cloned().collect())
}
