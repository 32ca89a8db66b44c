//! Isolation and freshness, in any order of events: random histories of a school are played through
//! the real gateway, and an oracle that knows nothing of caches judges every response.
//!
//! *Isolation:* no response shows a word of a text that its reader could at no moment read since
//! [`STALENESS_BOUND_S`](shared_types::cache::STALENESS_BOUND_S) before the question.
//! *Freshness:* a complete answer rests on every text on the topic that the reader could read all
//! that time.
//! *Purges:* no response holds an answer, a passage or anything found by an embedding that was made before a
//! purge which concerned it, and which was on record [`STALENESS_BOUND_S`](shared_types::cache::STALENESS_BOUND_S)
//! before the question.
//!
//! Where the edge was told of a change in a quiet moment, and its store is prompt, the
//! moment of telling takes the bound's place in all three.

mod chance;
mod history;
mod host;
mod judge;
mod kv;
mod library;
mod oracle;
mod origin;
mod play;
mod purges;

use history::{History, histories};
use host::Sabotage;
use judge::Tally;
use play::play;
use proptest::{
    prelude::ProptestConfig,
    test_runner::{RngSeed, TestCaseError, TestError, TestRunner},
};
use std::cell::Cell;

/// Histories in an ordinary run; `PROPTEST_CASES` raises it.
const HISTORIES: u32 = 30_000;
/// Steps in a history, at most.
const STEPS: usize = 40;
/// The seed of an ordinary run; `PROPTEST_RNG_SEED` chooses another.
const SEED: u64 = 1_685;

/// Plays histories until one is wrong, and returns it with what is wrong.
fn search(
    histories_at_most: u32,
    max_shrink_iters: u32,
    sabotage: Option<Sabotage>,
) -> Result<Tally, Box<(History, String)>> {
    let config = ProptestConfig {
        cases: histories_at_most,
        max_shrink_iters,
        failure_persistence: None,
        rng_seed: seed(),
        ..ProptestConfig::default()
    };
    let tally = Cell::new(Tally::default());
    let found = TestRunner::new(config).run(&histories(STEPS), |history| {
        let mut so_far = tally.get();
        so_far += play(&history, sabotage).map_err(TestCaseError::fail)?;
        tally.set(so_far);
        Ok(())
    });
    match found {
        Ok(()) => Ok(tally.get()),
        Err(TestError::Fail(reason, history)) => Err(Box::new((history, reason.to_string()))),
        Err(TestError::Abort(reason)) => panic!("no histories: {reason}"),
    }
}

fn seed() -> RngSeed {
    match ProptestConfig::default().rng_seed {
        RngSeed::Random => RngSeed::Fixed(SEED),
        fixed @ RngSeed::Fixed(_) => fixed,
    }
}

#[test]
fn no_history_leads_to_a_response_that_its_reader_should_not_have_got() {
    let histories = ProptestConfig::default().cases.max(HISTORIES);
    match search(histories, 20_000, None) {
        Ok(tally) => {
            // Else the histories would pass without saying much.
            let Tally {
                remembered,
                founded,
                withheld,
                purged,
            } = tally;
            assert!(remembered.min(withheld) > histories, "{tally:?}");
            assert!(founded.min(purged) > histories / 5, "{tally:?}");
        }
        Err(found) => {
            let (history, reason) = *found;
            panic!("with PROPTEST_RNG_SEED={}: {reason}\n{history}", seed());
        }
    }
}

mod without_a_wall {
    //! The same search through worlds in which one of the things that the property rests on is
    //! missing: it finds a history that goes wrong.

    use super::{Sabotage, search};

    fn assert_noticed(sabotage: Sabotage, histories_at_most: u32) {
        let found = search(histories_at_most, 0, Some(sabotage));
        assert!(found.is_err(), "{sabotage:?} was not noticed");
    }

    #[test]
    fn a_search_key_without_the_scope_version_is_noticed() {
        assert_noticed(Sabotage::OneScopeForAll, 200);
    }

    #[test]
    fn an_answer_key_without_content_hashes_is_noticed() {
        assert_noticed(Sabotage::HashesSayNothing, 5_000);
    }

    #[test]
    fn a_scope_without_its_age_is_noticed() {
        assert_noticed(Sabotage::ScopesNeverAge, 3_000);
    }

    #[test]
    fn a_search_filed_under_a_remembered_scope_is_noticed() {
        assert_noticed(Sabotage::SearchesFiledFromMemory, 5_000);
    }

    #[test]
    fn an_upload_that_makes_no_new_version_is_noticed() {
        assert_noticed(Sabotage::UploadsGoUncounted, 200);
    }

    #[test]
    fn an_answer_key_without_purges_is_noticed() {
        assert_noticed(Sabotage::AnswersOutlivePurges, 2_000);
    }

    #[test]
    fn an_embedding_key_without_purges_is_noticed() {
        assert_noticed(Sabotage::EmbeddingsOutlivePurges, 2_000);
    }
}

mod found_once {
    //! Histories that once went wrong, cut down to what matters.

    use super::{
        Sabotage,
        history::{Form, History, Person, Port, Question, Step, Store, Target, Then, Topic},
        play,
    };
    use shared_types::documents::Visibility;

    #[test]
    fn news_that_arrive_while_the_store_is_silent_are_refused_in_time() {
        let owner = Person::Teacher(1);
        let steps = [
            Step::Stall(Port::Caches),
            Step::Upload {
                owner,
                topic: Topic::Pedal,
                visibility: Visibility::Private,
            },
            Step::Deliver,
        ];
        let history = History {
            store: Store::Prompt,
            chance: 0,
            memory_values: 500,
            steps: steps.map(|step| (step, Then::Settle)).into(),
        };
        play(&history, None).unwrap();
    }

    /// A question is asked, and its answer purged while it is told; much later it is asked again.
    fn purged_while_it_is_told(turns: u8, chance: u64) -> History {
        let upload = Step::Upload {
            owner: Person::Teacher(1),
            topic: Topic::Pedal,
            visibility: Visibility::Public,
        };
        let ask = Step::Ask(Question {
            who: Person::Student(1),
            topic: Topic::Pedal,
            within: None,
            form: Form::Events,
        });
        let steps = [
            (upload, Then::Settle),
            (ask, Then::Turns(turns)),
            (Step::Purge(Target::Answer(0)), Then::Settle),
            (Step::Wait { seconds: 61 }, Then::Settle),
            (ask, Then::Settle),
        ];
        History {
            store: Store::Prompt,
            chance,
            memory_values: 500,
            steps: steps.into(),
        }
    }

    #[test]
    fn an_answer_that_is_purged_while_it_is_told_does_not_come_back() {
        let histories = || {
            let turns = 0..60;
            turns
                .flat_map(|turns| (0..20).map(move |chance| purged_while_it_is_told(turns, chance)))
        };
        for history in histories() {
            play(&history, None).unwrap();
        }
        // It would if it were only deleted.
        let only_deleted = Some(Sabotage::PurgedAnswersAreDeletedOnly);
        assert!(histories().any(|history| play(&history, only_deleted).is_err()));
    }
}
