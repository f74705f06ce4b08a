//! Every refusal of the desk over HTTP, in one place: code, status and words (RFC 9457).
//!
//! A handler returns a [`Problem`]; [`crate::guard`] gives it the request's id and writes it out, as JSON for
//! programs and as a page for browsers. Codes never change their meaning: programs rely on them.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::{Denied, StepUpNeeded};
use serde::Serialize;
use storage::StorageError;
use trading::Rule;
use utoipa::ToSchema;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $status:ident, $title:literal, $help:literal;)+) => {
        /// What kind of problem, stable for ever.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $help] $variant,)+
            /// An order breaks a rule: the rule's name is the code.
            Order(Rule),
        }

        impl Code {
            const OWN: &'static [Self] = &[$(Self::$variant),+];

            /// The code, as in the answer.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ Self::Order(rule) => rule.as_str() }
            }

            /// The HTTP status it comes with.
            pub fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => StatusCode::$status,)+
                    Self::Order(_) => StatusCode::UNPROCESSABLE_ENTITY,
                }
            }

            /// The problem in a few words, the same each time.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ Self::Order(rule) => rule.title() }
            }

            /// What it means and what to do about it.
            pub fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)+ Self::Order(rule) => rule.explanation() }
            }
        }
    };
}

codes! {
    // The request itself
    JsonInvalid = "json_invalid", BAD_REQUEST, "Not JSON",
        "The body is not well-formed JSON in UTF-8.";
    JsonDuplicateKey = "json_duplicate_key", BAD_REQUEST, "A key twice",
        "An object in the body has the same key twice. Which one is meant cannot be known.";
    JsonTooComplex = "json_too_complex", BAD_REQUEST, "Too complex",
        "The body is nested deeper than 64 levels or has more than 1000 keys.";
    ContentType = "content_type", UNSUPPORTED_MEDIA_TYPE, "Wrong content type",
        "A body must be sent as application/json (a form as application/x-www-form-urlencoded).";
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "Body too large",
        "A body has at most 1 MiB, an order 16 KiB.";
    BodyTooSlow = "body_too_slow", REQUEST_TIMEOUT, "Body too slow",
        "The body did not arrive within 10 seconds.";
    FieldUnknown = "field_unknown", UNPROCESSABLE_ENTITY, "Unknown field",
        "The body or the query has a field that does not exist here. `field` names it.";
    FieldMissing = "field_missing", UNPROCESSABLE_ENTITY, "Field missing",
        "A field that is needed is missing. `field` names it.";
    FieldInvalid = "field_invalid", UNPROCESSABLE_ENTITY, "Field invalid",
        "A field has a value that is not allowed. `field` names it, `detail` says what is allowed.";
    CursorInvalid = "cursor_invalid", UNPROCESSABLE_ENTITY, "Cursor invalid",
        "`cursor` is not one that this list gave out as `next_cursor`.";
    IdempotencyKeyInvalid = "idempotency_key_invalid", UNPROCESSABLE_ENTITY, "Idempotency-Key invalid",
        "An Idempotency-Key is 1 to 64 characters of A-Z, a-z, 0-9 and _.:-";
    IdempotencyConflict = "idempotency_conflict", CONFLICT, "Idempotency-Key used before",
        "The same Idempotency-Key was used for another request. Nothing was done.";
    IdempotencyRunning = "idempotency_running", CONFLICT, "Being done",
        "A request with the same Idempotency-Key is being done. Ask again for its answer.";
    IdempotencyInDoubt = "idempotency_in_doubt", CONFLICT, "Outcome unknown",
        "The desk ended in the middle of a request with the same Idempotency-Key. Look whether it was done; do it again \
         under another key if it was not.";
    IdempotencyFull = "idempotency_full", TOO_MANY_REQUESTS, "Too many Idempotency-Keys",
        "As many keys as are kept of one caller were used within a day. Nothing was done; without a key it will be.";
    AnswerNotKept = "answer_not_kept", CONFLICT, "Done before",
        "The same request under the same Idempotency-Key was done before. Its answer is not kept: it held a secret, which is \
         shown once, or was too large.";
    UriTooLong = "uri_too_long", URI_TOO_LONG, "Address too long",
        "The address of a request, with its query, has at most 8 KiB.";
    HeadersTooLarge = "headers_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, "Headers too large",
        "A request has at most 100 header fields and 32 KiB of them.";
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "Too many requests",
        "A budget of requests is used up; `RateLimit` names it. Nothing was done. `Retry-After` says in how many seconds the \
         next request is taken. Cancels and kill switches are never limited.";
    EndpointOff = "endpoint_off", FORBIDDEN, "Switched off",
        "An admin of the desk has switched this endpoint off. Nothing was done.";
    EndpointEssential = "endpoint_essential", CONFLICT, "Always answers",
        "Without this endpoint nobody could stop the desk, sign in, or switch an endpoint on again: it cannot be changed.";
    AddressRefused = "address_refused", FORBIDDEN, "Not from here",
        "The desk takes no requests from this network.";
    ForeignOrigin = "foreign_origin", FORBIDDEN, "Foreign origin",
        "The request was sent by a page of another site. Only the desk's own pages may.";
    FormExpired = "form_expired", FORBIDDEN, "Form expired",
        "The form was opened too long ago or in another browser. Load it again.";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "Method not allowed",
        "The path exists, but not with this method. `Allow` lists those it has.";
    UpgradeRequired = "upgrade_required", UPGRADE_REQUIRED, "Not a WebSocket",
        "This address is opened as a WebSocket.";
    NotFound = "not_found", NOT_FOUND, "Not found",
        "There is no such thing, or it was not granted to you; the two look alike on purpose.";
    // Who asks
    SetUpRequired = "set_up_required", SERVICE_UNAVAILABLE, "Not set up yet",
        "The desk has no owner yet. Open the set-up link that it printed when it started.";
    NotSignedIn = "not_signed_in", UNAUTHORIZED, "Not signed in",
        "The request has no session, or it has ended.";
    KeyRefused = "key_refused", UNAUTHORIZED, "Key refused",
        "There is no such API key, or its secret is another one. It is not said which.";
    TwoCredentials = "two_credentials", BAD_REQUEST, "Two credentials",
        "The request shows more than one credential. Which one is meant cannot be known.";
    SessionNeeded = "session_needed", FORBIDDEN, "Not with a key",
        "This is for people who are signed in. An API key cannot do it.";
    KeyOver = "key_over", CONFLICT, "Key is over",
        "The key was revoked or has expired. Make another.";
    KeyMadeBefore = "key_made_before", CONFLICT, "Key made before",
        "The same request made a key before: `value` is its id. Its secret is stored nowhere, so revoke it and make another.";
    EncryptionKeyMissing = "encryption_key_missing", NOT_ACCEPTABLE, "No public key",
        "An encrypted answer was asked for, and no public key is registered to encrypt it for. PUT /api/v1/encryption-keys \
         registers one.";
    TooManyKeys = "too_many_keys", CONFLICT, "Too many keys",
        "You have as many keys as anybody may have. Revoke one.";
    WebhookMadeBefore = "webhook_made_before", CONFLICT, "Webhook made before",
        "The same request made a webhook before: `value` is its id. Its secret cannot be shown again; rotate it.";
    TooManyWebhooks = "too_many_webhooks", CONFLICT, "Too many webhooks",
        "You have as many webhooks as anybody may have. Delete one.";
    WebhookOff = "webhook_off", CONFLICT, "Webhook is off",
        "The webhook is switched off, so nothing is told to it. Switch it on first.";
    DeliveryWaiting = "delivery_waiting", CONFLICT, "Still being told",
        "The event is on its way to the webhook, so there is nothing to repeat.";
    TestedTooSoon = "tested_too_soon", TOO_MANY_REQUESTS, "Tested a moment ago",
        "A webhook is tested once in 3 seconds. `Retry-After` says when it can be tested again.";
    SignInFailed = "sign_in_failed", UNAUTHORIZED, "Sign-in failed",
        "User name and password do not go together, or the person may not sign in. It is not said which.";
    CodeNeeded = "code_needed", UNAUTHORIZED, "Code needed",
        "The password is right, and a second factor is needed too. Send a code to POST /api/v1/session/code within 5 \
         minutes, with the cookie of this answer.";
    CodeRefused = "code_refused", UNPROCESSABLE_ENTITY, "Code refused",
        "The code is wrong or was used already. Wait for the next one.";
    BeginAgain = "begin_again", CONFLICT, "Begin again",
        "What the code is for was begun too long ago, saw too many wrong codes, or was not begun at all.";
    FactorExists = "factor_exists", CONFLICT, "Second factor set up already",
        "You have a second factor already. Remove it before you set up another.";
    PasswordWrong = "password_wrong", UNPROCESSABLE_ENTITY, "Wrong password",
        "This is not your password.";
    TooManyAttempts = "too_many_attempts", TOO_MANY_REQUESTS, "Too many attempts",
        "Too many failed attempts. `Retry-After` says in how many seconds the next one counts.";
    Forbidden = "forbidden", FORBIDDEN, "Forbidden",
        "You may not do this. `detail` names what is missing.";
    StepUpNeeded = "step_up_needed", FORBIDDEN, "Second factor needed again",
        "This needs a second factor shown within the last 5 minutes. Send a code to POST /api/v1/session/step-up, then \
         repeat the request.";
    FactorNeeded = "factor_needed", FORBIDDEN, "Second factor needed",
        "This needs a second factor, and you have none. Set one up on the page Security, at /security, then repeat the \
         request.";
    CodeInvalid = "code_invalid", UNPROCESSABLE_ENTITY, "Link not valid",
        "The one-time code is wrong, was used already or has expired. Ask for a new link.";
    // People
    UsernameTaken = "username_taken", CONFLICT, "User name taken",
        "Somebody has this user name already.";
    PasswordRefused = "password_refused", UNPROCESSABLE_ENTITY, "Password refused",
        "The password breaks a rule that `detail` names.";
    LastOwner = "last_owner", CONFLICT, "Last owner",
        "The desk would be left without an active owner.";
    // Orders
    ClientOrderIdConflict = "client_order_id_conflict", CONFLICT, "Client order id used before",
        "The client order id was used on this account for another order. Nothing was done.";
    OrderNotOpen = "order_not_open", CONFLICT, "Order not open",
        "The order has ended; there is nothing to cancel.";
    OrderNotReplaceable = "order_not_replaceable", CONFLICT, "Order not replaceable",
        "Only an order that works at the broker can be replaced.";
    OrderNotUnknown = "order_not_unknown", CONFLICT, "Outcome known",
        "The order's outcome is not in doubt, so there is nothing to decide.";
    PreviewExpired = "preview_expired", CONFLICT, "Preview too old",
        "The preview was made more than 5 minutes ago, or by somebody else. Look at the order again.";
    NoPosition = "no_position", UNPROCESSABLE_ENTITY, "No such position",
        "The account does not hold as much as is to be closed.";
    UnsupportedByBroker = "unsupported_by_broker", UNPROCESSABLE_ENTITY, "Not to be had",
        "Neither the account's broker nor the desk can do this. GET /accounts/{id}/venue lists what can be done.";
    ApprovalNeeded = "approval_needed", CONFLICT, "Approval needed",
        "A second person has to agree, above `limit`, and is asked: `value` is the id of that approval.";
    AnotherPerson = "another_person", FORBIDDEN, "Another person decides",
        "Nobody agrees to what they asked for themselves, and only whoever asked withdraws it.";
    ApprovalNotWaiting = "approval_not_waiting", CONFLICT, "Decided already",
        "The approval was decided, withdrawn, or is over.";
    ScopeUnknown = "scope_unknown", UNPROCESSABLE_ENTITY, "Nothing of that name",
        "There is no such account, book or person that something could be set on.";
    LimitNotSet = "limit_not_set", CONFLICT, "No such limit",
        "No limit of this kind is set there, so there is none to take away.";
    LimitFixed = "limit_fixed", CONFLICT, "Limit of the configuration",
        "The limit is one of the desk's configuration. A stricter one can be set beside it.";
    KillSwitchNotEngaged = "kill_switch_not_engaged", CONFLICT, "Not engaged",
        "The kill switch is not engaged, so there is nothing to release.";
    DrillRefused = "drill_refused", CONFLICT, "No drill",
        "A drill needs a paper account, and a switch that is not engaged in earnest.";
    LiveNotGranted = "live_not_granted", FORBIDDEN, "Not for real money",
        "Your access to the account is not for real money. Whoever manages the account can say that it is.";
    AccountOnPaper = "account_on_paper", CONFLICT, "Paper account",
        "There is no real money on the account, so there is nothing to switch.";
    KillSwitch = "kill_switch", CONFLICT, "Kill switch engaged",
        "A kill switch is engaged that covers the order. Cancels are still taken.";
    AccountNotLive = "account_not_live", CONFLICT, "Not live",
        "The account is for real money, and trading with it is not switched on.";
    AccountPaused = "account_paused", CONFLICT, "Account paused",
        "Somebody has paused the account: it takes no new risk until it is activated again. Cancels pass, and orders that \
         close a position.";
    // Accounts at brokers
    AccountNameInvalid = "account_name_invalid", UNPROCESSABLE_ENTITY, "Name invalid",
        "The name of an account has 1 to 64 characters, none of them invisible.";
    AccountNameTaken = "account_name_taken", CONFLICT, "Name taken",
        "Another account has this name.";
    AccountOnDesk = "account_on_desk", CONFLICT, "On the desk already",
        "The credentials open an account that is on the desk already: `value` is its name. Two of them would not know of \
         each other's orders.";
    CredentialsRefused = "credentials_refused", UNPROCESSABLE_ENTITY, "Credentials refused",
        "The broker does not accept the credentials. They were not kept.";
    CredentialsOfAnother = "credentials_of_another", CONFLICT, "Another account",
        "The credentials open another account at the broker than this one. They were not kept.";
    BrokerUnreachable = "broker_unreachable", BAD_GATEWAY, "Broker not reached",
        "The broker did not answer, or not as this broker does, so the credentials could not be tried. They were not kept.";
    AccountOpenOrders = "account_open_orders", CONFLICT, "Orders are open",
        "An account is removed once all of its orders are at their end. Cancel them, and wait for those whose outcome is \
         unknown.";
    AccountHolds = "account_holds", CONFLICT, "Account holds something",
        "The account holds something, which would stay at the broker: `value` says what. Repeat the account's name as \
         `confirm_name` to remove it all the same.";
    // Books
    BookUnknown = "book_unknown", UNPROCESSABLE_ENTITY, "No such book",
        "The account has no such book.";
    BookClosed = "book_closed", CONFLICT, "Book closed",
        "The book was closed and takes nothing any more.";
    BookForbidden = "book_forbidden", FORBIDDEN, "Not your book",
        "The book is somebody else's. To trade in it you need the permission books.manage.";
    BookNameTaken = "book_name_taken", CONFLICT, "Name taken",
        "Another book of the account has this name.";
    BookOwnerHasOne = "book_owner_has_one", CONFLICT, "Has a book already",
        "The owner has an open book on the account already.";
    BookNameInvalid = "book_name_invalid", UNPROCESSABLE_ENTITY, "Name invalid",
        "The name of a book has 1 to 64 characters, none of them invisible.";
    BookOwnerInvalid = "book_owner_invalid", UNPROCESSABLE_ENTITY, "Owner invalid",
        "The owner does not go with the kind of book: a user's id, or the name of a strategy.";
    BookAmountInvalid = "book_amount_invalid", UNPROCESSABLE_ENTITY, "Amount invalid",
        "What is moved has to be above zero.";
    BookSame = "book_same", UNPROCESSABLE_ENTITY, "Same book",
        "What leaves a book has to go to another one.";
    NoPrice = "no_price", UNPROCESSABLE_ENTITY, "No price",
        "The market has no price of it. Name one.";
    BookNotFlat = "book_not_flat", CONFLICT, "Book holds something",
        "A book is closed once it holds nothing. Move or sell what it holds.";
    BookOpenOrders = "book_open_orders", CONFLICT, "Book has open orders",
        "A book is closed once none of its orders is open. Cancel them.";
    // The account
    AccountBlind = "account_blind", SERVICE_UNAVAILABLE, "Account blind",
        "The desk cannot see the account at its broker, so it takes on no new risk. Cancels are still taken.";
    JournalUnavailable = "journal_unavailable", SERVICE_UNAVAILABLE, "Journal unavailable",
        "The order could not be written to the journal, so it was not sent. Reading goes on.";
    // The desk
    Busy = "busy", SERVICE_UNAVAILABLE, "Busy",
        "More is waiting than the desk takes on. Nothing was done; try again.";
    StorageUnavailable = "storage_unavailable", SERVICE_UNAVAILABLE, "Storage unavailable",
        "The database does not answer or does not take writes. Nothing was done.";
    Internal = "internal", INTERNAL_SERVER_ERROR, "Internal error",
        "A fault of the desk. The request id leads to it in the desk's log.";
}

