//! Passages, and who may read which.

use sha2::{Digest, Sha256};
use shared_types::{
    chat::{Citation, FinishReason, Usage},
    event::{AnswerEvent, Delta, Done},
    feedback::CuratedBy,
    ids::{ChunkId, CuratedAnswerId, DocumentId},
    origin::{AnswerRequest, Passage, Scope, ScopeVersion, Scoring},
    purge::Purges,
};
use std::{cell::RefCell, collections::BTreeMap};
use uuid::Uuid;

/// A student of the first teacher.
pub const FIRST_STUDENT: Uuid = Uuid::from_u128(0xA);
/// A student of the second teacher.
pub const OTHER_STUDENT: Uuid = Uuid::from_u128(0xB);
/// Another student of the first teacher.
pub const CLASSMATE: Uuid = Uuid::from_u128(0xC);

/// Passages by reader, in the order of fusion.
#[derive(Default)]
pub struct Library {
    shelves: RefCell<BTreeMap<Uuid, Vec<Passage>>>,
    /// What a teacher answers herself to every question of somebody.
    curated: RefCell<BTreeMap<Uuid, CuratedAnswerId>>,
}

impl Library {
    /// Two teachers' private handbooks and a public method: two students read the first teacher's
    /// handbook, another the second's.
    pub fn of_two_teachers() -> Self {
        let public: Vec<Passage> = (1..=4)
            .map(|n| passage(n, "Keep the wrist level."))
            .collect();
        let first = passage(101, "First teacher: practise scales at 60.");
        let second = passage(201, "Second teacher: practise scales at 90.");
        let library = Self::default();
        for (person, private) in [
            (FIRST_STUDENT, &first),
            (CLASSMATE, &first),
            (OTHER_STUDENT, &second),
        ] {
            let mut shelf = public.clone();
            shelf.push(private.clone());
            library.shelves.borrow_mut().insert(person, shelf);
        }
        library
    }

    /// Clears somebody's shelf.
    pub fn clear(&self, person: Uuid) {
        self.shelves.borrow_mut().remove(&person);
    }

    /// Puts on somebody's shelf what another has on theirs.
    pub fn lend(&self, from: Uuid, to: Uuid) {
        let lent = self.readable(from);
        self.shelves.borrow_mut().insert(to, lent);
    }

    /// Has a teacher answer somebody's questions herself, or no longer.
    pub fn curate(&self, person: Uuid, answer: Option<CuratedAnswerId>) {
        let mut curated = self.curated.borrow_mut();
        match answer {
            Some(answer) => curated.insert(person, answer),
            None => curated.remove(&person),
        };
    }

    /// What a teacher answers herself to somebody's questions.
    pub fn curated(&self, person: Uuid) -> Option<CuratedAnswerId> {
        self.curated.borrow().get(&person).copied()
    }

    /// What somebody may read.
    pub fn readable(&self, person: Uuid) -> Vec<Passage> {
        self.shelves
            .borrow()
            .get(&person)
            .cloned()
            .unwrap_or_default()
    }

    /// A digest of what somebody may read.
    pub fn scope(&self, person: Uuid) -> Scope {
        let mut hash = Sha256::new();
        for passage in self.readable(person) {
            hash.update(passage.chunk_id.0.as_bytes());
        }
        if let Some(curated) = self.curated(person) {
            hash.update(curated.0.as_bytes());
        }
        Scope {
            version: ScopeVersion {
                scope_version: hex::encode(hash.finalize()),
            },
            purges: Purges::default(),
        }
    }

    /// The answer that the model writes for somebody: it quotes every passage it is given.
    /// Panics where a passage is not theirs to read.
    pub fn answer(&self, person: Uuid, request: &AnswerRequest) -> Vec<AnswerEvent> {
        let readable = self.readable(person);
        let mut events = Vec::new();
        let curated_by = request.curated.map(|id| CuratedBy {
            id,
            teacher_name: "A. Teacher".to_owned(),
        });
        if curated_by.is_some() {
            assert_eq!(request.curated, self.curated(person), "not theirs to read");
            let text = "In my studio we do it otherwise.".to_owned();
            events.push(AnswerEvent::Delta(Delta { text }));
        }
        let passages = request.passages.iter();
        let told = if curated_by.is_some() {
            0
        } else {
            request.passages.len()
        };
        for (index, chosen) in passages.take(told).enumerate() {
            let found = readable
                .iter()
                .find(|passage| passage.chunk_id == chosen.chunk_id);
            let passage = found.expect("the edge asked for a passage that the caller can't read");
            events.push(AnswerEvent::Delta(Delta {
                text: format!("{} ", passage.content),
            }));
            events.push(AnswerEvent::Citation(citation(passage, index)));
        }
        if events.is_empty() {
            events.push(AnswerEvent::Delta(Delta {
                text: "Your library does not cover this.".to_owned(),
            }));
        }
        events.push(AnswerEvent::Done(Done {
            finish_reason: FinishReason::Complete,
            confidence: 0.8,
            usage: Usage {
                input_tokens: 900,
                output_tokens: 40,
                cache_read_tokens: 800,
                cache_write_tokens: 20,
                cost_microusd: Some(385),
            },
            curated_by,
            model_first_token_ms: Some(410.0),
            model_total_ms: Some(900.0),
        }));
        events
    }
}

/// A passage with a number.
pub fn passage(number: u128, content: &str) -> Passage {
    let content = format!("{content} ({number})");
    let hash = Sha256::digest(&content);
    Passage {
        chunk_id: ChunkId(Uuid::from_u128(number)),
        document_id: DocumentId(Uuid::from_u128(number / 100)),
        document_title: format!("Document {}", number / 100),
        page_start: 3,
        page_end: 4,
        section: Some("Scales".to_owned()),
        content_sha256: hex::encode(hash),
        content,
        generation: 0,
        scoring: Scoring {
            fused_score: 1.0 / (60.0 + number as f64),
            ..Scoring::default()
        },
    }
}

/// The citation of a whole passage, the one at this place among those that were chosen.
pub fn citation(passage: &Passage, index: usize) -> Citation {
    Citation {
        marker: index as u32 + 1,
        chunk_id: passage.chunk_id,
        document_id: passage.document_id,
        document_title: passage.document_title.clone(),
        page: passage.page_start,
        quote: passage.content.clone(),
        start_char: 0,
        end_char: passage.content.chars().count() as u32,
        areas: vec![[850, 4_100, 3_020, 4_230]],
    }
}
