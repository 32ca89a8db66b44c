use super::*;
use crate::{
    chat::{Citation, FinishReason, Usage},
    embedding::DIMENSIONS,
    ids::{ChunkId, DocumentId},
    purge::{PurgedAnswer, Purges},
};
use proptest::{collection::vec, prelude::*};
use std::collections::BTreeSet;
use uuid::Uuid;

const NOW_S: i64 = 1_800_000_000;

fn version(text: &str) -> ScopeVersion {
    ScopeVersion {
        scope_version: hex::encode(Sha256::digest(text)),
    }
}

fn reading() -> ScopeReading {
    ScopeReading {
        scope: Scope {
            version: version("s"),
            purges: Purges::default(),
        },
        read_at_s: NOW_S,
    }
}

fn passage(number: u128, score: f64) -> FoundPassage {
    FoundPassage {
        source: Source {
            chunk_id: ChunkId(Uuid::from_u128(number)),
            document_id: DocumentId(Uuid::from_u128(number * 100)),
            document_title: "Pedalling".into(),
            page_start: 4,
            page_end: 5,
            section: None,
            score: Some(score),
        },
        content_sha256: hex::encode(Sha256::digest(number.to_le_bytes())),
        generation: 0,
    }
}

fn results() -> SearchResults {
    SearchResults {
        passages: vec![passage(1, 0.9), passage(2, 0.4)],
        curated: None,
    }
}

fn citation(marker: u32, number: u128) -> AnswerPiece {
    AnswerPiece::Citation(Citation {
        marker,
        chunk_id: ChunkId(Uuid::from_u128(number)),
        document_id: DocumentId(Uuid::from_u128(number * 100)),
        document_title: "Pedalling".into(),
        page: 4,
        quote: "Change the pedal after the chord.".into(),
        start_char: 120,
        end_char: 153,
        areas: vec![[850, 4_100, 3_020, 4_230]],
    })
}

fn answer() -> StoredAnswer {
    StoredAnswer {
        pieces: vec![
            AnswerPiece::Text("After the chord.".into()),
            citation(1, 1),
            AnswerPiece::Text(" And late.".into()),
            citation(2, 2),
            citation(1, 1),
        ],
        confidence: 0.8,
        finish_reason: FinishReason::Complete,
        usage: Usage::default(),
        curated_by: None,
    }
}

fn key_of<'a>(passages: &'a [FoundPassage], purges: &Purges) -> AnswerKey<'a> {
    AnswerKey::new("m/prompt-1", "what is legato", passages, None, purges)
}

fn purges(everything: u64, reader: u64) -> Purges {
    Purges {
        everything,
        reader,
        answers: vec![],
    }
}

fn search_key(scope: &str, query: &str, filters: &SearchFilters) -> String {
    SearchKey {
        scope: &version(scope),
        models: "m",
        query,
        filters,
    }
    .text()
}

fn within(documents: &[u128]) -> SearchFilters {
    let documents = documents.iter().map(|id| DocumentId(Uuid::from_u128(*id)));
    SearchFilters {
        document_ids: documents.collect(),
        ..SearchFilters::default()
    }
}

/// Filters of every kind, from so few values that two of them are often the same.
fn filters() -> impl Strategy<Value = SearchFilters> {
    let ids = || vec((1..4_u128).prop_map(Uuid::from_u128), 0..4);
    let page = || prop::option::of(1..3_u32);
    let time = || prop::option::of(1..3_i64);
    (ids(), ids(), page(), page(), time(), time()).prop_map(
        |(documents, owners, first_page, last_page, uploaded_from_s, uploaded_before_s)| {
            SearchFilters {
                document_ids: documents.into_iter().map(DocumentId).collect(),
                owner_ids: owners.into_iter().map(UserId).collect(),
                first_page,
                last_page,
                uploaded_from_s,
                uploaded_before_s,
            }
        },
    )
}

#[test]
fn the_text_of_every_key_is_pinned() {
    let id = Uuid::from_u128(7);
    let passages = [passage(7, 0.9)];
    let plain = key_of(&passages, &Purges::default());
    let keys = [
        EmbedKey {
            embedding_model: "@cf/baai/bge-base-en-v1.5#cls",
            query: "what is legato",
            generation: 0,
        }
        .text(),
        search_key("s1", "what is legato", &within(&[7])),
        search_key(
            "s1",
            "what is legato",
            &SearchFilters {
                owner_ids: vec![UserId(id)],
                first_page: Some(2),
                uploaded_from_s: Some(NOW_S),
                ..within(&[7])
            },
        ),
        plain.text(),
        answer_key_text(plain.id(), Some(12)),
        ScopeKey {
            user_id: UserId(id),
        }
        .text(),
    ];
    insta::assert_snapshot!(keys.join("\n"));
}

#[test]
fn two_readers_with_different_scopes_never_share_a_search() {
    assert_ne!(
        search_key("a", "legato", &within(&[])),
        search_key("b", "legato", &within(&[]))
    );
}

