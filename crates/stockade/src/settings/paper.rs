//! `[paper]`: the paper venue, what it charges, when it trades, and where it is.
//!
//! Durations are written as people say them (`250ms`, `2s`, `1m 30s`), numbers with a fraction best as text.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use connectors::paper::wire::MisbehaveDrill;
use domain::{Decimal, Money, Quantity, Symbol};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use trading::{Calendar, Class, Fees, Hours, Latency, PaperSettings, Rules, Short, Slippage};

/// The paper venue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paper {
    /// What an account starts with, in USD.
    pub cash_usd: Decimal,
    /// What the venue takes of every fill, in basis points, where `fees` says nothing else.
    pub fee_bps: Decimal,
    /// Where it is when it is a process of its own, as `http://127.0.0.1:9100`; else it is part of the desk.
    #[serde(default)]
    pub venue: Option<String>,
    /// The file with the desk's key there; else `venue.key` in the home folder.
    #[serde(default)]
    pub venue_key_file: Option<PathBuf>,

    #[serde(default)]
    fees: Option<FeeTable>,
    #[serde(default)]
    slippage: Option<SlippageModel>,
    #[serde(default)]
    latency: Option<LatencyModel>,
    #[serde(default)]
    hours: Vec<OpeningHours>,
    #[serde(default)]
    classes: Vec<ClassRules>,
    #[serde(default)]
    short: ShortSales,
    #[serde(default)]
    refuse_self_cross: bool,
    #[serde(default)]
    settle_window: Option<Span>,
    #[serde(default)]
    answer_within: Option<Span>,
    #[serde(default)]
    requests_per_minute: Option<u32>,
    #[serde(default)]
    burst: Option<u32>,
    #[serde(default)]
    seed: Option<u64>,
    #[serde(default)]
    misbehave: MisbehaveDrill,
}

/// What the venue takes: the sum of the parts, over all fills of an order not below `minimum` nor above `maximum`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FeeTable {
    #[serde(default)]
    per_unit: Decimal,
    #[serde(default)]
    maker_bps: Decimal,
    #[serde(default)]
    taker_bps: Decimal,
    minimum: Option<Decimal>,
    maximum: Option<Decimal>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "model", rename_all = "snake_case", deny_unknown_fields)]
enum SlippageModel {
    None,
    BasisPoints { bps: Decimal },
    SquareRoot { coefficient: f64, daily_volatility: f64, daily_volume: f64 },
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "model", rename_all = "snake_case", deny_unknown_fields)]
enum LatencyModel {
    None,
    Fixed { after: Span },
    Uniform { least: Span, most: Span },
    Measured { samples: Vec<Span> },
}

/// The same hours on some days of the week, in UTC. `pre` and `post` are those of extended hours.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OpeningHours {
    days: Vec<Day>,
    pre: Option<TimeOfDay>,
    open: TimeOfDay,
    close: TimeOfDay,
    post: Option<TimeOfDay>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// Symbols that trade by rules of their own; what is not said is as for all.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassRules {
    name: String,
    symbols: Vec<Symbol>,
    fees: Option<FeeTable>,
    slippage: Option<SlippageModel>,
    latency: Option<LatencyModel>,
    #[serde(default)]
    hours: Vec<OpeningHours>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ShortSales {
    allowed: bool,
    borrow: Option<BTreeMap<Symbol, Decimal>>,
    margin_percent: Option<Decimal>,
}

/// A duration as people write it: a whole number of milliseconds, at most a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span(Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let refuse = || {
            D::Error::custom(format!("{text:?} is not a duration such as \"250ms\" or \"2s\", at most a day"))
        };
        let span: jiff::SignedDuration = text.parse().map_err(|_| refuse())?;
        let span = Duration::try_from(span).map_err(|_| refuse())?;
        let is_whole = span.subsec_nanos() % 1_000_000 == 0;
        if is_whole && span <= Duration::from_secs(86_400) { Ok(Self(span)) } else { Err(refuse()) }
    }
}

