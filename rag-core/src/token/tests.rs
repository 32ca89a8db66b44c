//! A forger's visit: every way in which a token may lie.

use super::{verify::verify, *};
use crate::jwks::{Jwk, KeySet};
use base64ct::{Base64UrlUnpadded, Encoding};
use chrono::TimeZone;
use proptest::prelude::*;
use ring::{
    hmac,
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use rsa::{RsaPrivateKey, pkcs8::EncodePrivateKey};
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::LazyLock};

const NOW_S: i64 = 1_800_000_000;

/// Made once: it takes a second.
static RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| {
    let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
    RsaKeyPair::from_pkcs8(key.to_pkcs8_der().unwrap().as_bytes()).unwrap()
});

fn encode(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

fn signed_data(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| encode(value.to_string().as_bytes());
    format!("{}.{}", part(header), part(claims))
}

struct Issuer {
    pair: EcdsaKeyPair,
    key: Jwk,
}

impl Issuer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        let point = pair.public_key().as_ref()[1..].to_vec();
        let key = Jwk {
            kty: "EC".into(),
            kid: Some("key-1".into()),
            alg: Some("ES256".into()),
            n: None,
            e: None,
            crv: Some("P-256".into()),
            x: Some(encode(&point[..32])),
            y: Some(encode(&point[32..])),
        };
        Self { pair, key }
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let data = signed_data(header, claims);
        let signed = self.pair.sign(&SystemRandom::new(), data.as_bytes());
        format!("{data}.{}", encode(signed.unwrap().as_ref()))
    }

    fn check(&self, text: &str) -> Result<AccessClaims, TokenError> {
        check(std::slice::from_ref(&self.key), text, at(0))
    }

    fn check_at(&self, text: &str, now: DateTime<Utc>) -> Result<AccessClaims, TokenError> {
        check(std::slice::from_ref(&self.key), text, now)
    }
}

/// So many milliseconds after the present.
fn at(ms: i64) -> DateTime<Utc> {
    Utc.timestamp_millis_opt(NOW_S * 1_000 + ms).unwrap()
}

fn check(keys: &[Jwk], text: &str, now: DateTime<Utc>) -> Result<AccessClaims, TokenError> {
    let token = UnverifiedToken::parse(text)?;
    let body = json!({ "keys": keys }).to_string();
    let keys = KeySet::read(body.as_bytes(), NOW_S).unwrap();
    verify(keys.select(&token)?, &token)?;
    let policy = TokenPolicy {
        issuer: "https://auth.example/auth/v1".into(),
        audience: "authenticated".into(),
    };
    token.accept(&policy, now).map(|accepted| accepted.claims)
}

fn rsa_key() -> Jwk {
    let public = PublicKeyComponents::<Vec<u8>>::from(RSA.public());
    Jwk {
        kty: "RSA".into(),
        kid: Some("key-rsa".into()),
        alg: Some("RS256".into()),
        n: Some(encode(&public.n)),
        e: Some(encode(&public.e)),
        crv: None,
        x: None,
        y: None,
    }
}

fn rsa_signed(header: &Value, claims: &Value) -> String {
    let data = signed_data(header, claims);
    let mut signature = vec![0; RSA.public().modulus_len()];
    RSA.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        data.as_bytes(),
        &mut signature,
    )
    .unwrap();
    format!("{data}.{}", encode(&signature))
}

fn header() -> Value {
    json!({"alg": "ES256", "typ": "JWT", "kid": "key-1"})
}

fn claims() -> Value {
    json!({
        "sub": "00000000-0000-0000-0000-000000000007",
        "iss": "https://auth.example/auth/v1",
        "aud": "authenticated",
        "role": "authenticated",
        "app_metadata": {"role": "teacher", "provider": "email"},
        "exp": NOW_S + 3600,
        "iat": NOW_S,
    })
}

fn with(mut value: Value, name: &str, new: Value) -> Value {
    value[name] = new;
    value
}

