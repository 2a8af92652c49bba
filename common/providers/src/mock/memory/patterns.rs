//! The openings of sentences that tell a fact, and where the fact ends.

/// (what it begins with, type, slot, the text it makes of the rest, importance)
pub(super) const PATTERNS: [(&str, &str, &str, &str, f64); 46] = [
    ("my name is ", "fact", "name", "Is called {}", 0.9),
    ("call me ", "fact", "name", "Is called {}", 0.8),
    ("i live in ", "fact", "home_city", "Lives in {}", 0.8),
    ("i now live in ", "fact", "home_city", "Lives in {}", 0.8),
    ("i moved to ", "fact", "home_city", "Lives in {}", 0.8),
    ("i just moved to ", "fact", "home_city", "Lives in {}", 0.8),
    ("i have moved to ", "fact", "home_city", "Lives in {}", 0.8),
    ("i work at ", "fact", "employer", "Works at {}", 0.7),
    ("i work for ", "fact", "employer", "Works at {}", 0.7),
    ("i now work at ", "fact", "employer", "Works at {}", 0.7),
    ("i work as ", "fact", "job_title", "Works as {}", 0.7),
    ("my job is ", "fact", "job_title", "Works as {}", 0.7),
    ("my birthday is on ", "fact", "birthday", "Has a birthday on {}", 0.7),
    ("birthday is on ", "fact", "birthday", "Has a birthday on {}", 0.7),
    ("my birthday is ", "fact", "birthday", "Has a birthday on {}", 0.7),
    ("i was born on ", "fact", "birthday", "Has a birthday on {}", 0.7),
    ("i am allergic to ", "fact", "allergy", "Is allergic to {}", 0.9),
    ("i'm allergic to ", "fact", "allergy", "Is allergic to {}", 0.9),
    ("i don't like ", "preference", "dislikes", "Does not like {}", 0.5),
    ("i do not like ", "preference", "dislikes", "Does not like {}", 0.5),
    ("i hate ", "preference", "dislikes", "Does not like {}", 0.5),
    ("i no longer like ", "preference", "likes", "Does not like {} anymore", 0.5),
    ("i like ", "preference", "likes", "Likes {}", 0.5),
    ("i love ", "preference", "likes", "Likes {}", 0.6),
    ("i really like ", "preference", "likes", "Likes {}", 0.6),
    ("i enjoy ", "preference", "likes", "Likes {}", 0.5),
    ("i prefer ", "preference", "prefers", "Prefers {}", 0.6),
    ("i want to ", "goal", "goal", "Wants to {}", 0.6),
    ("my goal is to ", "goal", "goal", "Wants to {}", 0.7),
    ("i plan to ", "goal", "goal", "Plans to {}", 0.6),
    ("i'm planning to ", "goal", "goal", "Plans to {}", 0.6),
    ("i speak ", "fact", "language", "Speaks {}", 0.6),
    ("i study ", "fact", "studies", "Studies {}", 0.6),
    ("i am learning ", "fact", "studies", "Studies {}", 0.6),
    ("i play ", "preference", "plays", "Plays {}", 0.5),
    ("i visited ", "experience", "visited", "Visited {}", 0.4),
    ("i went to ", "experience", "visited", "Visited {}", 0.4),
    ("i am vegetarian", "preference", "diet", "Is vegetarian", 0.8),
    ("i'm vegetarian", "preference", "diet", "Is vegetarian", 0.8),
    ("i am vegan", "preference", "diet", "Is vegan", 0.8),
    ("i have diabetes", "fact", "health", "Has diabetes", 0.9),
    ("remember that ", "fact", "", "{}", 0.7),
    ("please remember that ", "fact", "", "{}", 0.7),
    ("remember: ", "fact", "", "{}", 0.7),
    ("আমার নাম ", "fact", "name", "নাম {}", 0.9),
    ("আমি ভালোবাসি ", "preference", "likes", "ভালোবাসেন {}", 0.6),
];

/// People and animals one has: "my sister is called Ana", "I have a dog named Rex".
pub(super) const RELATIVES: [&str; 14] = [
    "wife",
    "husband",
    "partner",
    "sister",
    "brother",
    "mother",
    "father",
    "son",
    "daughter",
    "dog",
    "cat",
    "friend",
    "boss",
    "girlfriend",
];

/// Where a fact ends and talk goes on.
pub(super) fn cut(rest: &str, slot: &str) -> (String, Option<String>) {
    let mut ends = vec![
        " and i ",
        " but ",
        " because ",
        " so ",
        " which ",
        " where ",
        " now",
        " these days",
        ", ",
        "; ",
    ];
    if slot == "home_city" {
        ends.push(" with ");
    }
    let lower = rest.to_lowercase();
    let end = ends.iter().filter_map(|end| lower.find(end)).min().unwrap_or(rest.len());
    let mut kept = rest.get(..end).unwrap_or(rest).trim().to_owned();
    let mut when = None;
    let lower = kept.to_lowercase();
    for mark in [
        " yesterday",
        " last week",
        " last month",
        " last year",
        " today",
        " since ",
        " in 19",
        " in 20",
        " days ago",
        " weeks ago",
    ] {
        // "A marathon in 2027" is a goal with its year, not a goal since then.
        if slot != "goal"
            && let Some(at) = lower.find(mark)
        {
            let at = if mark.ends_with("ago") { lower[..at].rfind(' ').unwrap_or(at) } else { at };
            when = kept.get(at..).map(|tail| tail.trim().to_owned());
            kept = kept.get(..at).unwrap_or(&kept).trim().to_owned();
            break;
        }
    }
    (kept.trim_matches(|c: char| !c.is_alphanumeric() && c != '+').to_owned(), when)
}
