//! From starting the binary to its first page, and the memory it holds while nobody uses it.
//!
//! The reference for the time is the same binary printing its version: what the machine takes to load it at all. The
//! aims are one second and 100 MB. `BENCH_IDLE_SECONDS` says how long the desk idles before its memory is read (60).

use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const RESTARTS: usize = 5;
const AIM: Duration = Duration::from_secs(1);
const AIM_MB: f64 = 100.0;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("no other provider is installed");
    let idle =
        std::env::var("BENCH_IDLE_SECONDS").map_or(60, |text| text.parse().expect("a number of seconds"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Made by the desk itself, which refuses a folder that others can read.
    let home = folder.path().join("home");

    let reference = median((0..RESTARTS).map(|_| version()).collect());
    let (first, desk) = first_page(&home).await;
    desk.stop();
    let mut restarts = Vec::new();
    for _ in 1..RESTARTS {
        let (took, desk) = first_page(&home).await;
        restarts.push(took);
        desk.stop();
    }
    let (took, desk) = first_page(&home).await;
    restarts.push(took);
    let at_start = desk.memory_mb();
    tokio::time::sleep(Duration::from_secs(idle)).await;
    let at_rest = desk.memory_mb();
    desk.stop();

    println!("start to first page, new home          {:>8} ms", first.as_millis());
    println!(
        "start to first page, median of {RESTARTS} starts {:>7} ms   aim {} ms, printing the version {} ms",
        median(restarts).as_millis(),
        AIM.as_millis(),
        reference.as_millis()
    );
    println!(
        "memory after {idle:>3} idle seconds            {at_rest:>8.1} MB   aim {AIM_MB} MB, at the first page {at_start:.1} MB"
    );
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn version() -> Duration {
    let began = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_stockade")).arg("--version").output();
    assert!(output.expect("the binary starts").status.success(), "the binary prints its version");
    began.elapsed()
}

/// A running desk. Its output stays open, so that it never writes to a closed pipe.
struct Desk {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// Starts the desk and asks for its first page, which on a new home is set-up and later sign-in.
async fn first_page(home: &Path) -> (Duration, Desk) {
    let began = Instant::now();
    let mut process = Command::new(env!("CARGO_BIN_EXE_stockade"))
        .arg("run")
        .env("STOCKADE_HOME", home)
        .env("STOCKADE_LISTEN", "127.0.0.1:0")
        .env_remove("DATABASE_URL")
        .env_remove("FEED")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let lines = BufReader::new(process.stdout.take().expect("its output is piped")).lines();
    let mut desk = Desk { process, lines };
    let address = desk.address();

    // The certificate is the desk's own.
    let client = reqwest::Client::builder().danger_accept_invalid_certs(true).build().expect("a client");
    let page = client.get(&address).send().await.expect("the desk answers");
    assert!(page.status().is_success(), "the first page is served: {}", page.status());
    let body = page.text().await.expect("the page arrives whole");
    assert!(body.contains("<form"), "the first page is a form");
    (began.elapsed(), desk)
}

impl Desk {
    /// Waits for the line that tells where the desk is.
    fn address(&mut self) -> String {
        let mut lines = self.lines.by_ref().map(|line| line.expect("the desk prints text"));
        let found = lines.find_map(|line| {
            let link = line.split_whitespace().find(|word| word.starts_with("https://"))?;
            Some(link.split('/').take(3).collect::<Vec<_>>().join("/"))
        });
        found.expect("the desk prints its address")
    }

    /// What is in memory, all of it: program, heap and stacks, in millions of bytes.
    fn memory_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("the desk is running");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells it");
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
        kib * 1024.0 / 1e6
    }

    fn stop(mut self) {
        let id = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw);
        let id = id.expect("a process has an id");
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("the desk is running");
        let ended = self.process.wait().expect("the desk ends");
        assert!(ended.success(), "the desk shuts down cleanly: {ended}");
    }
}