#[test]
fn a_genuine_token_of_either_kind_is_accepted() {
    let issuer = Issuer::new();
    let accepted = issuer.check(&issuer.sign(&header(), &claims())).unwrap();
    assert_eq!(
        accepted.app_metadata.role,
        shared_types::claims::Role::Teacher
    );
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": "key-rsa"});
    let token = rsa_signed(&header, &claims());
    let keys = [issuer.key, rsa_key()];
    assert_eq!(check(&keys, &token, at(0)), Ok(accepted));
}

#[test]
fn every_lie_about_the_claims_is_refused() {
    let issuer = Issuer::new();
    let lies = [
        ("exp", json!(NOW_S - 61), TokenError::Expired),
        ("exp", json!(0), TokenError::Expired),
        ("exp", json!(-i64::MAX), TokenError::ClaimsInvalid),
        ("exp", json!(i64::MAX), TokenError::ClaimsInvalid),
        ("exp", json!(1e300), TokenError::ClaimsInvalid),
        ("exp", json!("tomorrow"), TokenError::ClaimsInvalid),
        ("exp", Value::Null, TokenError::ClaimsInvalid),
        ("nbf", json!(NOW_S + 61), TokenError::NotYetValid),
        ("iat", json!(NOW_S + 61), TokenError::NotYetValid),
        ("iat", json!(8_000_000_000_000_i64), TokenError::NotYetValid),
        ("iat", json!([]), TokenError::ClaimsInvalid),
        (
            "iss",
            json!("https://elsewhere.example"),
            TokenError::WrongIssuer,
        ),
        (
            "iss",
            json!("https://auth.example/auth/v1/"),
            TokenError::WrongIssuer,
        ),
        ("iss", Value::Null, TokenError::ClaimsInvalid),
        ("aud", json!("service"), TokenError::WrongAudience),
        ("aud", json!(["authenticated"]), TokenError::ClaimsInvalid),
        ("role", json!("service_role"), TokenError::WrongAudience),
        ("sub", json!("not-a-person"), TokenError::ClaimsInvalid),
        ("sub", Value::Null, TokenError::ClaimsInvalid),
        (
            "app_metadata",
            json!({"role": "owner"}),
            TokenError::ClaimsInvalid,
        ),
        ("app_metadata", json!({}), TokenError::ClaimsInvalid),
        ("session_id", json!("s-1"), TokenError::ClaimsInvalid),
    ];
    for (name, value, expected) in lies {
        let told = format!("{name} {value}");
        let token = issuer.sign(&header(), &with(claims(), name, value));
        assert_eq!(issuer.check(&token), Err(expected), "{told}");
    }
    for name in ["exp", "iss", "aud", "role", "sub", "app_metadata"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        let token = issuer.sign(&header(), &claims);
        let refused = issuer.check(&token);
        assert_eq!(refused, Err(TokenError::ClaimsInvalid), "without {name}");
    }
}

#[test]
fn every_lie_about_the_key_is_refused() {
    let issuer = Issuer::new();
    let lies = [
        ("alg", json!("none"), TokenError::AlgorithmRefused),
        ("alg", json!("None"), TokenError::AlgorithmRefused),
        ("alg", json!("HS256"), TokenError::AlgorithmRefused),
        ("alg", json!("ES384"), TokenError::AlgorithmRefused),
        ("alg", json!("PS256"), TokenError::AlgorithmRefused),
        ("alg", json!("es256"), TokenError::AlgorithmRefused),
        ("alg", json!("RS256"), TokenError::KeyMismatch),
        ("alg", Value::Null, TokenError::Malformed),
        ("kid", json!("key-2"), TokenError::UnknownKey),
        ("kid", json!(""), TokenError::UnknownKey),
        ("kid", json!(7), TokenError::Malformed),
        ("crit", json!(["exp"]), TokenError::Malformed),
        ("cty", json!("cbor"), TokenError::Malformed),
    ];
    for (name, value, expected) in lies {
        let told = format!("{name} {value}");
        let token = issuer.sign(&with(header(), name, value), &claims());
        assert_eq!(issuer.check(&token), Err(expected), "{told}");
    }
    let forged = Issuer::new().sign(&header(), &claims());
    assert_eq!(issuer.check(&forged), Err(TokenError::BadSignature));
}

