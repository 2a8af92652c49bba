//! Words by which people announce that something is to be kept: their window is read at once.

const CUES: [&str; 24] = [
    "remember",
    "don't forget",
    "do not forget",
    "keep in mind",
    "note that",
    "from now on",
    "i moved",
    "i'm moving",
    "my name is",
    "call me",
    "i'm allergic",
    "i am allergic",
    "i live in",
    "i work",
    "my birthday",
    "i no longer",
    "i don't like",
    "actually",
    "i prefer",
    "i got married",
    "i changed",
    "মনে রেখ",
    "আমার নাম",
    "ভুলে যেও না",
];

pub fn is_cue(text: &str) -> bool {
    let text = text.to_lowercase().replace('’', "'");
    CUES.iter().any(|cue| text.contains(cue))
}

#[cfg(test)]
mod tests {
    use super::is_cue;

    #[test]
    fn announcements_are_heard_and_small_talk_is_not() {
        assert!(is_cue("Please REMEMBER that") && is_cue("I’m allergic to nuts") && is_cue("আমার নাম রহিম"));
        assert!(!is_cue("What is the weather like?"));
    }
}
