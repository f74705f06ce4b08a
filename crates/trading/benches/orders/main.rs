//! The figures of the order path.
//!
//! - [`accepts`]: orders made durable, beside raw commits of the same rows.
//! - [`checks`]: one order checked against 1,000 limits.
//! - [`restart`]: a start with 10,000 open orders.
//! - [`brake`]: the kill switch in the middle of trading.
//! - [`lives`]: simulated lives of orders.
//!
//! Their names as arguments choose among them: `cargo bench -p trading --features simulator --bench orders -- restart`.

mod accepts;
mod brake;
mod checks;
mod desk;
mod lives;
mod raw;
mod restart;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() {
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |section: &str| named.is_empty() || named.iter().any(|name| name == section);
    if wanted("accepts") {
        accepts::measure().await;
    }
    if wanted("checks") {
        checks::measure();
    }
    if wanted("restart") {
        restart::measure().await;
    }
    if wanted("brake") {
        brake::measure().await;
    }
    if wanted("lives") {
        lives::measure();
    }
}

fn rate(count: usize, took: std::time::Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
