#![no_main]

use chrono::DateTime;
use libfuzzer_sys::fuzz_target;
use rag_core::token::{TokenPolicy, UnverifiedToken};

fuzz_target!(|text: &str| {
    let Ok(token) = UnverifiedToken::parse(text) else {
        return;
    };
    assert!(text.as_bytes().starts_with(token.signed_data()));
    let policy = TokenPolicy {
        issuer: "https://etude.example/auth/v1".into(),
        audience: "authenticated".into(),
    };
    let _ = token.accept(&policy, DateTime::UNIX_EPOCH);
});
