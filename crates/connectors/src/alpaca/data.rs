//! Market data that has been: bars, quotes and trades by pages, and the newest of everything.
//!
//! Shares and coins have different addresses and the same shapes; a question about both is asked twice.

use std::collections::BTreeMap;
use std::time::Duration;

use alpaca::{
    Bar, BarsPage, LatestBars, LatestOrderbooks, LatestQuotes, LatestTrades, Orderbook, Quote, QuotesPage,
    Snapshot, Snapshots, Trade, TradesPage,
};
use domain::{Symbol, Timestamp};
use serde::de::DeserializeOwned;

use super::http::{Connection, Failure, Http, LONG, with_query};
use super::settings::{Credentials, UnusableSettings};
use super::symbol::{self, Class};

/// Rows by symbol, oldest first.
pub type Rows<T> = BTreeMap<Symbol, Vec<T>>;
/// The newest of each symbol that has any.
pub type Newest<T> = BTreeMap<Symbol, T>;

/// From when, until when, and how much of it.
#[derive(Clone, Debug)]
pub struct Range {
    /// The first moment, included.
    pub start: Timestamp,
    /// The last moment, included; `None` is now.
    pub end: Option<Timestamp>,
    /// Most rows, over all symbols.
    pub most: usize,
}

/// Rows of a page; Alpaca gives no more.
const PAGE: usize = 10_000;
/// Pages that are asked for in a row.
const PAGES: usize = 1_000;
/// Alpaca answers a question about history more slowly than one about an order.
const PATIENCE: Duration = Duration::from_secs(30);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Alpaca's market data over REST.
pub struct MarketData {
    http: Http,
    /// `iex`, `sip` or another of its sources of shares.
    source: String,
}

