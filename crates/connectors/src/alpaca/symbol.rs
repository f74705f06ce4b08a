//! What is called how: a pair is `BTC/USD` at Alpaca, `BTCUSD` among its positions, and `BTC-USD` on the desk.

use alpaca::AssetClass;
use domain::{InvalidSymbol, Symbol};

/// Which of Alpaca's two markets something is traded on: each has addresses of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Shares.
    Shares,
    /// Pairs of coins.
    Coins,
}

impl Class {
    /// That of a symbol.
    pub fn of(symbol: &Symbol) -> Self {
        if symbol.is_pair() { Self::Coins } else { Self::Shares }
    }
}

/// Whether a symbol has the form of those at Alpaca.
pub fn could_be(symbol: &Symbol) -> bool {
    let letters = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase())
    };
    match symbol.as_str().split_once('-') {
        Some((coin, with)) => letters(coin, 10) && PAID_WITH.contains(&with),
        None => match symbol.as_str().split_once('.') {
            Some((share, series)) => letters(share, 5) && letters(series, 2),
            None => letters(symbol.as_str(), 5),
        },
    }
}

/// Alpaca's name of a symbol.
pub(super) fn to_alpaca(symbol: &Symbol) -> String {
    symbol.as_str().replace('-', "/")
}

/// The desk's name of it.
pub(super) fn from_alpaca(name: &str) -> Result<Symbol, InvalidSymbol> {
    name.replace('/', "-").parse()
}

/// What coins are paid with at Alpaca; longer names before those that they end with.
const PAID_WITH: [&str; 4] = ["USDT", "USDC", "USD", "BTC"];

/// The desk's name of what is held.
pub(super) fn from_position(name: &str, class: &AssetClass) -> Result<Symbol, InvalidSymbol> {
    if *class == AssetClass::Crypto && !name.contains('/') {
        let pair = PAID_WITH.iter().find_map(|with| {
            let coin = name.strip_suffix(with).filter(|coin| !coin.is_empty())?;
            Some(format!("{coin}-{with}"))
        });
        return pair.ok_or(InvalidSymbol)?.parse();
    }
    from_alpaca(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_the_same_symbol() {
        for (desk, alpaca, position, class) in [
            ("BTC-USD", "BTC/USD", "BTCUSD", AssetClass::Crypto),
            ("BTC-USDT", "BTC/USDT", "BTCUSDT", AssetClass::Crypto),
            ("USDT-USD", "USDT/USD", "USDTUSD", AssetClass::Crypto),
            ("ETH-BTC", "ETH/BTC", "ETHBTC", AssetClass::Crypto),
            ("AAPL", "AAPL", "AAPL", AssetClass::UsEquity),
            ("BRK.B", "BRK.B", "BRK.B", AssetClass::UsEquity),
            ("USD", "USD", "USD", AssetClass::UsEquity),
        ] {
            let symbol: Symbol = desk.parse().unwrap();
            assert_eq!(to_alpaca(&symbol), alpaca);
            assert_eq!(from_alpaca(alpaca), Ok(symbol.clone()));
            assert_eq!(from_position(position, &class), Ok(symbol));
        }
        assert!(from_position("USD", &AssetClass::Crypto).is_err());
        assert!(from_alpaca("").is_err());
    }

    #[test]
    fn what_cannot_be_a_symbol_is_not_asked_for() {
        let could = |name: &str| could_be(&name.parse().unwrap());
        for name in ["AAPL", "F", "BRK.B", "BTC-USD", "SHIB-USDT", "ETH-BTC"] {
            assert!(could(name), "{name}");
        }
        for name in ["TOOLONG", "A1", "BTC-EUR", "BTC-USD-X", "1-USD", "BRK.BBB"] {
            assert!(!could(name), "{name}");
        }
    }
}