#[test]
fn a_key_that_the_token_brings_along_counts_for_nothing() {
    let (issuer, stranger) = (Issuer::new(), Issuer::new());
    for header in [
        with(
            header(),
            "jwk",
            serde_json::to_value(&stranger.key).unwrap(),
        ),
        with(header(), "jku", json!("https://stranger.example/jwks.json")),
        with(header(), "x5u", json!("https://stranger.example/chain.pem")),
    ] {
        let forged = stranger.sign(&header, &claims());
        assert_eq!(issuer.check(&forged), Err(TokenError::BadSignature));
    }
}

#[test]
fn a_public_key_is_no_secret_to_sign_with() {
    let key = rsa_key();
    let texts = [
        key.n.clone().unwrap(),
        serde_json::to_string(&key).unwrap(),
        encode(RSA.public().as_ref()),
    ];
    for text in texts {
        for name in ["HS256", "RS256"] {
            let header = json!({"alg": name, "typ": "JWT", "kid": "key-rsa"});
            let data = signed_data(&header, &claims());
            let secret = hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes());
            let signature = hmac::sign(&secret, data.as_bytes());
            let forged = format!("{data}.{}", encode(signature.as_ref()));
            let expected = match name {
                "HS256" => TokenError::AlgorithmRefused,
                _ => TokenError::BadSignature,
            };
            assert_eq!(check(&[rsa_key()], &forged, at(0)), Err(expected));
        }
    }
}

#[test]
fn a_token_without_signature_is_forged_whatever_its_algorithm() {
    let issuer = Issuer::new();
    let unsigned = format!("{}.", signed_data(&header(), &claims()));
    assert_eq!(issuer.check(&unsigned), Err(TokenError::BadSignature));
    let header = json!({"alg": "RS256", "kid": "key-rsa"});
    let unsigned = format!("{}.", signed_data(&header, &claims()));
    let refused = check(&[rsa_key()], &unsigned, at(0));
    assert_eq!(refused, Err(TokenError::BadSignature));
}

#[test]
fn a_key_is_used_with_its_own_algorithm_only() {
    let issuer = Issuer::new();
    let by_rsa = json!({"alg": "RS256", "kid": "key-1"});
    let by_ecdsa = json!({"alg": "ES256", "kid": "key-rsa"});
    let keys = [issuer.key.clone(), rsa_key()];
    for token in [
        rsa_signed(&by_rsa, &claims()),
        issuer.sign(&by_ecdsa, &claims()),
    ] {
        assert_eq!(check(&keys, &token, at(0)), Err(TokenError::KeyMismatch));
    }
}

#[test]
fn a_token_without_key_id_is_taken_only_where_there_is_one_key() {
    let issuer = Issuer::new();
    let token = issuer.sign(&json!({"alg": "ES256"}), &claims());
    assert!(issuer.check(&token).is_ok());
    let keys = [issuer.key, Issuer::new().key];
    assert_eq!(check(&keys, &token, at(0)), Err(TokenError::UnknownKey));
}

#[test]
fn an_oversized_token_is_not_even_read() {
    let issuer = Issuer::new();
    let padded = |bytes| with(claims(), "user_metadata", json!("a".repeat(bytes)));
    let fits = issuer.sign(&header(), &padded(5_000));
    assert!(fits.len() < MAX_TOKEN_BYTES && issuer.check(&fits).is_ok());
    let long = issuer.sign(&header(), &padded(6_000));
    assert!(long.len() > MAX_TOKEN_BYTES);
    assert_eq!(issuer.check(&long), Err(TokenError::TooLarge));
}

