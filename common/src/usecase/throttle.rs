//! How often a password may be guessed.
//!
//! A guess is paid for before the password is checked, and a right one is paid back: many at once cost as much as one
//! after another. Four counts are asked at a sign-in. For one name from one address: ten at once, then one each ten
//! seconds; and over the day twelve, then one each two hours, so that one address alone can't use up what the last count
//! gives. From one address over all names: fifty, then one each two seconds. For one name from everywhere: fifteen, then
//! three an hour, so that many addresses help a guesser little. That last one would let strangers lock the owner out:
//! who shows a device token of an earlier sign-in, or the one that a reset by mail gives, has a count of their own instead.
//!
//! A name is what was typed, normalised: nobody's name is counted like somebody's. The username and the email of one
//! account are counted apart, or a stranger could tell from one that ran out with the other that they belong together. So
//! each gives half of the guesses that an account is worth.

use data_encoding::HEXLOWER;

use crate::{
    Context, Error, Result,
    domain::ids::{LoginId, UserId},
    error::Code,
    limits::{Rate, network},
};

const ONE_ACCOUNT: Rate = Rate::per_minute(6, 10);
const ALL_ACCOUNTS: Rate = Rate::per_minute(30, 50);
/// One name from one address, over the day. Less than [`FROM_EVERYWHERE`], which it protects.
const ONE_ADDRESS: Rate = Rate::per_day(12, 12);
/// One of the two names of an account.
const FROM_EVERYWHERE: Rate = Rate::per_day(72, 15);
/// What both names together give.
const BOTH_NAMES: Rate = Rate::per_day(144, 30);

/// The count that strangers share with the owner.
const NAME: &str = "login-name";

pub(super) struct Throttle<'a> {
    ctx: &'a Context,
    counts: Vec<(String, Rate)>,
}

/// A guess that was paid for.
#[must_use]
pub(super) struct Paid<'a>(Throttle<'a>);

const WAIT: &str = "Too many wrong passwords. Try again after the time in `Retry-After`.";
const WAIT_OR_RESET: &str = "Too many wrong passwords for this account. Try again after the time in `Retry-After`, send the \
    `device_token` of an earlier sign-in, or reset the password by mail.";

impl<'a> Throttle<'a> {
    /// Of a sign-in under a name as it was typed, which may be nobody's: that must look the same.
    pub(super) fn of_sign_in(ctx: &'a Context, name: &str, device: Option<LoginId>, address: &str) -> Self {
        if let Some(device) = device {
            let device = device.to_string();
            let counts = vec![
                (key(ctx, "login-device", &[&device]), ONE_ACCOUNT),
                // A stolen token is worth no more guesses than a stranger has.
                (key(ctx, "login-device-day", &[&device]), BOTH_NAMES),
            ];
            return Self { ctx, counts };
        }
        let address = network_of(address);
        let counts = vec![
            (key(ctx, "login", &[name, &address]), ONE_ACCOUNT),
            (key(ctx, "login-day", &[name, &address]), ONE_ADDRESS),
            (format!("logins:{address}"), ALL_ACCOUNTS),
            // Last: what the others refuse must not use up what the owner shares.
            (key(ctx, NAME, &[name]), FROM_EVERYWHERE),
        ];
        Self { ctx, counts }
    }

    /// Of somebody signed in who shows their password once more: who took a token must not find the password with it,
    /// from however many addresses. Other logins are not slowed by that.
    pub(super) fn of_signed_in(
        ctx: &'a Context,
        user: UserId,
        login: Option<LoginId>,
        address: &str,
    ) -> Self {
        let user = user.to_string();
        let login = login.map(|login| login.to_string()).unwrap_or_default();
        let counts = vec![
            (key(ctx, "login", &[&user, &network_of(address)]), ONE_ACCOUNT),
            (key(ctx, "login-of", &[&user, &login]), BOTH_NAMES),
        ];
        Self { ctx, counts }
    }

    /// Pays for one guess, or says when to come again.
    pub(super) async fn pay(self) -> Result<Paid<'a>> {
        for (at, (key, rate)) in self.counts.iter().enumerate() {
            let decision = self.ctx.limits.check(key, *rate).await;
            if !decision.allowed {
                for (key, rate) in &self.counts[..at] {
                    self.ctx.limits.give_back(key, *rate).await;
                }
                let detail = if key.starts_with(NAME) { WAIT_OR_RESET } else { WAIT };
                let wait = decision.retry_after.as_secs_f64().ceil() as u64;
                return Err(Error::new(Code::RateLimited, detail).retry_after(wait.max(1)));
            }
        }
        Ok(Paid(self))
    }
}

impl Paid<'_> {
    /// It was no wrong guess.
    pub(super) async fn back(self) {
        for (key, rate) in &self.0.counts {
            self.0.ctx.limits.give_back(key, *rate).await;
        }
    }
}

fn network_of(address: &str) -> String {
    address.parse().map_or_else(|_| address.to_owned(), network)
}

/// Names and addresses are not kept in the counts.
fn key(ctx: &Context, what: &str, parts: &[&str]) -> String {
    let parts: Vec<&[u8]> =
        std::iter::once(what.as_bytes()).chain(parts.iter().map(|part| part.as_bytes())).collect();
    format!("{what}:{}", HEXLOWER.encode(&ctx.auth.digest(&parts)[..16]))
}
