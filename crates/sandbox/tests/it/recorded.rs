//! A recording over the socket.

use std::collections::BTreeMap;
use std::io::Write as _;

use domain::Every;
use market::{BarReport, write_csv};
use sandbox::{Pace, RecordingSource, Source};

use crate::{Wire, shared, trade};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_quarter_of_an_hour_gives_the_expected_bars_over_the_socket() {
    let Some(path) = shared("data/replay/polygon_btcusd_20240808.jsonl.gz") else { return };
    let source = RecordingSource { path, pace: Pace::AsRead, repeat: false, retime: false };
    let mut wire = Wire::new(Source::Recording(source)).await;
    wire.until("all trades", |wire| wire.count("trades") == 19_904).await;
    // The vendor's last minute comes after the last trade, and no subscriber is told of it.
    let minutes = async {
        while wire.count("vendor_bars") < 12 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::PATIENCE, minutes).await.expect("the vendor's twelve minutes come");
    // The recording begins and ends within a minute, and the vendor's first bar is of a part too.
    assert_eq!(wire.count("vendor_bar_differs"), 0, "{:?}", wire.status());

    for every in Every::ALL {
        let bars = BarReport::new(every).finish(&wire.market);
        let mut csv = Vec::new();
        write_csv(&bars, every, &mut csv).unwrap();
        let ours = table(&String::from_utf8(csv).unwrap());

        let Some(expected) = shared(&format!("data/replay/polygon_btcusd_20240808_expected_{every}.csv"))
        else {
            return;
        };
        let expected = table(&std::fs::read_to_string(expected).unwrap());
        // Windows of quotes alone have no bar.
        let expected: Table = expected.into_iter().filter(|(_, row)| row["trades"] != "0").collect();
        assert_eq!(ours.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (start, row) in &ours {
            for (column, value) in row.iter().filter(|(column, _)| *column != "symbol") {
                let (ours, theirs): (f64, f64) =
                    (value.parse().unwrap(), expected[start][column].parse().unwrap());
                assert!((ours - theirs).abs() <= 1e-6, "{every}: {column} of {start}: {ours}, not {theirs}");
            }
        }
    }
    wire.end().await;
}

#[tokio::test]
async fn a_recording_can_be_played_as_if_it_happened_now_again_and_again() {
    let mut file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
    writeln!(file, r#"[{{"ev":"status","status":"connected","message":"skipped"}}]"#).unwrap();
    for second in 0..130_i64 {
        let at = 1_704_164_617_250 + second * 1_000;
        writeln!(file, "{}", trade(second.unsigned_abs(), at, &format!("{}.5", 100 + second))).unwrap();
    }
    let pace = Pace::Times(2_000.0);
    let source = RecordingSource { path: file.path().to_owned(), pace, repeat: true, retime: true };
    let begun = domain::Clock::now(&domain::SystemClock);
    let mut wire = Wire::with(Source::Recording(source), crate::loopback_with(1), |_| {}).await;
    wire.until("the second round", |wire| wire.count("trades") > 150).await;
    assert_eq!(wire.count("duplicate"), 0, "ids differ by round");

    let symbol = "BTC-USD".parse().unwrap();
    let trades = wire.market.recent_trades(&symbol, 1_000);
    let first = trades.last().unwrap();
    assert!(first.at.duration_since(begun).as_secs().abs() < 70, "{} is not now", first.at);
    for trade in trades {
        let second_of_minute = trade.at.as_second().rem_euclid(60);
        let price = trade.price.0;
        let recorded = (price.trunc() - domain::Decimal::from(100)).to_string().parse::<i64>().unwrap();
        assert_eq!((37 + recorded) % 60, second_of_minute, "windows stay what they were");
    }
    wire.end().await;
}

#[tokio::test]
async fn a_recording_waits_for_its_first_listener_and_catches_up_without_losing_anything() {
    let mut file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
    // Two seconds of a market that is busier than a client's queue is long, all of it overdue at once.
    for id in 0..6_000_i64 {
        let at = 1_704_164_640_000 + id / 3;
        writeln!(file, "{}", trade(id.unsigned_abs(), at, "100.5")).unwrap();
    }
    let source = RecordingSource {
        path: file.path().to_owned(),
        pace: Pace::Times(1_000_000.0),
        repeat: false,
        retime: false,
    };
    let mut wire = Wire::new(Source::Recording(source)).await;
    wire.until("all trades", |wire| wire.count("trades") == 6_000).await;
    assert_eq!(wire.status().reconnects, 0);
    wire.end().await;
}
