//! Stories of single orders, told to the core in every order in which they can be told.
//!
//! A [broker](truth) keeps a true ledger of what happens to orders. What it says about that, as answers and as events of
//! its stream, is lost, doubled, late, and overtaken by what came after. Then there is peace: the stream stays silent
//! and the broker answers questions. A minute later the [desk](desk) has to have what the ledger has, each execution
//! once, on a path along the table of transitions, with nothing held back for what is over, and the same again from its
//! journal.

mod desk;
mod story;
mod truth;

use std::time::Duration;

use domain::{OrderEvent, Reason, Side, Status};
use proptest::collection::vec;
use proptest::prelude::*;

use self::story::{Happening, Story, price, quantity};
use super::Input;
use crate::broker::{BrokerEvent, SubmitFailure};
use crate::simulator::checker::Broken;

/// What the desk can hear of an order that the broker took and filled at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// The broker's answer.
    Answer,
    /// That the answer did not come in time.
    TimeOut,
    /// The acceptance, on the stream.
    New,
    /// The fill, on the stream.
    Fill,
    /// Nothing, for so long that the desk asks by itself.
    Timer,
}

const ALL: [Heard; 5] = [Heard::Answer, Heard::TimeOut, Heard::New, Heard::Fill, Heard::Timer];

/// Every order of some things.
fn orders_of<T: Copy>(things: &[T]) -> Vec<Vec<T>> {
    if things.is_empty() {
        return vec![Vec::new()];
    }
    let first = |place: usize| {
        let rest: Vec<T> = [&things[..place], &things[place + 1..]].concat();
        orders_of(&rest).into_iter().map(move |tail| [vec![things[place]], tail].concat())
    };
    (0..things.len()).flat_map(first).collect()
}

/// Tells the desk of its order in one order; the broker lists the order from the beginning, or once it has told of it.
fn hear(order: &[Heard], refuses_duplicates: bool, lists_at_once: bool) -> Result<(), Broken> {
    let mut story = Story::begin(refuses_duplicates);
    story.truth.lists = lists_at_once;
    let id = story.desk.place(Side::Buy, quantity(10), price(10_000)).expect("it is accepted");
    let sent = story.send_unheard();
    story.truth.fill(0, quantity(10), price(9_990), story.desk.now);
    let [new, fill] = <[_; 2]>::try_from(story.truth.news()).expect("it is told of twice");
    for heard in order {
        let input = match heard {
            Heard::Answer => sent.clone(),
            Heard::TimeOut => Input::Sent {
                order: id,
                answer: Err(SubmitFailure::Lost("it took too long".into())),
                took: Duration::from_secs(5),
            },
            Heard::New => Input::Event(new.clone()),
            Heard::Fill => Input::Event(fill.clone()),
            Heard::Timer => {
                story.wait_at_peace(70);
                continue;
            }
        };
        story.truth.lists |= matches!(heard, Heard::New | Heard::Fill);
        story.step(vec![input]);
        story.check_always()?;
    }
    story.make_peace();
    story.check_peace()?;
    let stored = &story.desk.journal.orders[&id].order;
    let end = (stored.status, stored.filled, story.desk.journal.fills.len(), story.truth.orders.len());
    if end != (Status::Filled, quantity(10), 1, 1) {
        return Err(("F-06 one order, filled once", format!("{end:?}")));
    }
    match story.desk.sent[&id] {
        1 => Ok(()),
        _ if refuses_duplicates => Ok(()),
        times => Err(("P2 no duplicate", format!("sent {times} times to a broker that takes doubles"))),
    }
}

#[test]
fn whatever_is_heard_first_there_is_one_order_and_it_is_filled_once() {
    let permutations = orders_of(&ALL);
    assert_eq!(permutations.len(), 120);
    for order in permutations {
        for refuses_duplicates in [true, false] {
            for lists_at_once in [true, false] {
                let told = hear(&order, refuses_duplicates, lists_at_once);
                assert_eq!(
                    told,
                    Ok(()),
                    "{order:?}, refuses doubles: {refuses_duplicates}, lists at once: {lists_at_once}"
                );
            }
        }
    }
}

