//! What a vendor may say, and what of it is believable on its own.
//!
//! The rules that need to know what came before (duplicates, lateness) are the tape's.

use domain::{Bar, Decimal, Price, Quantity, TakerSide, Timestamp};

use crate::Kind;

/// A trade as a vendor tells it. Numbers are exact; nothing has been checked.
#[derive(Clone, Copy, Debug)]
pub struct RawTrade<'a> {
    /// The desk's name of the instrument.
    pub symbol: &'a str,
    /// The price.
    pub price: Decimal,
    /// The size.
    pub quantity: Decimal,
    /// Who crossed the spread, where the vendor says so itself; `None` leaves it to the condition codes.
    pub side: Option<TakerSide>,
    /// The vendor's condition codes.
    pub conditions: &'a [i64],
    /// The vendor's number of the exchange.
    pub exchange: u32,
    /// The exchange's id of the trade.
    pub id: Option<&'a str>,
    /// When the exchange made it, in milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// When the vendor received it.
    pub received_ms: Option<i64>,
}

/// A quote as a vendor tells it. A price or size of zero means that the side is not quoted.
#[derive(Clone, Copy, Debug)]
pub struct RawQuote<'a> {
    /// The desk's name of the instrument.
    pub symbol: &'a str,
    /// Best price to sell at, and the size there.
    pub bid: (Decimal, Decimal),
    /// Best price to buy at, and the size there.
    pub ask: (Decimal, Decimal),
    /// The vendor's number of the exchange.
    pub exchange: u32,
    /// When the exchange quoted it, in milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// When the vendor received it.
    pub received_ms: Option<i64>,
}

/// A minute as the vendor computed it. Ours are made of trades; this is what they are compared with.
#[derive(Clone, Copy, Debug)]
pub struct VendorBar<'a> {
    /// The desk's name of the instrument.
    pub symbol: &'a str,
    /// Start of the window, in milliseconds since 1970 UTC.
    pub start_ms: i64,
    /// First price.
    pub open: Decimal,
    /// Highest price.
    pub high: Decimal,
    /// Lowest price.
    pub low: Decimal,
    /// Last price.
    pub close: Decimal,
    /// Units traded.
    pub volume: Decimal,
}

/// 2010-01-01 to 2100-01-01: there was no crypto exchange before, and seconds, microseconds and nanoseconds of this
/// century all lie outside.
const TIMES_MS: std::ops::Range<i64> = 1_262_304_000_000..4_102_444_800_000;

/// No unit of anything costs a billion, no trade has ten trillion units, none is worth a quadrillion.
const HIGHEST_PRICE: Decimal = Decimal::from_parts(1_000_000_000, 0, 0, false, 0);
const HIGHEST_QUANTITY: Decimal = Decimal::from_parts(1_316_134_912, 2_328, 0, false, 0);
const HIGHEST_NOTIONAL: Decimal = Decimal::from_parts(2_764_472_320, 232_830, 0, false, 0);

/// When something happened, if its times are believable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) at: Timestamp,
    pub(crate) at_ms: i64,
    pub(crate) received_at: Option<Timestamp>,
}

pub(crate) fn times(
    at_ms: i64,
    received_ms: Option<i64>,
    arrived_ms: i64,
    ahead_ms: i64,
) -> Result<Times, Kind> {
    let believable = |ms: i64| TIMES_MS.contains(&ms);
    if !believable(at_ms) || !received_ms.is_none_or(believable) {
        return Err(Kind::TimeOutOfRange);
    }
    if at_ms > received_ms.unwrap_or(arrived_ms).saturating_add(ahead_ms) {
        return Err(Kind::Future);
    }
    let at = Timestamp::from_millisecond(at_ms).map_err(|_| Kind::TimeOutOfRange)?;
    let received_at = received_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    Ok(Times { at, at_ms, received_at })
}

pub(crate) fn price_and_quantity(price: Decimal, quantity: Decimal) -> Result<(Price, Quantity), Kind> {
    if price <= Decimal::ZERO {
        return Err(Kind::PriceNotPositive);
    }
    if quantity <= Decimal::ZERO {
        return Err(Kind::SizeNotPositive);
    }
    if price > HIGHEST_PRICE || quantity > HIGHEST_QUANTITY {
        return Err(Kind::NumberOutOfRange);
    }
    Ok((Price(price), Quantity(quantity)))
}

/// Whether a trade of this size can be: their product must be one too.
pub(crate) fn notional(price: Price, quantity: Quantity) -> Result<(), Kind> {
    let notional = price.0.checked_mul(quantity.0);
    if notional.is_some_and(|n| n <= HIGHEST_NOTIONAL) { Ok(()) } else { Err(Kind::NumberOutOfRange) }
}

/// Whether a bar of a vendor can be.
pub(crate) fn is_believable(bar: &Bar) -> bool {
    let is_good = |price: Price| price_and_quantity(price.0, bar.volume.0).is_ok();
    let inside = |price: Price| bar.low <= price && price <= bar.high;
    is_good(bar.low)
        && is_good(bar.high)
        && inside(bar.open)
        && inside(bar.close)
        && notional(bar.high, bar.volume).is_ok()
}

/// One side of a quote: nothing where price or size is zero.
pub(crate) fn quote_side((price, size): (Decimal, Decimal)) -> Result<Option<(Price, Quantity)>, Kind> {
    if price.is_zero() || size.is_zero() {
        return Ok(None);
    }
    price_and_quantity(price, size).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_what_they_say() {
        assert_eq!(HIGHEST_PRICE, Decimal::from(1_000_000_000_u64));
        assert_eq!(HIGHEST_QUANTITY, Decimal::from(10_000_000_000_000_u64));
        assert_eq!(HIGHEST_NOTIONAL, Decimal::from(1_000_000_000_000_000_u64));
        let (price, quantity) = price_and_quantity(HIGHEST_PRICE, HIGHEST_QUANTITY).unwrap();
        assert_eq!(notional(price, quantity), Err(Kind::NumberOutOfRange));
    }

    #[test]
    fn times_in_other_units_are_refused() {
        let at = 1_723_161_602_500;
        assert!(times(at, Some(at + 6), at, 2_000).is_ok());
        assert!(times(at, None, at - 1_999, 2_000).is_ok());
        for (at, received, refusal) in [
            (at * 1_000_000, Some(at), Kind::TimeOutOfRange),
            (at * 1_000, Some(at), Kind::TimeOutOfRange),
            (at / 1_000, Some(at), Kind::TimeOutOfRange),
            (at, Some(at * 1_000), Kind::TimeOutOfRange),
            (i64::MAX, None, Kind::TimeOutOfRange),
            (at, Some(at - 2_001), Kind::Future),
            (at + 2_001, None, Kind::Future),
        ] {
            assert_eq!(
                times(at, received, 1_723_161_602_500, 2_000).err(),
                Some(refusal),
                "{at} {received:?}"
            );
        }
    }
}
