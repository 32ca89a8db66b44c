//! A student asks and gets an answer that she can look up.

use journeys::{PEDALLING, WALTZ, booklet_path, journey};
use shared_types::{
    chat::{CacheOutcome, Citation, FinishReason},
    documents::Visibility,
};

/// The text of each page, read by another extractor than the product's, white space and hyphens apart.
fn pages_of(booklet: &str) -> Vec<String> {
    let pages = pdf_extract::extract_text_by_pages(booklet_path(booklet)).unwrap();
    pages.iter().map(|page| squash(page)).collect()
}

fn squash(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '\u{ad}'))
        .collect()
}

fn assert_stands_on_its_page(citation: &Citation, pages: &[String]) {
    let page = &pages[citation.page as usize - 1];
    assert!(
        page.contains(&squash(&citation.quote)),
        "page {} does not say {:?}",
        citation.page,
        citation.quote
    );
}

#[test]
fn every_quoted_word_stands_on_the_cited_page() {
    journey(async |school| {
        school.shows_pedalling().await;

        let answer = school.student.browser.ask_to_end(WALTZ).await.unwrap();

        assert!(answer.error.is_none(), "{:?}", answer.error);
        assert_eq!(answer.done.unwrap().finish_reason, FinishReason::Complete);
        assert!(answer.text.contains("beat 2"), "{}", answer.text);
        assert!(!answer.citations.is_empty());
        let pages = pages_of(PEDALLING);
        for citation in &answer.citations {
            assert_eq!(citation.document_title, "04-pedalling");
            assert_stands_on_its_page(citation, &pages);
        }
        assert!(answer.citations.iter().any(|citation| citation.page == 5));
        for stage in ["auth", "scope", "search", "embed", "retrieve", "rerank"] {
            let timed = answer
                .stages
                .iter()
                .any(|(name, ms, _)| name == stage && ms.is_some());
            assert!(timed, "no time of {stage} in {:?}", answer.stages);
        }
    });
}

#[test]
fn asking_again_is_answered_from_the_cache_and_says_so() {
    journey(async |school| {
        school.shows_pedalling().await;
        let browser = &school.student.browser;
        let first = browser.ask_to_end(WALTZ).await.unwrap();
        assert_eq!(first.meta.unwrap().cache.answer, CacheOutcome::Miss);
        let calls = school.stack.faults().calls().await.unwrap();

        let again = browser.ask_to_end(&WALTZ.to_uppercase()).await.unwrap();

        let cache = again.meta.unwrap().cache;
        assert_eq!(
            (cache.search, cache.answer),
            (CacheOutcome::Hit, CacheOutcome::Hit)
        );
        assert_eq!(again.text, first.text);
        assert_eq!(again.citations, first.citations);
        assert_eq!(
            school.stack.faults().calls().await.unwrap(),
            calls,
            "a model was called"
        );
    });
}

#[test]
fn json_says_the_same_as_the_stream() {
    journey(async |school| {
        school.shows_pedalling().await;
        let browser = &school.student.browser;

        let json = browser.ask_json(WALTZ).await.unwrap();
        let stream = browser.ask_to_end(WALTZ).await.unwrap();

        assert_eq!(json.citations.len(), {
            let mut markers: Vec<_> = stream.citations.iter().map(|c| c.marker).collect();
            markers.dedup();
            markers.len()
        });
        for citation in &json.citations {
            assert!(stream.citations.contains(citation));
            assert!(json.answer.contains(&format!("[{}]", citation.marker)));
        }
        let mut without_markers = json.answer.clone();
        for citation in &json.citations {
            without_markers = without_markers.replace(&format!(" [{}]", citation.marker), "");
        }
        assert_eq!(without_markers, stream.text);
        let done = stream.done.unwrap();
        assert!((json.confidence - done.confidence).abs() < 1e-9);
        assert_eq!(json.finish_reason, done.finish_reason);
        assert_eq!(json.sources, stream.meta.unwrap().sources);
    });
}

#[test]
fn what_the_library_does_not_cover_is_not_made_up() {
    journey(async |school| {
        school.shows_pedalling().await;

        let question = "Which wine goes with grilled mackerel?";
        let answer = school.student.browser.ask_to_end(question).await.unwrap();

        assert_eq!(answer.done.unwrap().finish_reason, FinishReason::NotCovered);
        assert!(answer.citations.is_empty());
    });
}

#[test]
fn a_refusal_lists_the_nearest_pages_and_does_not_outlive_the_upload_that_answers() {
    journey(async |school| {
        school.shows_pedalling().await;
        let browser = &school.student.browser;
        let question = "What is the lighthouse drill?";
        for answer in [CacheOutcome::Miss, CacheOutcome::Hit] {
            let refused = browser.ask_json(question).await.unwrap();
            assert_eq!(refused.finish_reason, FinishReason::NotCovered);
            assert_eq!(refused.cache.answer, answer);
            assert!(refused.answer.contains("does not cover"));
            assert_eq!(refused.sources.len(), 3);
            for source in &refused.sources {
                assert_eq!(source.document_title, "04-pedalling");
            }
        }

        let handbook = "06-studio-handbook-first-teacher.pdf";
        let handbook = school
            .teacher
            .adds_booklet(handbook, Visibility::Private)
            .await;

        let answered = browser.ask_json(question).await.unwrap();
        assert_eq!(answered.finish_reason, FinishReason::Complete);
        let mut cited = answered.citations.iter().map(|cited| cited.document_id);
        assert!(cited.any(|document| document == handbook.id));
    });
}
