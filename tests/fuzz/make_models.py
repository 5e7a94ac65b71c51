"""Writes the seeds of gguf_fuzz that hold whole models: as tests/data's tiny ones, but of a layer
and a few tokens, so that a fuzzer gets through thousands of changes to them in a second.

    python3 make_models.py [DIRECTORY]
"""

import dataclasses
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../data"))

import make_tiny  # noqa: E402

SMALL = {"dim": 8, "ffn": 8, "heads": 2, "kv_heads": 1, "head_dim": 4, "layers": 1}


def vocabulary(byte_level):
    """Few tokens, and every key that is read."""
    control, normal = make_tiny.CONTROL, make_tiny.NORMAL
    tokens = ["<unk>", "<s>", "</s>", "a", "b", "ab", "\u0120" if byte_level else "\u2581", "c"]
    merges = [("tokenizer.ggml.merges", ["a b"])] if byte_level else []
    return [
        ("tokenizer.ggml.model", "gpt2" if byte_level else "llama"),
        ("tokenizer.ggml.pre", "qwen2" if byte_level else "default"),
        ("tokenizer.ggml.tokens", tokens),
        ("tokenizer.ggml.scores", [-float(i) for i in range(len(tokens))]),
        ("tokenizer.ggml.token_type", [control] * 3 + [normal] * (len(tokens) - 3)),
        *merges,
        ("tokenizer.ggml.bos_token_id", 1),
        ("tokenizer.ggml.eos_token_id", 2),
        ("tokenizer.ggml.unknown_token_id", 0),
        ("tokenizer.ggml.add_bos_token", True),
        ("tokenizer.ggml.add_space_prefix", not byte_level),
        ("tokenizer.chat_template", "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"),
    ]


def shrunk(shape):
    """`shape` in small; its factors of RoPE in number as its head now needs them."""
    tensors = tuple((name, values[:2]) for name, values in shape.scaling_tensors)
    return dataclasses.replace(shape, **SMALL, rotary_dim=0, scaling_tensors=tensors)


def main():
    directory = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "corpus/gguf_fuzz")
    make_tiny.VOCAB = 8
    for shape in map(shrunk, make_tiny.SHAPES):
        keys = [k for k in make_tiny.metadata(shape) if not k[0].startswith("tokenizer.")]
        keys += vocabulary(shape.arch in ("qwen2", "qwen3"))
        weights = make_tiny.make_weights(shape)
        path = os.path.join(directory, shape.name.replace("tiny-", "") + ".gguf")
        make_tiny.write_gguf(path, keys, make_tiny.tensors(shape, weights))
        print(os.path.getsize(path), path)


if __name__ == "__main__":
    main()