impl Code {
    /// There is no such instrument: in orders and everywhere else.
    pub const SYMBOL_UNKNOWN: Self = Self::Order(Rule::Symbol);

    /// All of them, in the order in which the documentation lists them: the rules for orders at the end.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::OWN.iter().copied().chain(Rule::ALL.iter().copied().map(Self::Order))
    }
}

/// One wrong field among several.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldError {
    /// Which field.
    pub field: String,
    /// What kind of problem, as in the list of problems.
    pub code: String,
    /// In words.
    pub detail: String,
}

/// Why a request was refused.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What kind.
    pub code: Code,
    /// This case in words, for people. Never holds a secret, a path or SQL.
    pub detail: Box<str>,
    /// Which field of the request is wrong.
    pub field: Option<Box<str>>,
    /// Which rule was broken.
    pub rule: Option<Box<str>>,
    /// What the rule allows.
    pub limit: Option<Box<str>>,
    /// What was asked for.
    pub value: Option<Box<str>>,
    /// How long to wait.
    pub retry_after: Option<Duration>,
    /// What the caller was denied, if that is yet to be written to the audit log.
    pub(crate) denied: Option<Box<str>>,
}

impl Problem {
    /// A problem with its usual words.
    pub fn new(code: Code) -> Self {
        Self::with(code, code.help())
    }

