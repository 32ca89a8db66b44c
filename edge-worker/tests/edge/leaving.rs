//! Who leaves before the end ends the work that was done for them.

use crate::support::{
    Edge, Failure, StreamFault,
    library::{FIRST_STUDENT, Library},
};
use edge_worker::{gateway::exchange::ReplyBody, ports::Layer};
use futures_util::{
    StreamExt,
    future::{Either, select},
};
use std::pin::pin;

#[tokio::test]
async fn leaving_before_the_answer_begins_ends_the_call_that_was_under_way() {
    for path in ["/v1/scope", "/v1/retrieve", "/v1/answer"] {
        let edge = Edge::new(Library::of_two_teachers());
        edge.break_(|faults| faults.origin(path, Failure::Stalls));
        let time = &edge.world.time;
        {
            let answering = pin!(edge.begin(edge.question(FIRST_STUDENT, "scales?")));
            let patience = pin!(time.sleep(1_000));
            let left = time.drive(select(answering, patience)).await;
            assert!(matches!(left, Either::Right(_)), "{path} answered");
            assert_eq!(edge.world.open_calls.get(), 1, "{path}");
        }
        assert_eq!(edge.world.open_calls.get(), 0, "{path} is still called");
    }
}

#[tokio::test]
async fn leaving_in_the_middle_of_an_answer_ends_it_at_the_origin() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.break_(|faults| faults.stream = Some(StreamFault::SilentAfter(150)));
    let reply = edge.begin(edge.question(FIRST_STUDENT, "scales?")).await;
    let ReplyBody::Stream(mut stream) = reply.body else {
        panic!("a live answer is a stream");
    };
    edge.world.time.drive(stream.next()).await;
    edge.world.time.drive(stream.next()).await;
    assert_eq!(edge.world.open_calls.get(), 1);
    drop(stream);
    assert_eq!(edge.world.open_calls.get(), 0);
    edge.settle().await;
    assert_eq!(edge.kept(Layer::Answer), 0);
}
