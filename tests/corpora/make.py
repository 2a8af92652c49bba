"""Makes turns.json: conversations of a user with a model, with questions and the turns that answer them, for `rapport-bench memory`.

Threads of a few kinds come again and again with other people, places and things, so that the right one is told from the others only by
what stands around it, or by its date. English and Bengali. All of it is made up; `python3 make.py > turns.json`."""

import datetime
import json

TRIPS = [
    ("Porto", "Casa Azul", "sister Rumana", "ceramics", "tram"), ("Bergen", "the Fjord Inn", "cousin Teo", "fish soup", "ferry"),
    ("Kyoto", "a guest house called Momiji", "friend Hana", "green tea", "bus"), ("Ghent", "Hotel Arteveld", "mother", "chocolate", "train"),
    ("Lima", "the Miraflores Lodge", "brother Karim", "ceviche", "minibus"), ("Riga", "a flat on Albert Street", "colleague Dina", "amber", "night train"),
]
DISHES = [
    ("lentil soup", "Omar", "celery", "fennel"), ("a walnut cake", "Ines", "walnuts", "roasted oats"), ("paella", "the Hoffmanns", "shellfish", "artichokes"),
    ("pancakes", "my nephew Timo", "milk", "oat drink"), ("a mushroom pie", "Farida", "wheat", "a crust of chickpea flour"), ("pumpkin curry", "Jonas", "peanuts", "cashew cream"),
]
BUGS = [
    ("Go", "a deadlock", "two goroutines that wait for each other's channel", "a buffered channel"),
    ("Python", "a slow report", "a query in a loop", "one join and a dictionary"),
    ("Swift", "a crash at start", "a view that is drawn before its data is there", "an optional binding"),
    ("Kotlin", "wrong prices", "floating point sums", "whole cents"),
    ("Ruby", "mails sent twice", "a retry without a key", "an idempotency key"),
    ("SQL", "a lock that never ends", "a migration on a large table", "a concurrent index"),
]
SPORTS = [
    ("a half marathon", "left knee", "three", "short hills"), ("a swim across the lake", "right shoulder", "four", "breathing drills"),
    ("my first pull-up", "wrist", "two", "slow negatives"), ("a bike tour in the Alps", "lower back", "five", "tempo intervals"),
    ("a handstand", "elbow", "six", "wall holds"), ("a day of ski touring", "ankle", "one", "step-ups with a pack"),
]
BOOKS = [
    ("The Salt Road", "Mira", "the ending felt rushed", "a map of the journey"), ("Nine Lamps", "my neighbour Paul", "the letters were the best part", "reading the letters in order of their dates"),
    ("A Field of Clocks", "Professor Singh", "too many names", "a family tree"), ("Winter Harbour", "my aunt", "the dialogue sounded real", "listening to the audio version"),
    ("The Glass Orchard", "Leila", "the middle was slow", "skipping the second part"), ("Letters to Nobody", "our librarian", "it made me cry on the train", "keeping a quote book"),
]
JOBS = [
    ("Heron", "Martha", "the budget", "cutting the mobile part"), ("Lantern", "Mr. Okafor", "the supplier", "a second source in Poland"),
    ("Quartz", "Sofia", "hiring", "two interns"), ("Delta", "Henrik", "the privacy review", "storing no addresses"),
    ("Poppy", "Yasmin", "the launch page", "three short videos"), ("Basalt", "Ravi", "the office move", "working from home in the last week"),
]


def trip(i):
    place, hotel, who, thing, way = TRIPS[i]
    turns = [
        f"Hi! I want to plan a trip to {place}. Can you help?",
        f"Happy to help! {place} is lovely at this time of the year. The old town, the harbour and the small museums are worth a day each. Where will you stay?",
        f"We booked a room at {hotel}, close to the station.",
        "Good choice, it is quiet and central. Does anybody come along?",
        f"Yes, my {who}. The two of us travel well together.",
        f"Then begin with the market, which is known for {thing}. For the coast, take the {way} after lunch: it runs every half hour. Would you like a packing list?",
        "Yes please, but keep it short.",
        "Light jacket, good shoes, a bottle, a charger and a book for the evenings. Is there anything else?",
    ]
    return turns, [
        (f"Where did I book a room for {place}?", [2], "plain"), (f"Who came along to {place}?", [4], "plain"),
        (f"How do I get to the coast from {place}?", [5], "said by the model"),
    ], ("Where did I want to travel", 0)


