//! Sessions whose tokens a browser keeps as cookies: no script reads them, ours no more than
//! another's.

use crate::{
    gateway::{
        Gateway,
        auth_proxy::{Answered, RefreshGrant, ask, log_out_call, unavailable},
        authentication,
        cookies::{self, RefreshCookie},
        csrf,
        exchange::{Exchange, IncomingHeaders, Reply, empty, json, refusal},
    },
    ports::{Host, PortError},
    router::Route,
};
use http::StatusCode;
use rag_core::token::UnverifiedToken;
use serde::{Deserialize, de::IgnoredAny};
use shared_types::{
    headers::CSRF_TOKEN,
    ids::SessionId,
    problem::{Problem, ProblemKind},
    session::{CookieSession, SignedIn},
};

/// A session of Supabase's. No `Debug`: it holds tokens.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    refresh_token: String,
    expires_in: i64,
}

/// An account of Supabase's, without a session.
#[derive(Deserialize)]
struct Account {
    #[serde(default)]
    access_token: Option<IgnoredAny>,
}

/// Puts a new session's tokens into cookies, and tells the rest. A reply without a session (the
/// e-mail address is to be confirmed first) is relayed as it is.
pub fn begin<H: Host>(exchange: &Exchange<H>, answered: Answered) -> Result<Reply, Problem> {
    let Ok(granted) = serde_json::from_slice::<Granted>(&answered.body) else {
        return without_tokens(exchange, answered);
    };
    let failed = |words: &str| unavailable(exchange, &PortError::Failed(words.to_owned()));
    let token = UnverifiedToken::parse(&granted.access_token);
    let claims = token.and_then(|token| token.claims_from_issuer());
    let claims = claims.map_err(|error| failed(&error.to_string()))?;
    let session = claims.session_id;
    let session = session.ok_or_else(|| failed("the access token names no session"))?;

    let csrf_token = csrf::token(&exchange.config.edge_token, session);
    let told = CookieSession {
        user: SignedIn {
            id: claims.sub,
            email: claims.email,
            role: claims.app_metadata.role,
        },
        ends_at_s: exchange.host.now().timestamp() + granted.expires_in,
        csrf_token,
    };
    let mut reply = json(StatusCode::OK, &told);
    reply.headers.set(CSRF_TOKEN, told.csrf_token.clone());
    let refresh = RefreshCookie {
        session,
        token: granted.refresh_token,
    };
    let (access_token, life_s) = (&granted.access_token, granted.expires_in);
    cookies::keep(&mut reply.headers, access_token, life_s, &refresh).map_err(|_| {
        Problem::new(ProblemKind::TokenTooLarge)
            .with_detail("It does not fit into a cookie. Sign in for a bearer token.")
    })?;
    Ok(reply)
}

/// A reply to register that holds no session. One with a token in it would be a session that we fail
/// to read: it must not reach a page that asked for no tokens.
fn without_tokens<H: Host>(exchange: &Exchange<H>, answered: Answered) -> Result<Reply, Problem> {
    let account = serde_json::from_slice::<Account>(&answered.body);
    if account.map_or(true, |account| account.access_token.is_some()) {
        let error = PortError::Failed("a session that can't be read".to_owned());
        return Err(unavailable(exchange, &error));
    }
    Ok(answered.into_reply())
}

/// Exchanges the refresh cookie for new cookies. Where Supabase refuses it, the browser forgets both.
pub async fn refresh<H: Host>(exchange: &Exchange<H>) -> Result<Reply, Problem> {
    let cookies = exchange.cookies.as_ref();
    let refresh = cookies.and_then(|cookies| Some((cookies, cookies.refresh.as_ref()?)));
    let (cookies, refresh) = refresh.ok_or_else(|| {
        Problem::new(ProblemKind::TokenMissing)
            .with_detail("Send refresh_token in the body, or the session's cookies.")
    })?;
    cookies.check(&exchange.config.edge_token, Some(refresh.session))?;
    let grant = RefreshGrant {
        refresh_token: &refresh.token,
    };
    match ask(exchange, Route::Refresh, grant.call()).await {
        Ok(answered) => begin(exchange, answered),
        Err(problem) if problem.status == ProblemKind::RefreshTokenRefused.status() => {
            let mut reply = refusal(&problem.with_instance(exchange.request_id));
            cookies::clear(&mut reply.headers);
            Ok(reply)
        }
        Err(problem) => Err(problem),
    }
}

/// Has the browser forget its session, whatever the sign-in service says; there the session is ended
/// where it can be reached. Counted by address.
pub async fn end<H: Host>(
    gateway: &Gateway,
    exchange: &Exchange<H>,
    headers: &IncomingHeaders,
) -> Result<Reply, Problem> {
    authentication::count_address(exchange, headers).await?;
    let Some(cookies) = &exchange.cookies else {
        return Err(Problem::new(ProblemKind::TokenMissing));
    };
    let claims = authentication::authenticate(gateway, exchange, headers).await;
    let claims = claims.ok();
    let session: Option<SessionId> = match &cookies.refresh {
        Some(refresh) => Some(refresh.session),
        None => claims.as_ref().and_then(|claims| claims.session_id),
    };
    match session {
        Some(session) => cookies.check(&exchange.config.edge_token, Some(session))?,
        // No session that could be ended on anybody's behalf.
        None => cookies.check_origin()?,
    }
    let ended = if claims.is_some() {
        end_by_access_token(exchange, headers.authorization.as_deref()).await
    } else if let Some(refresh) = &cookies.refresh {
        end_by_refresh_token(exchange, refresh).await
    } else {
        Ok(())
    };
    let mut notes = exchange.notes.borrow_mut();
    notes.push(("session_ended", ended.is_ok().into()));
    let mut reply = empty(StatusCode::NO_CONTENT);
    cookies::clear(&mut reply.headers);
    Ok(reply)
}

async fn end_by_access_token<H: Host>(
    exchange: &Exchange<H>,
    authorization: Option<&str>,
) -> Result<(), Problem> {
    let asked = ask(exchange, Route::Logout, log_out_call(authorization)).await;
    asked.map(drop)
}

/// An access token that has expired ends nothing; the refresh token gets one that does.
async fn end_by_refresh_token<H: Host>(
    exchange: &Exchange<H>,
    refresh: &RefreshCookie,
) -> Result<(), Problem> {
    let grant = RefreshGrant {
        refresh_token: &refresh.token,
    };
    let answered = ask(exchange, Route::Refresh, grant.call()).await?;
    let granted: Granted = serde_json::from_slice(&answered.body)
        .map_err(|error| unavailable(exchange, &PortError::Failed(error.to_string())))?;
    let authorization = format!("Bearer {}", granted.access_token);
    end_by_access_token(exchange, Some(&authorization)).await
}
