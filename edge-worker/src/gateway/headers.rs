//! The headers of a reply: a dozen, so a list is quicker to search, and far smaller in the module, than a map is.

use std::borrow::Cow;

/// Names in lower case, with values that HTTP can carry, in the order in which they were set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplyHeaders(Vec<(&'static str, Cow<'static, str>)>);

impl ReplyHeaders {
    /// Sets a header, in place of any of that name. A value that no header can have is left out.
    pub fn set(&mut self, name: &'static str, value: impl Into<Cow<'static, str>>) {
        let value = value.into();
        if !is_value(&value) {
            return;
        }
        match self.0.iter_mut().find(|(set, _)| *set == name) {
            Some((_, set)) => *set = value,
            None => self.0.push((name, value)),
        }
    }

    /// Adds a header beside others of its name. A value that no header can have is left out.
    pub fn append(&mut self, name: &'static str, value: String) {
        if is_value(&value) {
            self.0.push((name, value.into()));
        }
    }

    /// The first value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(set, _)| *set == name).map(|(_, v)| v)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, &**value))
    }
}

/// `field-value` of RFC 9110 in ASCII: no control character, so nothing can begin a header of its own.
fn is_value(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_set_once_and_appended_as_often_as_one_likes() {
        let mut headers = ReplyHeaders::default();
        headers.set("vary", "Origin");
        headers.set("vary", "Accept");
        headers.append("set-cookie", "a=1".to_owned());
        headers.append("set-cookie", "b=2".to_owned());
        let all: Vec<_> = headers.iter().collect();
        assert_eq!(
            all,
            [
                ("vary", "Accept"),
                ("set-cookie", "a=1"),
                ("set-cookie", "b=2")
            ]
        );
        assert_eq!(headers.get("vary"), Some("Accept"));
        assert_eq!(headers.get("etag"), None);
    }

    #[test]
    fn no_value_begins_another_header() {
        let mut headers = ReplyHeaders::default();
        headers.set("location", "/a\r\nset-cookie: b=2");
        headers.append("set-cookie", "a=1\n".to_owned());
        assert_eq!(headers, ReplyHeaders::default());
    }

    proptest! {
        #[test]
        fn every_value_that_is_taken_is_one(value in any::<String>()) {
            let mut headers = ReplyHeaders::default();
            headers.set("x-test", value.clone());
            let taken = headers.get("x-test").is_some();
            prop_assert!(!taken || HeaderValue::from_str(&value).is_ok());
        }
    }
}