def dish(i):
    what, who, bad, instead = DISHES[i]
    turns = [
        f"I want to cook {what} on Saturday. What do I need?",
        "A large pot, two onions, good stock and about an hour and a half. How many people will eat, and is there anything that they cannot have?",
        f"Four of us. {who[0].upper() + who[1:]} cannot have {bad}.",
        f"Then leave it out and take {instead} in its place: the taste is close. Shall I write the whole recipe down?",
        "Yes, with the times for every step.",
        "First the onions, ten minutes on a low flame. Then the rest of the vegetables, and the stock. Let it stand for a quarter of an hour before you serve it.",
        "Thanks, that was easy to follow!",
    ]
    return turns, [
        (f"Who could not eat {bad}?", [2], "plain"), (f"What did you tell me to take in place of {bad}?", [3], "said by the model"),
        (f"What goes into {what} when my guest cannot have the usual thing?", [3], "said by the model"),
    ], ("What did I want to cook", 0)


def bug(i):
    language, symptom, cause, fix = BUGS[i]
    turns = [
        f"My {language} program has {symptom}, and I do not see why.",
        "Let us look at it step by step. When does it happen, and what changed before it began?",
        "It began after the last release, mostly in the evening when many people are there.",
        f"That sounds like {cause}. Can you show me the part that starts the work?",
        "Here it is. I wrote it in a hurry, sorry for the mess.",
        f"Found it. Use {fix} here, and the problem goes away. Do you want a test for it?",
        "No need, I will write one myself. It works now, you saved my evening!",
    ]
    return turns, [
        (f"What was the cause of {symptom}?", [3], "said by the model"), (f"How was the {language} problem solved?", [5], "said by the model"),
    ], ("Which program of mine did not work", 0)


def sport(i):
    goal, hurts, times, how = SPORTS[i]
    turns = [
        f"I would like to train for {goal}. Where do I begin?",
        "Nice goal! Begin slowly. Did you have any injuries, and how often can you train?",
        f"My {hurts} hurts sometimes, the doctor says that it is nothing serious.",
        "Then we warm it up first, and stop when it hurts. And how many days a week?",
        f"{times[0].upper() + times[1:]} a week, before work.",
        f"Good. The core of your plan are {how}, a little more every second week. Should I remind you of rest days?",
        "I know, I know. I always forget to rest.",
    ]
    return turns, [
        (f"What hurt when I trained for {goal}?", [2], "plain"), (f"How many days a week did I train for {goal}?", [4], "plain"),
        (f"What exercise was the core of the plan for {goal}?", [5], "said by the model"),
    ], ("What did I train for", 0)


def book(i):
    title, who, opinion, tip = BOOKS[i]
    turns = [
        f"Have you heard of the novel {title}?",
        "I have. It is a quiet book about a family and a secret. Who told you about it?",
        f"{who[0].upper() + who[1:]} did, over coffee.",
        "A good recommendation then. How far are you?",
        f"I finished it last night. I must say, {opinion}.",
        f"Many readers say the same. If you read it again, try {tip}. Do you want something similar?",
        "Later, I have a pile of other things here.",
    ]
    return turns, [
        (f"Who recommended {title} to me?", [2], "plain"), (f"What did I think of {title}?", [4], "plain"),
        (f"What should I try when I read {title} again?", [5], "said by the model"),
    ], ("Which novel did I ask about", 0)


def job(i):
    name, boss, problem, idea = JOBS[i]
    turns = [
        f"Help me prepare a meeting about project {name}.",
        "Sure. Who will be there, and what is the hardest question?",
        f"{boss} leads it, and I am afraid of one thing only: {problem}.",
        "Then say it first, before anybody asks. What could you offer?",
        "I do not know yet. Something that costs little.",
        f"You could propose {idea}. It is small, and it shows that you thought about it. Shall we practise the answer?",
        "Let us do that tomorrow, I am tired.",
    ]
    return turns, [
        (f"Who leads {name}?", [2], "plain"), (f"What was I afraid of before the meeting about {name}?", [2], "plain"),
        (f"What could I propose in the {name} meeting?", [5], "said by the model"),
    ], ("Which project did I prepare a meeting for", 0)


