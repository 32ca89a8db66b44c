//! Who reads what of whose work, in every order in which people come and go.

use super::*;
use futures_util::FutureExt;
use proptest::{prelude::*, test_runner::TestCaseResult};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::yield_now,
};

const MAX_SHARED: usize = 2;
const MAX_LOG_BYTES: usize = 64;

/// What a test has the work do.
enum Order {
    Say(u32),
    End(u32),
    Fail(u32),
    Die,
}

/// Flights whose work does what it is told to.
struct Airport {
    flights: Flights<u8, u32>,
    /// In the order of their start.
    works: Vec<UnboundedSender<Order>>,
}

async fn obey(mut orders: UnboundedReceiver<Order>, log: Writer<u32>) {
    while let Some(order) = orders.recv().await {
        match order {
            Order::Say(entry) => log.append(entry, 1).unwrap(),
            Order::End(last) => return log.end(last),
            Order::Fail(last) => return log.fail(last),
            Order::Die => return,
        }
    }
}

/// Lets every task do what it can.
async fn settle() {
    for _ in 0..8 {
        yield_now().await;
    }
}

impl Airport {
    fn new() -> Self {
        Self::that_lingers(Duration::ZERO)
    }

    fn that_lingers(linger: Duration) -> Self {
        Self {
            flights: Flights::new(MAX_SHARED, MAX_LOG_BYTES, linger),
            works: Vec::new(),
        }
    }

    fn board(&mut self, key: u8) -> (Reader<u32>, Part) {
        let works = &mut self.works;
        self.flights.board(Arc::new(key), |log| {
            let (sender, orders) = unbounded_channel();
            works.push(sender);
            obey(orders, log)
        })
    }

    async fn order(&self, work: usize, order: Order) {
        // Work that has ended takes no orders.
        let _ = self.works[work].send(order);
        settle().await;
    }

    fn is_at_work(&self, work: usize) -> bool {
        !self.works[work].is_closed()
    }
}

async fn everything(mut reader: Reader<u32>) -> Vec<u32> {
    let mut entries = Vec::new();
    while let Some(entry) = reader.next().await {
        entries.push(entry);
    }
    entries
}

#[tokio::test]
async fn who_comes_late_hears_it_from_the_beginning() {
    let mut airport = Airport::new();
    let (first, part) = airport.board(1);
    assert_eq!(part, Part::Led);
    airport.order(0, Order::Say(10)).await;
    let (late, part) = airport.board(1);
    assert_eq!(part, Part::Joined);
    airport.order(0, Order::End(11)).await;
    assert_eq!(everything(first).await, [10, 11]);
    assert_eq!(everything(late).await, [10, 11]);
}

#[tokio::test]
async fn a_slow_reader_holds_up_nobody_and_misses_nothing() {
    let mut airport = Airport::new();
    let (slow, _) = airport.board(1);
    let (quick, _) = airport.board(1);
    for entry in 0..50 {
        airport.order(0, Order::Say(entry)).await;
    }
    airport.order(0, Order::End(50)).await;
    assert!(!airport.is_at_work(0));
    let said: Vec<u32> = (0..=50).collect();
    assert_eq!(everything(quick).await, said);
    assert_eq!(everything(slow).await, said);
}

#[tokio::test]
async fn work_that_dies_leaves_its_readers_without_an_end_and_the_next_one_with_a_fresh_start() {
    let mut airport = Airport::new();
    let (mut reader, _) = airport.board(1);
    airport.order(0, Order::Say(10)).await;
    airport.order(0, Order::Die).await;
    let (_next, part) = airport.board(1);
    assert_eq!(part, Part::Led);
    assert_eq!(reader.next().await, Some(10));
    assert_eq!(reader.next().await, None);
}

#[tokio::test]
async fn a_log_has_an_end_and_always_room_for_the_last_entry() {
    let flights: Flights<u8, u32> = Flights::new(1, 10, Duration::ZERO);
    let (reader, _) = flights.board(Arc::new(1), |log| async move {
        assert_eq!(log.append(10, 6), Ok(()));
        assert_eq!(log.append(11, 5), Err(Full));
        assert_eq!(log.append(12, 4), Ok(()));
        log.end(13);
    });
    assert_eq!(everything(reader).await, [10, 12, 13]);
}

