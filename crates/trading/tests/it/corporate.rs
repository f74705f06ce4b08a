//! Splits: the broker holds other numbers of units than were traded, and nobody gained or lost anything.

use domain::{Clock as _, Status};
use storage::testing::databases;
use trading::{CorporateAction, CorporateActionKind};

use crate::desk::{Desk, market, symbol};

impl Desk {
    /// Waits until so many units are held; what they cost, and what was earned with them.
    async fn until_held(&self, quantity: &str) -> (String, String) {
        let position = self.wait(async || {
            let position = self.positions().into_iter().next()?.position;
            (position.quantity == quantity.parse().unwrap()).then_some(position)
        });
        let position = position.await;
        (position.cost.0.normalize().to_string(), position.realised_pnl.0.normalize().to_string())
    }
}

#[tokio::test]
async fn a_split_keeps_what_was_paid_and_is_booked_with_its_reason() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let order = desk.submit(market("a", "5")).await.unwrap().order;
        desk.until(order.id, |order| order.status == Status::Filled).await;
        let (paid, earned) = desk.until_held("5").await;
        let deposits = desk.state().deposits;
        let cash = desk.state().cash;
        let split = |reason: &str| CorporateAction {
            kind: CorporateActionKind::Split,
            at: desk.clock.now(),
            symbol: symbol(),
            quantity: None,
            reason: reason.to_owned(),
        };

        desk.hold_more("15", vec![split("four for one")]);
        // A lost stream makes the desk compare.
        desk.cut_stream();
        assert_eq!(desk.until_held("20").await, (paid.clone(), earned.clone()), "as much was paid for more");
        // In the other direction.
        desk.hold_more("-3", vec![split("one for ten")]);
        desk.cut_stream();
        assert_eq!(desk.until_held("2").await, (paid, earned));

        assert_eq!((desk.state().cash, desk.state().deposits), (cash, deposits), "no money moved");
        let rows = desk.rows();
        let reasons: Vec<_> = rows.iter().filter(|row| row.act == "account.split").collect();
        assert_eq!(reasons.len(), 2);
        assert_eq!(reasons[0].detail["reason"], "four for one");
        assert!(!desk.acts().contains(&"account.difference_adopted".to_owned()));
    }
}
