//! Which language to answer in: as set, or as the user writes.
//!
//! A share of Bengali letters decides first: detectors guess badly on texts that mix scripts. Then whatlang, but only among
//! languages we name, and only when it is sure: on short texts it would call English Portuguese.

use whatlang::{Detector, Lang};

/// Codes that settings take, and what a model is told.
pub const LANGUAGES: [(&str, &str); 14] = [
    ("en", "English"),
    ("bn", "Bengali"),
    ("hi", "Hindi"),
    ("ur", "Urdu"),
    ("ar", "Arabic"),
    ("es", "Spanish"),
    ("fr", "French"),
    ("de", "German"),
    ("it", "Italian"),
    ("pt", "Portuguese"),
    ("ru", "Russian"),
    ("zh", "Chinese"),
    ("ja", "Japanese"),
    ("ko", "Korean"),
];

pub fn is_known(code: &str) -> bool {
    code == "auto" || LANGUAGES.iter().any(|(known, _)| *known == code)
}

fn name_of(code: &str) -> Option<&'static str> {
    LANGUAGES.iter().find(|(known, _)| *known == code).map(|(_, name)| *name)
}

/// The language a text is written in; `None` when it cannot be told.
pub fn detect(text: &str) -> Option<&'static str> {
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let bengali = text.chars().filter(|c| ('\u{0980}'..='\u{09FF}').contains(c) && c.is_alphabetic()).count();
    if letters > 0 && bengali * 4 >= letters {
        return Some("bn");
    }
    let known = vec![
        Lang::Eng,
        Lang::Hin,
        Lang::Urd,
        Lang::Ara,
        Lang::Spa,
        Lang::Fra,
        Lang::Deu,
        Lang::Ita,
        Lang::Por,
        Lang::Rus,
        Lang::Cmn,
        Lang::Jpn,
        Lang::Kor,
    ];
    let found = Detector::with_allowlist(known).detect(text)?;
    let code = match found.lang() {
        Lang::Hin => "hi",
        Lang::Urd => "ur",
        Lang::Ara => "ar",
        Lang::Spa => "es",
        Lang::Fra => "fr",
        Lang::Deu => "de",
        Lang::Ita => "it",
        Lang::Por => "pt",
        Lang::Rus => "ru",
        Lang::Cmn => "zh",
        Lang::Jpn => "ja",
        Lang::Kor => "ko",
        _ => "en",
    };
    // Short Latin texts are guesses.
    let sure =
        found.is_reliable() && letters >= 24 || code == "en" || found.script() != whatlang::Script::Latin;
    sure.then_some(code)
}

/// What a model is told; empty when it may decide. English, the models' own default, is told only when it was set.
pub fn instruction(setting: &str, question: &str) -> String {
    let code = if setting == "auto" { detect(question).filter(|code| *code != "en") } else { Some(setting) };
    match code.and_then(name_of) {
        Some(name) => format!("Answer in {name}."),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_apart_or_left_open() {
        assert_eq!(detect("আমি ঢাকায় থাকি"), Some("bn"));
        assert_eq!(detect("আমার laptop টা নষ্ট"), Some("bn"));
        // Short Latin texts may be anything: the model decides.
        assert_eq!(instruction("auto", "I am going to Dhaka today"), "");
        assert_eq!(detect("Ich möchte wissen, wann das Paket bei mir ankommt, bitte."), Some("de"));
        assert_eq!(detect("Когда придёт посылка?"), Some("ru"));
        assert_eq!(detect("12345 !!"), None);
        assert_eq!(instruction("auto", "আমি ঢাকায় থাকি"), "Answer in Bengali.");
        assert_eq!(instruction("auto", "Hello there"), "");
        assert_eq!(instruction("en", "আমি ঢাকায় থাকি"), "Answer in English.");
    }
}