proptest! {
    /// Sets, not lists: neither order nor repetition makes another search, and everything else does.
    #[test]
    fn filters_share_a_key_just_where_they_are_the_same_search(a in filters(), b in filters()) {
        let sets = |filters: &SearchFilters| (
            BTreeSet::from_iter(filters.document_ids.clone()),
            BTreeSet::from_iter(filters.owner_ids.clone()),
            (filters.first_page, filters.last_page),
            (filters.uploaded_from_s, filters.uploaded_before_s),
        );
        let are_the_same = search_key("s", "q", &a) == search_key("s", "q", &b);
        prop_assert_eq!(are_the_same, sets(&a) == sets(&b));
        let mut shuffled = a.clone();
        shuffled.document_ids.reverse();
        shuffled.owner_ids.extend(a.owner_ids.first().copied());
        prop_assert_eq!(search_key("s", "q", &a), search_key("s", "q", &shuffled));
    }
}

#[test]
fn every_purge_that_concerns_an_answer_changes_its_key() {
    let passages = [passage(7, 0.9)];
    let plain = key_of(&passages, &Purges::default());
    let of_reader = key_of(&passages, &purges(0, 3));
    let mut of_owner = passages.clone();
    of_owner[0].generation = 3;
    let of_owner = key_of(&of_owner, &Purges::default());
    let of_answer = |id: &AnswerId, generation| Purges {
        answers: vec![PurgedAnswer {
            id: id.clone(),
            generation,
        }],
        ..Purges::default()
    };
    let alone = key_of(&passages, &of_answer(plain.id(), 3));
    let again = key_of(&passages, &of_answer(plain.id(), 4));
    let texts = [&plain, &of_reader, &of_owner, &alone, &again].map(CacheKey::text);
    for (at, text) in texts.iter().enumerate() {
        assert!(!texts[..at].contains(text), "{text}");
    }
    assert_eq!(
        alone.id(),
        plain.id(),
        "it can be purged under the same id again"
    );
    let others = key_of(&passages, &of_answer(of_owner.id(), 3));
    assert_eq!(others.text(), plain.text());
    // Nothing was found: there is no owner, and still a reader.
    assert_ne!(
        key_of(&[], &Purges::default()).text(),
        key_of(&[], &purges(3, 3)).text()
    );
}

#[test]
fn an_embedding_is_made_anew_after_a_purge_of_everything() {
    let text = |generation| {
        EmbedKey {
            embedding_model: "m",
            query: "legato",
            generation,
        }
        .text()
    };
    assert_ne!(text(0), text(1));
}

#[test]
fn a_scope_reading_ends_after_a_minute_whoever_kept_it() {
    let reading = reading();
    assert!(reading.is_fresh(NOW_S) && reading.is_fresh(NOW_S + 59));
    assert!(!reading.is_fresh(NOW_S + 60) && !reading.is_fresh(NOW_S - 1));
}

/// Whether a value reads back, after something was done to it.
fn reads_back<V: CacheValue + Clone>(value: &V, change: impl FnOnce(&mut V)) -> bool {
    let mut value = value.clone();
    change(&mut value);
    open::<V>("k", &seal("k", &value)).is_ok()
}

#[test]
fn search_results_that_can_not_be_are_a_miss() {
    assert!(reads_back(&results(), |_| ()));
    assert!(reads_back(&results(), |results| results.passages.clear()));
    let lies: [fn(&mut Vec<FoundPassage>); 10] = [
        |passages| passages.extend([passage(3, 0.2), passage(4, 0.1)]),
        |passages| passages[1] = passages[0].clone(),
        |passages| passages.swap(0, 1),
        |passages| passages[0].source.page_start = 0,
        |passages| passages[0].source.page_end = 3,
        |passages| passages[0].source.score = Some(1.01),
        |passages| passages[1].source.score = Some(-0.01),
        |passages| passages[1].source.score = None,
        |passages| passages[0].content_sha256.truncate(63),
        |passages| passages[0].content_sha256 = "AB".repeat(32),
    ];
    for (at, lie) in lies.into_iter().enumerate() {
        assert!(
            !reads_back(&results(), |results| lie(&mut results.passages)),
            "{at}"
        );
    }
}

#[test]
fn an_answer_that_can_not_be_is_a_miss() {
    assert!(reads_back(&answer(), |_| ()));
    let lies: [fn(&mut StoredAnswer); 8] = [
        |answer| answer.pieces.clear(),
        |answer| answer.pieces[0] = AnswerPiece::Text("a".repeat(MAX_STORED_BYTES + 1)),
        |answer| answer.finish_reason = FinishReason::Length,
        |answer| answer.finish_reason = FinishReason::Declined,
        |answer| answer.confidence = 1.5,
        |answer| answer.confidence = -0.5,
        |answer| answer.pieces[1] = citation(0, 1),
        |answer| answer.pieces[1] = citation(2, 1),
    ];
    for (at, lie) in lies.into_iter().enumerate() {
        assert!(!reads_back(&answer(), lie), "{at}");
    }
}

