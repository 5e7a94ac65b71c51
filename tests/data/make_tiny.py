"""Writes the tiny models that the tests carry, and what a forward pass over them must give.

    python3 make_tiny.py [DIRECTORY]

For each model: NAME.gguf, random weights of a few layers, and NAME.logits.f32, the logits after the
last 8 of the 24 tokens in tiny.tokens.txt (8 rows of VOCAB float32). The forward pass below is
written from the models' published definitions, in double precision and without the engine's tricks
(no cache, no permuted weights): it shares nothing with the program that it judges.

Needs Python 3 alone, and gives the same bytes every time.
"""

import argparse
import dataclasses
import math
import os
import random
import struct

TOKENS, LAST = 24, 8
VOCAB = 288
F32, F16 = 0, 1  # GGUF tensor types
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6  # GGUF token types


@dataclasses.dataclass
class Rope:
    """How layers of one kind turn positions into angles."""

    base: float
    factors: list = None  # divisors of the frequencies
    magnitude: float = 1.0  # of cosines and sines


@dataclasses.dataclass
class Shape:
    """What sets one model apart from the others."""

    name: str
    arch: str
    seed: int
    kv_heads: int
    head_dim: int
    rope: Rope
    eps: float
    heads: int = 4
    dim: int = 64
    ffn: int = 96
    layers: int = 2
    rotary_dim: int = 0  # 0: head_dim
    tied: bool = False
    biases: bool = False  # of q, k and v
    output_biases: bool = False  # of attention's output
    head_norms: bool = False
    post_norms: bool = False
    fused: bool = False
    gelu: bool = False
    window: int = 0
    global_every: int = 0  # every so many layers one without the window; 0: none
    local_rope: Rope = None  # of the layers with a window, where it is another
    embedding_scale: float = 1.0
    score_cap: float = 0.0
    logit_cap: float = 0.0
    scaling_keys: tuple = ()  # in the file, under the architecture's prefix
    scaling_tensors: tuple = ()

    def is_local(self, layer):
        """Whether the layer sees the last `window` positions only."""
        if not self.window:
            return False
        return not self.global_every or (layer + 1) % self.global_every != 0

    def rope_of(self, layer):
        return self.local_rope if self.local_rope and self.is_local(layer) else self.rope

    @property
    def turned(self):
        return self.rotary_dim or self.head_dim


