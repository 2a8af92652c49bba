//! Device tokens: who signed in before is known by one, and is not locked out by strangers who guess at the account.
//!
//! `rd_` and the base64url of: the user (16 bytes), the login it was given at (16), and a MAC over both and the account's
//! token version. So nothing is stored; a reset, a change of the password and a logout everywhere end it; and it names the
//! login, so that getting another one takes the password.

use data_encoding::BASE64URL_NOPAD;
use uuid::Uuid;

use super::Auth;
use crate::domain::ids::{LoginId, UserId};

const PREFIX: &str = "rd_";
const IDS: usize = 32;

fn parts<'a>(ids: &'a [u8], version: &'a [u8; 8]) -> [&'a [u8]; 3] {
    [b"device", ids, version]
}

impl Auth {
    pub fn device_token(&self, user: UserId, login: LoginId, version: i64) -> String {
        let ids = [user.0.into_bytes(), login.0.into_bytes()].concat();
        let mac = self.digest(&parts(&ids, &version.to_be_bytes()));
        format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&[ids, mac].concat()))
    }

    /// Where the token was given, if it is one of this account as it is now.
    pub fn known_device(&self, token: &str, user: UserId, version: i64) -> Option<LoginId> {
        let text = token.strip_prefix(PREFIX).filter(|text| text.len() < 200)?;
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (ids, mac) = bytes.split_at_checked(IDS)?;
        let (of, login) = ids.split_at_checked(IDS / 2)?;
        let good = self.is_digest(&parts(ids, &version.to_be_bytes()), mac) && of == user.0.as_bytes();
        good.then(|| Uuid::from_slice(login).ok().map(LoginId)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{secret::Secret, settings};

    #[test]
    fn a_device_is_known_to_its_account_alone() {
        let auth = Auth::new(&settings::Auth {
            secret_key: Secret::new("our-key-0123456789-abcdefghijklmnop"),
            secret_key_origin: String::new(),
            previous_key: None,
            password: Default::default(),
            access_token: Duration::from_secs(60),
            refresh_token: Duration::from_secs(60),
        });
        let (user, login) = (UserId::new(), LoginId::new());
        let token = auth.device_token(user, login, 7);
        assert_eq!(auth.known_device(&token, user, 7), Some(login));
        assert_eq!(auth.known_device(&token, user, 8), None);
        assert_eq!(auth.known_device(&token, UserId::new(), 7), None);
        for at in 3..token.len() - 1 {
            let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
            let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
            assert_eq!(auth.known_device(&changed, user, 7), None, "{at}");
        }
        for made_up in ["", "rd_", "rd_AAAA", &token[3..], &"rd_A".repeat(500)] {
            assert_eq!(auth.known_device(made_up, user, 7), None);
        }
    }
}
