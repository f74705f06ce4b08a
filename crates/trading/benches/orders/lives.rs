//! Simulated lives of orders on one core: the whole order path with everything that fails around it.

use std::time::{Duration, Instant};

use trading::simulator;

const LASTS: Duration = Duration::from_secs(10);

pub(crate) fn measure() {
    let begun = Instant::now();
    let mut orders = 0;
    for seed in 1_000_000.. {
        if begun.elapsed() > LASTS {
            break;
        }
        orders += simulator::run(seed).unwrap_or_else(|violation| panic!("{violation}")).orders;
    }
    let lives = crate::rate(orders, begun.elapsed());
    println!("simulated lives of orders        {lives:>9.0} a second and core (aim 1000 or better)");
}
