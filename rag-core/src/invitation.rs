//! Codes that a teacher passes on, on paper or over the telephone.

use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// Symbols of a code: 50 bits. Guesses are counted, sixty a minute and person at most.
pub const SYMBOLS: usize = 10;
/// Crockford's base 32: no I, L, O and U, so that nothing is misread.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A code that an invitation is accepted by. Shown as two groups, `7K3QX-0M9TR`.
#[derive(Clone, PartialEq, Eq)]
pub struct InvitationCode([u8; SYMBOLS]);

/// A text that is no [`InvitationCode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a code has {SYMBOLS} letters and digits")]
pub struct InvitationCodeError;

impl InvitationCode {
    /// The code of these random bytes, of which five bits each count.
    #[must_use]
    pub fn from_random(bytes: [u8; SYMBOLS]) -> Self {
        Self(bytes.map(|byte| ALPHABET[usize::from(byte & 31)]))
    }

    /// What is kept of it: SHA-256, lower-case hex. Nobody who reads that can accept the invitation.
    #[must_use]
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.0))
    }
}

impl fmt::Display for InvitationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (one, other) = self.0.split_at(SYMBOLS / 2);
        let text = |symbols: &[u8]| String::from_utf8_lossy(symbols).into_owned();
        write!(f, "{}-{}", text(one), text(other))
    }
}

/// A code lets in: it is not for logs.
impl fmt::Debug for InvitationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InvitationCode")
    }
}

impl FromStr for InvitationCode {
    type Err = InvitationCodeError;

    /// Takes what people make of a code: small letters, spaces, dashes, and letters that look like digits.
    fn from_str(text: &str) -> Result<Self, InvitationCodeError> {
        let mut symbols = [0; SYMBOLS];
        let mut places = symbols.iter_mut();
        for c in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            let symbol = match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let symbol = ALPHABET.iter().find(|known| char::from(**known) == symbol);
            *places.next().ok_or(InvitationCodeError)? = *symbol.ok_or(InvitationCodeError)?;
        }
        match places.next() {
            None => Ok(Self(symbols)),
            Some(_) => Err(InvitationCodeError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_is_read_the_way_people_write_it() {
        let code = InvitationCode::from_random([7, 32 + 19, 3, 23, 29, 0, 20, 9, 26, 1]);
        assert_eq!(code.to_string(), "7K3QX-0M9T1");
        for text in ["7K3QX-0M9T1", "7k3qxom9ti", " 7K3Q XOM9-TL\n"] {
            assert_eq!(text.parse(), Ok(code.clone()), "{text}");
        }
        for text in ["", "7K3QX", "7K3QX-0M9T1-7", "7K3QX-0M9TU", "7K3QX-0M9Té"] {
            assert_eq!(text.parse::<InvitationCode>(), Err(InvitationCodeError));
        }
    }

    #[test]
    fn a_code_is_kept_and_logged_as_nothing_that_lets_in() {
        let code = InvitationCode::from_random([1; SYMBOLS]);
        assert_eq!(code.digest().len(), 64);
        assert!(!format!("{code:?} {}", code.digest()).contains("11111"));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(bytes: [u8; SYMBOLS]) {
            let code = InvitationCode::from_random(bytes);
            let again: InvitationCode = code.to_string().parse().unwrap();
            prop_assert_eq!(again.digest(), code.digest());
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = text.parse::<InvitationCode>();
        }
    }
}
