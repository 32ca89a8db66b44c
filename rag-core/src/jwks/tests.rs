use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW_S: i64 = 1_800_000_000;

fn encoded(bytes: &[u8]) -> Value {
    Base64UrlUnpadded::encode_string(bytes).into()
}

fn ecdsa() -> Value {
    json!({"kty": "EC", "crv": "P-256", "kid": "e", "alg": "ES256",
        "x": encoded(&[7; 32]), "y": encoded(&[8; 32])})
}

fn rsa() -> Value {
    json!({"kty": "RSA", "kid": "r", "n": encoded(&[0xff; 256]), "e": encoded(&[1, 0, 1])})
}

fn with(mut key: Value, name: &str, value: Value) -> Value {
    key[name] = value;
    key
}

fn read(keys: &[Value]) -> Result<KeySet, KeySetError> {
    KeySet::read(json!({ "keys": keys }).to_string().as_bytes(), NOW_S)
}

#[test]
fn a_set_keeps_the_keys_that_can_be_used() {
    let symmetric = json!({"kty": "oct", "kid": "s", "k": "c2VjcmV0", "alg": "HS256"});
    let set = read(&[symmetric.clone(), ecdsa(), rsa()]).unwrap();
    let ids: Vec<_> = set.keys.iter().map(|key| key.kid.as_deref()).collect();
    assert_eq!(ids, [Some("e"), Some("r")]);
    assert!(matches!(read(&[symmetric]), Err(KeySetError::NoKeys)));
    assert!(matches!(read(&[]), Err(KeySetError::NoKeys)));
}

#[test]
fn a_key_of_odd_numbers_or_another_purpose_is_not_used() {
    let short = encoded(&[0xff; 128]);
    let odd = [
        with(rsa(), "n", short),
        with(rsa(), "n", encoded(&[0x7f; 256])),
        with(rsa(), "n", encoded(&[0xff; 1_025])),
        with(rsa(), "n", Value::Null),
        with(rsa(), "e", encoded(&[1])),
        with(rsa(), "e", encoded(&[4])),
        with(rsa(), "e", encoded(&[])),
        with(rsa(), "e", encoded(&[1; 6])),
        with(rsa(), "e", encoded(&[1; 40])),
        with(rsa(), "e", json!("not base64url!")),
        with(rsa(), "alg", json!("RS512")),
        with(rsa(), "kty", json!("oct")),
        with(ecdsa(), "x", encoded(&[7; 31])),
        with(ecdsa(), "y", Value::Null),
        with(ecdsa(), "crv", json!("P-384")),
        with(ecdsa(), "alg", json!("RS256")),
    ];
    for key in odd {
        assert!(read(std::slice::from_ref(&key)).is_err(), "{key}");
    }
}

#[test]
fn a_set_is_bounded() {
    let many: Vec<Value> = (0..40).map(|_| ecdsa()).collect();
    assert_eq!(read(&many).unwrap().keys.len(), MAX_KEYS);
    let large = vec![b' '; MAX_KEY_SET_BYTES + 1];
    let refused = KeySet::read(&large, NOW_S);
    assert!(matches!(refused, Err(KeySetError::TooLarge)));
}

#[test]
fn a_set_ages() {
    let set = read(&[ecdsa()]).unwrap();
    let ages = |age_s: i64| {
        let now_s = NOW_S + age_s;
        (
            set.is_cooling(now_s),
            set.is_current(now_s),
            set.is_usable(now_s),
        )
    };
    assert_eq!(ages(0), (true, true, true));
    assert_eq!(ages(29), (true, true, true));
    assert_eq!(ages(30), (false, true, true));
    assert_eq!(ages(599), (false, true, true));
    assert_eq!(ages(600), (false, false, true));
    assert_eq!(ages(86_399), (false, false, true));
    assert_eq!(ages(86_400), (false, false, false));
    assert_eq!(ages(-60), (true, true, true), "clocks differ a little");
    assert_eq!(ages(-61), (false, false, false), "and no more");
}

#[test]
fn what_is_kept_is_pinned_and_read_again() {
    let key = KeySetKey {
        url: "https://auth.example",
    };
    let set = read(&[ecdsa()]).unwrap();
    let kept = String::from_utf8(set.encode()).unwrap();
    insta::assert_snapshot!(format!("{}\n{kept}", key.text()));
    assert_eq!(KeySet::decode(kept.as_bytes()).unwrap(), set);
}

#[test]
fn what_we_can_not_have_kept_is_not_believed() {
    let kept = |keys: &[Value]| json!({ "fetched_at_s": NOW_S, "keys": keys }).to_string();
    let weak = with(rsa(), "e", encoded(&[1]));
    let many: Vec<Value> = (0..=MAX_KEYS).map(|_| ecdsa()).collect();
    for text in [
        String::new(),
        "null".into(),
        json!({ "keys": [ecdsa()] }).to_string(),
        json!({ "fetched_at_s": "now", "keys": [ecdsa()] }).to_string(),
        kept(&[]),
        kept(&[ecdsa(), weak]),
        kept(&many),
    ] {
        assert!(KeySet::decode(text.as_bytes()).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn foreign_bytes_are_no_keys_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(KeySet::decode(&bytes).is_err());
        prop_assert!(KeySet::read(&bytes, NOW_S).is_err());
    }

    #[test]
    fn no_age_overflows(fetched_at_s in any::<i64>(), now_s in any::<i64>()) {
        let body = json!({ "keys": [ecdsa()] }).to_string();
        let set = KeySet::read(body.as_bytes(), fetched_at_s).unwrap();
        if set.is_cooling(now_s) {
            prop_assert!(set.is_current(now_s) && set.is_usable(now_s));
        }
    }
}