const LINGER: Duration = Duration::from_secs(5);

/// Somebody has read one entry of a lingering flight and is cut off.
async fn cut_off() -> Airport {
    let mut airport = Airport::that_lingers(LINGER);
    let (mut reader, _) = airport.board(1);
    airport.order(0, Order::Say(10)).await;
    assert_eq!(reader.next().await, Some(10));
    drop(reader);
    settle().await;
    airport
}

#[tokio::test(start_paused = true)]
async fn who_was_cut_off_comes_back_to_the_same_work() {
    let mut airport = cut_off().await;
    airport.order(0, Order::Say(11)).await;
    tokio::time::sleep(LINGER / 2).await;
    let (reader, part) = airport.board(1);
    assert_eq!(part, Part::Joined);
    // Whoever is back needs no grace.
    tokio::time::sleep(2 * LINGER).await;
    airport.order(0, Order::End(12)).await;
    assert_eq!(everything(reader).await, [10, 11, 12]);
}

#[tokio::test(start_paused = true)]
async fn work_that_nobody_comes_back_to_ends() {
    let mut airport = cut_off().await;
    assert!(airport.is_at_work(0));
    tokio::time::sleep(LINGER + LINGER / 2).await;
    assert!(!airport.is_at_work(0));
    assert!(airport.flights.join(&1).is_none());
    assert_eq!(airport.board(1).1, Part::Led);
}

#[tokio::test(start_paused = true)]
async fn what_ends_well_for_nobody_is_kept_for_a_moment_and_what_fails_is_not() {
    let mut airport = cut_off().await;
    airport.order(0, Order::End(11)).await;
    let (reader, part) = airport.board(1);
    assert_eq!(part, Part::Joined);
    assert_eq!(everything(reader).await, [10, 11]);
    tokio::time::sleep(LINGER + LINGER / 2).await;
    assert_eq!(airport.board(1).1, Part::Led);

    let mut airport = cut_off().await;
    airport.order(0, Order::Fail(11)).await;
    assert!(airport.flights.join(&1).is_none());
    assert_eq!(airport.board(1).1, Part::Led);
}

#[tokio::test(start_paused = true)]
async fn who_has_read_nothing_or_everything_is_not_waited_for() {
    let mut airport = Airport::that_lingers(LINGER);
    drop(airport.board(1));
    settle().await;
    assert!(!airport.is_at_work(0));

    let (reader, _) = airport.board(1);
    airport.order(1, Order::Say(10)).await;
    airport.order(1, Order::End(11)).await;
    assert_eq!(everything(reader).await, [10, 11]);
    settle().await;
    assert_eq!(airport.board(1).1, Part::Led);
}

#[tokio::test(start_paused = true)]
async fn who_was_alone_is_not_waited_for() {
    let mut airport = Airport::that_lingers(LINGER);
    let _shared: Vec<_> = (0..MAX_SHARED as u8)
        .map(|key| airport.board(key))
        .collect();
    let (mut alone, part) = airport.board(9);
    assert_eq!(part, Part::Alone);
    airport.order(MAX_SHARED, Order::Say(10)).await;
    assert_eq!(alone.next().await, Some(10));
    drop(alone);
    settle().await;
    assert!(!airport.is_at_work(MAX_SHARED));
}

#[derive(Clone, Debug)]
enum Step {
    Board(u8),
    Read(usize),
    Leave(usize),
    Say(usize),
    End(usize),
    Die(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..3).prop_map(Step::Board),
        6 => any::<usize>().prop_map(Step::Read),
        3 => any::<usize>().prop_map(Step::Leave),
        4 => any::<usize>().prop_map(Step::Say),
        1 => any::<usize>().prop_map(Step::End),
        1 => any::<usize>().prop_map(Step::Die),
    ]
}

/// What is known of a flight from the orders that were given.
struct Known {
    key: u8,
    part: Part,
    said: Vec<u32>,
    is_over: bool,
    aboard: usize,
}

