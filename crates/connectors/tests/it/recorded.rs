//! A recorded quarter of an hour of Bitcoin gives the bars that two independent programs computed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};

use connectors::polygon::bars_csv;
use domain::Every;
use flate2::read::MultiGzDecoder;
use market::{ConditionTable, Kind};

use crate::shared;

/// Rows by the start of their window, columns by name.
type Table = BTreeMap<i64, BTreeMap<String, String>>;

fn table(csv: &str) -> Table {
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    lines
        .map(|line| names.iter().map(|n| (*n).to_owned()).zip(line.split(',').map(str::to_owned)).collect())
        .map(|row: BTreeMap<String, String>| (row["window_start_ms"].parse().unwrap(), row))
        .collect()
}

fn check(every: Every) {
    let Some(recording) = shared("data/replay/polygon_btcusd_20240808.jsonl.gz") else { return };
    let Some(expected) = shared(&format!("data/replay/polygon_btcusd_20240808_expected_{every}.csv")) else {
        return;
    };
    let mut text = String::new();
    File::open(expected).unwrap().read_to_string(&mut text).unwrap();
    // Windows of quotes alone have no bar.
    let expected: Table = table(&text).into_iter().filter(|(_, row)| row["trades"] != "0").collect();

    let mut csv = Vec::new();
    let reader = BufReader::new(MultiGzDecoder::new(File::open(recording).unwrap()));
    let counters = bars_csv(reader, every, &ConditionTable::default(), &mut csv).unwrap();
    let ours = table(&String::from_utf8(csv).unwrap());

    assert_eq!(ours.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (start, row) in &ours {
        for (column, value) in row.iter().filter(|(column, _)| *column != "symbol") {
            let (ours, theirs): (f64, f64) =
                (value.parse().unwrap(), expected[start][column].parse().unwrap());
            assert!((ours - theirs).abs() <= 1e-6, "{column} of {start}: {ours}, not {theirs}");
        }
    }
    assert_eq!(counters.get(Kind::Trade), 19_904, "{:?}", counters.named());
    assert_eq!(
        counters.get(Kind::Quote) + counters.get(Kind::QuoteOutOfOrder),
        73_174,
        "{:?}",
        counters.named()
    );
    for refused in [Kind::TooLate, Kind::Duplicate, Kind::Future, Kind::MalformedEvent, Kind::UnknownEvent] {
        assert_eq!(counters.get(refused), 0, "{refused:?}");
    }
}

#[test]
fn recorded_seconds_are_those_of_two_independent_programs() {
    check(Every::Second);
}

#[test]
fn recorded_minutes_are_those_of_two_independent_programs() {
    check(Every::Minute);
}
