//! What is held, and what has to go or is not read at all, where room is scarce.

use crate::{
    ROOMY, TEXTS, is_in_memory, load, load_at, now, readable, school::School, snapshot,
    support::MODEL,
};
use shared_types::documents::Visibility;
use std::time::Duration;
use storage::search::{CorpusMemory, Kept};

#[tokio::test]
async fn what_nobody_asks_for_makes_room_and_what_somebody_asks_for_stays() {
    let mut school = School::new().await;
    for teacher in 0..2 {
        school.upload(teacher, Visibility::Private, &TEXTS).await;
    }
    let (db, start) = (&school.db, now());
    let [first, second] = &school.teachers;
    let roomy = CorpusMemory::new(ROOMY);
    load(db, &roomy, first).await;
    let one_teachers = roomy.bytes();

    let memory = CorpusMemory::new(one_teachers * 7 / 4);
    load_at(db, &memory, first, start).await;
    let both = school.student_of_both();
    let soon = start + Duration::from_secs(30);
    load_at(db, &memory, both, soon).await;
    assert!(
        !is_in_memory(db, &memory, both).await,
        "half of it would be in vain"
    );
    assert!(!memory.wants(&readable(db, both).await, MODEL, soon));
    let of_first = readable(db, first).await;
    assert!(
        memory.attach(of_first, MODEL, soon).is_in_memory(),
        "she is still asking"
    );

    let of_second = readable(db, second).await;
    assert!(!memory.wants(&of_second, MODEL, soon));
    let later = start + Duration::from_mins(5);
    assert!(memory.wants(&of_second, MODEL, later));
    load_at(db, &memory, second, later).await;
    assert!(is_in_memory(db, &memory, second).await);
    assert!(!is_in_memory(db, &memory, first).await);
    assert!(memory.bytes() <= one_teachers * 7 / 4);
}

#[tokio::test]
async fn what_turned_out_to_be_too_much_is_not_read_again_and_again() {
    let mut school = School::new().await;
    // Short books full of words take twice what others do for a passage.
    for book in 0..5 {
        let words: Vec<String> = (0..200).map(|word| format!("b{book}w{word}")).collect();
        let passage = words.join(" ");
        school.upload(0, Visibility::Private, &[&passage]).await;
    }
    school.upload(1, Visibility::Public, &TEXTS[..1]).await;
    let (db, roomy) = (&school.db, CorpusMemory::new(ROOMY));
    let [first, second] = &school.teachers;
    load(db, &roomy, first).await;

    let (memory, start) = (CorpusMemory::new(roomy.bytes() - 1), now());
    load_at(db, &memory, second, start).await;
    let later = start + Duration::from_mins(2);
    let wants = async |now| memory.wants(&readable(db, first).await, MODEL, now);
    assert!(wants(later).await, "it is not known to be so much");
    let mut tx = snapshot(db, first).await;
    let loaded = memory.read(&mut tx, MODEL).await.unwrap();
    assert_eq!(memory.keep(loaded, later), Kept::NoRoom);
    let of_second = readable(db, second).await;
    let of_second = memory.attach(of_second, MODEL, later);
    assert!(of_second.is_in_memory(), "nobody's is given up in vain");
    let soon = later + Duration::from_secs(9);
    assert!(!wants(soon).await);
    let next = later + Duration::from_secs(11);
    assert!(wants(next).await, "others may have gone");
    memory.postpone(&readable(db, first).await, MODEL, next);
    assert!(
        !wants(next + Duration::from_secs(19)).await,
        "twice as long"
    );
    assert!(wants(next + Duration::from_secs(21)).await);
}

#[tokio::test]
async fn what_can_have_no_room_is_not_read_to_its_end() {
    let mut school = School::new().await;
    for _ in 0..3 {
        school.upload(0, Visibility::Private, &TEXTS).await;
    }
    let (db, teacher) = (&school.db, &school.teachers[0]);
    for nothing in [0, 100] {
        let memory = CorpusMemory::new(nothing);
        assert!(!memory.wants(&readable(db, teacher).await, MODEL, now()));
    }
    let memory = CorpusMemory::new(5_000);
    let mut tx = snapshot(db, teacher).await;
    let loaded = memory.read(&mut tx, MODEL).await.unwrap();
    assert_eq!(memory.keep(loaded, now()), Kept::NoRoom);
    assert_eq!(memory.bytes(), 0);
    let none = CorpusMemory::new(0);
    assert_eq!(load(db, &none, teacher).await, 0);
    assert_eq!(none.bytes(), 0);
}

#[tokio::test]
async fn what_nobody_has_asked_for_in_an_hour_is_forgotten() {
    let mut school = School::new().await;
    school.upload(0, Visibility::Private, &TEXTS).await;
    let (db, start) = (&school.db, now());
    let memory = CorpusMemory::new(ROOMY);
    load_at(db, &memory, &school.teachers[0], start).await;
    let held = memory.bytes();
    memory.forget(start + Duration::from_mins(59));
    assert_eq!(memory.bytes(), held);
    memory.forget(start + Duration::from_hours(1));
    assert_eq!(memory.bytes(), 0);
}
