//! What Alpaca does for shares and not for coins, or for whole shares and not for parts of them.
//!
//! Known before anything is sent, so that a bracket is not accepted whose stop-loss would be refused after its entry was
//! filled. What is not here is for Alpaca to refuse: what it allows grows.

use domain::{OrderKind, OrderRequest, Size, TimeInForce};

/// The field that Alpaca would refuse, and why.
pub(super) fn lacks(request: &OrderRequest) -> Option<(&'static str, &'static str)> {
    if request.symbol.is_pair() { of_coins(request) } else { of_parts(request) }
}

fn of_coins(request: &OrderRequest) -> Option<(&'static str, &'static str)> {
    let has_bare_stop = request.stop_loss.is_some_and(|leg| leg.limit_price.is_none());
    if !matches!(request.kind, OrderKind::Market | OrderKind::Limit | OrderKind::StopLimit) {
        Some(("type", "Alpaca takes market, limit and stop-limit orders for coins."))
    } else if !matches!(request.time_in_force, TimeInForce::Gtc | TimeInForce::Ioc) {
        Some(("time_in_force", "Alpaca takes coins good till canceled, or immediate or cancel."))
    } else if has_bare_stop {
        Some(("stop_loss", "Alpaca has no stop orders for coins: the stop-loss needs a limit price."))
    } else if request.extended_hours {
        Some(("extended_hours", "Coins have no hours."))
    } else {
        None
    }
}

fn of_parts(request: &OrderRequest) -> Option<(&'static str, &'static str)> {
    let is_part = match request.size {
        Size::Quantity(quantity) => !quantity.0.fract().is_zero(),
        Size::Notional(_) => true,
    };
    if !is_part {
        return None;
    }
    if request.kind == OrderKind::TrailingStop {
        Some(("type", "Alpaca has no trailing stops for parts of a share."))
    } else if request.time_in_force != TimeInForce::Day {
        Some(("time_in_force", "Alpaca takes parts of a share for the day only."))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use domain::{Quantity, Side, StopLoss};

    use super::*;

    fn order(symbol: &str, quantity: &str, time: TimeInForce) -> OrderRequest {
        let quantity: Quantity = quantity.parse().unwrap();
        OrderRequest::simple("", symbol.parse().unwrap(), Side::Buy, quantity, None, time)
    }

    fn field(request: &OrderRequest) -> Option<&'static str> {
        lacks(request).map(|(field, _)| field)
    }

    #[test]
    fn coins_have_fewer_types_and_times_and_no_bare_stops() {
        let coin = |time| order("BTC-USD", "0.5", time);
        let of = |kind| OrderRequest { kind, ..coin(TimeInForce::Gtc) };
        assert_eq!(field(&coin(TimeInForce::Gtc)), None);
        assert_eq!(field(&coin(TimeInForce::Ioc)), None);
        assert_eq!(field(&coin(TimeInForce::Day)), Some("time_in_force"));
        assert_eq!(field(&of(OrderKind::StopLimit)), None);
        assert_eq!(field(&of(OrderKind::Stop)), Some("type"));
        assert_eq!(field(&of(OrderKind::TrailingStop)), Some("type"));
        let stop = |limit_price| {
            let stop_loss = Some(StopLoss { stop_price: "90".parse().unwrap(), limit_price });
            OrderRequest { stop_loss, ..coin(TimeInForce::Gtc) }
        };
        assert_eq!(field(&stop(None)), Some("stop_loss"));
        assert_eq!(field(&stop("89".parse().ok())), None);
    }

    #[test]
    fn parts_of_a_share_are_for_the_day() {
        assert_eq!(field(&order("AAPL", "0.5", TimeInForce::Day)), None);
        assert_eq!(field(&order("AAPL", "2.0", TimeInForce::Gtc)), None);
        assert_eq!(field(&order("AAPL", "0.5", TimeInForce::Gtc)), Some("time_in_force"));
        let trailing =
            OrderRequest { kind: OrderKind::TrailingStop, ..order("AAPL", "0.5", TimeInForce::Day) };
        assert_eq!(field(&trailing), Some("type"));
    }
}
