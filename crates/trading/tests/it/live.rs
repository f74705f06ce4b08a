//! Real money.

use domain::{Denied, Role};
use storage::testing::databases;
use trading::{LiveError, SubmitError};

use crate::desk::{Desk, Setting, limit};

#[tokio::test]
async fn real_money_moves_only_when_account_and_grant_are_for_it() {
    for database in databases().await {
        let desk = Desk::open_with(&database, Setting { live: true, ..Setting::default() }).await;
        let id = desk.account.id;
        let granted = desk.person(Role::Trader).with_live([id]);
        let off = desk.gateway.submit(&granted, id, limit("a", "1", "90")).await;
        assert!(matches!(off, Err(SubmitError::NotLive)), "{off:?}");

        let owner = desk.person(Role::SuperAdmin);
        let name = desk.account.name.as_str();
        let trader = desk.gateway.switch_live(&granted, id, true, name).await;
        assert!(matches!(trader, Err(LiveError::Denied(_))), "{trader:?}");
        let plain = desk.gateway.switch_live(&owner.clone().with_factor(None), id, true, name).await;
        assert!(matches!(plain, Err(LiveError::StepUp(_))), "{plain:?}");
        let other = desk.gateway.switch_live(&owner, id, true, "Other").await;
        assert!(matches!(other, Err(LiveError::WrongName)), "{other:?}");
        let account = desk.gateway.switch_live(&owner, id, true, name).await.unwrap();
        assert!(account.live_since.is_some());

        let not_granted = desk.submit(limit("b", "1", "90")).await;
        assert!(matches!(not_granted, Err(SubmitError::Denied(Denied::Live { .. }))), "{not_granted:?}");
        desk.gateway.submit(&granted, id, limit("a", "1", "90")).await.unwrap();

        desk.gateway.switch_live(&granted, id, false, "").await.unwrap();
        let off = desk.gateway.submit(&granted, id, limit("c", "1", "90")).await;
        assert!(matches!(off, Err(SubmitError::NotLive)), "{off:?}");
        let acts = desk.acts();
        assert!(["account.live_on", "account.live_off"].iter().all(|act| acts.iter().any(|one| one == act)));
    }
}

#[tokio::test]
async fn a_paper_account_has_nothing_to_switch() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let owner = desk.person(Role::SuperAdmin);
        let refused = desk.gateway.switch_live(&owner, desk.account.id, true, "Paper").await;
        assert!(matches!(refused, Err(LiveError::Paper)), "{refused:?}");
    }
}
