//! The document that the page's client is made from is the one that the handlers make.

#[test]
fn the_committed_document_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/openapi.json");
    let committed = std::fs::read_to_string(path).expect("web/openapi.json is there");
    assert!(
        committed == server::openapi(),
        "run: stockade openapi >web/openapi.json, then npm run api in web/"
    );
}