    /// A problem in words of its own.
    pub fn with(code: Code, detail: impl Into<Box<str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            field: None,
            rule: None,
            limit: None,
            value: None,
            retry_after: None,
            denied: None,
        }
    }

    /// A wrong field.
    pub fn field(code: Code, field: &str, detail: impl Into<Box<str>>) -> Self {
        Self { field: Some(field.into()), ..Self::with(code, detail) }
    }

    /// The same, where whoever denied it has written that to the audit log.
    pub(crate) fn on_record(self) -> Self {
        Self { denied: None, ..self }
    }

    /// Something did not work that should have. The cause goes to the log, not to the caller.
    pub fn internal(what: &str, cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "{what}");
        Self::new(Code::Internal)
    }
}

/// The answer as programs see it.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// Where the code is explained.
    r#type: String,
    /// The problem in a few words, the same each time.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// This case in words.
    detail: String,
    /// What kind of problem, stable.
    code: String,
    /// Which field of the request is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    field: Option<String>,
    /// Which rule was broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    rule: Option<String>,
    /// What the rule allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    limit: Option<String>,
    /// What was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    value: Option<String>,
    /// All wrong fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
    /// Names the request in the desk's log and audit rows.
    request_id: String,
}

impl ProblemBody {
    pub(crate) fn new(problem: &Problem, request_id: &str) -> Self {
        let code = problem.code.as_str();
        let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        let error = |field: &str| FieldError {
            field: field.to_owned(),
            code: code.to_owned(),
            detail: problem.detail.to_string(),
        };
        Self {
            r#type: format!("/api/docs/problems#{code}"),
            title: problem.code.title().to_owned(),
            status: problem.code.status().as_u16(),
            detail: problem.detail.to_string(),
            code: code.to_owned(),
            field: text(&problem.field),
            rule: text(&problem.rule),
            limit: text(&problem.limit),
            value: text(&problem.value),
            errors: problem.field.as_deref().map(error).into_iter().collect(),
            request_id: request_id.to_owned(),
        }
    }
}

