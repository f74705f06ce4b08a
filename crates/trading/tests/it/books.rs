//! Books through the door: who may, what is on record, and what a second desk may still do.

use domain::{Access, CostMethod, Denied, Money, Quantity, Role, Side, Status};
use storage::testing::databases;
use trading::books::{
    BookError, BookKind, BookRefusal, BookState, CashTransfer, NewBook, UnitTransfer, VirtualBook,
};
use trading::{BookingKind, FillFilter};

use crate::desk::{Desk, market, sell, symbol};

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn units(text: &str) -> Quantity {
    text.parse().unwrap()
}

impl Desk {
    /// Opens a book for a person, or for nobody.
    async fn book(&self, name: &str, owner: Option<&domain::Context>, cash: &str) -> VirtualBook {
        let new = NewBook {
            name: name.into(),
            kind: BookKind::Person,
            owner: owner.and_then(|ctx| ctx.user_id()).map(|user| user.to_string()),
            cost_method: Some(CostMethod::Fifo),
            opening_cash: Some(money(cash)),
        };
        self.gateway.open_book(&self.person(Role::Manager), self.account.id, new).await.unwrap()
    }

    fn state_of(&self, book: Option<&VirtualBook>) -> BookState {
        let books = self.gateway.books(&self.viewer(), self.account.id).unwrap();
        books.into_iter().find(|state| state.book.as_ref().map(|b| b.id) == book.map(|b| b.id)).unwrap()
    }
}

#[tokio::test]
async fn only_who_manages_books_may_change_them_and_every_viewer_sees_them() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let book = desk.book("Ann", None, "1000").await;
        let new = NewBook {
            name: "Bob".into(),
            kind: BookKind::Person,
            owner: None,
            cost_method: None,
            opening_cash: None,
        };
        let transfer =
            CashTransfer { from: None, to: Some(book.id), amount: money("1"), note: "for lunch".into() };
        let id = desk.account.id;
        for ctx in [desk.person(Role::Trader), desk.viewer(), desk.stranger(), desk.person(Role::Auditor)] {
            let denied = [
                desk.gateway.open_book(&ctx, id, new.clone()).await.map(drop),
                desk.gateway.transfer_cash(&ctx, id, transfer.clone()).await,
                desk.gateway.close_book(&ctx, id, book.id).await,
                desk.gateway.set_cost_method(&ctx, id, None, CostMethod::Fifo).await,
            ];
            for result in denied {
                assert!(matches!(result, Err(BookError::Denied(_))), "{result:?}");
            }
        }
        assert_eq!(desk.gateway.books(&desk.viewer(), id).unwrap().len(), 2);
        let hidden = desk.gateway.books(&desk.stranger(), id);
        assert!(matches!(hidden, Err(Denied::NoGrant { .. })));
        let manager = desk.person(Role::Manager);
        assert_eq!(manager.access(id), Some(Access::Manage));
        desk.gateway.transfer_cash(&manager, id, transfer).await.unwrap();
        assert_eq!(desk.state_of(Some(&book)).cash, money("1001"));
        assert_eq!(desk.state_of(None).cash, money("98999"));
        let acts = desk.acts();
        for act in ["book.opened", "book.cash_transferred"] {
            assert!(acts.iter().any(|done| done == act), "{act} is on record");
        }
    }
}