#[test]
fn clocks_may_be_a_minute_apart_and_no_more() {
    let issuer = Issuer::new();
    let ends = issuer.sign(&header(), &with(claims(), "exp", json!(NOW_S)));
    assert!(issuer.check_at(&ends, at(60_000)).is_ok());
    let late = issuer.check_at(&ends, at(60_001));
    assert_eq!(late, Err(TokenError::Expired));
    for name in ["nbf", "iat"] {
        let begins = issuer.sign(&header(), &with(claims(), name, json!(NOW_S)));
        assert!(issuer.check_at(&begins, at(-60_000)).is_ok(), "{name}");
        let early = issuer.check_at(&begins, at(-60_001));
        assert_eq!(early, Err(TokenError::NotYetValid), "{name}");
    }
}

#[test]
fn every_reason_has_a_problem_type_of_its_own() {
    let told = TokenError::ALL.map(TokenError::problem);
    let types: BTreeSet<_> = told.iter().map(|problem| &problem.type_uri).collect();
    assert_eq!(types.len(), TokenError::ALL.len());
    assert!(told.iter().all(|problem| problem.status == 401));
}

#[test]
fn text_of_any_other_shape_is_malformed() {
    let issuer = Issuer::new();
    let good = issuer.sign(&header(), &claims());
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        panic!("{good}");
    };
    for text in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        header.into(),
        format!("{header}.{claims}"),
        format!("{good}."),
        format!("{good}.{signature}"),
        format!(".{claims}.{signature}"),
        format!("{header}=.{claims}.{signature}"),
        format!("{header}.{claims}.{signature}="),
        format!("{header}.{claims}.{signature}+/"),
        format!(" {good}"),
        format!("{good}\n"),
        good.replace('.', ","),
        format!("{}.{claims}.{signature}", encode(b"[]")),
        format!("{}.{claims}.{signature}", encode(b"{}")),
        format!("{}.{claims}.{signature}", encode(b"{\"alg\":\"ES256\"")),
        format!("{}.{claims}.{signature}", encode(&[0xff, 0xfe])),
        encode(good.as_bytes()),
    ] {
        assert_eq!(issuer.check(&text), Err(TokenError::Malformed), "{text}");
    }
}

/// JSON of any shape, to some depth.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("exp".to_owned()),
        Just("alg".to_owned()),
        Just("kid".to_owned()),
        Just("sub".to_owned()),
        Just("app_metadata".to_owned()),
        "[a-z]{1,4}",
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..6)
                .prop_map(|map| map.into_iter().collect::<Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
        let _ = UnverifiedToken::parse(&text);
    }

    #[test]
    fn no_three_parts_make_the_parser_panic(
        header in any_json(), claims in any_json(), signature in prop::collection::vec(any::<u8>(), 0..80)
    ) {
        let text = format!("{}.{}", signed_data(&header, &claims), encode(&signature));
        if let Ok(token) = UnverifiedToken::parse(&text) {
            let policy = TokenPolicy { issuer: "i".into(), audience: "a".into() };
            prop_assert!(token.accept(&policy, at(0)).is_err());
        }
    }

    #[test]
    fn no_claims_but_complete_ones_are_accepted(
        name in prop::sample::select(vec!["exp", "iss", "aud", "role", "sub", "app_metadata"]),
        value in any_json(),
    ) {
        let issuer = Issuer::new();
        let is_true = claims()[name] == value;
        let in_time = name == "exp" && value.as_f64().is_some_and(|exp| exp >= NOW_S as f64);
        let token = issuer.sign(&header(), &with(claims(), name, value));
        prop_assert!(issuer.check(&token).is_err() || is_true || in_time);
    }

    #[test]
    fn a_changed_byte_is_noticed(at in 0usize..400) {
        let issuer = Issuer::new();
        let mut token = issuer.sign(&header(), &claims()).into_bytes();
        let at = at % token.len();
        token[at] = if token[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(token).unwrap();
        prop_assert!(issuer.check(&changed).is_err());
    }
}