/// Status and marker only: the body is written where the request's id is known ([`crate::guard`]).
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let reason = denied.to_string();
        let problem = match denied {
            Denied::NoGrant { .. } => Self::new(Code::NotFound),
            Denied::Live { .. } => Self::new(Code::LiveNotGranted),
            Denied::Permission { .. } | Denied::Access { .. } => {
                Self::with(Code::Forbidden, sentence(&reason))
            }
        };
        Self { denied: Some(reason.into()), ..problem }
    }
}

impl From<StepUpNeeded> for Problem {
    fn from(needed: StepUpNeeded) -> Self {
        let problem = match needed {
            StepUpNeeded::Show => Self::new(Code::StepUpNeeded),
            StepUpNeeded::Enrol => Self::new(Code::FactorNeeded),
        };
        Self { denied: Some(needed.to_string().into()), ..problem }
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Busy => Self::new(Code::Busy),
            StorageError::Unreadable { .. } => Self::internal("a stored value is unreadable", &error),
            _ => {
                tracing::error!(%error, "storage failed");
                Self::new(Code::StorageUnavailable)
            }
        }
    }
}

/// An error text as a sentence of its own: capital letter, full stop.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let mut sentence: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    sentence.push_str(letters.as_str());
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_is_there_once_and_is_a_word() {
        let codes: HashSet<_> = Code::all().map(Code::as_str).collect();
        assert_eq!(codes.len(), Code::all().count());
        assert!(codes.iter().all(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        assert!(Code::all().all(|code| code.status().is_client_error() || code.status().is_server_error()));
    }

    #[test]
    fn what_was_not_granted_looks_like_what_does_not_exist() {
        let account = domain::AccountId::new(domain::Timestamp::UNIX_EPOCH);
        let foreign = Problem::from(Denied::NoGrant { account });
        assert_eq!((foreign.code, &*foreign.detail), (Code::NotFound, Code::NotFound.help()));
    }
}
