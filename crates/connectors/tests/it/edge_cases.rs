//! What a vendor may send on a bad day, one case a line.

use std::collections::BTreeMap;
use std::io::Cursor;

use connectors::polygon::bars_csv;
use domain::Every;
use market::ConditionTable;

use crate::shared;

/// A line of the feed, what is counted when it comes, and the bars of its symbol afterwards if they are of interest.
struct Case {
    name: &'static str,
    line: &'static str,
    counted: &'static [(&'static str, u64)],
}

const fn case(name: &'static str, line: &'static str, counted: &'static [(&'static str, u64)]) -> Case {
    Case { name, line, counted }
}

const TRADE: &[(&str, u64)] = &[("trades", 1)];
const TRADE_OF_ODD_CODE: &[(&str, u64)] = &[("trades", 1), ("unknown_condition", 1)];

/// Our own prices and times, around 2024-01-02 03:04:00 UTC (1704164640000).
const CASES: &[Case] = &[
    case("connected", r#"[{"ev":"status","status":"connected","message":"Connected Successfully"}]"#, &[]),
    case(
        "plain buy",
        r#"[{"ev":"XT","pair":"BTC-USD","p":50.0,"t":1704164640010,"s":1.5,"c":[2],"i":"k1","x":2,"r":1704164640015}]"#,
        TRADE,
    ),
    case(
        "plain sell",
        r#"[{"ev":"XT","pair":"BTC-USD","p":49.5,"t":1704164640020,"s":2.5,"c":[1],"i":"k2","x":2,"r":1704164640025}]"#,
        TRADE,
    ),
    case(
        "no conditions",
        r#"[{"ev":"XT","pair":"BTC-USD","p":49.6,"t":1704164640030,"s":0.5,"c":[],"i":"k3","x":2,"r":1704164640035}]"#,
        TRADE,
    ),
    case(
        "condition zero",
        r#"[{"ev":"XT","pair":"BTC-USD","p":49.6,"t":1704164640040,"s":0.5,"c":[0],"i":"k4","x":2,"r":1704164640045}]"#,
        TRADE,
    ),
    case(
        "conditions left out",
        r#"[{"ev":"XT","pair":"BTC-USD","p":49.6,"t":1704164640050,"s":0.5,"i":"k5","x":2,"r":1704164640055}]"#,
        TRADE,
    ),
    case(
        "unknown condition",
        r#"[{"ev":"XT","pair":"BTC-USD","p":49.6,"t":1704164640060,"s":0.5,"c":[77],"i":"k6","x":2,"r":1704164640065}]"#,
        TRADE_OF_ODD_CODE,
    ),
    case(
        "both conditions",
        r#"[{"ev":"XT","pair":"BTC-USD","p":49.6,"t":1704164640070,"s":0.5,"c":[2,1],"i":"k7","x":2,"r":1704164640075}]"#,
        &[("trades", 1), ("contradictory_conditions", 1)],
    ),
    case(
        "id is a number",
        r#"[{"ev":"XT","pair":"BTC-USD","p":49.6,"t":1704164640080,"s":0.5,"c":[2],"i":9007,"x":2,"r":1704164640085}]"#,
        TRADE,
    ),
    case(
        "the same number as text",
        r#"[{"ev":"XT","pair":"BTC-USD","p":49.6,"t":1704164640080,"s":0.5,"c":[2],"i":"9007","x":2,"r":1704164640085}]"#,
        &[("duplicate", 1)],
    ),
    case(
        "size with an exponent",
        r#"[{"ev":"XT","pair":"BTC-USD","p":49.6,"t":1704164640090,"s":2.25e-05,"c":[2],"i":"0d3f-7a","x":23,"r":1704164640095}]"#,
        TRADE,
    ),
    case(
        "no id",
        r#"[{"ev":"XT","pair":"BTC-USD","p":49.6,"t":1704164640100,"s":0.5,"c":[1],"x":2,"r":1704164640105}]"#,
        TRADE,
    ),
    case(
        "no time of reception",
        r#"[{"ev":"XT","pair":"BTC-USD","p":49.6,"t":1704164640110,"s":0.5,"c":[1],"i":"k8","x":2}]"#,
        TRADE,
    ),
    case(
        "sent again",
        r#"[{"ev":"XT","pair":"BTC-USD","p":50.0,"t":1704164640010,"s":1.5,"c":[2],"i":"k1","x":2,"r":1704164640015}]"#,
        &[("duplicate", 1)],
    ),
    case(
        "the same id on another exchange",
        r#"[{"ev":"XT","pair":"BTC-USD","p":50.1,"t":1704164640120,"s":0.5,"c":[2],"i":"k1","x":1,"r":1704164640125}]"#,
        TRADE,
    ),
    case(
        "newer before older",
        r#"[{"ev":"XT","pair":"BTC-USD","p":51.0,"t":1704164641500,"s":1,"c":[2],"i":"m1","x":2,"r":1704164641505},{"ev":"XT","pair":"BTC-USD","p":50.5,"t":1704164641200,"s":1,"c":[1],"i":"m2","x":2,"r":1704164641505}]"#,
        &[("trades", 2)],
    ),
    case(
        "late, but not too late",
        r#"[{"ev":"XT","pair":"BTC-USD","p":53.0,"t":1704164640900,"s":0.5,"c":[2],"i":"m3","x":2,"r":1704164643000}]"#,
        &[("trades", 1), ("amendment", 1)],
    ),
    case(
        "ten minutes late",
        r#"[{"ev":"XT","pair":"BTC-USD","p":40.0,"t":1704164040000,"s":0.5,"c":[1],"i":"m4","x":2,"r":1704164643100}]"#,
        &[("too_late", 1)],
    ),
    case(
        "from the future",
        r#"[{"ev":"XT","pair":"BTC-USD","p":40.0,"t":1704168243000,"s":0.5,"c":[1],"i":"m5","x":2,"r":1704164643200}]"#,
        &[("future", 1)],
    ),
    case(
        "size zero",
        r#"[{"ev":"XT","pair":"BTC-USD","p":50.0,"t":1704164642010,"s":0,"c":[2],"i":"n1","x":2,"r":1704164642015}]"#,
        &[("size_not_positive", 1)],
    ),
    case(
        "size below zero",
        r#"[{"ev":"XT","pair":"BTC-USD","p":50.0,"t":1704164642010,"s":-3,"c":[2],"i":"n2","x":2,"r":1704164642015}]"#,
        &[("size_not_positive", 1)],
    ),
    case(
        "price zero",
        r#"[{"ev":"XT","pair":"BTC-USD","p":0.0,"t":1704164642010,"s":1,"c":[2],"i":"n3","x":2,"r":1704164642015}]"#,
        &[("price_not_positive", 1)],
    ),
    case(
        "price below zero",
        r#"[{"ev":"XT","pair":"BTC-USD","p":-7,"t":1704164642010,"s":1,"c":[2],"i":"n4","x":2,"r":1704164642015}]"#,
        &[("price_not_positive", 1)],
    ),
    case(
        "price that no market has",
        r#"[{"ev":"XT","pair":"BTC-USD","p":1e15,"t":1704164642010,"s":1,"c":[2],"i":"n5","x":2,"r":1704164642015}]"#,
        &[("number_out_of_range", 1)],
    ),
    case(
        "price as text",
        r#"[{"ev":"XT","pair":"BTC-USD","p":"50.0","t":1704164642010,"s":1,"c":[2],"i":"n6","x":2,"r":1704164642015}]"#,
        &[("malformed_event", 1)],
    ),
    case(
        "price not a number",
        r#"[{"ev":"XT","pair":"BTC-USD","p":NaN,"t":1704164642010,"s":1,"c":[2],"i":"n7","x":2}]"#,
        &[("malformed_frame", 1)],
    ),
    case("cut off", r#"[{"ev":"XT","pair":"BTC-USD","p":50.0,"t":17041"#, &[("malformed_frame", 1)]),
    case(
        "not an array",
        r#"{"ev":"XT","pair":"BTC-USD","p":50.0,"t":1704164642010,"s":1,"c":[2],"i":"n8","x":2}"#,
        &[("malformed_frame", 1)],
    ),
    case("nothing", "[]", &[]),
    case("not UTF-8 text", "[\u{fffd}]", &[("malformed_frame", 1)]),
    case(
        "one bad among good",
        r#"[{"ev":"XT","pair":"BTC-USD","p":50.6,"t":1704164642080,"s":0.5,"c":[2],"i":"n9","x":2,"r":1704164642085},{"ev":"XT","pair":"BTC-USD"},{"ev":"XT","pair":"BTC-USD","p":50.7,"t":1704164642090,"s":0.5,"c":[1],"i":"n10","x":2,"r":1704164642095}]"#,
        &[("trades", 2), ("malformed_event", 1)],
    ),
    case("unknown event", r#"[{"ev":"QQ","pair":"BTC-USD","p":{"deep":[1]}}]"#, &[("unknown_event", 1)]),
    case(
        "a book",
        r#"[{"ev":"XL2","pair":"BTC-USD","t":1704164642100,"r":1704164642110,"x":1,"b":[[50.1,1.0]],"a":[[50.2,1.0]]}]"#,
        &[("unused_event", 1)],
    ),
    case(
        "another pair",
        r#"[{"ev":"XT","pair":"ETH-USD","p":2000.0,"t":1704164642120,"s":1,"c":[2],"i":"o1","x":2,"r":1704164642125}]"#,
        TRADE,
    ),
    case(
        "a pair with digits",
        r#"[{"ev":"XT","pair":"1INCH-USD","p":0.5,"t":1704164642130,"s":10,"c":[1],"i":"o2","x":2,"r":1704164642135}]"#,
        TRADE,
    ),
    case(
        "no pair at all",
        r#"[{"ev":"XT","pair":"<script>","p":0.5,"t":1704164642130,"s":10,"c":[1],"i":"o3","x":2,"r":1704164642135}]"#,
        &[("invalid_symbol", 1)],
    ),
    case(
        "plain quote",
        r#"[{"ev":"XQ","pair":"BTC-USD","bp":50.0,"bs":1,"ap":50.1,"as":2,"t":1704164642200,"x":2,"r":1704164642205}]"#,
        &[("quotes", 1)],
    ),
    case(
        "older quote",
        r#"[{"ev":"XQ","pair":"BTC-USD","bp":49.0,"bs":1,"ap":49.1,"as":2,"t":1704164642199,"x":2,"r":1704164642206}]"#,
        &[("quote_out_of_order", 1)],
    ),
    case(
        "crossed quote",
        r#"[{"ev":"XQ","pair":"BTC-USD","bp":50.2,"bs":1,"ap":50.1,"as":2,"t":1704164642300,"x":1,"r":1704164642305}]"#,
        &[("quotes", 1), ("quote_crossed", 1)],
    ),
    case(
        "quote of one side",
        r#"[{"ev":"XQ","pair":"BTC-USD","bp":0,"bs":0,"ap":50.1,"as":2,"t":1704164642400,"x":2,"r":1704164642405}]"#,
        &[("quotes", 1), ("quote_one_sided", 1)],
    ),
    case(
        "quote of no side",
        r#"[{"ev":"XQ","pair":"BTC-USD","bp":0,"bs":0,"ap":0,"as":0,"t":1704164642400,"x":2,"r":1704164642405}]"#,
        &[("quote_empty", 1)],
    ),
    case(
        "minute with a fraction as volume",
        r#"[{"ev":"XA","pair":"BTC-USD","v":11.25,"vw":50.1,"z":3,"o":50,"c":50.5,"h":51,"l":49,"s":1704164580000,"e":1704164640000}]"#,
        &[("vendor_bars", 1), ("vendor_bar_differs", 1)],
    ),
    case(
        "time beyond all integers",
        r#"[{"ev":"XT","pair":"BTC-USD","p":50.0,"t":88888888888888888888,"s":1,"c":[2],"i":"p1","x":2}]"#,
        &[("malformed_event", 1)],
    ),
    case(
        "time in nanoseconds",
        r#"[{"ev":"XT","pair":"BTC-USD","p":50.0,"t":1704164642500000000,"s":1,"c":[2],"i":"p2","x":2,"r":1704164642505}]"#,
        &[("time_out_of_range", 1)],
    ),
    case(
        "a field twice",
        r#"[{"ev":"XT","pair":"BTC-USD","p":50.8,"p":1.0,"t":1704164642510,"s":1,"c":[2],"i":"p3","x":2}]"#,
        &[("malformed_event", 1)],
    ),
    case(
        "too many connections",
        r#"[{"ev":"status","status":"max_connections","message":"Maximum number of connections exceeded."}]"#,
        &[],
    ),
    case("key refused", r#"[{"ev":"status","status":"auth_failed","message":"authentication failed"}]"#, &[]),
];

type Counts = BTreeMap<&'static str, u64>;

/// What is counted, and the table of seconds, after these lines.
fn run(lines: &[&str]) -> (Counts, String) {
    let mut csv = Vec::new();
    let recording = Cursor::new(lines.join("\n"));
    let counters = bars_csv(recording, Every::Second, &ConditionTable::default(), &mut csv).unwrap();
    let mut counts = counters.named();
    counts.remove("frames");
    (counts, String::from_utf8(csv).unwrap())
}

/// What the last line of `lines` adds to what is counted.
fn added(lines: &[&str]) -> Counts {
    let (before, _) = run(&lines[..lines.len() - 1]);
    let (after, _) = run(lines);
    let added = after.iter().map(|(kind, n)| (*kind, n - before.get(kind).unwrap_or(&0)));
    added.filter(|(_, n)| *n > 0).collect()
}

/// `open,high,low,close,volume,trades,buy_volume,sell_volume` of a symbol's window.
fn bar(csv: &str, symbol: &str, start: &str) -> String {
    let row = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let row = row.into_iter().find(|row| row[0] == start && row[17] == symbol);
    row.map_or_else(String::new, |row| [2, 3, 4, 5, 6, 8, 10, 11].map(|column| row[column]).join(","))
}

#[test]
fn every_case_is_counted_for_what_it_is() {
    let lines: Vec<&str> = CASES.iter().map(|case| case.line).collect();
    for (index, case) in CASES.iter().enumerate() {
        let expected: Counts = case.counted.iter().copied().collect();
        assert_eq!(added(&lines[..=index]), expected, "{}", case.name);
    }
}

#[test]
fn the_bars_hold_what_was_accepted_and_nothing_else() {
    let (_, csv) = run(&CASES.iter().map(|case| case.line).collect::<Vec<_>>());
    assert_eq!(bar(&csv, "BTC-USD", "1704164640000"), "50,53,49.5,53,9.0000225,13,3.0000225,3.5");
    assert_eq!(bar(&csv, "BTC-USD", "1704164641000"), "50.5,51,50.5,51,2,2,1,1");
    assert_eq!(bar(&csv, "BTC-USD", "1704164642000"), "50.6,50.7,50.6,50.7,1,2,0.5,0.5");
    assert_eq!(bar(&csv, "ETH-USD", "1704164642000"), "2000,2000,2000,2000,1,1,1,0");
    assert_eq!(bar(&csv, "1INCH-USD", "1704164642000"), "0.5,0.5,0.5,0.5,10,1,0,10");
    assert_eq!(csv.lines().count(), 1 + 5);
}

/// What the shared list of cases recommends, in our words, by the name of the case.
fn recommended(case: &str) -> &'static [(&'static str, u64)] {
    match case {
        "connected" | "auth_success" | "empty_array" | "max_connections" | "auth_failed" => &[],
        "condition_unknown_99" => TRADE_OF_ODD_CODE,
        "conditions_both" => &[("trades", 1), ("contradictory_conditions", 1)],
        "duplicate_resend" => &[("duplicate", 2)],
        "out_of_order_300ms" => &[("trades", 2)],
        "late_2s" => &[("trades", 1), ("amendment", 1)],
        "late_10min" => &[("too_late", 1)],
        "future_1h" => &[("future", 1)],
        "zero_size" | "negative_size" => &[("size_not_positive", 1)],
        "zero_price" | "negative_price" => &[("price_not_positive", 1)],
        "price_string" | "huge_int_timestamp" | "duplicate_json_key" => &[("malformed_event", 1)],
        "nan_literal" | "truncated_frame" | "object_not_array" => &[("malformed_frame", 1)],
        "mixed_good_and_bad" => &[("trades", 2), ("malformed_event", 1)],
        "unknown_event" => &[("unknown_event", 1)],
        "deprecated_xl2" => &[("unused_event", 1)],
        "quote_plain" => &[("quotes", 1)],
        "quote_crossed" => &[("quotes", 1), ("quote_crossed", 1)],
        "quote_one_sided" => &[("quotes", 1), ("quote_one_sided", 1)],
        "aggregate_fractional_volume" => &[("vendor_bars", 1), ("vendor_bar_differs", 1)],
        "nanosecond_timestamp" => &[("time_out_of_range", 1)],
        // All others are trades like any other.
        _ => TRADE,
    }
}

#[test]
fn the_shared_cases_are_handled_as_recommended() {
    let Some(lines) = shared("data/replay/edge_cases.jsonl") else { return };
    let Some(names) = shared("data/replay/edge_cases_expected.csv") else { return };
    let (lines, names) = (std::fs::read_to_string(lines).unwrap(), std::fs::read_to_string(names).unwrap());
    let lines: Vec<&str> = lines.lines().collect();
    let names: Vec<&str> = names.lines().skip(1).filter_map(|row| row.split(',').nth(1)).collect();
    assert_eq!(lines.len(), names.len());
    for (index, name) in names.iter().enumerate() {
        let expected: Counts = recommended(name).iter().copied().collect();
        assert_eq!(added(&lines[..=index]), expected, "line {}: {name}", index + 1);
    }
    let (_, csv) = run(&lines);
    let first = bar(&csv, "BTC-USD", "1723161600000");
    assert!(first.starts_with("100,102,99.5,102,"), "the late trade is the high of its second: {first}");
    let second = bar(&csv, "BTC-USD", "1723161601000");
    assert!(second.starts_with("100.5,101,100.5,101,"), "the open is the first by event time: {second}");
}
