//! The cookies of a browser's session: how they are read, and how they are written.

use crate::gateway::headers::ReplyHeaders;
use shared_types::ids::SessionId;

/// The access token. `__Host-`: over TLS, for this host alone, for every path, so that no other host
/// of the domain can set it.
pub const ACCESS: &str = "__Host-etude-access";
/// The session and the refresh token. It travels to `/api/auth` alone.
pub const REFRESH: &str = "__Secure-etude-refresh";
/// How long a refresh token is kept by a browser that does not use it.
const REFRESH_LIFE_S: i64 = 7 * 24 * 60 * 60;
/// The longest value that every browser keeps beside the name and the attributes.
const MAX_VALUE_BYTES: usize = 3_800;

/// The value of the cookie [`REFRESH`].
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshCookie {
    /// The session, which the token itself does not name.
    pub session: SessionId,
    /// The refresh token.
    pub token: String,
}

impl RefreshCookie {
    /// Reads `<session>.<token>`.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (session, token) = value.split_once('.')?;
        let session = session.parse().ok()?;
        (!token.is_empty()).then(|| Self {
            session,
            token: token.to_owned(),
        })
    }
}

/// Whether a `Cookie` header holds a cookie of ours.
#[must_use]
pub fn are_ours(header: &str) -> bool {
    let mut names = pairs(header).map(|(name, _)| name);
    names.any(|name| name == ACCESS || name == REFRESH)
}

/// The value of a cookie in a `Cookie` header. `None` also where there are two of the name: one of
/// them was set by somebody else, and nothing says which.
#[must_use]
pub fn value_of<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let mut values = pairs(header)
        .filter(|(found, _)| *found == name)
        .map(|(_, value)| value);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// Names and values.
fn pairs(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
}

/// A value that can't be a cookie's: browsers would drop it, or read something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token does not fit into a cookie")]
pub struct Unfit;

/// Has the browser keep a session. The access token ends in `access_life_s` seconds.
pub fn keep(
    headers: &mut ReplyHeaders,
    access_token: &str,
    access_life_s: i64,
    refresh: &RefreshCookie,
) -> Result<(), Unfit> {
    let refresh = format!("{}.{}", refresh.session, refresh.token);
    append(headers, ACCESS, access_token, access_life_s)?;
    append(headers, REFRESH, &refresh, REFRESH_LIFE_S)
}

/// Has the browser forget its session.
pub fn clear(headers: &mut ReplyHeaders) {
    for name in [ACCESS, REFRESH] {
        // An empty value always fits.
        let _ = append(headers, name, "", 0);
    }
}

fn append(headers: &mut ReplyHeaders, name: &str, value: &str, life_s: i64) -> Result<(), Unfit> {
    if value.len() > MAX_VALUE_BYTES || !value.bytes().all(is_cookie_octet) {
        return Err(Unfit);
    }
    let path = if name == ACCESS { "/" } else { "/api/auth" };
    let cookie =
        format!("{name}={value}; Max-Age={life_s}; Path={path}; Secure; HttpOnly; SameSite=Strict");
    headers.append("set-cookie", cookie);
    Ok(())
}

/// RFC 6265, 4.1.1.
fn is_cookie_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SESSION: &str = "00000000-0000-0000-0000-000000000007";

    fn set_cookies(headers: &ReplyHeaders) -> Vec<&str> {
        let all = headers.iter().filter(|(name, _)| *name == "set-cookie");
        all.map(|(_, value)| value).collect()
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name_among_others() {
        let header = "theme=dark; __Host-etude-access=a.b.c;__Secure-etude-refresh=s.t ; x=y=z";
        assert_eq!(value_of(header, ACCESS), Some("a.b.c"));
        assert_eq!(value_of(header, REFRESH), Some("s.t"));
        assert_eq!(value_of(header, "x"), Some("y=z"));
        for absent in [
            "etude-access",
            "__Host-etude",
            "__host-etude-access",
            "a.b.c",
        ] {
            assert_eq!(value_of(header, absent), None, "{absent}");
        }
        for header in ["", ";;;", "=", "__Host-etude-access", " ; = ;"] {
            assert_eq!(value_of(header, ACCESS), None, "{header}");
        }
    }

    #[test]
    fn of_two_cookies_with_one_name_neither_is_believed() {
        let header = "__Secure-etude-refresh=theirs; __Secure-etude-refresh=ours";
        assert_eq!(value_of(header, REFRESH), None);
    }

    #[test]
    fn a_session_is_kept_where_no_script_and_no_other_site_reaches_it() {
        let mut headers = ReplyHeaders::default();
        let refresh = RefreshCookie::parse(&format!("{SESSION}.r-1")).unwrap();
        keep(&mut headers, "a.b.c", 3_600, &refresh).unwrap();
        clear(&mut headers);
        insta::assert_snapshot!(set_cookies(&headers).join("\n"), @r"
        __Host-etude-access=a.b.c; Max-Age=3600; Path=/; Secure; HttpOnly; SameSite=Strict
        __Secure-etude-refresh=00000000-0000-0000-0000-000000000007.r-1; Max-Age=604800; Path=/api/auth; Secure; HttpOnly; SameSite=Strict
        __Host-etude-access=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict
        __Secure-etude-refresh=; Max-Age=0; Path=/api/auth; Secure; HttpOnly; SameSite=Strict
        ");
    }

    #[test]
    fn a_token_that_browsers_would_drop_or_misread_is_not_set() {
        let refresh = RefreshCookie::parse(&format!("{SESSION}.r")).unwrap();
        let long = "a".repeat(MAX_VALUE_BYTES + 1);
        for token in [
            "a; Domain=elsewhere.example",
            "a b",
            "a,b",
            "\"a\"",
            "ä",
            &long,
        ] {
            let mut headers = ReplyHeaders::default();
            assert_eq!(
                keep(&mut headers, token, 1, &refresh),
                Err(Unfit),
                "{token}"
            );
            assert_eq!(headers, ReplyHeaders::default());
        }
    }

    #[test]
    fn a_refresh_cookie_names_a_session_and_a_token() {
        for broken in ["", ".", "x.y", SESSION, &format!("{SESSION}."), "r-1"] {
            assert!(RefreshCookie::parse(broken).is_none(), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(header in "\\PC{0,200}") {
            let _ = value_of(&header, ACCESS).and_then(RefreshCookie::parse);
        }

        #[test]
        fn what_was_set_is_read_again(token in "[!-+\\--:<-\\[\\]-~&&[^\"]]{1,60}") {
            let mut headers = ReplyHeaders::default();
            let refresh = RefreshCookie { session: SESSION.parse().unwrap(), token: token.clone() };
            keep(&mut headers, &token, 60, &refresh).unwrap();
            let sent: Vec<&str> = set_cookies(&headers)
                .iter()
                .map(|cookie| cookie.split_once(';').unwrap().0)
                .collect();
            let sent = sent.join("; ");
            prop_assert_eq!(value_of(&sent, ACCESS), Some(&*token));
            prop_assert!(value_of(&sent, REFRESH).and_then(RefreshCookie::parse) == Some(refresh));
        }
    }
}
