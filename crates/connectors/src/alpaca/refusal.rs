//! What Alpaca's refusals mean. Its codes are coarse: what happened is in the words.

use alpaca::{Problem, code};
use domain::Reason;
use trading::Refusal;

/// Words that tell the reason, in lower case. The first that is found counts, so what is more precise comes first.
const WORDS: [(&str, Reason); 38] = [
    ("client_order_id must be unique", Reason::Duplicate),
    ("rate limit", Reason::RateLimited),
    ("too many requests", Reason::RateLimited),
    ("is not authorized", Reason::Unauthorized),
    ("wash trade", Reason::SelfCross),
    ("opposite side", Reason::SelfCross),
    ("pattern day", Reason::Restricted),
    ("day trading", Reason::Restricted),
    ("buying power", Reason::InsufficientFunds),
    ("insufficient balance", Reason::InsufficientFunds),
    ("insufficient qty", Reason::InsufficientQuantity),
    ("insufficient quantity", Reason::InsufficientQuantity),
    ("position does not exist", Reason::InsufficientQuantity),
    ("allowed to short", Reason::NotShortable),
    ("sold short", Reason::NotShortable),
    ("shortable", Reason::NotShortable),
    ("easy to borrow", Reason::NotShortable),
    ("halted", Reason::Halted),
    ("market is closed", Reason::MarketClosed),
    ("market hours", Reason::MarketClosed),
    ("extended hours", Reason::MarketClosed),
    ("not fractionable", Reason::Quantity),
    ("fractional", Reason::Quantity),
    ("sub-penny", Reason::Price),
    ("limit_price", Reason::Price),
    ("stop_price", Reason::Price),
    ("limit price", Reason::Price),
    ("stop price", Reason::Price),
    ("qty", Reason::Quantity),
    ("notional", Reason::Quantity),
    ("cost basis", Reason::Quantity),
    ("not tradable", Reason::NotTradable),
    ("invalid symbol", Reason::NotTradable),
    ("is not active", Reason::NotTradable),
    ("could not find asset", Reason::NotTradable),
    ("not found", Reason::NotTradable),
    ("not supported", Reason::Unsupported),
    ("order type", Reason::Unsupported),
];

/// Words about an order that can no longer be changed.
const TOO_LATE: [&str; 6] = [
    "already in",
    "order not found",
    "not cancelable",
    "cannot be canceled",
    "cannot be replaced",
    "is not open",
];

/// Words about the account.
const RESTRICTED: [&str; 4] = ["not allowed", "restricted", "blocked", "suspended"];

/// Most characters of a text that are kept.
const LONGEST_TEXT: usize = 500;

/// Words for people, as many as can be kept.
pub(super) fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect()
}

/// A refusal in the desk's words.
pub(super) fn refusal(status: u16, problem: &Problem) -> Refusal {
    let text = if problem.message.is_empty() { format!("status {status}") } else { words(&problem.message) };
    Refusal::new(reason(status, problem), text)
}

fn reason(status: u16, problem: &Problem) -> Reason {
    let text = problem.message.to_lowercase();
    let says = |word: &&str| text.contains(*word);
    match (status, problem.code) {
        (401, _) | (403, 0) => return Reason::Unauthorized,
        (429, _) => return Reason::RateLimited,
        (_, code::DUPLICATE) => return Reason::Duplicate,
        _ => {}
    }
    if TOO_LATE.iter().any(says) {
        return Reason::TooLate;
    }
    if let Some((_, reason)) = WORDS.iter().find(|(word, _)| says(word)) {
        return *reason;
    }
    match status {
        _ if RESTRICTED.iter().any(says) => Reason::Restricted,
        403 => Reason::Restricted,
        404 => Reason::TooLate,
        _ => Reason::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_alpaca_says_is_understood() {
        for (status, code, text, expected) in [
            (401, code::UNAUTHORIZED, "unauthorized", Reason::Unauthorized),
            (401, code::UNAUTHORIZED, "request is not authorized.", Reason::Unauthorized),
            (403, 0, "forbidden.", Reason::Unauthorized),
            (403, code::FORBIDDEN, "insufficient buying power", Reason::InsufficientFunds),
            (
                403,
                code::FORBIDDEN,
                "insufficient balance for USD (requested: 10, available: 5)",
                Reason::InsufficientFunds,
            ),
            (
                403,
                code::FORBIDDEN,
                "insufficient qty available for order (requested: 10, available: 0)",
                Reason::InsufficientQuantity,
            ),
            (403, code::FORBIDDEN, "account is not allowed to short", Reason::NotShortable),
            (403, code::FORBIDDEN, "potential wash trade detected. use complex orders", Reason::SelfCross),
            (403, code::FORBIDDEN, "trade denied due to pattern day trading protection", Reason::Restricted),
            (403, code::FORBIDDEN, "account is restricted to liquidation only", Reason::Restricted),
            (
                404,
                code::NOT_FOUND,
                "order not found for 61e69015-8549-4bfd-b9c3-01e75843f47d",
                Reason::TooLate,
            ),
            (422, code::UNPROCESSABLE, "order is already in \"filled\" state", Reason::TooLate),
            (422, code::UNPROCESSABLE, "order is not cancelable", Reason::TooLate),
            (
                422,
                code::UNPROCESSABLE,
                "invalid limit_price 290.123. sub-penny increment does not fulfill minimum pricing criteria",
                Reason::Price,
            ),
            (422, code::UNPROCESSABLE, "asset \"BRKX\" not found", Reason::NotTradable),
            (422, code::UNPROCESSABLE, "invalid symbol", Reason::NotTradable),
            (403, code::FORBIDDEN, "asset \"ABC\" is not fractionable", Reason::Quantity),
            (422, code::DUPLICATE, "client_order_id must be unique", Reason::Duplicate),
            (422, code::UNPROCESSABLE, "market is closed for this order", Reason::MarketClosed),
            (422, code::UNPROCESSABLE, "trading in ABC is halted", Reason::Halted),
            (
                422,
                code::UNPROCESSABLE,
                "invalid crypto time_in_force: trailing stop is not supported",
                Reason::Unsupported,
            ),
            (429, code::RATE_LIMITED, "rate limit exceeded", Reason::RateLimited),
            (422, code::UNPROCESSABLE, "moon phase", Reason::Other),
        ] {
            let refusal = refusal(status, &Problem::new(code, text));
            assert_eq!((refusal.reason, refusal.text.as_str()), (expected, text));
        }
    }
}
