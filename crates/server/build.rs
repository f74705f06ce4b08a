//! The page is built by npm, not by cargo. Without it the desk compiles all the same, and says so when it is opened.

fn main() {
    let bundle = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/dist");
    println!("cargo::rerun-if-changed={bundle}");
    if let Err(error) = std::fs::create_dir_all(bundle) {
        println!("cargo::error=the folder {bundle} cannot be made: {error}");
    }
}
