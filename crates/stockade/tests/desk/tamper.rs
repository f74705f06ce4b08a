//! Somebody edits the database by hand.

use sqlx::{AnyConnection, Connection as _};

use crate::running::Home;

#[tokio::test]
async fn one_edited_byte_of_an_audit_row_names_that_row() {
    let home = Home::new();
    let desk = home.start().await;
    desk.set_up().await;
    assert!(desk.stop().await);
    let (good, report) = home.run(&["audit", "verify"]).await;
    assert!(good, "{report}");

    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(&home.database()).await.unwrap();
    let (seq, detail): (i64, String) =
        sqlx::query_as("SELECT seq, detail FROM audit_log WHERE detail LIKE '%Paper%' ORDER BY seq LIMIT 1")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    sqlx::query("UPDATE audit_log SET detail = $1 WHERE seq = $2")
        .bind(detail.replacen("Paper", "Piper", 1))
        .bind(seq)
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();

    let (good, report) = home.run(&["audit", "verify"]).await;
    assert!(!good, "the edit was not found: {report}");
    assert!(
        report.split(|c: char| !c.is_ascii_digit()).any(|word| word == seq.to_string()),
        "row {seq}: {report}"
    );
}
