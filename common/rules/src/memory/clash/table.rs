//! Pairs that clash and pairs that do not. Rules were written and changed with the even rows in view; the odd rows
//! only report how well they carry over.

use super::Reading;

const CLASH: &[(&str, &str)] = &[
    ("Likes cats", "I hate cats"),
    ("Likes cats", "Does not like cats"),
    ("Lives in Paris", "Lives in Rome"),
    ("I love cats", "Hates cats"),
    ("Drinks coffee", "Does not drink coffee"),
    ("Enjoys swimming", "Hates to swim"),
    ("Eats meat", "Never eats meat"),
    ("Likes spicy food", "Can't stand spicy food"),
    ("Is allergic to peanuts", "Is not allergic to peanuts"),
    ("Works at Acme", "Works at Globex"),
    ("Has a dog", "Has no dog"),
    ("My name is Ana", "Is called Maria"),
    ("Likes cats and dogs", "Dislikes dogs"),
    ("Smokes", "Does not smoke"),
    ("Has a birthday on March 3", "Birthday is on May 9"),
    ("Is vegetarian", "Is vegan"),
    ("Speaks French", "Doesn't speak French"),
    ("Is married", "Is single"),
    ("Likes jazz", "No longer likes jazz"),
    ("Favorite color is blue", "My favourite color is green"),
    ("Is a fan of football", "Is not a fan of football"),
    ("Can swim", "Cannot swim"),
    ("Owns a car", "Doesn't own a car"),
    ("I live in Berlin, Germany", "Lives in Munich"),
    ("Ana likes horses", "Ana hates horses"),
    ("Works as a nurse", "Works as a teacher"),
    ("আমি বিড়াল ভালোবাসি", "আমি বিড়াল পছন্দ করি না"),
    ("আমি মাংস খাই", "আমি মাংস খাই না"),
    ("আমি ঢাকায় থাকি", "আমি লন্ডনে থাকি"),
    ("আমার নাম রহিম", "আমার নাম করিম"),
    ("আমি চা পছন্দ করি", "আমি চা অপছন্দ করি"),
    ("আমার কুকুর আছে", "আমার কুকুর নেই"),
    ("Really loves mushrooms", "I don't like mushrooms at all"),
    ("Has two children", "Has no children"),
    ("Wants to move to Canada", "Does not want to move to Canada"),
    ("I enjoy hiking", "I do not enjoy hiking anymore"),
    ("Is 30 years old", "Is 45 years old"),
    ("Likes his boss", "I can't stand my boss"),
    ("Plays the piano", "Stopped playing the piano"),
    ("The user loves coffee but hates tea", "Loves tea"),
    ("Believes in ghosts", "Doesn't believe in ghosts"),
    ("Visited Japan", "Never visited Japan"),
    ("Is fond of opera", "Detests opera"),
    ("Lives in Norway", "Lives in Spain"),
];

const NO_CLASH: &[(&str, &str)] = &[
    ("Likes cats", "Likes dogs"),
    ("Likes green tea", "Dislikes black tea"),
    ("Likes cats", "Hates dogs"),
    ("Likes tea", "Dislikes green tea"),
    ("Lives in Paris", "Lives in the centre of Paris"),
    ("Lives in Paris", "Lives in Paris, France"),
    ("Lives in Paris", "Lives in France"),
    ("Lives in Paris", "Ana lives in Rome"),
    ("Likes cats", "Ana hates cats"),
    ("Lives in Paris", "Used to live in Rome"),
    ("Likes tea", "Loves tea"),
    ("Lives in Paris", "Wants to live in Rome"),
    ("Does not like cats", "Hates cats"),
    ("Likes running", "Does not like running in the rain"),
    ("Works at Acme", "Works at night"),
    ("Does not always drink coffee", "Drinks coffee"),
    ("Speaks French", "Does not speak German"),
    ("Likes cats", "Did not like cats as a child"),
    ("Works as a nurse", "Works as a head nurse"),
    ("Is allergic to peanuts", "Is not allergic to cats"),
    ("Has a dog", "Has no cat"),
    ("Might like sushi", "Hates sushi"),
    ("Likes fish and chips", "Hates fish"),
    ("Name is Ana", "Name is Ana Silva"),
    ("My sister lives in Rome", "Lives in Paris"),
    ("Likes black tea", "Dislikes black coffee"),
    ("Has a birthday on March 3", "Birthday is March 3rd, 1990"),
    ("My sister's birthday is on May 9", "Birthday is on March 3"),
    ("Favorite color is blue", "Favorite food is pasta"),
    ("Can drive", "Does not drive to work"),
    ("আমি বিড়াল পছন্দ করি", "আমি কুকুর পছন্দ করি না"),
    ("আমি ঢাকায় থাকি", "আমি মায়ের সাথে থাকি"),
    ("আমি চা পছন্দ করি", "আমি কফি পছন্দ করি"),
    ("আমার নাম রহিম", "আমার বোনের নাম সালমা"),
    ("আমি মাছ খাই", "আমি মাংস খাই না"),
    ("আমি ভাত খেতে ভালোবাসি", "আমি রুটি পছন্দ করি না"),
    ("Works at Acme", "Lives in Rome"),
    ("Hates Mondays", "Likes Fridays"),
    ("Has visited Rome", "Has never been to Milan"),
    ("Do I like cats?", "Hates cats"),
    ("Likes it", "Hates it"),
    ("Was vegetarian in college", "Is not vegetarian"),
    ("Enjoys cooking for friends", "Does not enjoy cooking"),
    ("Not only likes tea", "Dislikes tea that is cold"),
    ("Plans to stop smoking", "Smokes a pipe"),
    ("Loves Paris", "Lives in Rome"),
];

fn clash(pair: &(&str, &str)) -> bool {
    let (a, b) = (Reading::of(pair.0, None), Reading::of(pair.1, None));
    assert_eq!(a.clash(&b).is_some(), b.clash(&a).is_some(), "{pair:?} both ways");
    a.clash(&b).is_some()
}

fn half<'a>(rows: &'a [(&'a str, &'a str)], odd: usize) -> impl Iterator<Item = &'a (&'a str, &'a str)> {
    rows.iter().skip(odd).step_by(2)
}

#[test]
fn the_rows_in_view_are_all_told_right() {
    let missed: Vec<_> = half(CLASH, 0).filter(|pair| !clash(pair)).collect();
    let invented: Vec<_> = half(NO_CLASH, 0).filter(|pair| clash(pair)).collect();
    assert!(missed.is_empty() && invented.is_empty(), "missed {missed:?}, invented {invented:?}");
}

#[test]
fn the_rows_out_of_view_are_told_about_as_well() {
    let missed: Vec<_> = half(CLASH, 1).filter(|pair| !clash(pair)).collect();
    let invented: Vec<_> = half(NO_CLASH, 1).filter(|pair| clash(pair)).collect();
    let (all, none) = (half(CLASH, 1).count(), half(NO_CLASH, 1).count());
    println!(
        "out of view: {} of {all} missed {missed:?}; {} of {none} invented {invented:?}",
        missed.len(),
        invented.len()
    );
    assert!(missed.len() <= 4 && invented.len() <= 1, "missed {missed:?}, invented {invented:?}");
}
