"""Writes the tiny models that the tests carry, and what a forward pass over them must give.

    python3 make_tiny.py [DIRECTORY]

For each model: NAME.gguf, random weights of two layers, and NAME.logits.f32, the logits after the
last 8 of the 24 tokens in tiny.tokens.txt (8 rows of VOCAB float32). The forward pass below is
written from the models' published definitions, in double precision and without the engine's tricks
(no cache, no permuted weights): it shares nothing with the program that it judges.

Needs Python 3 alone, and gives the same bytes every time.
"""

import argparse
import math
import os
import random
import struct

TOKENS, LAST = 24, 8
VOCAB, DIM, FFN, LAYERS, HEADS = 288, 64, 96, 2, 4
F32, F16 = 0, 1  # GGUF tensor types
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6  # GGUF token types


class Shape:
    """What sets one model apart from the others."""

    def __init__(self, name, arch, seed, kv_heads, head_dim, rope_base, eps, tied, biases, factors):
        self.name, self.arch, self.seed = name, arch, seed
        self.kv_heads, self.head_dim = kv_heads, head_dim
        self.rope_base, self.eps = rope_base, eps
        self.tied, self.biases, self.factors = tied, biases, factors


def llama3_factors(head_dim, base, factor=8.0, low=1.0, high=4.0, context=64):
    """Llama 3.1's stretching of slow rotations: 1 for wavelengths below context / high, `factor`
    above context / low, in between a blend. A small `context` makes it bite within 24 tokens."""
    factors = []
    for i in range(head_dim // 2):
        wavelength = 2 * math.pi * base ** (2 * i / head_dim)
        smooth = min(1.0, max(0.0, (context / wavelength - low) / (high - low)))
        factors.append(to_f32(1.0 / ((1 - smooth) / factor + smooth)))
    return factors


def to_f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def to_f16(x):
    return struct.unpack("<e", struct.pack("<e", x))[0]


# ---- Weights: rows of Python floats that float16 holds exactly ----------------------------------


def make_weights(shape):
    rng = random.Random(shape.seed)
    q_rows, kv_rows = HEADS * shape.head_dim, shape.kv_heads * shape.head_dim

    def matrix(rows, columns, gain):
        # Uniform of standard deviation gain / sqrt(columns): keeps a vector's size through a layer.
        limit = gain * math.sqrt(3.0 / columns)
        return [[to_f16(rng.uniform(-limit, limit)) for _ in range(columns)] for _ in range(rows)]

    def vector(size, centre, spread):
        return [to_f32(rng.uniform(centre - spread, centre + spread)) for _ in range(size)]

    weights = {"embedding": matrix(VOCAB, DIM, 4.0), "output_norm": vector(DIM, 1.0, 0.3)}
    weights["output"] = weights["embedding"] if shape.tied else matrix(VOCAB, DIM, 2.0)
    weights["layers"] = []
    for _ in range(LAYERS):
        layer = {
            "attn_norm": vector(DIM, 1.0, 0.3),
            # Gains above 1 make attention prefer some positions, so that position errors show.
            "q": matrix(q_rows, DIM, 2.0),
            "k": matrix(kv_rows, DIM, 2.0),
            "v": matrix(kv_rows, DIM, 1.0),
            "o": matrix(DIM, q_rows, 1.0),
            "ffn_norm": vector(DIM, 1.0, 0.3),
            "gate": matrix(FFN, DIM, 1.5),
            "up": matrix(FFN, DIM, 1.5),
            "down": matrix(DIM, FFN, 1.0),
        }
        if shape.biases:
            layer["q_bias"] = vector(q_rows, 0.0, 1.0)
            layer["k_bias"] = vector(kv_rows, 0.0, 1.0)
            layer["v_bias"] = vector(kv_rows, 0.0, 1.0)
        weights["layers"].append(layer)
    return weights


# ---- The forward pass, as the models define it --------------------------------------------------


def matvec(matrix, x):
    return [math.fsum(w * v for w, v in zip(row, x)) for row in matrix]


def add(a, b):
    return [x + y for x, y in zip(a, b)]


def rms_norm(x, weight, eps):
    scale = 1.0 / math.sqrt(math.fsum(v * v for v in x) / len(x) + eps)
    return [v * scale * w for v, w in zip(x, weight)]


def rotate(x, position, shape):
    """Rotary embedding as published with the checkpoints: element i turns with element i + half."""
    half = shape.head_dim // 2
    out = list(x)
    for head in range(0, len(x), shape.head_dim):
        for i in range(half):
            angle = position * shape.rope_base ** (-2.0 * i / shape.head_dim)
            if shape.factors:
                angle /= shape.factors[i]
            a, b = x[head + i], x[head + i + half]
            out[head + i] = a * math.cos(angle) - b * math.sin(angle)
            out[head + i + half] = b * math.cos(angle) + a * math.sin(angle)
    return out


def attend(query, keys, values, shape):
    """One position's attention over the keys and values so far; heads share them in groups."""
    d = shape.head_dim
    out = []
    for head in range(HEADS):
        kv = head // (HEADS // shape.kv_heads)
        q = query[head * d : (head + 1) * d]
        scores = [
            math.fsum(a * b for a, b in zip(q, key[kv * d : (kv + 1) * d])) / math.sqrt(d)
            for key in keys
        ]
        top = max(scores)
        odds = [math.exp(s - top) for s in scores]
        total = math.fsum(odds)
        for i in range(d):
            out.append(math.fsum(p * v[kv * d + i] for p, v in zip(odds, values)) / total)
    return out


def silu(x):
    return x / (1.0 + math.exp(-x))


def forward(shape, weights, tokens):
    """Logits after each of the last LAST tokens."""
    stream = [list(weights["embedding"][token]) for token in tokens]
    for layer in weights["layers"]:
        zero = [0.0] * (HEADS * shape.head_dim)
        keys, values, queries = [], [], []
        for position, x in enumerate(stream):
            h = rms_norm(x, layer["attn_norm"], shape.eps)
            q = add(matvec(layer["q"], h), layer.get("q_bias", zero))
            k = add(matvec(layer["k"], h), layer.get("k_bias", zero))
            v = add(matvec(layer["v"], h), layer.get("v_bias", zero))
            queries.append(rotate(q, position, shape))
            keys.append(rotate(k, position, shape))
            values.append(v)
        for position, x in enumerate(stream):
            seen = position + 1
            mixed = attend(queries[position], keys[:seen], values[:seen], shape)
            x = add(x, matvec(layer["o"], mixed))
            h = rms_norm(x, layer["ffn_norm"], shape.eps)
            gated = [
                silu(g) * u for g, u in zip(matvec(layer["gate"], h), matvec(layer["up"], h))
            ]
            stream[position] = add(x, matvec(layer["down"], gated))
    return [
        matvec(weights["output"], rms_norm(x, weights["output_norm"], shape.eps))
        for x in stream[-LAST:]
    ]


# ---- GGUF ---------------------------------------------------------------------------------------


def interleave(rows, head_dim):
    """Files of architecture llama hold q and k with the rows of each head reordered, so that a
    rotation's two elements are neighbours: row 2i is the published row i, 2i + 1 is i + half."""
    half = head_dim // 2
    out = []
    for head in range(0, len(rows), head_dim):
        for i in range(half):
            out += [rows[head + i], rows[head + i + half]]
    return out


def tensors(shape, weights):
    """(name, rows) in file order; one-dimensional tensors as one flat list."""
    order = interleave if shape.arch == "llama" else lambda rows, _: rows
    out = [("token_embd.weight", weights["embedding"])]
    if shape.factors:
        out.append(("rope_freqs.weight", shape.factors))
    for n, layer in enumerate(weights["layers"]):
        prefix = f"blk.{n}."
        out += [
            (prefix + "attn_norm.weight", layer["attn_norm"]),
            (prefix + "attn_q.weight", order(layer["q"], shape.head_dim)),
            (prefix + "attn_k.weight", order(layer["k"], shape.head_dim)),
            (prefix + "attn_v.weight", layer["v"]),
            (prefix + "attn_output.weight", layer["o"]),
            (prefix + "ffn_norm.weight", layer["ffn_norm"]),
            (prefix + "ffn_gate.weight", layer["gate"]),
            (prefix + "ffn_up.weight", layer["up"]),
            (prefix + "ffn_down.weight", layer["down"]),
        ]
        if shape.biases:
            out += [(f"{prefix}attn_{x}.bias", layer[x + "_bias"]) for x in "qkv"]
    out.append(("output_norm.weight", weights["output_norm"]))
    if not shape.tied:
        out.append(("output.weight", weights["output"]))
    return out


def byte_symbols():
    """GPT-2's printable stand-in for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = iter(range(256, 512))
    return [chr(b) if b in printable else chr(next(spare)) for b in range(256)]


def bpe_vocabulary(pre, adds_bos):
    space = byte_symbols()[32]
    merges = [
        "h e", "t he", f"{space} t", "i n", f"{space} a", "e r", "o n", "r e",
        "a t", "o u", "n d", "e s", "i s", "o r", "a n", "i t", "in g", "a l", "l l", "o m",
        f"{space} s", f"{space} w", f"{space} o", f"{space}a nd", f"{space}t he", "h a", "e n",
        "s t", f"{space} b", "1 2",
    ]  # fmt: skip
    tokens = byte_symbols() + [m.replace(" ", "") for m in merges] + ["<|begin|>", "<|end|>"]
    types = [NORMAL] * (len(tokens) - 2) + [CONTROL] * 2
    return [
        ("tokenizer.ggml.model", "gpt2"),
        ("tokenizer.ggml.pre", pre),
        ("tokenizer.ggml.tokens", tokens),
        ("tokenizer.ggml.token_type", types),
        ("tokenizer.ggml.merges", merges),
        ("tokenizer.ggml.bos_token_id", VOCAB - 2),
        ("tokenizer.ggml.eos_token_id", VOCAB - 1),
        ("tokenizer.ggml.add_bos_token", adds_bos),
    ]


def spm_vocabulary():
    pieces = [
        "\u2581t", "he", "in", "er", "\u2581a", "on", "re", "\u2581the", "nd", "at", "\u2581", "e",
        "t", "a", "o", "n", "i", "h", "s", "r", "d", "l", "u", "m", "c", "w", "g", "f", "y",
    ]  # fmt: skip
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    tokens = ["<unk>", "<s>", "</s>"] + bytes_ + pieces
    types = [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256 + [NORMAL] * len(pieces)
    scores = [0.0] * 259 + [-float(i) for i in range(len(pieces))]
    return [
        ("tokenizer.ggml.model", "llama"),
        ("tokenizer.ggml.pre", "default"),
        ("tokenizer.ggml.tokens", tokens),
        ("tokenizer.ggml.scores", scores),
        ("tokenizer.ggml.token_type", types),
        ("tokenizer.ggml.bos_token_id", 1),
        ("tokenizer.ggml.eos_token_id", 2),
        ("tokenizer.ggml.unknown_token_id", 0),
        ("tokenizer.ggml.add_bos_token", True),
        ("tokenizer.ggml.add_space_prefix", True),
    ]


def metadata(shape):
    prefix = shape.arch + "."
    keys = [
        ("general.architecture", shape.arch),
        ("general.name", shape.name),
        ("general.file_type", 1),  # mostly F16
        (prefix + "block_count", LAYERS),
        (prefix + "context_length", 128),
        (prefix + "embedding_length", DIM),
        (prefix + "feed_forward_length", FFN),
        (prefix + "attention.head_count", HEADS),
        (prefix + "attention.head_count_kv", shape.kv_heads),
        (prefix + "attention.layer_norm_rms_epsilon", shape.eps),
        (prefix + "rope.freq_base", shape.rope_base),
        (prefix + "vocab_size", VOCAB),
    ]
    if shape.arch == "llama":
        keys.append((prefix + "rope.dimension_count", shape.head_dim))
    if shape.head_dim * HEADS != DIM:
        keys.append((prefix + "attention.key_length", shape.head_dim))
        keys.append((prefix + "attention.value_length", shape.head_dim))
    if shape.arch == "qwen2":
        return keys + bpe_vocabulary("qwen2", adds_bos=False)
    if shape.factors:
        return keys + bpe_vocabulary("llama-bpe", adds_bos=True)
    return keys + spm_vocabulary()


def gguf_string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def gguf_value(value):
    """(type id, bytes) of a Python value: bool, uint32, float32, string, or a list of one kind."""
    if isinstance(value, bool):
        return 7, struct.pack("<?", value)
    if isinstance(value, int):
        return 4, struct.pack("<I", value)
    if isinstance(value, float):
        return 6, struct.pack("<f", value)
    if isinstance(value, str):
        return 8, gguf_string(value)
    kind = 5 if isinstance(value[0], int) else gguf_value(value[0])[0]  # token types are int32
    items = [struct.pack("<i", v) if kind == 5 else gguf_value(v)[1] for v in value]
    return 9, struct.pack("<iQ", kind, len(value)) + b"".join(items)


def pad(data, alignment=32):
    return data + bytes(-len(data) % alignment)


def write_gguf(path, keys, named_tensors):
    header = struct.pack("<4sIqq", b"GGUF", 3, len(named_tensors), len(keys))
    for key, value in keys:
        kind, data = gguf_value(value)
        header += gguf_string(key) + struct.pack("<i", kind) + data
    body = b""
    for name, rows in named_tensors:
        if isinstance(rows[0], list):
            kind, dims = F16, [len(rows[0]), len(rows)]
            values = [value for row in rows for value in row]
        else:
            kind, dims, values = F32, [len(rows)], rows
        header += gguf_string(name) + struct.pack(f"<I{len(dims)}q", len(dims), *dims)
        header += struct.pack("<iQ", kind, len(body))
        body += pad(struct.pack(f"<{len(values)}{'f' if kind == F32 else 'e'}", *values))
    with open(path, "wb") as file:
        file.write(pad(header) + body)


# Two of the epsilons are far larger than any real one: a program that ignores them shall show.
SHAPES = [
    Shape("tiny-llama", "llama", 1, kv_heads=2, head_dim=16, rope_base=10000.0, eps=1e-5,
          tied=False, biases=False, factors=None),
    Shape("tiny-llama3", "llama", 2, kv_heads=1, head_dim=32, rope_base=500000.0, eps=0.01,
          tied=False, biases=False, factors=llama3_factors(32, 500000.0)),
    Shape("tiny-qwen2", "qwen2", 3, kv_heads=2, head_dim=16, rope_base=1000000.0, eps=0.02,
          tied=True, biases=True, factors=None),
]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", nargs="?", default=os.path.dirname(os.path.abspath(__file__)))
    options = parser.parse_args()

    rng = random.Random(0)
    tokens = [int(rng.random() * VOCAB) for _ in range(TOKENS)]
    with open(os.path.join(options.directory, "tiny.tokens.txt"), "w", encoding="ascii") as file:
        file.write(" ".join(map(str, tokens)) + "\n")

    for shape in SHAPES:
        weights = make_weights(shape)
        logits = [value for row in forward(shape, weights, tokens) for value in row]
        path = os.path.join(options.directory, shape.name)
        write_gguf(path + ".gguf", metadata(shape), tensors(shape, weights))
        with open(path + ".logits.f32", "wb") as file:
            file.write(struct.pack(f"<{len(logits)}f", *logits))
        deviation = math.sqrt(
            math.fsum(v * v for v in logits) / len(logits) - (math.fsum(logits) / len(logits)) ** 2
        )
        print(f"{shape.name}: {os.path.getsize(path + '.gguf')} bytes, logits of deviation {deviation:.3f}")


if __name__ == "__main__":
    main()