B_TRIPS = [
    ("সিলেট", "চা বাগানের রিসোর্টে", "ছোট ভাই", "সাতকরা", "নৌকায়"), ("কক্সবাজার", "সাগরপাড়ের হোটেলে", "মা", "শুঁটকি", "খোলা জিপে"),
    ("বান্দরবান", "পাহাড়ের কটেজে", "বন্ধু রাফি", "বাঁশের তরকারি", "চাঁদের গাড়িতে"), ("রাজশাহী", "পদ্মার ধারের বাংলোয়", "খালা", "আম", "রিকশায়"),
    ("কুয়াকাটা", "কাঠের বাড়িতে", "সহকর্মী মিতা", "কাঁকড়া", "লঞ্চে"), ("দার্জিলিং", "পুরনো গেস্ট হাউসে", "স্ত্রী", "মোমো", "টয় ট্রেনে"),
]
B_DISHES = [
    ("খিচুড়ি", "রুমানা", "মসুর ডাল", "মুগ ডাল"), ("পায়েস", "দাদু", "চিনি", "খেজুরের গুড়"), ("বিরিয়ানি", "করিম", "গরুর মাংস", "মুরগি"),
    ("কেক", "তিথি", "ডিম", "টক দই"), ("পরোটা", "নানা", "ময়দা", "আটা"), ("হালিম", "সাবিনা", "ঝাল মরিচ", "গোলমরিচ"),
]
B_BOOKS = [
    ("নীল জানালা", "শিক্ষক", "শেষটা খুব তাড়াহুড়ো", "মানচিত্র পাশে রাখা"), ("শেষ ট্রেন", "প্রতিবেশী", "সংলাপ খুব জীবন্ত", "জোরে পড়া"),
    ("মেঘের বাড়ি", "বড় বোন", "মাঝের অংশ ধীর", "দ্বিতীয় অধ্যায় বাদ দেওয়া"), ("কাগজের নৌকা", "মামা", "পড়ে কেঁদে ফেলেছি", "উদ্ধৃতি লিখে রাখা"),
    ("অচেনা শহর", "লাইব্রেরিয়ান", "চরিত্র অনেক বেশি", "বংশলতিকা আঁকা"), ("রাতের পাখি", "বান্ধবী", "চিঠিগুলো সবচেয়ে ভালো", "চিঠিগুলো তারিখ ধরে পড়া"),
]


def b_trip(i):
    place, hotel, who, food, way = B_TRIPS[i]
    turns = [
        f"আমি {place} বেড়াতে যেতে চাই। সাহায্য করবেন?", f"অবশ্যই! {place} এই সময়ে খুব সুন্দর। কোথায় উঠবেন?", f"আমরা {hotel} উঠব, স্টেশনের কাছে।",
        "ভালো জায়গা, শান্ত। সঙ্গে কেউ যাচ্ছে?", f"হ্যাঁ, আমার {who} যাচ্ছে।", f"তাহলে বাজারে গিয়ে {food} খাবেন, আর বিকেলে {way} ঘুরবেন। জিনিসের তালিকা লাগবে?", "লাগবে, তবে ছোট করে।",
    ]
    return turns, [
        (f"{place} গিয়ে কোথায় ওঠার কথা ছিল?", [2], "plain"), (f"{place} কে সঙ্গে যাচ্ছিল?", [4], "plain"), (f"{place} বিকেলে কীভাবে ঘুরতে বলেছিলেন?", [5], "said by the model"),
    ], ("কোথায় বেড়াতে যেতে চেয়েছিলাম", 0)