#[test]
fn while_it_is_open_whether_an_order_was_replaced_it_is_not_replaced_again() {
    let mut story = Story::begin(true);
    let told = [
        Happening::Place { side: Side::Buy, units: 1 },
        Happening::Arrive { which: 0 },
        Happening::Arrive { which: 0 },
        Happening::AskReplace { order: 0, units: 1 },
        // The one that was replaced: the broker refuses to cancel it, and nothing is said of the other yet.
        Happening::AskCancel { order: 1 },
        Happening::Arrive { which: 3 },
    ];
    assert_eq!(told.iter().try_for_each(|happening| story.happen(happening)), Ok(()));
    let orders = story.desk.journal.orders.len();
    assert_eq!(story.happen(&Happening::AskReplace { order: 1, units: 1 }), Ok(()));
    assert_eq!(story.desk.journal.orders.len(), orders, "it is refused");
    story.make_peace();
    assert_eq!(story.check_peace(), Ok(()));
}

#[test]
fn an_order_that_only_looked_done_is_watched_over_again() {
    let mut story = Story::begin(true);
    let told = [
        Happening::Place { side: Side::Buy, units: 7 },
        Happening::Arrive { which: 0 },
        Happening::Fill { order: 0, units: 1, cents: 0 },
        Happening::Bust { execution: 0 },
        Happening::Fill { order: 0, units: 6, cents: 0 },
        // Accepted, filled, and filled again; that the first fill does not count is heard last.
        Happening::Arrive { which: 0 },
        Happening::Arrive { which: 0 },
        Happening::Arrive { which: 1 },
    ];
    assert_eq!(told.iter().try_for_each(|happening| story.happen(happening)), Ok(()));
    let status = |story: &Story| story.desk.journal.orders.values().next().unwrap().order.status;
    assert_eq!(status(&story), Status::Filled);
    assert_eq!(story.happen(&Happening::Arrive { which: 0 }), Ok(()));
    assert_eq!(status(&story), Status::PartiallyFilled, "one unit of it works at the broker still");
    story.make_peace();
    assert_eq!(story.check_peace(), Ok(()));
    story.end();
    assert_eq!(story.check_peace(), Ok(()));
}

/// Refused because of too many requests, an order was not looked at: it waits for its turn, and is no refused order.
#[test]
fn every_refusal_of_a_broker_is_told_by_its_reason_and_gives_the_head_room_back_once() {
    for reason in Reason::ALL.iter().copied().filter(|reason| *reason != Reason::RateLimited) {
        let mut story = Story::begin(true);
        story.truth.refuses = Some(reason);
        let id = story.desk.place(Side::Buy, quantity(10), price(10_000)).expect("it is accepted");
        let answer = story.send_unheard();
        assert_eq!(story.desk.reach().buys, quantity(10), "{reason}");
        // The stream says it once more, and so does the answer.
        let told = Input::Event(BrokerEvent {
            client_order_id: id.to_string(),
            broker_order_id: "b1".into(),
            event: Some(OrderEvent::Refused { reason: "no".into(), code: Reason::Other }),
        });
        for input in [answer.clone(), told, answer] {
            story.step(vec![input]);
            assert_eq!(story.check_always(), Ok(()), "{reason}");
            let order = &story.desk.journal.orders[&id].order;
            assert_eq!((order.status, order.reason_code), (Status::Rejected, Some(reason)));
            assert_eq!(order.reason.as_deref(), Some("403 Forbidden"), "the broker's words");
        }
        assert!(story.desk.journal.has_act("order.rejected", id));
        assert!(!reason.explanation().is_empty() && !reason.way_out().is_empty());
        story.make_peace();
        assert_eq!(story.check_peace(), Ok(()), "{reason}");
    }
}

#[test]
fn a_replacement_of_what_is_filled_is_too_late_and_the_fill_counts() {
    let mut story = Story::begin(true);
    let told = [
        Happening::Place { side: Side::Buy, units: 5 },
        Happening::Arrive { which: 0 },
        Happening::Fill { order: 0, units: 5, cents: 0 },
        // Nothing of the fill is heard when this is asked.
        Happening::AskReplace { order: 0, units: 9 },
        Happening::Arrive { which: 2 },
    ];
    assert_eq!(told.iter().try_for_each(|happening| story.happen(happening)), Ok(()));
    let by = story.desk.journal.orders.values().find(|stored| stored.order.provenance.replaces.is_some());
    let by = &by.expect("it was sent").order;
    assert_eq!((by.status, by.reason_code), (Status::Rejected, Some(Reason::TooLate)));
    story.make_peace();
    assert_eq!(story.check_peace(), Ok(()));
}

