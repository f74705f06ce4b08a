//! Every sample of Alpaca's protocol is read, and written again it is the same.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod same;

use std::collections::BTreeMap;
use std::path::PathBuf;

use alpaca::{
    Account, Activity, Asset, BarsOf, BarsPage, CalendarDay, CanceledOrder, Clock, ClosedPosition,
    Configurations, DataMessage, DataRequest, LatestBar, LatestBars, LatestOrderbooks, LatestQuote,
    LatestQuotes, LatestTrade, LatestTrades, NewsPage, Order, PortfolioHistory, Position, Problem, QuotesOf,
    QuotesPage, Snapshot, Snapshots, SymbolSnapshot, TradesOf, TradesPage, TradingMessage, TradingRequest,
    Watchlist, msgpack,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use same::differences;

/// What the samples have and the desk has not: no shape, with the reason.
const NOT_SPOKEN: [(&str, &str); 10] = [
    ("/v1beta1/options/snapshots", "the desk has no options"),
    ("/v1beta1/options/quotes", "the desk has no options"),
    ("/v1beta1/options/trades", "the desk has no options"),
    ("/v2/options/", "the desk has no options"),
    ("/v1beta1/screener/", "the desk has no screener of all symbols"),
    ("/v2/stocks/auctions", "the desk keeps no auctions"),
    ("/v2/stocks/{symbol}/auctions", "the desk keeps no auctions"),
    ("/v2/corporate_actions/", "the desk announces no corporate actions"),
    ("oas_postOrder_200_MultilegOptions", "the desk has no options: it has neither symbol nor side"),
    ("rec_get_orders", "no message: the SDK's test has the word `string` for amounts"),
];

/// What the desk does not write though Alpaca does: file, where, and why.
const NOT_WRITTEN: [(&str, &str, &str); 14] = [
    ("oas_getAccount_200", "/admin_configurations", "set by the broker only"),
    ("oas_getAccount_200", "/user_configurations", "asked for elsewhere"),
    ("oas_getAccount_200", "/intraday_adjustments", "the desk reckons none"),
    ("oas_getAccount_200", "/pending_reg_taf_fees", "the desk collects no such fees"),
    ("rec_get_account", "/options_approved_level", "a number in the documents, a string in the SDK's test"),
    ("rec_get_account", "/options_trading_level", "a number in the documents, a string in the SDK's test"),
    ("rec_get_all_assets", "/0/last_close_pct_change", "in no document"),
    ("rec_get_all_assets", "/0/last_price", "in no document"),
    ("rec_get_asset", "/last_close_pct_change", "in no document"),
    ("rec_get_asset", "/last_price", "in no document"),
    ("", "/commission", "for partners of the broker"),
    ("", "/limit_price", "the SDK's test has a number for it, the documents a string"),
    ("", "/qty", "the SDK's test has a number for it, the documents a string"),
    ("rec_crypto_latest_bar", "/next_page_token", "there is no page after the newest"),
];

/// Members that Alpaca itself writes as `null` in one answer and leaves out in the next.
const ABSENT_OR_NULL: [&str; 3] = ["subtag", "source", "expires_at"];

/// A sample of somebody else, or one of our own fixtures.
#[derive(serde::Deserialize)]
struct Sample {
    kind: String,
    #[serde(default)]
    method: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    status: u16,
    body: Box<RawValue>,
}

#[test]
fn our_own_fixtures_are_read_and_written_again() {
    let fixtures: BTreeMap<String, Sample> = serde_json::from_str(include_str!("fixtures.json")).unwrap();
    assert!(fixtures.len() > 20);
    for (name, sample) in fixtures {
        check(&name, &sample);
    }
}

#[test]
fn every_sample_is_read_and_written_again() {
    let Some(folder) = shared("wire/samples/alpaca") else { return };
    let mut read = 0;
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let sample: Sample = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let is_foreign = |what: &str| name == what || sample.path.starts_with(what);
        // Errors have one shape, whoever says no.
        if sample.status < 300 && NOT_SPOKEN.iter().any(|(what, _)| is_foreign(what)) {
            continue;
        }
        check(&name, &sample);
        read += 1;
    }
    assert!(read > 120, "only {read} samples were read");
}

fn check(name: &str, sample: &Sample) {
    let body = sample.body.get();
    let written = round_trip(sample, body).unwrap_or_else(|error| panic!("{name}: {error}"));
    let theirs: Value = serde_json::from_str(body).unwrap();
    let mut found = differences(&theirs, &written);
    found.retain(|difference| {
        let known = |(file, place, _): &(&str, &str, &str)| {
            (file.is_empty() || *file == name) && difference.starts_with(&format!("{place}:"))
        };
        let is_either = |name: &&str| difference.contains(&format!("/{name}: null is "));
        !NOT_WRITTEN.iter().any(known) && !ABSENT_OR_NULL.iter().any(is_either)
    });
    assert!(found.is_empty(), "{name}: {found:#?}");
}