#[tokio::test]
async fn people_trade_in_their_own_books_and_hand_units_over() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let (ann, bob) =
            (desk.book("Ann", Some(&desk.ctx), "1000").await, desk.book("Bob", None, "1000").await);
        let order = desk.submit(market("a", "2")).await.unwrap().order;
        assert_eq!(order.provenance.book, Some(ann.id), "the trader's own");
        desk.until(order.id, |order| order.status == Status::Filled).await;
        let too_much = desk.submit(market("b", "9")).await.unwrap_err();
        assert_eq!(too_much.code(), "book_buying_power", "there is plenty on the account");

        let manager = desk.person(Role::Manager);
        let transfer = UnitTransfer {
            from: Some(ann.id),
            to: Some(bob.id),
            symbol: symbol(),
            quantity: units("1.5"),
            price: Some("110".parse().unwrap()),
            note: "a bet".into(),
        };
        let moved = desk.gateway.transfer_units(&manager, desk.account.id, transfer.clone()).await.unwrap();
        assert_eq!(moved.realised_pnl, money("13.5"), "1.5 bought at 101 and handed over at 110");
        let again = desk.gateway.transfer_units(&manager, desk.account.id, transfer).await.unwrap_err();
        let BookError::Refused(refusal) = again else { panic!("{again:?}") };
        assert_eq!(refusal, BookRefusal::NotEnoughUnits { symbol: symbol(), free: units("0.5") });

        let held = |book: &VirtualBook| desk.state_of(Some(book)).positions[0].position.quantity;
        assert_eq!((held(&ann), held(&bob)), (units("0.5"), units("1.5")));
        let rows = desk.gateway.fills(&desk.ctx, &FillFilter::default(), None, 10).await.unwrap();
        let sides: Vec<(BookingKind, Side)> = rows.iter().map(|row| (row.kind, row.side)).collect();
        let transfer = BookingKind::Transfer;
        let transfers: Vec<_> = sides.into_iter().filter(|(kind, _)| *kind == transfer).collect();
        assert_eq!(transfers, [(transfer, Side::Buy), (transfer, Side::Sell)], "newest first");
        desk.agrees_with_the_venue().await;

        // To the account nothing happened: its profit is that of the fills.
        let portfolio = desk.gateway.portfolio(&desk.ctx, desk.account.id).await.unwrap();
        let of_books: Money = portfolio.by_book.iter().map(|book| book.realised + book.unrealised).sum();
        assert_eq!(portfolio.realised, money("-0.202"), "the fee");
        assert_eq!(portfolio.by_book.len(), 3);
        // There is no price, so what was handed over is worth what it was handed over for.
        assert_eq!(of_books, money("-0.202") + money("13.5"));

        let desk = desk.restart(&database).await;
        assert_eq!(desk.state_of(Some(&bob)).positions[0].position.quantity, units("1.5"));
        assert_eq!(desk.state_of(Some(&ann)).funded, money("1000"));
        assert_eq!(desk.state_of(Some(&ann)).realised_pnl, money("13.298"));
        desk.agrees_with_the_venue().await;
    }
}

#[tokio::test]
async fn closing_a_position_closes_that_of_ones_own_book() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let order = desk.submit(market("own", "1")).await.unwrap().order;
        desk.until(order.id, |order| order.status == Status::Filled).await;
        let ann = desk.book("Ann", Some(&desk.ctx), "1000").await;
        let nothing = desk.submit(sell("s", "1")).await.unwrap_err();
        assert_eq!(nothing.code(), "book_position_too_small", "what is sold is not Ann's");
        let order = desk.submit(market("a", "2")).await.unwrap().order;
        desk.until(order.id, |order| order.status == Status::Filled).await;
        let ctx = desk.now(&desk.ctx);
        let closed =
            desk.gateway.close_position(&ctx, desk.account.id, &symbol(), None, "c".into()).await.unwrap();
        assert_eq!(closed.order.quantity, units("2"));
        desk.until(closed.order.id, |order| order.status == Status::Filled).await;
        assert!(desk.state_of(Some(&ann)).positions[0].position.quantity.is_zero());
        assert_eq!(desk.state_of(None).positions[0].position.quantity, units("1"));

        let manager = desk.person(Role::Manager);
        desk.gateway.close_book(&manager, desk.account.id, ann.id).await.unwrap();
        assert!(desk.state_of(Some(&ann)).cash.is_zero(), "its money is the account's again");
        desk.agrees_with_the_venue().await;
    }
}

#[tokio::test]
async fn a_desk_that_was_taken_over_moves_nothing() {
    for database in databases().await {
        let old = Desk::open(&database).await;
        let book = old.book("Ann", None, "1000").await;
        let new = old.second(&database).await;
        let transfer =
            CashTransfer { from: None, to: Some(book.id), amount: money("5"), note: String::new() };
        let manager = old.person(Role::Manager);
        let moved = old.gateway.transfer_cash(&manager, old.account.id, transfer.clone()).await;
        assert!(moved.is_err(), "{moved:?}");
        new.gateway.transfer_cash(&new.person(Role::Manager), new.account.id, transfer).await.unwrap();
        assert_eq!(new.state_of(Some(&book)).cash, money("1005"), "once");
    }
}
