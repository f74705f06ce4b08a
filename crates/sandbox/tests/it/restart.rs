//! What is left after a restart.

use std::sync::Arc;

use domain::{Every, ManualClock, Symbol, Timestamp};
use market::{Market, Settings};
use storage::testing::databases;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_restart_keeps_the_chart_and_history_fills_an_empty_one() {
    let symbol: Symbol = "BTC-USD".parse().unwrap();
    let until = Timestamp::from_second(1_790_000_030).unwrap();
    let past = sandbox::history(11, &symbol, until, 120);
    let clock = Arc::new(ManualClock::new(until));
    for test in databases().await {
        let mut before = Vec::new();
        for run in 0..2 {
            let database = test.open(None).await;
            let stop = CancellationToken::new();
            let settings = Settings::new(sandbox::instruments());
            let (market, keeper) =
                Market::start(settings, database.clone(), clock.clone(), stop.clone()).await.unwrap();
            if run == 0 {
                for every in Every::ALL {
                    let bars = past.iter().filter(|(e, _)| *e == every).map(|(_, bar)| bar.clone());
                    market.seed(&symbol, every, bars.collect());
                }
                before = market.bars(&symbol, Every::Minute, None, 1_000).await.unwrap();
                assert_eq!(before.len(), 121);
            } else {
                let after = market.bars(&symbol, Every::Minute, None, 1_000).await.unwrap();
                assert_eq!(after, before);
                assert!(market.last_price(&symbol).is_some());
            }
            stop.cancel();
            keeper.await.unwrap();
            database.close().await;
        }
    }
}