#[test]
fn an_answer_cites_the_passages_of_its_own_key_alone() {
    let passages = results().passages;
    let key = key_of(&passages, &Purges::default());
    assert!(key.check(&answer(), NOW_S).is_ok());
    let lies: [fn(&mut Citation); 4] = [
        |citation| citation.chunk_id = ChunkId(Uuid::from_u128(3)),
        |citation| citation.document_id = DocumentId(Uuid::from_u128(3)),
        |citation| citation.page = 3,
        |citation| citation.page = 6,
    ];
    for lie in lies {
        let mut answer = answer();
        let AnswerPiece::Citation(citation) = &mut answer.pieces[1] else {
            unreachable!("the second piece is a citation");
        };
        lie(citation);
        assert!(key.check(&answer, NOW_S).is_err(), "{answer:?}");
    }
    let other = key_of(&passages[..1], &Purges::default());
    assert!(other.check(&answer(), NOW_S).is_err());
}

#[test]
fn a_scope_that_can_not_be_is_a_miss() {
    assert!(reads_back(&reading(), |_| ()));
    let lies: [fn(&mut ScopeReading); 4] = [
        |reading| reading.scope.version.scope_version = "s".into(),
        |reading| reading.scope.version.scope_version.make_ascii_uppercase(),
        |reading| reading.scope.purges = purges(2, 1),
        |reading| {
            let purged = |generation| PurgedAnswer {
                id: "5c".repeat(32).parse().unwrap(),
                generation,
            };
            reading.scope.purges.answers = (0..33).map(purged).collect();
        },
    ];
    for (at, lie) in lies.into_iter().enumerate() {
        assert!(!reads_back(&reading(), lie), "{at}");
    }
    let key = ScopeKey {
        user_id: UserId(Uuid::nil()),
    };
    assert!(key.check(&reading(), NOW_S).is_ok());
    assert!(key.check(&reading(), NOW_S - 1).is_err());
}

#[test]
fn an_embedding_without_a_direction_is_a_miss() {
    let embedding = |component| Embedding::new(vec![component; DIMENSIONS]).unwrap();
    assert!(reads_back(&embedding(0.5), |_| ()));
    assert!(!reads_back(&embedding(0.0), |_| ()));
}

#[test]
fn a_value_is_none_under_another_key() {
    let stored = seal("llm:v1:a", &answer());
    assert_eq!(open::<StoredAnswer>("llm:v1:a", &stored).unwrap(), answer());
    assert!(open::<StoredAnswer>("llm:v1:b", &stored).is_err());
}

/// What becomes of stored bytes.
#[derive(Clone, Debug)]
enum Mishap {
    Flip(usize, u8),
    Cut(usize),
    Insert(usize, u8),
    Swap(usize, usize),
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        (any::<usize>(), 1..=u8::MAX).prop_map(|(at, bits)| Mishap::Flip(at, bits)),
        any::<usize>().prop_map(Mishap::Cut),
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Mishap::Insert(at, byte)),
        (any::<usize>(), any::<usize>()).prop_map(|(one, other)| Mishap::Swap(one, other)),
    ]
}

impl Mishap {
    fn befall(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        if length == 0 {
            return;
        }
        match *self {
            Self::Flip(at, bits) => bytes[at % length] ^= bits,
            Self::Cut(at) => bytes.truncate(at % length),
            Self::Insert(at, byte) => bytes.insert(at % length, byte),
            Self::Swap(one, other) => bytes.swap(one % length, other % length),
        }
    }
}

fn is_equal_or_a_miss<V: CacheValue + PartialEq>(value: &V, mishaps: &[Mishap]) -> bool {
    let mut bytes = seal("k", value);
    for mishap in mishaps {
        mishap.befall(&mut bytes);
    }
    open::<V>("k", &bytes).is_ok_and(|found| found == *value) || open::<V>("k", &bytes).is_err()
}

proptest! {
    #[test]
    fn moving_a_boundary_between_parts_changes_the_key(a in ".{0,12}", b in ".{1,12}") {
        let text = |embedding_model: &str, query: &str| {
            EmbedKey { embedding_model, query, generation: 0 }.text()
        };
        prop_assert_ne!(text(&format!("{a}{b}"), ""), text(&a, &b));
    }

    #[test]
    fn a_value_that_came_to_harm_is_the_same_or_a_miss(mishaps in vec(mishap(), 1..4), word in "\\PC{1,9}") {
        let mut titled = results();
        titled.passages[0].source.document_title.clone_from(&word);
        prop_assert!(is_equal_or_a_miss(&titled, &mishaps));
        let mut told = answer();
        told.pieces.push(AnswerPiece::Text(word));
        prop_assert!(is_equal_or_a_miss(&told, &mishaps));
        prop_assert!(is_equal_or_a_miss(&reading(), &mishaps));
        let embedding = Embedding::new(vec![0.25; DIMENSIONS]).unwrap();
        prop_assert!(is_equal_or_a_miss(&embedding, &mishaps));
    }

    #[test]
    fn foreign_bytes_are_a_miss_and_never_a_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = SearchResults::decode(&bytes);
        let _ = StoredAnswer::decode(&bytes);
        let _ = ScopeReading::decode(&bytes);
        let _ = Embedding::decode(&bytes);
        prop_assert!(open::<ScopeReading>("k", &bytes).is_err());
    }
}