/// What may happen besides the life and death of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing.
    Plain,
    /// Executions are corrected and taken back.
    Amended,
    /// Orders are replaced.
    Replaced,
}

fn happening(kind: Kind) -> impl Strategy<Value = Happening> {
    let which = 0..8_usize;
    let (units, cents) = (1..12_u32, 0..100_u32);
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let seconds = prop_oneof![6 => 1..7_u32, 3 => 7..45_u32, 1 => 45..420_u32];
    let of_kind = match kind {
        Kind::Plain => which.clone().prop_map(|order| Happening::Mumble { order }).boxed(),
        Kind::Amended => prop_oneof![
            (which.clone(), units.clone(), cents.clone(), any::<bool>()).prop_map(
                |(execution, units, cents, keeps_id)| {
                    Happening::Correct { execution, units, cents, keeps_id }
                }
            ),
            which.clone().prop_map(|execution| Happening::Bust { execution }),
        ]
        .boxed(),
        Kind::Replaced => (which.clone(), units.clone())
            .prop_map(|(order, units)| Happening::AskReplace { order, units })
            .boxed(),
    };
    prop_oneof![
        8 => (which.clone(), units.clone(), cents)
            .prop_map(|(order, units, cents)| Happening::Fill { order, units, cents }),
        10 => which.clone().prop_map(|which| Happening::Arrive { which }),
        3 => which.clone().prop_map(|which| Happening::ArriveTwice { which }),
        4 => which.clone().prop_map(|which| Happening::Lose { which }),
        4 => seconds.prop_map(|seconds| Happening::Wait { seconds }),
        1 => (side, units).prop_map(|(side, units)| Happening::Place { side, units }),
        2 => which.clone().prop_map(|order| Happening::AskCancel { order }),
        2 => which.clone().prop_map(|order| Happening::Cancel { order }),
        1 => which.clone().prop_map(|order| Happening::Expire { order }),
        1 => which.clone().prop_map(|order| Happening::Reject { order }),
        1 => which.prop_map(|order| Happening::Mumble { order }),
        1 => Just(Happening::Cut),
        1 => Just(Happening::Restart),
        6 => of_kind,
    ]
}

/// The life of an order, and of some that come after it.
fn history(kind: Kind) -> impl Strategy<Value = Vec<Happening>> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let first = (side, 1..12_u32).prop_map(|(side, units)| Happening::Place { side, units });
    (first, vec(happening(kind), 0..40)).prop_map(|(first, rest)| [vec![first], rest].concat())
}

fn live_through(history: &[Happening], refuses_duplicates: bool) -> Result<(), Broken> {
    let mut story = Story::begin(refuses_duplicates);
    history.iter().try_for_each(|happening| story.happen(happening))?;
    story.make_peace();
    story.check_peace()?;
    story.check_quiet()?;
    story.end();
    story.check_peace()
}

/// Histories of each kind, three kinds in all; `STOCKADE_HISTORIES` chooses another number.
fn cases() -> ProptestConfig {
    let wanted = std::env::var("STOCKADE_HISTORIES").ok().and_then(|text| text.parse().ok());
    let cases = wanted.unwrap_or(4_000);
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_life_ends_as_the_ledger_says(history in history(Kind::Plain), refuses_duplicates: bool) {
        prop_assert_eq!(live_through(&history, refuses_duplicates), Ok(()));
    }

    #[test]
    fn a_life_with_executions_amended_ends_as_the_ledger_says(
        history in history(Kind::Amended),
        refuses_duplicates: bool,
    ) {
        prop_assert_eq!(live_through(&history, refuses_duplicates), Ok(()));
    }

    #[test]
    fn a_life_with_replacements_ends_as_the_ledger_says(
        history in history(Kind::Replaced),
        refuses_duplicates: bool,
    ) {
        prop_assert_eq!(live_through(&history, refuses_duplicates), Ok(()));
    }
}