impl Span {
    fn ms(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Minutes after midnight, written `14:30`; up to `36:00`, for what ends on the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct TimeOfDay(u16);

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let minutes = text.split_once(':').and_then(|(hours, minutes)| {
            let is_number = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            let (hours, minutes) =
                (is_number(hours).then_some(hours)?, is_number(minutes).then_some(minutes)?);
            let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
            (minutes < 60 && hours * 60 + minutes <= 36 * 60).then_some(hours * 60 + minutes)
        });
        minutes.map(Self).ok_or_else(|| D::Error::custom(format!("{text:?} is not a time such as \"14:30\"")))
    }
}

impl Paper {
    /// What the venue is set up with.
    ///
    /// # Errors
    /// A number is out of its range.
    pub(crate) fn venue_settings(&self) -> anyhow::Result<PaperSettings> {
        let usual = PaperSettings::default();
        ensure!(self.cash_usd >= Decimal::ZERO, "paper.cash_usd must not be below zero");
        bps(self.fee_bps, "paper.fee_bps")?;
        let general = ClassRules {
            name: String::new(),
            symbols: Vec::new(),
            fees: self.fees.clone(),
            slippage: self.slippage.clone(),
            latency: self.latency.clone(),
            hours: self.hours.clone(),
        };
        let rules = general.rules(&Rules { fees: Fees::basis_points(self.fee_bps), ..usual.rules })?;
        let mut classes = Vec::new();
        for class in &self.classes {
            let of = || format!("in the class {:?} of [paper]", class.name);
            ensure!(!class.symbols.is_empty(), "{}: it has no symbols", of());
            let rules = class.rules(&rules).with_context(of)?;
            classes.push(Class { name: class.name.clone(), symbols: class.symbols.clone(), rules });
        }
        let answer_within = self.answer_within.map_or(usual.answer_within, |span| span.0);
        ensure!(!answer_within.is_zero(), "paper.answer_within must be above zero");
        let requests_per_minute = self.requests_per_minute.unwrap_or(usual.requests_per_minute);
        let burst = self.burst.unwrap_or(usual.burst.min(requests_per_minute));
        ensure!(
            requests_per_minute > 0 && burst > 0,
            "paper.requests_per_minute and paper.burst must be above zero"
        );
        Ok(PaperSettings {
            rules,
            classes,
            short: self.short.settings()?,
            refuse_self_cross: self.refuse_self_cross,
            settle_window: self.settle_window.map_or(usual.settle_window, |span| span.0),
            answer_within,
            requests_per_minute,
            burst,
            seed: self.seed.unwrap_or(usual.seed),
            misbehave: self.misbehave.behaviour().context("in [paper.misbehave]")?,
        })
    }
}

fn bps(value: Decimal, name: &str) -> anyhow::Result<Decimal> {
    let most = Decimal::from(10_000);
    ensure!((-most..=most).contains(&value), "{name} is in hundredths of a percent, from -10000 to 10000");
    Ok(value)
}

impl ClassRules {
    /// These rules, and for what they do not say those of `others`.
    fn rules(&self, others: &Rules) -> anyhow::Result<Rules> {
        Ok(Rules {
            calendar: if self.hours.is_empty() { others.calendar.clone() } else { calendar(&self.hours)? },
            fees: self.fees.as_ref().map_or_else(|| Ok(others.fees.clone()), FeeTable::fees)?,
            slippage: self
                .slippage
                .as_ref()
                .map_or_else(|| Ok(others.slippage.clone()), SlippageModel::slippage)?,
            latency: self
                .latency
                .as_ref()
                .map_or_else(|| Ok(others.latency.clone()), LatencyModel::latency)?,
        })
    }
}

impl FeeTable {
    fn fees(&self) -> anyhow::Result<Fees> {
        let (minimum, maximum) = (self.minimum.map(Money), self.maximum.map(Money));
        ensure!(self.per_unit >= Decimal::ZERO, "fees.per_unit must not be below zero");
        ensure!(
            minimum.is_none_or(|least| least >= Money::ZERO && maximum.is_none_or(|most| least <= most)),
            "fees.minimum must not be below zero nor above fees.maximum"
        );
        ensure!(maximum.is_none_or(|most| most >= Money::ZERO), "fees.maximum must not be below zero");
        Ok(Fees {
            per_unit: Money(self.per_unit),
            maker_bps: bps(self.maker_bps, "fees.maker_bps")?,
            taker_bps: bps(self.taker_bps, "fees.taker_bps")?,
            minimum,
            maximum,
        })
    }
}

