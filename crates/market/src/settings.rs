//! How the market is to be read.

use std::time::Duration;

use domain::{Instrument, Symbol};

use crate::ConditionTable;

/// What is listened to, and how strictly.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the desk trades and charts. Events of other symbols are counted and ignored.
    pub instruments: Vec<Instrument>,
    /// Whether symbols that are not listed are taken in too, with the finest increments. For reading recordings.
    pub learn: bool,
    /// What is listed because a feed can choose what it follows; `None` where none can.
    pub chosen: Option<Chosen>,
    /// What the vendor's condition codes say about the taker.
    pub conditions: ConditionTable,
    /// How far a trade may lie behind the newest event of its symbol and still amend its bar.
    pub lateness: Duration,
    /// How far an event may lie ahead of its own reception: clocks differ a little.
    ///
    /// Well below `lateness`, or one clock that is fast would make all others late.
    pub ahead: Duration,
}

/// What feeds that can choose follow: some symbols from the start, others as soon as somebody asks for them.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// From the start.
    pub symbols: Vec<Symbol>,
    /// Most that are followed besides: vendors allow only so many.
    pub most_more: usize,
    /// Whether a feed could have a symbol, by its name.
    pub could_have: fn(&Symbol) -> bool,
}

impl Settings {
    /// The default rules for these instruments.
    pub fn new(instruments: Vec<Instrument>) -> Self {
        Self {
            instruments,
            learn: false,
            chosen: None,
            conditions: ConditionTable::default(),
            lateness: Duration::from_secs(5),
            ahead: Duration::from_secs(2),
        }
    }

    /// Everything is taken in: for reading a recording whose symbols are not known beforehand.
    pub fn learning(conditions: ConditionTable) -> Self {
        Self { learn: true, conditions, ..Self::new(Vec::new()) }
    }
}
