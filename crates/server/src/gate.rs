//! What every request to the API passes before its handler, and what is counted of it afterwards.
//!
//! In this order: the budget of its address; who asks; whether the endpoint is switched on; the budgets of the endpoint, the
//! key and the person; and whether a write was done before under the same `Idempotency-Key`. Whatever is refused here did
//! nothing: an order is journaled further in.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;
use vault::Recipient;

use crate::Desk;
use crate::credentials::{Known, LetIn, Shown};
use crate::deprecation::{self, DEPRECATED};
use crate::endpoints::{Answers, Endpoint};
use crate::guard::Arrival;
use crate::idempotency::once;
use crate::jose;
use crate::problem::{Code, Problem};
use crate::rates::{self, Standing};
use crate::usage::Caller;

/// Lets a request through to its handler, or not.
pub(crate) async fn pass(
    State(desk): State<Desk>,
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    // What is not in the table is refused elsewhere, and costs nothing.
    let Some(endpoint) = Endpoint::of(request.method(), path.as_str()) else {
        return next.run(request).await;
    };
    let began = Instant::now();
    let at = request.extensions().get::<Arrival>().map_or_else(|| desk.clock.now(), |arrival| arrival.at);
    let mut visit = Visit { standings: Vec::new(), caller: Caller::default(), recipient: None };
    let mut response = match visit.admit(&desk, &endpoint, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    rates::tell(response.headers_mut(), &visit.standings);
    if let Some(recipient) = visit.recipient {
        response.extensions_mut().insert(jose::For(recipient));
    }
    if let Some(rule) = endpoint.rule
        && let Some(deprecation) = deprecation::of(DEPRECATED, rule.method, rule.path)
    {
        deprecation::tell(response.headers_mut(), deprecation);
    }
    desk.usage.count(endpoint.id(), visit.caller, at, response.status(), began.elapsed());
    response
}

/// One request on its way in.
struct Visit {
    standings: Vec<Standing>,
    caller: Caller,
    /// Whom the answer is encrypted for.
    recipient: Option<Recipient>,
}

impl Visit {
    async fn admit(
        &mut self,
        desk: &Desk,
        endpoint: &Endpoint,
        mut request: Request,
        next: Next,
    ) -> Result<Response, Problem> {
        let arrival = request.extensions().get::<Arrival>().copied();
        let arrival =
            arrival.ok_or_else(|| Problem::internal("a route stands outside of the guard", &"gate"))?;
        self.spend(desk.rates.arrive(endpoint.class, arrival.address))?;

        let who = if endpoint.asks_who() {
            let known = match Shown::read(request.headers()) {
                Ok(shown) => shown.let_in(desk, arrival).await,
                Err(problem) => Err(problem),
            };
            request.extensions_mut().insert(Known(known.clone()));
            known.ok()
        } else {
            None
        };
        self.caller = who.as_ref().map(caller).unwrap_or_default();
        if let Some(who) = &who
            && endpoint.rule.is_some()
            && jose::is_wanted(request.headers())
        {
            self.recipient = Some(jose::recipient(desk, who.context()).await?);
        }

        match desk.endpoints.answers(&desk.db, endpoint).await? {
            Answers::Yes(standing) => self.spend(standing)?,
            Answers::No => return Err(Problem::new(Code::EndpointOff)),
        }
        let Some(who) = who else { return Ok(next.run(request).await) };
        let ctx = who.context();
        self.spend(desk.rates.spend(endpoint.class, ctx.user_id(), ctx.key_id()))?;

        match endpoint.rule {
            Some(rule) if once::applies(rule, endpoint.class, &request) => {
                Ok(once::run(desk, ctx, rule, request, next).await)
            }
            _ => Ok(next.run(request).await),
        }
    }

    /// Notes where budgets stand; one that is used up ends the visit.
    fn spend(&mut self, standings: impl IntoIterator<Item = Standing>) -> Result<(), Problem> {
        self.standings.extend(standings);
        match rates::wait(&self.standings) {
            None => Ok(()),
            wait => Err(Problem { retry_after: wait, ..Problem::new(Code::RateLimited) }),
        }
    }
}

fn caller(who: &LetIn) -> Caller {
    let ctx = who.context();
    Caller {
        user: ctx.user_id().map(|user| user.to_string()).unwrap_or_default(),
        key: ctx.key_id().map(|key| key.to_string()).unwrap_or_default(),
    }
}
