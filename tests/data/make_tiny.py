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
CONTEXT = 128
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
    whole_norms: bool = False  # of q and k, over all heads together
    norms_rotated: bool = False  # those of the heads come behind the rotation
    pre_norms: bool = True
    post_norms: bool = False
    layer_norm: bool = False  # in place of RMS norms
    norm_biases: bool = False
    one_norm: bool = False  # both blocks read the same one
    parallel: bool = False  # both blocks read the same stream
    ffn_biases: bool = False
    logit_biases: bool = False
    fused: bool = False
    gelu: bool = False
    unit: str = "gated"  # or "clamped", "gelu", "relu2": the last two without a gate
    experts: int = 0
    used: int = 0  # of the experts, by each token
    sinks: bool = False
    positions: bool = False  # learned, and no rotation
    window: int = 0
    global_every: int = 0  # every so many layers one without the window; 0: none
    local_rope: Rope = None  # of the layers with a window, where it is another
    no_rope_every: int = 0  # every so many layers one that does not rotate; 1: all
    local_rope_only: bool = False  # layers without the window do not rotate
    temperature: tuple = ()  # (scale, length): queries of far positions are sharpened
    embedding_scale: float = 1.0
    residual_scale: float = 1.0
    score_scale: float = 0.0  # 0: 1/√head_dim
    logit_scale: float = 1.0
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
        if self.positions or (self.no_rope_every and (layer + 1) % self.no_rope_every == 0):
            return None
        if self.local_rope_only and not self.is_local(layer):
            return None
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
        if shape.whole_norms:
            layer["q_norm"] = vector(q_rows, 1.5, 0.5)
            layer["k_norm"] = vector(kv_rows, 1.5, 0.5)
        if shape.norm_biases:
            layer["attn_norm_bias"] = vector(dim, 0.0, 0.3)
            layer["ffn_norm_bias"] = vector(dim, 0.0, 0.3)
        if shape.ffn_biases and not shape.experts:
            layer["up_bias"] = vector(ffn, 0.0, 0.5)
            layer["down_bias"] = vector(dim, 0.0, 0.5)
        if shape.sinks:
            layer["sinks"] = vector(shape.heads, 0.0, 2.0)
        if shape.experts:
            layer["router"] = [vector(dim, 0.0, 0.4) for _ in range(shape.experts)]
            layer["experts"] = []
            for _ in range(shape.experts):
                expert = {
                    "gate": matrix(ffn, dim, 1.5),
                    "up": matrix(ffn, dim, 1.5),
                    "down": matrix(dim, ffn, 1.0),
                }
                if shape.ffn_biases:
                    expert["gate_bias"] = vector(ffn, 0.0, 0.5)
                    expert["up_bias"] = vector(ffn, 0.0, 0.5)
                    expert["down_bias"] = vector(dim, 0.0, 0.5)
                layer["experts"].append(expert)
            if shape.ffn_biases:
                layer["router_bias"] = vector(shape.experts, 0.0, 1.0)
        weights["layers"].append(layer)
    if shape.norm_biases:
        weights["output_norm_bias"] = vector(dim, 0.0, 0.3)
    if shape.logit_biases:
        weights["output_bias"] = vector(VOCAB, 0.0, 1.0)
    if shape.positions:
        weights["positions"] = matrix(CONTEXT, dim, 2.0)
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


def normed(x, weight, bias, shape):
    """A block's norm of the stream."""
    if not shape.layer_norm:
        return rms_norm(x, weight, shape.eps)
    mean = math.fsum(x) / len(x)
    scale = 1.0 / math.sqrt(math.fsum((v - mean) ** 2 for v in x) / len(x) + shape.eps)
    return add([(v - mean) * scale * w for v, w in zip(x, weight)], bias or [0.0] * len(x))


def norm_heads(x, weight, shape):
    """Each head normalised on its own, or all together, where the model does that."""
    if weight is None:
        return x
    if shape.whole_norms:
        return rms_norm(x, weight, shape.eps)
    out = []
    for head in range(0, len(x), shape.head_dim):
        out += rms_norm(x[head : head + shape.head_dim], weight, shape.eps)
    return out


def rotate(x, position, rope, shape):
    """Rotary embedding as published with the checkpoints: element i turns with element i + half of
    the first `turned` elements of a head."""
    half = shape.turned // 2
    out = list(x)
    if rope is None:
        return out
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