impl SlippageModel {
    fn slippage(&self) -> anyhow::Result<Slippage> {
        Ok(match *self {
            Self::None => Slippage::None,
            Self::BasisPoints { bps: value } => {
                ensure!(value >= Decimal::ZERO, "slippage.bps must not be below zero");
                Slippage::BasisPoints { bps: bps(value, "slippage.bps")? }
            }
            Self::SquareRoot { coefficient, daily_volatility, daily_volume } => {
                let is_sane = |number: f64, most: f64| number.is_finite() && number >= 0.0 && number <= most;
                ensure!(
                    is_sane(coefficient, 100.0) && is_sane(daily_volatility, 10.0),
                    "slippage.coefficient is from 0 to 100, slippage.daily_volatility a fraction from 0 to 10"
                );
                ensure!(
                    daily_volume.is_finite() && daily_volume > 0.0,
                    "slippage.daily_volume must be above zero"
                );
                Slippage::SquareRoot { coefficient, daily_volatility, daily_volume }
            }
        })
    }
}

impl LatencyModel {
    fn latency(&self) -> anyhow::Result<Latency> {
        Ok(match self {
            Self::None => Latency::None,
            Self::Fixed { after } => Latency::Fixed { latency_ms: after.ms() },
            Self::Uniform { least, most } => {
                ensure!(least.0 <= most.0, "latency.least must not be above latency.most");
                Latency::Uniform { least_ms: least.ms(), most_ms: most.ms() }
            }
            Self::Measured { samples } => {
                ensure!(!samples.is_empty(), "latency.samples must not be empty");
                Latency::Measured { samples_ms: samples.iter().map(|span| span.ms()).collect() }
            }
        })
    }
}

impl ShortSales {
    fn settings(&self) -> anyhow::Result<Short> {
        let usual = Short::default();
        let margin_percent = self.margin_percent.unwrap_or(usual.margin_percent);
        ensure!(
            (Decimal::ZERO..=Decimal::from(1_000)).contains(&margin_percent),
            "short.margin_percent is from 0 to 1000"
        );
        let borrow = self.borrow.as_ref().map(|list| {
            list.iter().map(|(symbol, units)| (symbol.clone(), Quantity(*units))).collect::<BTreeMap<_, _>>()
        });
        let is_sane = borrow.iter().flatten().all(|(_, units)| !units.is_negative());
        ensure!(is_sane, "what short.borrow lends must not be below zero");
        Ok(Short { allowed: self.allowed, borrow, margin_percent })
    }
}