/// Reads the body as what it is and writes it again.
fn round_trip(sample: &Sample, body: &str) -> Result<Value, String> {
    match (sample.kind.as_str(), sample.path.as_str()) {
        ("ws_client", _) if body.contains("\"data\"") => again::<TradingRequest>(body),
        ("ws_client", _) => again::<DataRequest>(body),
        ("ws_server", _) if body.starts_with('[') => data_frame(body),
        ("ws_server", _) => {
            let message = TradingMessage::parse(body.as_bytes()).map_err(|error| error.to_string())?;
            serde_json::to_value(&message).map_err(|error| error.to_string())
        }
        ("http_response", _) if sample.status >= 300 && sample.status != 207 => again::<Problem>(body),
        ("http_response", path) => response(&sample.method, path, body),
        (kind, _) => Err(format!("there is no kind {kind}")),
    }
}

fn response(method: &str, path: &str, body: &str) -> Result<Value, String> {
    match (method, path) {
        ("GET", "/v2/account") => again::<Account>(body),
        (_, "/v2/account/configurations") => again::<Configurations>(body),
        ("GET", "/v2/account/portfolio/history") => again::<PortfolioHistory>(body),
        ("GET", path) if path.starts_with("/v2/account/activities") => again::<Vec<Activity>>(body),
        ("DELETE", "/v2/orders") => again::<Vec<CanceledOrder>>(body),
        ("DELETE", "/v2/positions") => again::<Vec<ClosedPosition>>(body),
        // The documents show one order where there is a list of them.
        ("GET", "/v2/orders") if body.starts_with('[') => again::<Vec<Order>>(body),
        (_, path) if path.starts_with("/v2/orders") => again::<Order>(body),
        ("DELETE", path) if path.starts_with("/v2/positions/") => again::<Order>(body),
        ("GET", "/v2/positions") => again::<Vec<Position>>(body),
        ("GET", path) if path.starts_with("/v2/positions/") => again::<Position>(body),
        ("GET", "/v2/assets") => again::<Vec<Asset>>(body),
        ("GET", path) if path.starts_with("/v2/assets/") => again::<Asset>(body),
        ("GET", "/v2/clock") => again::<Clock>(body),
        ("GET", "/v2/calendar") => again::<Vec<CalendarDay>>(body),
        ("GET", "/v2/watchlists") => again::<Vec<Watchlist>>(body),
        (_, path) if path.starts_with("/v2/watchlists/") => again::<Watchlist>(body),
        ("GET", path) => data(path, body),
        _ => Err(format!("there is no {method} {path}")),
    }
}

fn data(path: &str, body: &str) -> Result<Value, String> {
    let rest = path.strip_prefix("/v2/stocks/").or_else(|| {
        let rest = path.strip_prefix("/v1beta3/crypto/")?;
        rest.split_once('/').map(|(_, rest)| rest)
    });
    match rest.unwrap_or(path) {
        "bars" => again::<BarsPage>(body),
        "quotes" => again::<QuotesPage>(body),
        "trades" => again::<TradesPage>(body),
        "{symbol}/bars" => again::<BarsOf>(body),
        "{symbol}/quotes" => again::<QuotesOf>(body),
        "{symbol}/trades" => again::<TradesOf>(body),
        "bars/latest" | "latest/bars" => again::<LatestBars>(body),
        "quotes/latest" | "latest/quotes" => again::<LatestQuotes>(body),
        "trades/latest" | "latest/trades" => again::<LatestTrades>(body),
        "{symbol}/bars/latest" => again::<LatestBar>(body),
        "{symbol}/quotes/latest" => again::<LatestQuote>(body),
        "{symbol}/trades/latest" => again::<LatestTrade>(body),
        "latest/orderbooks" => again::<LatestOrderbooks>(body),
        "{symbol}/snapshot" => again::<SymbolSnapshot>(body),
        "snapshots" if path.starts_with("/v2/stocks") => again::<BTreeMap<String, Snapshot>>(body),
        "snapshots" => again::<Snapshots>(body),
        "/v1beta1/news" => again::<NewsPage>(body),
        "/v1beta1/options/bars" => again::<BarsPage>(body),
        _ => Err(format!("there is no {path}")),
    }
}

fn again<T: DeserializeOwned + Serialize>(body: &str) -> Result<Value, String> {
    let read: T = serde_json::from_str(body).map_err(|error| error.to_string())?;
    serde_json::to_value(&read).map_err(|error| error.to_string())
}

/// A frame of market data, as JSON and by way of MessagePack.
fn data_frame(body: &str) -> Result<Value, String> {
    let write = |text: &str| {
        let messages = DataMessage::parse(text).map_err(|error| error.to_string())?;
        let messages: Vec<DataMessage> =
            messages.into_iter().collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let is_known = |message: &DataMessage| !matches!(message, DataMessage::Other(_));
        assert!(messages.iter().all(is_known), "{messages:?}");
        DataMessage::frame(&messages).map_err(|error| error.to_string())
    };
    let packed = msgpack::from_json(&write(body)?).map_err(|error| error.to_string())?;
    let unpacked = msgpack::to_json(&packed).map_err(|error| error.to_string())?;
    serde_json::from_str(&write(&unpacked)?).map_err(|error| error.to_string())
}

/// A file of the shared specification beside the checkout; `None`, said aloud, where there is none.
///
/// With `CI` set its absence is a failure.
fn shared(file: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("STOCKADE_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let path = folder.join(file);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is missing, and CI is set", path.display());
    eprintln!("skipped: {} is not there", path.display());
    None
}