def attend(query, keys, values, sinks, shape):
    """One position's attention over the keys and values it sees; heads share them in groups. A sink
    is a score without a value."""
    d = shape.head_dim
    out = []
    for head in range(shape.heads):
        kv = head // (shape.heads // shape.kv_heads)
        q = query[head * d : (head + 1) * d]
        scores = []
        for key in keys:
            score = math.fsum(a * b for a, b in zip(q, key[kv * d : (kv + 1) * d]))
            score *= shape.score_scale or 1 / math.sqrt(d)
            scores.append(cap(score, shape.score_cap))
        top = max(scores)
        odds = [math.exp(s - top) for s in scores]
        total = math.fsum(odds) + (math.exp(sinks[head] - top) if sinks else 0.0)
        for i in range(d):
            out.append(math.fsum(p * v[kv * d + i] for p, v in zip(odds, values)) / total)
    return out


def silu(x):
    return x / (1.0 + math.exp(-x))


def gelu(x):
    """The approximation by tanh, which Gemma is trained with."""
    return 0.5 * x * (1.0 + math.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def clamped_unit(gate, up):
    """gpt-oss's: gates up to 7, the others within 7 of 0, a steeper sigmoid, and 1 added."""
    gate, up = min(gate, 7.0), min(max(up, -7.0), 7.0)
    return gate / (1.0 + math.exp(-1.702 * gate)) * (up + 1.0)


def attention_block(n, layer, stream, shape):
    """What layer n's attention adds to the stream at each position."""
    rope = shape.rope_of(n)
    keys, values, queries = [], [], []
    for position, x in enumerate(stream):
        h = normed(x, layer["attn_norm"], layer.get("attn_norm_bias"), shape)
        h = h if shape.pre_norms else x
        q = affine(layer["q"], h, layer.get("q_bias"))
        k = affine(layer["k"], h, layer.get("k_bias"))
        v = affine(layer["v"], h, layer.get("v_bias"))
        if not shape.norms_rotated:
            q = norm_heads(q, layer.get("q_norm"), shape)
            k = norm_heads(k, layer.get("k_norm"), shape)
        q, k = rotate(q, position, rope, shape), rotate(k, position, rope, shape)
        if shape.norms_rotated:
            q = norm_heads(q, layer.get("q_norm"), shape)
            k = norm_heads(k, layer.get("k_norm"), shape)
        if shape.temperature:
            scale, length = shape.temperature
            q = [v * (1 + scale * math.log(1 + position // length)) for v in q]
        queries.append(q)
        keys.append(k)
        values.append(v)
    out = []
    for position, query in enumerate(queries):
        first = max(0, position - shape.window + 1) if shape.is_local(n) else 0
        seen = slice(first, position + 1)
        mixed = attend(query, keys[seen], values[seen], layer.get("sinks"), shape)
        out.append(affine(layer["o"], mixed, layer.get("o_bias")))
    return out


def feed_forward(block, h, shape):
    up = affine(block["up"], h, block.get("up_bias"))
    if shape.unit == "gelu":
        hidden = [gelu(u) for u in up]
    elif shape.unit == "relu2":
        hidden = [max(u, 0.0) ** 2 for u in up]
    else:
        gate = affine(block["gate"], h, block.get("gate_bias"))
        if shape.unit == "clamped":
            hidden = [clamped_unit(g, u) for g, u in zip(gate, up)]
        else:
            f = gelu if shape.gelu else silu
            hidden = [f(g) * u for g, u in zip(gate, up)]
    return affine(block["down"], hidden, block.get("down_bias"))


def mixture(layer, h, shape):
    """The experts with the largest scores, by the softmax over these."""
    scores = affine(layer["router"], h, layer.get("router_bias"))
    chosen = sorted(range(shape.experts), key=lambda e: -scores[e])[: shape.used]
    odds = [math.exp(scores[e] - scores[chosen[0]]) for e in chosen]
    out = [0.0] * len(h)
    for e, p in zip(chosen, odds):
        y = feed_forward(layer["experts"][e], h, shape)
        out = [a + p / math.fsum(odds) * b for a, b in zip(out, y)]
    return out


def ffn_block(layer, x, shape):
    norm = "attn_norm" if shape.one_norm else "ffn_norm"
    h = normed(x, layer[norm], layer.get(norm + "_bias"), shape) if shape.pre_norms else x
    return mixture(layer, h, shape) if shape.experts else feed_forward(layer, h, shape)


def forward(shape, weights, tokens):
    """Logits after each of the last LAST tokens."""

    def added(x, change, norm):
        change = rms_norm(change, norm, shape.eps) if norm else change
        return add(x, [shape.residual_scale * v for v in change])

    stream = [[shape.embedding_scale * v for v in weights["embedding"][token]] for token in tokens]
    if shape.positions:
        stream = [add(x, weights["positions"][i]) for i, x in enumerate(stream)]
    for n, layer in enumerate(weights["layers"]):
        changes = attention_block(n, layer, stream, shape)
        for position, change in enumerate(changes):
            before = stream[position]
            x = added(before, change, layer.get("attn_post_norm"))
            read = before if shape.parallel else x
            stream[position] = added(x, ffn_block(layer, read, shape), layer.get("ffn_post_norm"))
    norm, bias = weights["output_norm"], weights.get("output_norm_bias")
    logits = [
        affine(weights["output"], normed(x, norm, bias, shape), weights.get("output_bias"))
        for x in stream[-LAST:]
    ]
    return [[cap(shape.logit_scale * v, shape.logit_cap) for v in row] for row in logits]


# ---- GGUF ---------------------------------------------------------------------------------------


# Files of these hold q and k with the rows of each head in the order of NORM rotation.
INTERLEAVED = (
    "llama", "mistral3", "internlm2", "minicpm", "granite", "granitemoe", "smollm3", "ernie4_5",
    "command-r", "cohere2", "arcee", "glm4",
)  # fmt: skip


def interleave(rows, shape):
    """Such files hold q and k with the turned rows of each head reordered, so that a rotation's two
    elements are neighbours: row 2i is the published row i, 2i + 1 is i + half."""
    half = shape.turned // 2
    out = []
    for head in range(0, len(rows), shape.head_dim):
        for i in range(half):
            out += [rows[head + i], rows[head + i + half]]
        out += rows[head + shape.turned : head + shape.head_dim]
    return out


def tensors(shape, weights):
    """(name, rows) in file order; one-dimensional tensors as one flat list."""
    order = interleave if shape.arch in INTERLEAVED else lambda rows, _: rows
    out = [("token_embd.weight", weights["embedding"]), *shape.scaling_tensors]
    for n, layer in enumerate(weights["layers"]):
        out += [(f"blk.{n}.{name}", rows) for name, rows in layer_tensors(shape, layer, order)]
    out.append(("output_norm.weight", weights["output_norm"]))
    if not shape.tied:
        out.append(("output.weight", weights["output"]))
    if shape.norm_biases:
        out.append(("output_norm.bias", weights["output_norm_bias"]))
    if shape.logit_biases:
        out.append(("output.bias", weights["output_bias"]))
    if shape.positions:
        out.append(("position_embd.weight", weights["positions"]))
    return out


def expert_tensors(layer):
    out = [("ffn_gate_inp.weight", layer["router"])]
    if "router_bias" in layer:
        out.append(("ffn_gate_inp.bias", layer["router_bias"]))
    for part in ("gate", "up", "down"):
        out.append((f"ffn_{part}_exps.weight", [expert[part] for expert in layer["experts"]]))
        if part + "_bias" in layer["experts"][0]:
            out.append((f"ffn_{part}_exps.bias", [e[part + "_bias"] for e in layer["experts"]]))
    return out


def layer_tensors(shape, layer, order):
    q, k = order(layer["q"], shape), order(layer["k"], shape)
    separate = [("attn_q.weight", q), ("attn_k.weight", k), ("attn_v.weight", layer["v"])]
    gate_and_up = [("ffn_gate.weight", layer["gate"]), ("ffn_up.weight", layer["up"])]
    ffn_norm = "post_attention_norm" if shape.arch in ("gpt-oss", "seed_oss") else "ffn_norm"
    if shape.fused and shape.arch != "glm4":
        separate = [("attn_qkv.weight", q + k + layer["v"])]
    if shape.fused and shape.unit == "gated":
        gate_and_up = [("ffn_up.weight", layer["gate"] + layer["up"])]
    if shape.unit in ("gelu", "relu2"):
        gate_and_up = [("ffn_up.weight", layer["up"])]
    out = [
        ("attn_norm.weight", layer["attn_norm"]),
        *separate,
        ("attn_output.weight", layer["o"]),
        (f"{ffn_norm}.weight", layer["ffn_norm"]),
        *gate_and_up,
        ("ffn_down.weight", layer["down"]),
    ]
    left_out = []
    if shape.experts:
        left_out += ["ffn_gate.weight", "ffn_up.weight", "ffn_down.weight"]
    if not shape.pre_norms:
        left_out += ["attn_norm.weight", "ffn_norm.weight"]
    if shape.one_norm:
        left_out += ["ffn_norm.weight"]
    out = [entry for entry in out if entry[0] not in left_out]
    if shape.experts:
        out += expert_tensors(layer)
    if shape.biases and shape.fused and shape.arch != "glm4":
        biases = order(layer["q_bias"], shape) + order(layer["k_bias"], shape) + layer["v_bias"]
        out.append(("attn_qkv.bias", biases))
    elif shape.biases:
        out.append(("attn_q.bias", order(layer["q_bias"], shape)))
        out.append(("attn_k.bias", order(layer["k_bias"], shape)))
        out.append(("attn_v.bias", layer["v_bias"]))
    if shape.output_biases:
        out.append(("attn_output.bias", layer["o_bias"]))
    if shape.head_norms or shape.whole_norms:
        out += [(f"attn_{x}_norm.weight", layer[x + "_norm"]) for x in "qk"]
    if shape.post_norms:
        # Gemma's norms are published as w of 1 + w; files hold the sum.
        out.append(("post_attention_norm.weight", layer["attn_post_norm"]))
        out.append(("post_ffw_norm.weight", layer["ffn_post_norm"]))
    if shape.norm_biases:
        out.append(("attn_norm.bias", layer["attn_norm_bias"]))
        if not shape.one_norm:
            out.append(("ffn_norm.bias", layer["ffn_norm_bias"]))
    if "up_bias" in layer:
        out += [(f"ffn_{x}.bias", layer[x + "_bias"]) for x in ("up", "down")]
    if shape.sinks:
        out.append(("attn_sinks.weight", layer["sinks"]))
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
        (prefix + "context_length", CONTEXT),
        (prefix + "embedding_length", shape.dim),
        (prefix + "feed_forward_length", shape.ffn),
        (prefix + "attention.head_count", shape.heads),
        (prefix + "attention.head_count_kv", shape.kv_heads),
        (prefix + ("attention.layer_norm_epsilon" if shape.layer_norm else
                   "attention.layer_norm_rms_epsilon"), shape.eps),
        (prefix + "rope.freq_base", shape.rope.base),
        (prefix + "vocab_size", VOCAB),
    ]  # fmt: skip
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
    if shape.experts:
        keys.append((prefix + "expert_count", shape.experts))
        keys.append((prefix + "expert_used_count", shape.used))
        keys.append((prefix + "expert_feed_forward_length", shape.ffn))
    keys += [(prefix + key, value) for key, value in shape.scaling_keys]
    if shape.seed > 10:
        return keys + bpe_vocabulary("qwen2", adds_bos=False)
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
    if isinstance(value[0], bool):
        return 9, struct.pack(f"<iQ{len(value)}?", 7, len(value), *value)
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
        dims, values = [len(rows)], rows
        while isinstance(values[0], list):
            dims.insert(0, len(values[0]))
            values = [value for row in values for value in row]
        # Routers and biases of experts stay as exact as vectors are.
        kind = F32 if len(dims) == 1 or "gate_inp" in name or name.endswith("bias") else F16
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
    # The layers of 2024 to 2026, each of an awkward shape.
    Shape("tiny-smollm3", "smollm3", 11, kv_heads=1, head_dim=16, rope=Rope(50000.0), eps=1e-6,
          dim=32, ffn=48, heads=3, layers=5, tied=True, no_rope_every=4),
    Shape("tiny-olmo2", "olmo2", 12, kv_heads=1, head_dim=16, rope=Rope(500000.0), eps=0.01,
          dim=32, ffn=48, heads=2, layers=2, whole_norms=True, pre_norms=False, post_norms=True),
    Shape("tiny-olmo3", "olmo2", 13, kv_heads=3, head_dim=16, eps=1e-6, dim=48, ffn=32, heads=3,
          rope=Rope(10000.0, yarn_factors(16, 10000.0, 8.0, 16, fast=3.0), 0.1 * math.log(8.0) + 1),
          local_rope=Rope(10000.0), layers=5, whole_norms=True, pre_norms=False,
          post_norms=True, window=6, global_every=4,
          scaling_keys=(("rope.scaling.type", "yarn"), ("rope.scaling.factor", 8.0),
                        ("rope.scaling.yarn_beta_fast", 3.0),
                        ("rope.scaling.original_context_length", 16))),
    Shape("tiny-granite", "granite", 14, kv_heads=2, head_dim=16, rope=Rope(10000.0), eps=1e-5,
          dim=32, ffn=48, heads=4, tied=True, embedding_scale=6.0, residual_scale=to_f32(0.3),
          score_scale=0.125, logit_scale=1 / 4.0,
          scaling_keys=(("embedding_scale", 6.0), ("residual_scale", to_f32(0.3)),
                        ("attention.scale", 0.125), ("logit_scale", 4.0))),
    Shape("tiny-mistral3", "mistral3", 15, kv_heads=1, head_dim=24, eps=1e-5, dim=32, ffn=48,
          rope=Rope(1000000.0, yarn_factors(24, 1000000.0, 4.0, 8, fast=4.0)), heads=3,
          temperature=(0.5, 8),
          scaling_keys=(("rope.scaling.type", "yarn"), ("rope.scaling.factor", 4.0),
                        ("rope.scaling.yarn_beta_fast", 4.0),
                        ("rope.scaling.yarn_log_multiplier", 1.0),
                        ("rope.scaling.original_context_length", 8),
                        ("attention.temperature_scale", 0.5))),
    Shape("tiny-exaone4", "exaone4", 16, kv_heads=1, head_dim=16, rope=Rope(1000000.0), eps=1e-5,
          dim=32, ffn=48, heads=2, tied=True, head_norms=True, pre_norms=False, post_norms=True),
    Shape("tiny-exaone", "exaone", 17, kv_heads=1, head_dim=16, rope=Rope(10000.0), eps=1e-5,
          dim=32, ffn=48, heads=2, tied=True),
    Shape("tiny-glm4", "glm4", 18, kv_heads=1, head_dim=24, rope=Rope(10000.0), rotary_dim=12,
          eps=1e-5, dim=32, ffn=48, heads=3, biases=True, post_norms=True, fused=True),
    Shape("tiny-hunyuan", "hunyuan-dense", 19, kv_heads=1, head_dim=16, rope=Rope(11158840.0),
          eps=1e-5, dim=32, ffn=48, heads=3, tied=True, head_norms=True, norms_rotated=True),
    Shape("tiny-ernie4_5", "ernie4_5", 20, kv_heads=1, head_dim=16, rope=Rope(500000.0), eps=1e-5,
          dim=32, ffn=48, heads=3, tied=True),
    Shape("tiny-internlm2", "internlm2", 21, kv_heads=2, head_dim=16, rope=Rope(1000000.0),
          eps=1e-5, dim=32, ffn=48, heads=2),
    Shape("tiny-minicpm", "minicpm", 22, kv_heads=2, head_dim=8, rope=Rope(10000.0), eps=1e-5,
          dim=32, ffn=48, heads=4, tied=True, layers=3, embedding_scale=12.0,
          residual_scale=to_f32(0.8), logit_scale=1 / 2.5,
          scaling_keys=(("embedding_scale", 12.0), ("residual_scale", to_f32(0.8)),
                        ("logit_scale", 2.5))),
    Shape("tiny-seed_oss", "seed_oss", 23, kv_heads=1, head_dim=16, rope=Rope(10000.0), eps=1e-6,
          dim=32, ffn=48, heads=3, biases=True),
    Shape("tiny-arcee", "arcee", 24, kv_heads=1, head_dim=16, rope=Rope(10000.0), eps=1e-5,
          dim=32, ffn=64, heads=2, unit="relu2"),
    Shape("tiny-qwen3moe", "qwen3moe", 25, kv_heads=1, head_dim=16, rope=Rope(1000000.0), eps=1e-6,
          dim=32, ffn=32, heads=3, tied=True, head_norms=True, experts=5, used=2),
    Shape("tiny-gpt-oss", "gpt-oss", 26, kv_heads=1, head_dim=16, eps=1e-5, dim=32, ffn=32, heads=3,
          rope=Rope(150000.0, yarn_factors(16, 150000.0, 4.0, 16, fast=3.0), 0.1 * math.log(4.0) + 1),
          layers=3, biases=True, output_biases=True, ffn_biases=True, sinks=True, unit="clamped",
          experts=4, used=2, window=5, global_every=2,
          scaling_keys=(("rope.scaling.type", "yarn"), ("rope.scaling.factor", 4.0),
                        ("rope.scaling.yarn_beta_fast", 3.0),
                        ("rope.scaling.original_context_length", 16))),
    Shape("tiny-granitemoe", "granitemoe", 27, kv_heads=1, head_dim=16, rope=Rope(10000.0),
          eps=1e-6, dim=32, ffn=32, heads=2, tied=True, embedding_scale=3.0, residual_scale=0.5,
          score_scale=0.125, logit_scale=0.5, experts=4, used=2,
          scaling_keys=(("embedding_scale", 3.0), ("residual_scale", 0.5),
                        ("attention.scale", 0.125), ("logit_scale", 2.0))),
    Shape("tiny-gptneox", "gptneox", 28, kv_heads=3, head_dim=16, rope=Rope(10000.0), rotary_dim=4,
          eps=0.01, dim=48, ffn=64, heads=3, layer_norm=True, norm_biases=True, parallel=True,
          fused=True, biases=True, output_biases=True, ffn_biases=True, unit="gelu",
          scaling_keys=(("use_parallel_residual", True),)),
    Shape("tiny-gptneox-serial", "gptneox", 29, kv_heads=2, head_dim=16, rope=Rope(10000.0),
          rotary_dim=8, eps=1e-5, dim=32, ffn=48, heads=2, layer_norm=True, norm_biases=True,
          fused=True, biases=True, output_biases=True, ffn_biases=True, unit="gelu",
          scaling_keys=(("use_parallel_residual", False),)),
    Shape("tiny-gpt2", "gpt2", 30, kv_heads=2, head_dim=16, rope=Rope(10000.0), eps=1e-5, dim=32,
          ffn=48, heads=2, tied=True, layer_norm=True, norm_biases=True, fused=True, biases=True,
          output_biases=True, ffn_biases=True, unit="gelu", positions=True),
    Shape("tiny-phi2", "phi2", 31, kv_heads=2, head_dim=16, rope=Rope(10000.0), rotary_dim=6,
          eps=1e-5, dim=32, ffn=48, heads=2, layer_norm=True, norm_biases=True, parallel=True,
          one_norm=True, biases=True, output_biases=True, ffn_biases=True, logit_biases=True,
          unit="gelu"),
    Shape("tiny-stablelm", "stablelm", 32, kv_heads=2, head_dim=16, rope=Rope(10000.0),
          rotary_dim=4, eps=1e-5, dim=32, ffn=48, heads=2, layer_norm=True, norm_biases=True,
          biases=True),
    Shape("tiny-starcoder2", "starcoder2", 33, kv_heads=1, head_dim=16, rope=Rope(999999.0),
          eps=1e-5, dim=32, ffn=48, heads=2, tied=True, layer_norm=True, norm_biases=True,
          biases=True, output_biases=True, ffn_biases=True, unit="gelu"),
    Shape("tiny-command-r", "command-r", 34, kv_heads=1, head_dim=16, rope=Rope(10000.0), eps=1e-5,
          dim=32, ffn=48, heads=2, tied=True, layer_norm=True, parallel=True, one_norm=True,
          logit_scale=0.25, scaling_keys=(("logit_scale", 0.25),)),
    Shape("tiny-cohere2", "cohere2", 35, kv_heads=1, head_dim=16, rope=Rope(50000.0), eps=1e-5,
          dim=32, ffn=32, heads=2, layers=5, tied=True, layer_norm=True, parallel=True,
          one_norm=True, window=5, global_every=4, local_rope_only=True, logit_scale=0.5,
          scaling_keys=(("logit_scale", 0.5),)),
    Shape("tiny-nemotron", "nemotron", 36, kv_heads=1, head_dim=16, rope=Rope(10000.0),
          rotary_dim=8, eps=1e-5, dim=32, ffn=64, heads=2, layer_norm=True, norm_biases=True,
          unit="relu2"),
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
