#![no_main]

use edge_worker::gateway::{
    cookies::{ACCESS, REFRESH, RefreshCookie, keep, value_of},
    headers::ReplyHeaders,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|header: &str| {
    let access = value_of(header, ACCESS);
    let refresh = value_of(header, REFRESH).and_then(RefreshCookie::parse);
    let (Some(access), Some(refresh)) = (access, refresh) else {
        return;
    };
    let mut headers = ReplyHeaders::default();
    if keep(&mut headers, access, 1, &refresh).is_err() {
        return;
    }
    // What is set is read again, and no value reaches into the attributes.
    let set: Vec<&str> = headers
        .iter()
        .filter(|(name, _)| *name == "set-cookie")
        .filter_map(|(_, cookie)| cookie.split(';').next())
        .collect();
    let sent = set.join("; ");
    assert_eq!(value_of(&sent, ACCESS), Some(access));
    assert!(value_of(&sent, REFRESH).and_then(RefreshCookie::parse) == Some(refresh));
});
