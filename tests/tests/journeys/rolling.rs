//! Two origins behind a balancer are replaced one after the other while people ask: nobody notices.

use crate::balancer::Balancer;
use journeys::{School, journey_with};
use local_stack::{
    Part,
    faults::{Fault, Target},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// People who ask at the same time, each one question after the other.
const PEOPLE: usize = 6;

#[test]
fn no_question_is_lost_while_two_origins_are_replaced_one_after_the_other() {
    let balancer = Balancer::open();
    let origin_url = balancer.url();
    let configured = |mut config: local_stack::StackConfig| {
        config.origin_url = Some(origin_url);
        config.with_variable("origin", "SHUTDOWN_NOTICE_MS", "1500")
    };
    journey_with(configured, async |school| {
        let balancing = balancer.balance();
        balancing.add(school.stack.origin_url());
        let mut second = school.stack.another_origin("second-origin").await.unwrap();
        balancing.add(second.url());
        school.shows_pedalling().await;
        // Questions are on their way at any moment.
        let stall = Fault::Stall { ms: 300 };
        school
            .stack
            .faults()
            .arm(Target::Vertex, stall, None)
            .await
            .unwrap();

        let is_over = Arc::new(AtomicBool::new(false));
        let asked = ask_all_the_time(school, &is_over);
        tokio::time::sleep(Duration::from_secs(2)).await;
        second.stop().await;
        second = school.stack.another_origin("third-origin").await.unwrap();
        balancing.add(second.url());
        tokio::time::sleep(Duration::from_secs(1)).await;
        school.stack.stop_part(Part::Origin).await;
        let alone = balancing.served_by(&second.url());
        school.stack.start_parts(&[Part::Origin]).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        is_over.store(true, Ordering::Relaxed);

        let mut answered = 0;
        for asking in asked {
            answered += asking.await.unwrap();
        }
        assert!(answered > PEOPLE * 4, "{answered} answers show nothing");
        let served = balancing.served_by(&second.url());
        assert!(alone > 0 && served > alone, "{alone}, then {served}");
        let first = balancing.served_by(&school.stack.origin_url());
        assert!(first > 0, "the first served nobody");
        second.stop().await;
    });
}

/// People who each ask something new until it is over, and fail where one question goes without an answer.
fn ask_all_the_time(
    school: &School,
    is_over: &Arc<AtomicBool>,
) -> Vec<tokio::task::JoinHandle<usize>> {
    let number = Arc::new(AtomicUsize::new(0));
    let person = |_| {
        let browser = school.student.browser.clone();
        let (is_over, number) = (Arc::clone(is_over), Arc::clone(&number));
        tokio::spawn(async move {
            let mut answered = 0;
            while !is_over.load(Ordering::Relaxed) {
                let nth = number.fetch_add(1, Ordering::Relaxed);
                let question = format!("When do I release the pedal in light waltz number {nth}?");
                let answer = browser.ask_to_end(&question).await.unwrap();
                assert!(
                    answer.error.is_none() && answer.done.is_some(),
                    "{answer:?}"
                );
                answered += 1;
            }
            answered
        })
    };
    (0..PEOPLE).map(person).collect()
}