fn calendar(table: &[OpeningHours]) -> anyhow::Result<Calendar> {
    let mut week: Vec<Hours> = Vec::new();
    for hours in table {
        let (pre, post) = (hours.pre.unwrap_or(hours.open), hours.post.unwrap_or(hours.close));
        ensure!(
            pre <= hours.open && hours.open < hours.close && hours.close <= post,
            "hours are in the order pre, open, close, post"
        );
        ensure!(!hours.days.is_empty(), "hours without days never come");
        for day in &hours.days {
            let weekday = *day as u8;
            let (pre, open, close, post) = (pre.0, hours.open.0, hours.close.0, post.0);
            week.push(Hours { weekday, pre, open, close, post });
        }
    }
    week.sort_by_key(|hours| (hours.weekday, hours.pre));
    // The first of a week follows the last of the week before it.
    let begins = |at: usize| {
        let (weeks, hours) = (at / week.len(), week[at % week.len()]);
        (weeks * 7 + usize::from(hours.weekday)) * 1_440 + usize::from(hours.pre)
    };
    let overlap = (0..week.len()).any(|at| {
        let length = usize::from(week[at].post - week[at].pre);
        begins(at) + length > begins(at + 1)
    });
    ensure!(!overlap, "hours must not overlap");
    Ok(Calendar::Weekly(week))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn read(toml: &str) -> anyhow::Result<PaperSettings> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("stockade.toml");
        std::fs::write(&file, toml)?;
        Settings::read(&file)?.paper.venue_settings()
    }

    #[test]
    fn without_a_word_the_venue_is_as_it_always_was() {
        assert_eq!(read("").unwrap(), PaperSettings::with_fee_bps(Decimal::from(10)));
        assert_eq!(read("[paper]\nfee_bps = 5").unwrap(), PaperSettings::with_fee_bps(Decimal::from(5)));
    }

    #[test]
    fn everything_can_be_set() {
        let settings = read(
            r#"
            [paper]
            refuse_self_cross = true
            settle_window = "1m 30s"
            answer_within = "750ms"
            requests_per_minute = 200
            seed = 7
            fees = { per_unit = "0.005", minimum = 1, maximum = "4.5" }
            slippage = { model = "basis_points", bps = "1.5" }
            latency = { model = "uniform", least = "10ms", most = "0.25s" }
            hours = [{ days = ["monday", "friday"], pre = "09:00", open = "14:30", close = "21:00", post = "25:00" }]
            short = { allowed = true, borrow = { "BTC-USD" = 3 }, margin_percent = 40 }
            misbehave = { drop_events = 0.8, delay_events_ms = 20 }

            [[paper.classes]]
            name = "coins"
            symbols = ["ETH-USD"]
            latency = { model = "fixed", after = "1s" }
            "#,
        )
        .unwrap();
        assert!(settings.refuse_self_cross && settings.short.allowed);
        assert_eq!((settings.settle_window.as_secs(), settings.answer_within.as_millis()), (90, 750));
        assert_eq!((settings.requests_per_minute, settings.burst, settings.seed), (200, 200, 7));
        assert_eq!(settings.rules.fees.maximum.unwrap().to_string(), "4.5");
        assert_eq!(settings.rules.latency, Latency::Uniform { least_ms: 10, most_ms: 250 });
        let day = |weekday| Hours { weekday, pre: 540, open: 870, close: 1_260, post: 1_500 };
        assert_eq!(settings.rules.calendar, Calendar::Weekly(vec![day(0), day(4)]));
        let coins = &settings.classes[0].rules;
        assert_eq!(
            (&coins.latency, &coins.fees),
            (&Latency::Fixed { latency_ms: 1_000 }, &settings.rules.fees)
        );
        assert_eq!((settings.misbehave.drop_events, settings.misbehave.delay_events.as_millis()), (0.8, 20));
    }

    #[test]
    fn what_does_not_exist_or_makes_no_sense_is_refused_by_name() {
        for (toml, says) in [
            ("slipage = 1", "slipage"),
            ("fees = { makerbps = 1 }", "makerbps"),
            ("fee_bps = 100000", "fee_bps"),
            ("cash_usd = -1", "cash_usd"),
            ("fees = { minimum = 2, maximum = 1 }", "fees.minimum"),
            ("latency = { model = \"fixed\", after = 20 }", "paper.latency"),
            ("latency = { model = \"fixed\", after = \"20\" }", "not a duration"),
            ("latency = { model = \"fixed\", after = \"-1s\" }", "not a duration"),
            ("latency = { model = \"fixed\", after = \"2 days\" }", "not a duration"),
            ("latency = { model = \"uniform\", least = \"2s\", most = \"1s\" }", "latency.least"),
            ("latency = { model = \"gauss\" }", "gauss"),
            ("answer_within = \"0s\"", "answer_within"),
            ("slippage = { model = \"basis_points\", bps = -1 }", "slippage.bps"),
            (
                "slippage = { model = \"square_root\", coefficient = 1.0, daily_volatility = 0.02, daily_volume = 0.0 }",
                "daily_volume",
            ),
            ("misbehave = { lie = 2.0 }", "lie"),
            ("misbehave = { explode = 1.0 }", "explode"),
            ("short = { borrow = { \"BTC-USD\" = -1 } }", "borrow"),
            ("hours = [{ days = [\"monday\"], open = \"21:00\", close = \"14:30\" }]", "order"),
            ("hours = [{ days = [\"moonday\"], open = \"09:00\", close = \"14:30\" }]", "moonday"),
            ("hours = [{ days = [\"monday\"], open = \"9\", close = \"14:30\" }]", "not a time"),
            (
                "hours = [{ days = [\"sunday\"], open = \"20:00\", close = \"30:00\" }, { days = [\"monday\"], open = \"05:00\", close = \"06:00\" }]",
                "overlap",
            ),
            ("requests_per_minute = 0", "requests_per_minute"),
        ] {
            let error = read(&format!("[paper]\n{toml}")).expect_err(toml);
            assert!(format!("{error:#}").contains(says), "{toml}: {error:#}");
        }
    }
}