struct Caller {
    reader: Reader<u32>,
    flight: usize,
    read: usize,
}

#[derive(Default)]
struct History {
    flights: Vec<Known>,
    callers: Vec<Caller>,
    next_entry: u32,
}

impl History {
    fn board(&mut self, airport: &mut Airport, key: u8) -> TestCaseResult {
        let under_way = self.flights.iter().position(|flight| {
            flight.key == key && flight.part == Part::Led && !flight.is_over && flight.aboard > 0
        });
        let shared = |flight: &&Known| flight.part == Part::Led && flight.aboard > 0;
        let is_full = self.flights.iter().filter(shared).count() == MAX_SHARED;
        let expected = match under_way {
            Some(_) => Part::Joined,
            None if is_full => Part::Alone,
            None => Part::Led,
        };
        let (reader, part) = airport.board(key);
        prop_assert_eq!(part, expected);
        let flight = under_way.unwrap_or(self.flights.len());
        if under_way.is_none() {
            self.flights.push(Known {
                key,
                part,
                said: Vec::new(),
                is_over: false,
                aboard: 0,
            });
        }
        prop_assert_eq!(airport.works.len(), self.flights.len());
        self.flights[flight].aboard += 1;
        self.callers.push(Caller {
            reader,
            flight,
            read: 0,
        });
        Ok(())
    }

    fn read(&mut self, caller: usize) -> TestCaseResult {
        let caller = &mut self.callers[caller];
        let flight = &self.flights[caller.flight];
        let expected = match flight.said.get(caller.read) {
            Some(entry) => Some(Some(*entry)),
            None if flight.is_over => Some(None),
            None => None,
        };
        prop_assert_eq!(caller.reader.next().now_or_never(), expected);
        caller.read += usize::from(caller.read < flight.said.len());
        Ok(())
    }

    async fn leave(&mut self, airport: &Airport, caller: usize) -> TestCaseResult {
        let Caller { reader, flight, .. } = self.callers.swap_remove(caller);
        drop(reader);
        settle().await;
        self.flights[flight].aboard -= 1;
        let Known {
            aboard, is_over, ..
        } = self.flights[flight];
        prop_assert_eq!(airport.is_at_work(flight), aboard > 0 && !is_over);
        Ok(())
    }

    async fn order(&mut self, airport: &Airport, flight: usize, step: &Step) {
        let known = &mut self.flights[flight];
        if known.is_over || known.aboard == 0 {
            return;
        }
        let entry = self.next_entry;
        self.next_entry += 1;
        let order = match step {
            Step::Say(_) => Order::Say(entry),
            Step::End(_) => Order::End(entry),
            _ => Order::Die,
        };
        known.is_over = !matches!(order, Order::Say(_));
        if !matches!(order, Order::Die) {
            known.said.push(entry);
        }
        airport.order(flight, order).await;
    }

    async fn take(&mut self, airport: &mut Airport, step: Step) -> TestCaseResult {
        match step {
            Step::Board(key) => self.board(airport, key)?,
            Step::Read(caller) if !self.callers.is_empty() => {
                self.read(caller % self.callers.len())?;
            }
            Step::Leave(caller) if !self.callers.is_empty() => {
                self.leave(airport, caller % self.callers.len()).await?;
            }
            Step::Say(flight) | Step::End(flight) | Step::Die(flight)
                if !self.flights.is_empty() =>
            {
                let flight = flight % self.flights.len();
                self.order(airport, flight, &step).await;
            }
            _ => {}
        }
        settle().await;
        Ok(())
    }
}

proptest! {
    #[test]
    fn in_any_order_of_events_everybody_reads_the_whole_of_one_work_and_unread_work_ends(
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut airport = Airport::new();
            let mut history = History::default();
            for step in steps {
                history.take(&mut airport, step).await?;
            }
            while !history.callers.is_empty() {
                history.leave(&airport, 0).await?;
            }
            prop_assert!((0..airport.works.len()).all(|work| !airport.is_at_work(work)));
            Ok(())
        })?;
    }
}
