//! What every broker connection has to do: the paper venue itself, the same venue over the network, and the same in
//! Alpaca's words.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{AccountId, Clock as _, Price, Symbol, Timestamp};
use sandbox::AlpacaSettings;
use trading::conformance::{Stage, conforms};
use trading::{Broker, PaperSettings};

use crate::desk::{ALPACA_KEY, ALPACA_SECRET, DESK_KEY, Venue, symbol};

struct Paper {
    venue: Venue,
    account: AccountId,
    broker: Arc<dyn Broker>,
}

#[async_trait]
impl Stage for Paper {
    fn broker(&self) -> Arc<dyn Broker> {
        self.broker.clone()
    }

    fn account(&self) -> AccountId {
        self.account
    }

    fn symbol(&self) -> Symbol {
        symbol()
    }

    fn now(&self) -> Timestamp {
        self.venue.clock.now()
    }

    async fn quote(&self, bid: Price, ask: Price) {
        self.venue.quote(&bid.to_string(), &ask.to_string());
    }
}

#[tokio::test]
async fn the_paper_venue_within_the_desk_conforms() {
    let venue = Venue::open(PaperSettings::default()).await;
    let account = AccountId::new(venue.clock.now());
    venue.venue.open_account(account, "100000".parse().unwrap()).await.unwrap();
    let broker = venue.venue.broker(account);
    conforms(&Paper { venue, account, broker }).await;
}

#[tokio::test]
async fn the_paper_venue_over_the_network_conforms() {
    let venue = Venue::open(PaperSettings::default()).await;
    let account = AccountId::new(venue.clock.now());
    let broker = Venue::client(venue.server.url(), DESK_KEY).broker(account);
    conforms(&Paper { venue, account, broker }).await;
}

#[tokio::test]
async fn alpaca_conforms_whichever_frames_it_sends() {
    for binary_frames in [true, false] {
        let venue = Venue::open(PaperSettings::with_fee_bps(0.into())).await;
        let account = AccountId::new(venue.clock.now());
        let settings = AlpacaSettings::loopback(account, ALPACA_KEY, ALPACA_SECRET);
        let server = venue.alpaca(AlpacaSettings { binary_frames, ..settings }).await;
        let broker = Venue::alpaca_client(server.url()).broker();
        conforms(&Paper { venue, account, broker }).await;
    }
}
