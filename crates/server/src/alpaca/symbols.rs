//! What Alpaca's clients call an instrument: `BTC/USD` where the desk says `BTC-USD`, `BTCUSD` in positions, or an id.

use alpaca::{AssetClass, Exchange, Uuid};
use domain::{Instrument, Symbol};
use market::Market;

/// Names the desk's ids of instruments apart from all other UUIDs made from names.
const NAMESPACE: Uuid = Uuid::from_u128(0x7c0e_55d1_3a34_4be0_9d52_6f1b_0c8e_21a7);

/// As in orders and prices.
pub(super) fn shown(symbol: &Symbol) -> String {
    match is_pair(symbol) {
        true => symbol.as_str().replacen('-', "/", 1),
        false => symbol.to_string(),
    }
}

/// As in positions: pairs have no slash there.
pub(super) fn in_positions(symbol: &Symbol) -> String {
    match is_pair(symbol) {
        true => symbol.as_str().replacen('-', "", 1),
        false => symbol.to_string(),
    }
}

/// The id: the same on every desk and for ever, as it is made from the name.
pub(super) fn id(symbol: &Symbol) -> Uuid {
    Uuid::new_v5(&NAMESPACE, symbol.as_str().as_bytes())
}

/// The kind of thing. The clients know a closed list: what is no pair is shown as a share.
pub(super) fn class(symbol: &Symbol) -> AssetClass {
    if is_pair(symbol) { AssetClass::Crypto } else { AssetClass::UsEquity }
}

/// Where it is listed. The clients know a closed list, and nobody tells the desk.
pub(super) fn exchange(symbol: &Symbol) -> Exchange {
    if is_pair(symbol) { Exchange::Crypto } else { Exchange::Unset }
}

/// The instrument that somebody means; `None` when the desk has none of that name.
pub(super) fn find(market: &Market, text: &str) -> Option<Instrument> {
    let wanted_id = text.parse::<Uuid>().ok();
    let text = text.to_ascii_uppercase();
    let means = |symbol: &Symbol| match wanted_id {
        Some(wanted) => id(symbol) == wanted,
        None => symbol.as_str() == text || shown(symbol) == text || in_positions(symbol) == text,
    };
    let symbol = market.symbols().into_iter().find(means)?;
    market.instrument(&symbol)
}

/// The same; what the desk does not list is followed from now on, if a feed could have it.
pub(super) fn find_or_follow(market: &Market, text: &str) -> Option<Instrument> {
    find(market, text).or_else(|| {
        let symbol: Symbol = text.to_ascii_uppercase().replace('/', "-").parse().ok()?;
        market.follow(&symbol).then(|| market.instrument(&symbol))?
    })
}

fn is_pair(symbol: &Symbol) -> bool {
    symbol.as_str().contains('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_a_slash_and_an_id_made_from_its_name() {
        let pair: Symbol = "BTC-USD".parse().unwrap();
        assert_eq!((shown(&pair).as_str(), in_positions(&pair).as_str()), ("BTC/USD", "BTCUSD"));
        assert_eq!(class(&pair), AssetClass::Crypto);
        assert_eq!((id(&pair), id(&pair).get_version_num()), (id(&pair), 5));
        let share: Symbol = "AAPL".parse().unwrap();
        assert_eq!((shown(&share).as_str(), class(&share)), ("AAPL", AssetClass::UsEquity));
        assert_ne!(id(&pair), id(&share));
    }
}