def llama3_factors(head_dim, base, factor=8.0, low=1.0, high=4.0, context=64):
    """Llama 3.1's stretching of slow rotations: 1 for wavelengths below context / high, `factor`
    above context / low, in between a blend. A small `context` makes it bite within 24 tokens."""
    factors = []
    for i in range(head_dim // 2):
        wavelength = 2 * math.pi * base ** (2 * i / head_dim)
        smooth = min(1.0, max(0.0, (context / wavelength - low) / (high - low)))
        factors.append(to_f32(1.0 / ((1 - smooth) / factor + smooth)))
    return factors


def yarn_factors(dim, base, stretch, context, fast=32.0, slow=1.0):
    """YaRN as published with the checkpoints that use it: pairs that turn more than `fast` times
    within `context` keep their frequency, slower than `slow` times are interpolated; the ramp
    between runs over the pairs' indices."""

    def pair(turns):
        return dim * math.log(context / (turns * 2 * math.pi)) / (2 * math.log(base))

    low, high = max(math.floor(pair(fast)), 0), min(math.ceil(pair(slow)), dim - 1)
    factors = []
    for i in range(dim // 2):
        ramp = min(1.0, max(0.0, (i - low) / (high - low)))
        own = base ** (-2 * i / dim)
        factors.append(own / (own / stretch * ramp + own * (1 - ramp)))
    return factors


def to_f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def to_f16(x):
    return struct.unpack("<e", struct.pack("<e", x))[0]


# ---- Weights: rows of Python floats that float16 holds exactly ----------------------------------


def make_weights(shape):
    rng = random.Random(shape.seed)
    q_rows, kv_rows = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim

    def matrix(rows, columns, gain):
        # Uniform of standard deviation gain / sqrt(columns): keeps a vector's size through a layer.
        limit = gain * math.sqrt(3.0 / columns)
        return [[to_f16(rng.uniform(-limit, limit)) for _ in range(columns)] for _ in range(rows)]

    def vector(size, centre, spread):
        return [to_f32(rng.uniform(centre - spread, centre + spread)) for _ in range(size)]

    dim, ffn = shape.dim, shape.ffn
    size = 4.0 / shape.embedding_scale  # of an embedding's elements, times √dim
    weights = {"embedding": matrix(VOCAB, dim, size), "output_norm": vector(dim, 1.0, 0.3)}
    weights["output"] = weights["embedding"] if shape.tied else matrix(VOCAB, dim, 2.0)
    weights["layers"] = []
    for _ in range(shape.layers):
        layer = {
            "attn_norm": vector(dim, 1.0, 0.3),
            # Gains above 1 make attention prefer some positions, so that position errors show.
            "q": matrix(q_rows, dim, 2.0),
            "k": matrix(kv_rows, dim, 2.0),
            "v": matrix(kv_rows, dim, 1.0),
            "o": matrix(dim, q_rows, 1.0),
            "ffn_norm": vector(dim, 1.0, 0.3),
            "gate": matrix(ffn, dim, 1.5),
            "up": matrix(ffn, dim, 1.5),
            "down": matrix(dim, ffn, 1.0),
        }
        if shape.biases:
            layer["q_bias"] = vector(q_rows, 0.0, 1.0)
            layer["k_bias"] = vector(kv_rows, 0.0, 1.0)
            layer["v_bias"] = vector(kv_rows, 0.0, 1.0)
        if shape.output_biases:
            layer["o_bias"] = vector(dim, 0.0, 0.5)
        if shape.head_norms:
            layer["q_norm"] = vector(shape.head_dim, 1.5, 0.5)
            layer["k_norm"] = vector(shape.head_dim, 1.5, 0.5)
        if shape.post_norms:
            layer["attn_post_norm"] = vector(dim, 1.0, 0.3)
            layer["ffn_post_norm"] = vector(dim, 1.0, 0.3)
        weights["layers"].append(layer)
    return weights


# ---- The forward pass, as the models define it --------------------------------------------------


def matvec(matrix, x):
    return [math.fsum(w * v for w, v in zip(row, x)) for row in matrix]


def add(a, b):
    return [x + y for x, y in zip(a, b)]


def affine(matrix, x, bias):
    return add(matvec(matrix, x), bias) if bias else matvec(matrix, x)


def rms_norm(x, weight, eps):
    scale = 1.0 / math.sqrt(math.fsum(v * v for v in x) / len(x) + eps)
    return [v * scale * w for v, w in zip(x, weight)]


def norm_heads(x, weight, shape):
    """Each head normalised on its own, where the model does that."""
    if weight is None:
        return x
    out = []
    for head in range(0, len(x), shape.head_dim):
        out += rms_norm(x[head : head + shape.head_dim], weight, shape.eps)
    return out


def rotate(x, position, rope, shape):
    """Rotary embedding as published with the checkpoints: element i turns with element i + half of
    the first `turned` elements of a head."""
    half = shape.turned // 2
    out = list(x)
    for head in range(0, len(x), shape.head_dim):
        for i in range(half):
            angle = position * rope.base ** (-2.0 * i / shape.turned)
            if rope.factors:
                angle /= rope.factors[i]
            cosine, sine = rope.magnitude * math.cos(angle), rope.magnitude * math.sin(angle)
            a, b = x[head + i], x[head + i + half]
            out[head + i] = a * cosine - b * sine
            out[head + i + half] = b * cosine + a * sine
    return out


def cap(x, limit):
    return limit * math.tanh(x / limit) if limit else x


def attend(query, keys, values, shape):
    """One position's attention over the keys and values it sees; heads share them in groups."""
    d = shape.head_dim
    out = []
    for head in range(shape.heads):
        kv = head // (shape.heads // shape.kv_heads)
        q = query[head * d : (head + 1) * d]
        scores = []
        for key in keys:
            score = math.fsum(a * b for a, b in zip(q, key[kv * d : (kv + 1) * d])) / math.sqrt(d)
            scores.append(cap(score, shape.score_cap))
        top = max(scores)
        odds = [math.exp(s - top) for s in scores]
        total = math.fsum(odds)
        for i in range(d):
            out.append(math.fsum(p * v[kv * d + i] for p, v in zip(odds, values)) / total)
    return out


def silu(x):
    return x / (1.0 + math.exp(-x))


def gelu(x):
    """The approximation by tanh, which Gemma is trained with."""
    return 0.5 * x * (1.0 + math.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def attention_block(n, layer, stream, shape):
    """What layer n's attention adds to the stream at each position."""
    rope = shape.rope_of(n)
    keys, values, queries = [], [], []
    for position, x in enumerate(stream):
        h = rms_norm(x, layer["attn_norm"], shape.eps)
        q = affine(layer["q"], h, layer.get("q_bias"))
        k = affine(layer["k"], h, layer.get("k_bias"))
        v = affine(layer["v"], h, layer.get("v_bias"))
        q = norm_heads(q, layer.get("q_norm"), shape)
        k = norm_heads(k, layer.get("k_norm"), shape)
        queries.append(rotate(q, position, rope, shape))
        keys.append(rotate(k, position, rope, shape))
        values.append(v)
    out = []
    for position, query in enumerate(queries):
        first = max(0, position - shape.window + 1) if shape.is_local(n) else 0
        seen = slice(first, position + 1)
        mixed = attend(query, keys[seen], values[seen], shape)
        out.append(affine(layer["o"], mixed, layer.get("o_bias")))
    return out


def ffn_block(layer, x, shape):
    f = gelu if shape.gelu else silu
    h = rms_norm(x, layer["ffn_norm"], shape.eps)
    gated = [f(g) * u for g, u in zip(matvec(layer["gate"], h), matvec(layer["up"], h))]
    return matvec(layer["down"], gated)


def forward(shape, weights, tokens):
    """Logits after each of the last LAST tokens."""

    def added(x, change, norm):
        return add(x, rms_norm(change, norm, shape.eps) if norm else change)

    stream = [[shape.embedding_scale * v for v in weights["embedding"][token]] for token in tokens]
    for n, layer in enumerate(weights["layers"]):
        changes = attention_block(n, layer, stream, shape)
        for position, change in enumerate(changes):
            x = added(stream[position], change, layer.get("attn_post_norm"))
            stream[position] = added(x, ffn_block(layer, x, shape), layer.get("ffn_post_norm"))
    logits = [
        matvec(weights["output"], rms_norm(x, weights["output_norm"], shape.eps))
        for x in stream[-LAST:]
    ]
    return [[cap(v, shape.logit_cap) for v in row] for row in logits]


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
    out = [("token_embd.weight", weights["embedding"]), *shape.scaling_tensors]
    for n, layer in enumerate(weights["layers"]):
        out += [(f"blk.{n}.{name}", rows) for name, rows in layer_tensors(shape, layer, order)]
    out.append(("output_norm.weight", weights["output_norm"]))
    if not shape.tied:
        out.append(("output.weight", weights["output"]))
    return out


def layer_tensors(shape, layer, order):
    q, k = order(layer["q"], shape.head_dim), order(layer["k"], shape.head_dim)
    separate = [("attn_q.weight", q), ("attn_k.weight", k), ("attn_v.weight", layer["v"])]
    gate_and_up = [("ffn_gate.weight", layer["gate"]), ("ffn_up.weight", layer["up"])]
    if shape.fused:
        separate = [("attn_qkv.weight", q + k + layer["v"])]
        gate_and_up = [("ffn_up.weight", layer["gate"] + layer["up"])]
    out = [
        ("attn_norm.weight", layer["attn_norm"]),
        *separate,
        ("attn_output.weight", layer["o"]),
        ("ffn_norm.weight", layer["ffn_norm"]),
        *gate_and_up,
        ("ffn_down.weight", layer["down"]),
    ]
    if shape.biases:
        out += [(f"attn_{x}.bias", layer[x + "_bias"]) for x in "qkv"]
    if shape.output_biases:
        out.append(("attn_output.bias", layer["o_bias"]))
    if shape.head_norms:
        out += [(f"attn_{x}_norm.weight", layer[x + "_norm"]) for x in "qk"]
    if shape.post_norms:
        # Gemma's norms are published as w of 1 + w; files hold the sum.
        out.append(("post_attention_norm.weight", layer["attn_post_norm"]))
        out.append(("post_ffw_norm.weight", layer["ffn_post_norm"]))
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


def spm_vocabulary(space_prefix):
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
        ("tokenizer.ggml.add_space_prefix", space_prefix),
    ]


def metadata(shape):
    prefix = shape.arch + "."
    keys = [
        ("general.architecture", shape.arch),
        ("general.name", shape.name),
        ("general.file_type", 1),  # mostly F16
        (prefix + "block_count", shape.layers),
        (prefix + "context_length", 128),
        (prefix + "embedding_length", shape.dim),
        (prefix + "feed_forward_length", shape.ffn),
        (prefix + "attention.head_count", shape.heads),
        (prefix + "attention.head_count_kv", shape.kv_heads),
        (prefix + "attention.layer_norm_rms_epsilon", shape.eps),
        (prefix + "rope.freq_base", shape.rope.base),
        (prefix + "vocab_size", VOCAB),
    ]
    if shape.arch == "llama" or shape.rotary_dim:
        keys.append((prefix + "rope.dimension_count", shape.turned))
    if shape.head_dim * shape.heads != shape.dim:
        keys.append((prefix + "attention.key_length", shape.head_dim))
        keys.append((prefix + "attention.value_length", shape.head_dim))
    if shape.window or shape.arch == "phi3":
        keys.append((prefix + "attention.sliding_window", shape.window))
    if shape.score_cap:
        keys.append((prefix + "attn_logit_softcapping", shape.score_cap))
    if shape.logit_cap:
        keys.append((prefix + "final_logit_softcapping", shape.logit_cap))
    keys += [(prefix + key, value) for key, value in shape.scaling_keys]
    if shape.arch in ("qwen2", "qwen3"):
        return keys + bpe_vocabulary("qwen2", adds_bos=False)
    if shape.name == "tiny-llama3":
        return keys + bpe_vocabulary("llama-bpe", adds_bos=True)
    return keys + spm_vocabulary(space_prefix=not shape.arch.startswith("gemma"))


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


LLAMA3_FACTORS = llama3_factors(32, 500000.0)
# Long-RoPE's divisors are found by search; any rising ones will do.
LONG_FACTORS = [to_f32(1.0 + 0.7 * i) for i in range(6)]
SHORT_FACTORS = [to_f32(1.0 + 0.05 * i) for i in range(6)]
LONG_ROPE_TENSORS = (
    ("rope_factors_long.weight", LONG_FACTORS),
    ("rope_factors_short.weight", SHORT_FACTORS),
)

# Some of the epsilons are far larger than any real one, and windows and caps far smaller: a program
# that ignores them shall show.
SHAPES = [
    Shape("tiny-llama", "llama", 1, kv_heads=2, head_dim=16, rope=Rope(10000.0), eps=1e-5),
    Shape("tiny-llama3", "llama", 2, kv_heads=1, head_dim=32, rope=Rope(500000.0, LLAMA3_FACTORS),
          eps=0.01, scaling_tensors=(("rope_freqs.weight", LLAMA3_FACTORS),)),
    Shape("tiny-qwen2", "qwen2", 3, kv_heads=2, head_dim=16, rope=Rope(1000000.0), eps=0.02,
          tied=True, biases=True),
    # Mistral's window, positions stretched by the key of old files, a bias behind attention.
    Shape("tiny-mistral", "llama", 4, kv_heads=2, head_dim=16, rope=Rope(10000.0, [2.5] * 8),
          eps=1e-5, dim=48, ffn=64, heads=6, window=7, output_biases=True,
          scaling_keys=(("rope.scale_linear", 2.5),)),
    Shape("tiny-qwen2-yarn", "qwen2", 5, kv_heads=1, head_dim=16, eps=1e-6, dim=32, ffn=48,
          rope=Rope(10000.0, yarn_factors(16, 10000.0, 4.0, 48, fast=3.0), 0.1 * math.log(4.0) + 1),
          heads=2, biases=True, layers=3,
          scaling_keys=(("rope.scaling.type", "yarn"), ("rope.scaling.factor", 4.0),
                        ("rope.scaling.yarn_beta_fast", 3.0),
                        ("rope.scaling.original_context_length", 48))),
    Shape("tiny-qwen3", "qwen3", 6, kv_heads=3, head_dim=24, rope=Rope(1000000.0), eps=0.01,
          dim=48, ffn=64, heads=6, layers=3, tied=True, head_norms=True),
    # 24 tokens are beyond an original context of 16, and within one of 24.
    Shape("tiny-phi3-long", "phi3", 7, kv_heads=4, head_dim=16, eps=1e-5, dim=64, ffn=48,
          rope=Rope(10000.0, LONG_FACTORS, to_f32(1.2)), rotary_dim=12, fused=True, window=9,
          scaling_keys=(("rope.scaling.attn_factor", 1.2),
                        ("rope.scaling.original_context_length", 16)),
          scaling_tensors=LONG_ROPE_TENSORS),
    Shape("tiny-phi3-short", "phi3", 8, kv_heads=1, head_dim=16, eps=1e-5, dim=48, ffn=80, heads=3,
          rope=Rope(10000.0, SHORT_FACTORS, to_f32(1.1)), rotary_dim=12, fused=True, tied=True,
          scaling_keys=(("rope.scaling.type", "longrope"), ("rope.scaling.attn_factor", 1.1),
                        ("rope.scaling.original_context_length", 24)),
          scaling_tensors=LONG_ROPE_TENSORS),
    Shape("tiny-gemma2", "gemma2", 9, kv_heads=1, head_dim=24, rope=Rope(10000.0), eps=1e-6,
          dim=32, ffn=64, heads=2, layers=3, tied=True, post_norms=True, gelu=True, window=6,
          global_every=2, embedding_scale=math.sqrt(32), score_cap=3.0, logit_cap=1.5),
    Shape("tiny-gemma3", "gemma3", 10, kv_heads=2, head_dim=16, eps=0.001, dim=32, ffn=32,
          rope=Rope(1000000.0, [8.0] * 8), local_rope=Rope(10000.0), layers=8, tied=True,
          head_norms=True, post_norms=True, gelu=True, window=5, global_every=6,
          embedding_scale=math.sqrt(32),
          scaling_keys=(("rope.scaling.type", "linear"), ("rope.scaling.factor", 8.0))),
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
