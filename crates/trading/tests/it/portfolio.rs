//! What is recorded of an account's value, and what is told of it.

use std::time::Duration;

use domain::{Role, Status, Timestamp};
use storage::testing::databases;
use trading::books::{BookKind, NewBook, OWN_BOOK};
use trading::portfolio::{EquityPoint, Every, Period, PortfolioError};

use crate::desk::{Desk, market};

const MINUTE: Duration = Duration::from_secs(60);

impl Desk {
    async fn history(&self, book: Option<domain::BookId>, every: Every) -> Vec<EquityPoint> {
        let all = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        let id = self.account.id;
        self.gateway.portfolio_history(&self.viewer(), id, book, every, all.0, all.1).await.unwrap()
    }

    /// Lets time pass, and waits until so many points are there of each minute.
    async fn until_recorded(&self, pass: Duration, points: usize) -> Vec<EquityPoint> {
        self.clock.advance(pass);
        self.wait(async || {
            let history = self.history(None, Every::Minute).await;
            (history.len() >= points).then_some(history)
        })
        .await
    }
}

#[tokio::test]
async fn each_minute_is_one_point_and_a_restart_repeats_none() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.until_recorded(MINUTE, 1).await;
        let points = desk.until_recorded(MINUTE, 2).await;
        let times: Vec<String> = points.iter().map(|point| point.at.to_string()).collect();
        assert_eq!(times, ["2026-11-21T12:01:00Z", "2026-11-21T12:02:00Z"]);
        assert!(points.iter().all(|point| point.equity.to_string() == "100000"));

        // The clock of the new start begins at noon again: what is recorded already is not recorded once more.
        let desk = desk.restart(&database).await;
        let points = desk.until_recorded(3 * MINUTE, 3).await;
        assert_eq!(points[2].at.to_string(), "2026-11-21T12:03:00Z");
        assert_eq!(desk.history(Some(OWN_BOOK), Every::Minute).await.len(), 3);
        let days = desk.history(None, Every::Day).await;
        let times: Vec<Timestamp> = days.iter().map(|point| point.at).collect();
        assert_eq!(times, [points[0].at, points[2].at], "the first, and the newest there is");
        let hidden = desk
            .gateway
            .portfolio_history(&desk.stranger(), desk.account.id, None, Every::Day, times[0], times[1])
            .await;
        assert!(matches!(hidden, Err(PortfolioError::Denied(_))));
    }
}

#[tokio::test]
async fn a_book_has_a_history_of_its_own_in_which_what_it_was_given_is_no_profit() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.until_recorded(MINUTE, 1).await;
        let new = NewBook {
            name: "Ann".into(),
            kind: BookKind::Person,
            owner: None,
            cost_method: None,
            opening_cash: Some("400".parse().unwrap()),
        };
        let book = desk.gateway.open_book(&desk.person(Role::Manager), desk.account.id, new).await.unwrap();
        desk.until_recorded(MINUTE, 2).await;
        let points = desk.history(Some(book.id), Every::Minute).await;
        assert_eq!(points.len(), 1);
        assert_eq!((points[0].equity, points[0].flows), (points[0].cash, points[0].cash));
        let own = desk.history(Some(OWN_BOOK), Every::Hour).await;
        let flows: Vec<String> = own.iter().map(|point| point.flows.to_string()).collect();
        assert_eq!(flows, ["0", "-400"], "both are kept, so that the return is exact");
    }
}

#[tokio::test]
async fn a_portfolio_tells_value_profit_and_returns() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.until_recorded(MINUTE, 1).await;
        desk.same_market();
        let order = desk.submit(market("a", "2")).await.unwrap().order;
        desk.until(order.id, |order| order.status == Status::Filled).await;
        desk.clock.advance(MINUTE);
        let portfolio = desk.gateway.portfolio(&desk.viewer(), desk.account.id).await.unwrap();
        assert_eq!(portfolio.value.to_string(), "99999.798", "at cost, as there is no price, less the fee");
        assert_eq!(portfolio.fees.to_string(), "0.202");
        assert_eq!(portfolio.realised.to_string(), "-0.202");
        assert!(portfolio.deposits.is_zero());
        let parts: Vec<String> = portfolio.allocation.iter().map(|part| part.value.to_string()).collect();
        assert_eq!(parts, ["99797.798", "202"]);
        let whole: f64 = portfolio.allocation.iter().filter_map(|part| part.fraction).sum();
        assert!((whole - 1.0).abs() < 1e-12);
        let periods: Vec<Period> = portfolio.periods.iter().map(|one| one.period).collect();
        assert_eq!(periods, Period::ALL);
        for one in &portfolio.periods {
            assert_eq!(one.profit.to_string(), "-0.202", "{}", one.period);
            let earned = one.time_weighted.unwrap().fraction;
            assert!((earned + 0.202 / 100_000.0).abs() < 1e-12, "{earned} over {}", one.period);
            assert!(one.drawdown.unwrap().now > 0.0);
        }
        assert_eq!(portfolio.by_day.len(), 1);
        assert_eq!(portfolio.by_day[0].day.to_string(), "2026-11-21T00:00:00Z");
        assert!(desk.gateway.portfolio(&desk.stranger(), desk.account.id).await.is_err());
    }
}
