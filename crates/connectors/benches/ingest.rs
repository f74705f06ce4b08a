//! How fast bytes of the vendor become bars, beside merely parsing them with the same parser into the same structs.
//!
//! Prints one line each. Takes a recording as its argument (`.jsonl` or `.gz`), or makes one.

#![expect(clippy::expect_used, reason = "a program that may stop")]

use std::hint::black_box;
use std::io::Read as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use connectors::polygon::{translate, wire};
use domain::{ManualClock, Timestamp};
use market::{ConditionTable, Kind, Market, Settings};

const RUNS: usize = 9;

fn main() {
    let recording = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let (name, text) = match recording {
        Some(path) => (path.clone(), read(&path)),
        None => ("generated".to_owned(), generated()),
    };
    let frames: Vec<&str> = text.lines().collect();
    let mut messages = 0_usize;
    for frame in &frames {
        let _ = wire::read(frame, |_| messages += 1);
    }

    // Turn by turn, so that whatever else the machine does meets both.
    let (mut parsing, mut whole) = (Vec::new(), Vec::new());
    for run in 0..=RUNS {
        let (parse, bars) = (parse(&frames), to_bars(&frames));
        // The first run warms up.
        if run > 0 {
            parsing.push(parse);
            whole.push(bars);
        }
    }
    let rate = |times: &mut Vec<Duration>| {
        times.sort();
        messages as f64 / times[times.len() / 2].as_secs_f64()
    };
    let (parsing, whole) = (rate(&mut parsing), rate(&mut whole));
    println!("ingest/{name}: {messages} messages in {} frames, median of {RUNS} runs", frames.len());
    println!("ingest/{name}: parse only     {parsing:>12.0} messages/s");
    println!("ingest/{name}: bytes to bars  {whole:>12.0} messages/s");
    println!("ingest/{name}: ratio          {:>12.2}", whole / parsing);
}

fn parse(frames: &[&str]) -> Duration {
    let begun = Instant::now();
    for frame in frames {
        wire::read(frame, |event| drop(black_box(event))).ok();
    }
    begun.elapsed()
}

fn to_bars(frames: &[&str]) -> Duration {
    let clock = Arc::new(ManualClock::new(Timestamp::MAX));
    let market = Market::new(Settings::learning(ConditionTable::default()), clock);
    let mut feed = market.feed("bench");
    // Somebody listens, as always on a desk.
    let _listener = market.subscribe();
    let begun = Instant::now();
    for frame in frames {
        black_box(translate(frame, Timestamp::MAX, &mut feed));
    }
    let took = begun.elapsed();
    assert!(feed.counters().get(Kind::Trade) > 0, "nothing came through: {:?}", feed.counters().named());
    took
}

fn read(path: &str) -> String {
    let file = std::fs::File::open(path).expect("the recording can be opened");
    let mut text = String::new();
    let unpacked = if path.ends_with(".gz") {
        flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text)
    } else {
        std::io::BufReader::new(file).read_to_string(&mut text)
    };
    unpacked.expect("the recording is text");
    text
}

/// A quarter of an hour of one busy symbol: four quotes a trade, several events a frame.
fn generated() -> String {
    const BEGIN_MS: i64 = 1_704_164_640_000;
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut text = String::new();
    let mut cents = 6_183_763_u64;
    let mut at_ms = BEGIN_MS;
    for id in 0..20_000 {
        at_ms += i64::try_from(next(90)).unwrap_or_default();
        cents = cents + next(41) - 20;
        let price = |cents: u64| format!("{}.{:02}", cents / 100, cents % 100);
        let (bid, ask, received) = (price(cents), price(cents + 1), at_ms + 6);
        let mut events = Vec::new();
        for _ in 0..4 {
            let (bid_size, ask_size) = (next(400_000), next(400_000));
            events.push(format!(
                r#"{{"ev":"XQ","pair":"BTC-USD","bp":{bid},"bs":{}.{:05},"ap":{ask},"as":{}.{:05},"t":{at_ms},"x":10,"r":{received}}}"#,
                bid_size / 100_000,
                bid_size % 100_000 + 1,
                ask_size / 100_000,
                ask_size % 100_000 + 1,
            ));
        }
        let (size, side) = (next(90_000) + 1, 1 + next(2));
        let price = if side == 2 { &ask } else { &bid };
        events.push(format!(
            r#"{{"ev":"XT","pair":"BTC-USD","p":{price},"t":{at_ms},"s":0.{size:05},"c":[{side}],"i":"{}","x":10,"r":{received}}}"#,
            3_735_683_259_u64 + id
        ));
        text.push_str(&format!("[{}]\n", events.join(",")));
    }
    text
}