def b_dish(i):
    what, who, bad, instead = B_DISHES[i]
    turns = [
        f"শনিবার {what} রান্না করতে চাই। কী কী লাগবে?", "বড় হাঁড়ি, পেঁয়াজ আর ঘণ্টা দেড়েক সময়। কারও কিছু খাওয়া বারণ আছে?", f"{who} {bad} খেতে পারে না।",
        f"তাহলে তার বদলে {instead} দিন, স্বাদ কাছাকাছি। পুরো রেসিপি লিখব?", "লিখুন, প্রতিটি ধাপের সময় সহ।", "প্রথমে পেঁয়াজ, অল্প আঁচে দশ মিনিট। তারপর বাকি সব। পরিবেশনের আগে একটু রেখে দেবেন।",
    ]
    return turns, [
        (f"কে {bad} খেতে পারে না?", [2], "plain"), (f"{bad} এর বদলে কী দিতে বলেছিলেন?", [3], "said by the model"),
    ], ("কী রান্না করতে চেয়েছিলাম", 0)


def b_book(i):
    title, who, opinion, tip = B_BOOKS[i]
    turns = [
        f"{title} উপন্যাসটা চেনেন?", "চিনি। এক পরিবারের গল্প। কার কাছে শুনলেন?", f"আমার {who} বলেছে, চা খেতে খেতে।", "ভালো পরামর্শ। কতদূর পড়লেন?",
        f"শেষ করেছি। সত্যি বলতে, {opinion}।", f"অনেকেই তাই বলেন। আবার পড়লে {tip} চেষ্টা করবেন। এরকম আরও চান?", "পরে, হাতে অনেক কিছু আছে।",
    ]
    return turns, [
        (f"{title} এর কথা কে বলেছিল?", [2], "plain"), (f"{title} পড়ে আমার কেমন লেগেছিল?", [4], "plain"), (f"{title} আবার পড়লে কী চেষ্টা করতে হবে?", [5], "said by the model"),
    ], ("কোন উপন্যাসের কথা জিজ্ঞেস করেছিলাম", 0)


B_MONTHS = "জানুয়ারি ফেব্রুয়ারি মার্চ এপ্রিল মে জুন জুলাই আগস্ট সেপ্টেম্বর অক্টোবর নভেম্বর ডিসেম্বর".split()


def written(time):
    return time.strftime("%I:%M %p on %d %B, %Y").lower().replace(time.strftime("%B").lower(), time.strftime("%B"))


def conversation(name, kinds, dated):
    """Six rounds of all kinds, some days between two sessions."""
    time = datetime.datetime(2025, 1, 8, 9, 30)
    sessions, questions = [], []
    order = [(round_, kind) for round_ in range(6) for kind in range(len(kinds))]
    for n, (round_, kind) in enumerate(order, 1):
        turns, asked, (what, opening) = kinds[kind](round_)
        ids = [f"S{n}:{at}" for at in range(1, len(turns) + 1)]
        speakers = ["user", "assistant"]
        said = [{"id": id_, "speaker": speakers[at % 2], "text": text} for at, (id_, text) in enumerate(zip(ids, turns))]
        sessions.append({"n": n, "time": written(time), "turns": said})
        for question, gold, category in asked:
            questions.append({"question": question, "category": f"{name}, {category}", "evidence": [ids[at] for at in gold]})
        for question, later, category in dated(what, time):
            as_of = (time + datetime.timedelta(days=later)).strftime("%Y-%m-%dT%H:%M:%SZ")
            questions.append({"question": question, "category": f"{name}, {category}", "evidence": [ids[opening]], "as_of": as_of})
        time += datetime.timedelta(days=180 / len(order) * 1.9, hours=n % 9)
    return {"id": name, "speakers": ["user", "assistant"], "sessions": sessions, "questions": questions}


def english(what, time):
    yield f"{what} last week?", 7, "relative date"
    yield f"{what} in {time.strftime('%B')}?", 200, "named month"
    yield f"{what} on {time.day} {time.strftime('%B')}?", 200, "named day"


def bengali(what, time):
    yield f"গত সপ্তাহে {what}?", 7, "relative date"
    yield f"{B_MONTHS[time.month - 1]} মাসে {what}?", 200, "named month"


print(json.dumps({
    "source": "tests/corpora/make.py",
    "conversations": [
        conversation("English", [trip, dish, bug, sport, book, job], english),
        conversation("Bengali", [b_trip, b_dish, b_book], bengali),
    ],
}, ensure_ascii=False, separators=(",", ":")))
