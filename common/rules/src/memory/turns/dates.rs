//! Dates in a question, and how well a turn's own date goes with them. People tell of things after they happened, so a turn
//! shortly after a date counts too. What is relative ("last week") is reckoned from when the question is asked.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};

use super::language::{Unit, Word, words_of_time};

/// What a question says about when.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mention {
    Day {
        year: Option<i32>,
        month: u32,
        day: u32,
    },
    Month {
        year: Option<i32>,
        month: u32,
    },
    /// Days, both included.
    Span(NaiveDate, NaiveDate),
    Season {
        year: i32,
        months: &'static [u32],
    },
    Year(i32),
}

/// Dates of one question that count: each is compared with every turn that has its words.
const MENTIONS: usize = 8;

/// The dates of one question.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dates(Vec<Mention>);

impl Dates {
    /// What `question` names, asked at `now`.
    pub fn of(question: &str, now: DateTime<Utc>) -> Self {
        let words = words_of_time(question);
        let year = words.iter().flatten().find_map(|word| match word {
            Word::Number(year @ 1900..=2100) => Some(*year as i32),
            _ => None,
        });
        let mut found: Vec<Mention> = Vec::new();
        for named in (0..words.len()).filter_map(|at| mention(&words, at, year, now.date_naive())) {
            if found.len() < MENTIONS && !found.contains(&named) {
                found.push(named);
            }
        }
        // A year beside nothing else.
        if found.is_empty() {
            found.extend(year.map(Mention::Year));
        }
        Self(found)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// 0 to 1.5: how well a turn said at that time goes with them.
    pub fn fit(&self, said: DateTime<Utc>) -> f64 {
        let day = said.date_naive();
        self.0.iter().map(|mention| fit(*mention, day)).fold(0.0, f64::max)
    }
}

/// What stands at a word: the words around it say how to read it.
fn mention(words: &[Option<Word>], at: usize, year: Option<i32>, today: NaiveDate) -> Option<Mention> {
    let word = |at: Option<usize>| at.and_then(|at| *words.get(at)?);
    let (before, next) = (word(at.checked_sub(1)), word(Some(at + 1)));
    let day_of_month = |word: Option<Word>| match word {
        Some(Word::Number(day @ 1..=31)) => Some(day),
        _ => None,
    };
    match word(Some(at))? {
        Word::Month(month) => {
            // "7 May", "May 7th", "7th of May".
            let of = || if before.is_none() { day_of_month(word(at.checked_sub(2))) } else { None };
            let day = day_of_month(next).or_else(|| day_of_month(before)).or_else(of);
            Some(day.map_or(Mention::Month { year, month }, |day| Mention::Day { year, month, day }))
        }
        Word::Season(months) => year.map(|year| Mention::Season { year, months }),
        Word::Today => Some(Mention::Span(today, today)),
        Word::Yesterday => day_before(today, 1).map(on),
        Word::Last => match next? {
            Word::Unit(unit) => back(unit, 1, today),
            Word::Weekday(wanted) => {
                let (from, to) = (today.weekday().num_days_from_monday(), wanted.num_days_from_monday());
                day_before(today, u64::from((from + 7 - to + 6) % 7 + 1)).map(on)
            }
            _ => None,
        },
        Word::Ago => match (word(at.checked_sub(2))?, before?) {
            (Word::Number(count), Word::Unit(unit)) => back(unit, count, today),
            _ => None,
        },
        // 2023-05-07
        Word::Number(year @ 1900..=2100) => match (next, word(Some(at + 2))) {
            (Some(Word::Number(month @ 1..=12)), Some(Word::Number(day @ 1..=31))) => {
                Some(Mention::Day { year: Some(year as i32), month, day })
            }
            _ => None,
        },
        _ => None,
    }
}

fn day_before(today: NaiveDate, days: u64) -> Option<NaiveDate> {
    today.checked_sub_days(Days::new(days))
}

fn on(date: NaiveDate) -> Mention {
    Mention::Day { year: Some(date.year()), month: date.month(), day: date.day() }
}

/// So many units before today.
fn back(unit: Unit, count: u32, today: NaiveDate) -> Option<Mention> {
    match unit {
        Unit::Day => day_before(today, u64::from(count)).map(on),
        Unit::Week => {
            let monday = day_before(today, u64::from(today.weekday().num_days_from_monday() + 7 * count))?;
            Some(Mention::Span(monday, monday.checked_add_days(Days::new(6))?))
        }
        Unit::Month => {
            let date = today.checked_sub_months(Months::new(count))?;
            Some(Mention::Month { year: Some(date.year()), month: date.month() })
        }
        Unit::Year => Some(Mention::Year(today.year().checked_sub(i32::try_from(count).ok()?)?)),
    }
}

/// Days after a named one in which it is still told of.
const TOLD_WITHIN: i64 = 10;

fn fit(mention: Mention, said: NaiveDate) -> f64 {
    match mention {
        Mention::Month { year, month } => fit_month(year, month, said),
        Mention::Day { year, month, day } => {
            let years = year.map_or_else(|| vec![said.year() - 1, said.year()], |year| vec![year]);
            let since = years.into_iter().filter_map(|year| NaiveDate::from_ymd_opt(year, month, day));
            let since =
                since.map(|named| (said - named).num_days()).find(|days| (0..=TOLD_WITHIN).contains(days));
            since.map_or_else(|| fit_month(year, month, said), |days| 1.5 - 0.05 * days as f64)
        }
        Mention::Span(from, to) => {
            let length = (to - from).num_days() + 1;
            match (said - to).num_days() {
                ..=0 if said >= from => 1.0,
                after if (1..=length).contains(&after) => 0.4,
                _ => 0.0,
            }
        }
        Mention::Season { year, months } => {
            if said.year() == year && months.contains(&said.month()) {
                0.5
            } else {
                0.0
            }
        }
        Mention::Year(year) => {
            if said.year() == year {
                0.2
            } else {
                0.0
            }
        }
    }
}

fn fit_month(year: Option<i32>, month: u32, said: NaiveDate) -> f64 {
    let (after, year_after) = if month == 12 { (1, year.map(|year| year + 1)) } else { (month + 1, year) };
    let is_in = |year: Option<i32>| year.is_none_or(|year| year == said.year());
    match said.month() {
        now if now == month && is_in(year) => 1.0,
        now if now == after && is_in(year_after) => 0.4,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use proptest::prelude::*;

    use super::*;

    fn at(date: &str) -> DateTime<Utc> {
        Utc.from_utc_datetime(&date.parse::<NaiveDate>().unwrap().and_hms_opt(12, 0, 0).unwrap())
    }

    /// Asked on a Wednesday.
    fn fits(question: &str, said: &str) -> f64 {
        Dates::of(question, at("2023-11-15")).fit(at(said))
    }

    #[test]
    fn months_days_seasons_and_years_are_read_as_the_recipe_says() {
        for (question, said, expected) in [
            ("What did Ana do in May?", "2023-05-30", 1.0),
            ("What did Ana do in May?", "2022-06-02", 0.4),
            ("What did Ana do in May 2022?", "2023-05-30", 0.0),
            ("What may Ana do?", "2023-05-30", 0.0),
            ("May I ask what Ana did?", "2023-05-30", 0.0),
            ("What happened in December 2022?", "2023-01-03", 0.4),
            ("Who came on 7 May?", "2023-05-07", 1.5),
            ("Who came on the 7th of May?", "2023-05-10", 1.35),
            ("Who came on May 7th, 2023?", "2023-05-17", 1.0),
            ("Who came on May 7th, 2023?", "2023-05-18", 1.0),
            ("Who came on May 7th, 2023?", "2023-05-06", 1.0),
            ("Who came on 2023-05-07?", "2023-05-08", 1.45),
            ("Who came on 28 May?", "2023-06-02", 1.25),
            ("Who came on 28 December?", "2024-01-02", 1.25),
            ("Who came in the summer of 2022?", "2022-07-01", 0.5),
            ("Who came in winter 2022?", "2022-12-01", 0.5),
            ("Who came in the summer?", "2022-07-01", 0.0),
            ("What was in 2022?", "2022-02-01", 0.2),
            ("Who came?", "2022-02-01", 0.0),
        ] {
            assert!(
                (fits(question, said) - expected).abs() < 1e-9,
                "{question} {said}: {}",
                fits(question, said)
            );
        }
    }

    #[test]
    fn what_is_relative_is_reckoned_from_the_questions_own_time() {
        for (question, said, expected) in [
            ("What did I say yesterday?", "2023-11-14", 1.5),
            ("What did I say today?", "2023-11-15", 1.0),
            ("What did I do last week?", "2023-11-07", 1.0),
            ("What did I do last week?", "2023-11-14", 0.4),
            ("What did I do last week?", "2023-11-05", 0.0),
            ("What did I do two weeks ago?", "2023-11-02", 1.0),
            ("What did I do 3 days ago?", "2023-11-12", 1.5),
            ("What did I do a month ago?", "2023-10-02", 1.0),
            ("What did I do last month?", "2023-10-20", 1.0),
            ("What did I do last year?", "2022-10-20", 0.2),
            ("What did I do last Friday?", "2023-11-10", 1.5),
            ("What did I do last Wednesday?", "2023-11-08", 1.5),
        ] {
            assert!(
                (fits(question, said) - expected).abs() < 1e-9,
                "{question} {said}: {}",
                fits(question, said)
            );
        }
    }

    #[test]
    fn bengali_dates_are_read_alike() {
        for (question, said, expected) in [
            ("৭ মে কে এসেছিল?", "2023-05-08", 1.45),
            ("২০২২ সালের জুলাই মাসে কী করেছিলাম?", "2022-07-08", 1.0),
            ("জুলাইয়ে কী করেছিলাম?", "2022-07-08", 1.0),
            ("গতকাল কী বলেছিলাম?", "2023-11-14", 1.5),
            ("গত সপ্তাহে কী করেছিলাম?", "2023-11-07", 1.0),
            ("গত মাসে কী করেছিলাম?", "2023-10-07", 1.0),
            ("তিন দিন আগে কী বলেছিলাম?", "2023-11-12", 1.5),
            ("গত শুক্রবার কোথায় ছিলাম?", "2023-11-10", 1.5),
        ] {
            assert!(
                (fits(question, said) - expected).abs() < 1e-9,
                "{question} {said}: {}",
                fits(question, said)
            );
        }
    }

    proptest! {
        #[test]
        fn no_question_panics_and_every_fit_is_bounded(
            question in "([0-9]{1,4}|of|May|june|last|week|years|ago|four|মে|গত|মাসে|-|\\PC| ){0,12}", days in -700_000i64..700_000)
        {
            let now = at("2023-11-15");
            let fit = Dates::of(&question, now).fit(now + chrono::TimeDelta::days(days));
            prop_assert!((0.0..=1.5).contains(&fit));
        }
    }
}
