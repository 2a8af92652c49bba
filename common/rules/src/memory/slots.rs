//! Slots: what of a subject a fact tells. A *functional* slot has one value at a time; the others collect values.

/// One value at a time: a later one takes the place of an earlier one. `favorite_…` belongs here too.
const FUNCTIONAL: [&str; 22] = [
    "name",
    "nickname",
    "age",
    "birthday",
    "home_city",
    "home_country",
    "hometown",
    "address",
    "employer",
    "job_title",
    "school",
    "major",
    "partner",
    "marital_status",
    "nationality",
    "religion",
    "timezone",
    "phone",
    "email",
    "native_language",
    "diet",
    "preferred_language",
];

pub fn is_functional(slot: &str) -> bool {
    FUNCTIONAL.contains(&slot) || slot.starts_with("favorite_")
}

/// A slot's name in its one form: `Home City` is `home_city`. `None` for what is no name.
pub fn canonical(slot: &str) -> Option<String> {
    let slot = super::text::words(slot).join("_");
    let slot = slot.replace("favourite", "favorite");
    let slot = match slot.as_str() {
        "city" | "lives_in" | "residence" | "location" | "current_city" | "home" => "home_city".to_owned(),
        "company" | "workplace" | "works_at" => "employer".to_owned(),
        "job" | "occupation" | "profession" | "role" => "job_title".to_owned(),
        "like" | "interest" | "interests" | "preference" => "likes".to_owned(),
        "dislike" => "dislikes".to_owned(),
        "allergies" => "allergy".to_owned(),
        "goals" => "goal".to_owned(),
        "birth_date" | "date_of_birth" => "birthday".to_owned(),
        "spouse" | "wife" | "husband" => "partner".to_owned(),
        _ => slot,
    };
    (!slot.is_empty() && slot.len() <= 60).then_some(slot)
}

/// Whom a fact is about, in one form: `I`, `me` and `the user` are `user`.
pub fn subject(subject: &str) -> String {
    let subject = super::text::normalise(subject);
    match subject.as_str() {
        "" | "i" | "me" | "my" | "myself" | "user" | "the user" | "আমি" => "user".to_owned(),
        _ => subject.chars().take(80).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_for_the_same_are_the_same() {
        assert_eq!(canonical("Home City").as_deref(), Some("home_city"));
        assert_eq!(canonical("favourite color").as_deref(), Some("favorite_color"));
        assert_eq!((subject("The User"), subject("Ana")), ("user".to_owned(), "ana".to_owned()));
        assert!(is_functional("home_city") && is_functional("favorite_food") && !is_functional("likes"));
    }
}
