//! One provider's circuit breaker: when nobody asks it, and when one request may try.
//!
//! Outages in a row open it. While it is open, one request at a time may try (a probe), after a pause that doubles with
//! each probe in vain. Who can go elsewhere pauses for long; who cannot tries soon and often: nobody is served by waiting
//! longer. The first word of any answer closes it.

use std::time::Duration;

use tokio::time::Instant;

#[derive(Debug, Clone, Copy)]
pub struct Breaker {
    /// Outages in a row that open it.
    pub failures: u32,
    /// How long it stays open the first time, for those who can go elsewhere.
    pub rest: Duration,
}

/// The first pause of those who have nobody else to ask, and the longest.
const ALONE_FIRST: Duration = Duration::from_secs(1);
const ALONE_LONGEST: Duration = Duration::from_secs(2);
/// How long a probe keeps others from trying: it may hang, or its process die.
const PROBE: Duration = Duration::from_secs(30);
const PROBE_ALONE: Duration = Duration::from_secs(2);

impl Breaker {
    /// The pause after so many openings.
    fn pause(&self, openings: u32, alone: bool) -> Duration {
        let doublings = openings.saturating_sub(1).min(3);
        let rest = self.rest * (1 << doublings);
        if alone { rest.min(ALONE_LONGEST).min(ALONE_FIRST * (1 << doublings)) } else { rest }
    }
}

pub fn probe(alone: bool) -> Duration {
    if alone { PROBE_ALONE } else { PROBE }
}

#[derive(Debug, Default)]
pub struct State {
    failures: u32,
    /// Openings since the last whole answer.
    pub openings: u32,
    pub opened: Option<Instant>,
    closed: Option<Instant>,
    trying_until: Option<Instant>,
    /// Whether the other processes were told of the opening.
    pub shared: bool,
}

impl State {
    pub fn is_open(&self) -> bool {
        self.opened.is_some()
    }

    /// How long nobody may ask, without regard to a probe under way.
    pub fn rests(&self, breaker: Breaker, alone: bool, now: Instant) -> Duration {
        let until = self.opened.map(|opened| opened + breaker.pause(self.openings, alone));
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// How long nobody may ask.
    pub fn wait(&self, breaker: Breaker, alone: bool, now: Instant) -> Duration {
        if !self.is_open() {
            return Duration::ZERO;
        }
        let trying = self.trying_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        self.rests(breaker, alone, now).max(trying)
    }

    pub fn probe(&mut self, alone: bool, now: Instant) {
        self.trying_until = Some(now + probe(alone));
    }

    /// An outage. `probe`: of the one request that tried; of the others only the first outages count, since many may be
    /// on their way when a provider goes. `true`: it is open from now on.
    pub fn fail(&mut self, breaker: Breaker, probe: bool, now: Instant) -> bool {
        if self.is_open() && !probe {
            return false;
        }
        self.failures += 1;
        let opens = self.is_open() || self.failures >= breaker.failures;
        if opens {
            self.open(self.openings + 1, now);
        }
        opens
    }

    pub fn open(&mut self, openings: u32, since: Instant) {
        (self.openings, self.opened) = (openings, Some(since));
        (self.failures, self.trying_until, self.shared) = (0, None, false);
    }

    /// An answer has begun. `true`: that closed it. Until an answer is whole, one more outage opens it again.
    pub fn begin(&mut self, breaker: Breaker, now: Instant) -> bool {
        let closes = self.is_open();
        if closes {
            self.close(now);
            self.failures = breaker.failures.saturating_sub(1);
        }
        closes
    }

    /// An answer is whole. `true`: there was something to forget.
    pub fn succeed(&mut self, now: Instant) -> bool {
        let broken = self.is_open() || self.failures > 0;
        if self.is_open() {
            self.close(now);
        }
        (self.failures, self.openings) = (0, 0);
        broken
    }

    fn close(&mut self, now: Instant) {
        (self.opened, self.closed) = (None, Some(now));
        (self.trying_until, self.shared) = (None, false);
    }

    /// Another process opened it then, so many times in a row.
    pub fn hear_open(&mut self, openings: u32, since: Instant) {
        let newer = match self.opened {
            // The same opening comes back a little earlier or later than it was told.
            Some(opened) => since > opened + Duration::from_millis(100),
            // An opening that this process knows to be over.
            None => self.closed.is_none_or(|closed| since > closed),
        };
        if newer {
            self.open(openings, since);
        }
        self.shared |= self.is_open();
    }

    /// Another process closed it, unless it was opened after `asked`. `true`: it was open here.
    pub fn hear_closed(&mut self, asked: Instant, now: Instant) -> bool {
        let closes = self.shared && self.opened.is_some_and(|opened| opened < asked);
        if closes {
            self.close(now);
            (self.failures, self.openings) = (0, 0);
        }
        closes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BREAKER: Breaker = Breaker { failures: 3, rest: Duration::from_secs(10) };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_pause_doubles_and_is_short_for_who_has_nobody_else() {
        let pauses = |alone| [1, 2, 3, 4, 5, 40].map(|openings| BREAKER.pause(openings, alone).as_secs());
        assert_eq!(pauses(false), [10, 20, 40, 80, 80, 80]);
        assert_eq!(pauses(true), [1, 2, 2, 2, 2, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_on_its_way_does_not_make_the_rest_longer() {
        let (mut state, now) = (State::default(), Instant::now());
        let opened: Vec<bool> = (0..20).map(|_| state.fail(BREAKER, false, now)).collect();
        assert_eq!(opened.iter().filter(|opened| **opened).count(), 1);
        assert_eq!(state.wait(BREAKER, false, now), seconds(10));
        assert_eq!(state.wait(BREAKER, true, now), seconds(1));
        assert!(state.fail(BREAKER, true, now), "the one that tried counts");
        assert_eq!(state.wait(BREAKER, true, now), seconds(2));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_word_closes_it_and_the_next_outage_opens_it() {
        let (mut state, now) = (State::default(), Instant::now());
        while !state.fail(BREAKER, false, now) {}
        assert!(state.begin(BREAKER, now) && !state.is_open());
        assert!(state.fail(BREAKER, false, now), "no whole answer was between");
        assert_eq!(state.wait(BREAKER, true, now), seconds(2));
        assert!(state.begin(BREAKER, now) && state.succeed(now));
        assert!(!state.fail(BREAKER, false, now));
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_say_counts_if_it_is_newer() {
        let (mut state, then) = (State::default(), Instant::now());
        state.hear_open(2, then);
        assert_eq!(state.wait(BREAKER, false, then), seconds(20));
        let now = then + seconds(1);
        assert!(!state.hear_closed(then, now), "asked before it opened");
        assert!(state.hear_closed(now, now) && !state.is_open());
        state.hear_open(2, then);
        assert!(!state.is_open(), "an old opening, read while it was being forgotten");
        while !state.fail(BREAKER, false, now) {}
        assert!(!state.hear_closed(now + seconds(1), now), "nobody was told of it yet");
    }
}