impl MarketData {
    /// A client of `https://data.alpaca.markets` or another server that speaks the same; nothing is sent yet. `source` is
    /// where prices of shares come from: `iex` is free, `sip` is all exchanges.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn new(
        url: &str,
        credentials: Credentials,
        source: impl Into<String>,
    ) -> Result<Self, UnusableSettings> {
        let http = Http::new(url, credentials, CONNECT_WITHIN, PATIENCE)?;
        Ok(Self { http, source: source.into() })
    }

    /// Tries the credentials, on prices of shares: those of coins are shown to everybody.
    ///
    /// # Errors
    /// They are not accepted, they are not for this source of shares, or Alpaca did not answer.
    pub async fn try_out(&self, share: &Symbol) -> Result<(), Failure> {
        match self.latest_quotes(std::slice::from_ref(share)).await {
            // Whoever says that there is no such share has let us in.
            Err(Failure::Refused { status: 400 | 404 | 422, .. }) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Bars of a length as `1Min`, `1Hour`, `1Day`.
    ///
    /// # Errors
    /// Alpaca refused, or did not answer; what it had said until then is dropped.
    pub async fn bars(&self, symbols: &[Symbol], every: &str, range: &Range) -> Result<Rows<Bar>, Failure> {
        self.history::<BarsPage>("bars", symbols, range, Some(every)).await
    }

    /// Quotes.
    ///
    /// # Errors
    /// As [`Self::bars`].
    pub async fn quotes(&self, symbols: &[Symbol], range: &Range) -> Result<Rows<Quote>, Failure> {
        self.history::<QuotesPage>("quotes", symbols, range, None).await
    }

    /// Trades.
    ///
    /// # Errors
    /// As [`Self::bars`].
    pub async fn trades(&self, symbols: &[Symbol], range: &Range) -> Result<Rows<Trade>, Failure> {
        self.history::<TradesPage>("trades", symbols, range, None).await
    }

    /// The newest minutes.
    ///
    /// # Errors
    /// As [`Self::bars`].
    pub async fn latest_bars(&self, symbols: &[Symbol]) -> Result<Newest<Bar>, Failure> {
        self.newest("bars", symbols, |page: LatestBars| page.bars).await
    }

    /// The newest quotes.
    ///
    /// # Errors
    /// As [`Self::bars`].
    pub async fn latest_quotes(&self, symbols: &[Symbol]) -> Result<Newest<Quote>, Failure> {
        self.newest("quotes", symbols, |page: LatestQuotes| page.quotes).await
    }

    /// The newest trades.
    ///
    /// # Errors
    /// As [`Self::bars`].
    pub async fn latest_trades(&self, symbols: &[Symbol]) -> Result<Newest<Trade>, Failure> {
        self.newest("trades", symbols, |page: LatestTrades| page.trades).await
    }

    /// The books of pairs; shares have none.
    ///
    /// # Errors
    /// As [`Self::bars`].
    pub async fn latest_orderbooks(&self, symbols: &[Symbol]) -> Result<Newest<Orderbook>, Failure> {
        let pairs: Vec<Symbol> =
            symbols.iter().filter(|symbol| Class::of(symbol) == Class::Coins).cloned().collect();
        self.newest("orderbooks", &pairs, |page: LatestOrderbooks| page.orderbooks).await
    }

    /// Everything that is newest.
    ///
    /// # Errors
    /// As [`Self::bars`].
    pub async fn snapshots(&self, symbols: &[Symbol]) -> Result<Newest<Snapshot>, Failure> {
        let mut newest = Newest::new();
        for (class, symbols) in split(symbols) {
            let path = with_query(&format!("{}/snapshots", path_of(class)), self.query(class, &symbols));
            let found = match class {
                Class::Shares => self.get(&path).await?,
                Class::Coins => self.get::<Snapshots>(&path).await?.snapshots,
            };
            newest.extend(named(found)?);
        }
        Ok(newest)
    }

    async fn newest<P: DeserializeOwned, T>(
        &self,
        what: &str,
        symbols: &[Symbol],
        rows: impl Fn(P) -> BTreeMap<String, T>,
    ) -> Result<Newest<T>, Failure> {
        let mut newest = Newest::new();
        for (class, symbols) in split(symbols) {
            let path = match class {
                Class::Shares => format!("{}/{what}/latest", path_of(class)),
                Class::Coins => format!("{}/latest/{what}", path_of(class)),
            };
            let page = self.get(&with_query(&path, self.query(class, &symbols))).await?;
            newest.extend(named(rows(page))?);
        }
        Ok(newest)
    }

    async fn history<P: Page>(
        &self,
        what: &str,
        symbols: &[Symbol],
        range: &Range,
        every: Option<&str>,
    ) -> Result<Rows<P::Row>, Failure> {
        let mut all: Rows<P::Row> = Rows::new();
        let mut left = range.most;
        for (class, symbols) in split(symbols) {
            let mut token: Option<String> = None;
            // A server that promises another page for ever is not believed for ever.
            for _ in 0..PAGES {
                if left == 0 {
                    break;
                }
                let mut query = self.query(class, &symbols);
                query.extend(every.map(|every| ("timeframe", every.to_owned())));
                query.push(("start", range.start.to_string()));
                query.extend(range.end.map(|end| ("end", end.to_string())));
                query.push(("limit", left.min(PAGE).to_string()));
                query.extend(token.take().map(|token| ("page_token", token)));
                let page: P = self.get(&with_query(&format!("{}/{what}", path_of(class)), query)).await?;
                let (rows, next) = page.into_parts();
                for (symbol, mut rows) in named(rows)? {
                    rows.truncate(left);
                    left -= rows.len();
                    all.entry(symbol).or_default().extend(rows);
                }
                let Some(next) = next else { break };
                token = Some(next);
            }
        }
        Ok(all)
    }

    fn query(&self, class: Class, symbols: &[Symbol]) -> Vec<(&'static str, String)> {
        let names: Vec<String> = symbols.iter().map(symbol::to_alpaca).collect();
        let mut query = vec![("symbols", names.join(","))];
        if class == Class::Shares {
            query.push(("feed", self.source.clone()));
        }
        query
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.http.get(path, Connection::Kept, LONG).await
    }
}

fn path_of(class: Class) -> &'static str {
    match class {
        Class::Shares => "/v2/stocks",
        Class::Coins => "/v1beta3/crypto/us",
    }
}

fn split(symbols: &[Symbol]) -> BTreeMap<Class, Vec<Symbol>> {
    let mut classes: BTreeMap<Class, Vec<Symbol>> = BTreeMap::new();
    for symbol in symbols {
        classes.entry(Class::of(symbol)).or_default().push(symbol.clone());
    }
    classes
}

/// Rows under the desk's names.
fn named<T>(rows: BTreeMap<String, T>) -> Result<Vec<(Symbol, T)>, Failure> {
    let named = rows.into_iter().map(|(name, row)| {
        let symbol = symbol::from_alpaca(&name);
        Ok((symbol.map_err(|error| Failure::Lost(format!("rows of {name:?}: {error}")))?, row))
    });
    named.collect()
}

/// A page of rows.
trait Page: DeserializeOwned {
    type Row;

    fn into_parts(self) -> (BTreeMap<String, Vec<Self::Row>>, Option<String>);
}

macro_rules! pages {
    ($($page:ident of $row:ident: $rows:ident;)+) => {
        $(impl Page for $page {
            type Row = $row;

            fn into_parts(self) -> (BTreeMap<String, Vec<$row>>, Option<String>) {
                (self.$rows, self.next_page_token)
            }
        })+
    };
}

pages! {
    BarsPage of Bar: bars;
    QuotesPage of Quote: quotes;
    TradesPage of Trade: trades;
}
