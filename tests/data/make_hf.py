"""Writes the models of make_tiny.py as Hugging Face distributes models, for the tests of converting.

    python3 make_hf.py [DIRECTORY]

Of each: NAME-hf/ with config.json, tokenizer.json, tokenizer_config.json and SafeTensors. The rows
of q and k are in the published order, and nothing of make_tiny.py's GGUF writer is used, so that
the logits of a converted model prove the conversion. One is split over two files, one is tied.
"""

import argparse
import json
import os
import struct

import make_tiny
from make_tiny import BYTE, CONTROL, NORMAL, UNKNOWN

HF_ARCHITECTURES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}
CONTEXT_BEFORE_SCALING = 64  # llama3_factors' default
NAMES = ("tiny-llama", "tiny-llama3", "tiny-qwen2")

# As the families' tokenizer.json have them.
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")


def config(shape):
    out = {
        "architectures": [HF_ARCHITECTURES[shape.arch]],
        "model_type": shape.arch,
        "num_hidden_layers": shape.layers,
        "hidden_size": shape.dim,
        "intermediate_size": shape.ffn,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "max_position_embeddings": 128,
        "rms_norm_eps": shape.eps,
        "rope_theta": shape.rope.base,
        "rope_scaling": None,
        "tie_word_embeddings": shape.tied,
        "vocab_size": make_tiny.VOCAB,
        "torch_dtype": "float16",
    }
    if shape.head_dim * shape.heads != shape.dim:
        out["head_dim"] = shape.head_dim
    if shape.rope.factors:
        out["rope_scaling"] = {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": CONTEXT_BEFORE_SCALING,
        }
    return out


def special(token, id_):
    return {"id": id_, "content": token, "special": True, "normalized": False}


def begins_with(token):
    return {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": token, "type_id": 0}}, {"Sequence": {"id": "A"}}],
    }


def tokenizer(shape):
    """(tokenizer.json, tokenizer_config.json) of the vocabulary that the GGUF file has."""
    keys = dict(make_tiny.metadata(shape))
    tokens = keys["tokenizer.ggml.tokens"]
    types = keys["tokenizer.ggml.token_type"]
    added = [special(t, i) for i, t in enumerate(tokens) if types[i] in (CONTROL, UNKNOWN)]
    bos = tokens[keys["tokenizer.ggml.bos_token_id"]]
    eos = tokens[keys["tokenizer.ggml.eos_token_id"]]
    settings = {"bos_token": bos, "eos_token": {"content": eos}, "chat_template": "{{ messages }}"}
    if keys["tokenizer.ggml.model"] == "gpt2":
        vocab = {t: i for i, t in enumerate(tokens) if types[i] == NORMAL}
        llama3 = shape.rope.factors is not None
        steps = [
            {
                "type": "Split",
                "pattern": {"Regex": LLAMA3 if llama3 else QWEN2},
                "behavior": "Isolated",
                "invert": False,
            },
            {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
        ]
        merges = keys["tokenizer.ggml.merges"]
        out = {
            "added_tokens": added,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps},
            "model": {"type": "BPE", "vocab": vocab, "merges": merges, "ignore_merges": llama3},
        }
        if llama3:
            out["post_processor"] = {
                "type": "Sequence",
                "processors": [{"type": "ByteLevel"}, begins_with(bos)],
            }
            out["model"]["merges"] = [m.split(" ") for m in merges]  # as written since 2024
        else:
            settings["add_bos_token"] = False
        return out, settings
    settings["unk_token"] = tokens[0]
    # SentencePiece's merges: every way to put a piece together, in the order of the scores.
    pieces = [t for i, t in enumerate(tokens) if types[i] == NORMAL]
    known = set(pieces)
    merges = [
        f"{p[:cut]} {p[cut:]}"
        for p in pieces
        for cut in range(1, len(p))
        if p[:cut] in known and p[cut:] in known
    ]
    vocab = {t: i for i, t in enumerate(tokens) if types[i] in (NORMAL, BYTE, UNKNOWN, CONTROL)}
    normalizers = [
        {"type": "Prepend", "prepend": "\u2581"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
    ]
    return {
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "post_processor": begins_with(bos),
        "model": {
            "type": "BPE",
            "unk_token": tokens[0],
            "byte_fallback": True,
            "vocab": vocab,
            "merges": merges,
        },
    }, settings


def tensors(shape, weights):
    """(name, rows) with rows as the forward pass uses them."""
    out = [("model.embed_tokens.weight", weights["embedding"])]
    for n, layer in enumerate(weights["layers"]):
        prefix = f"model.layers.{n}."
        names = {
            "attn_norm": "input_layernorm.weight",
            "ffn_norm": "post_attention_layernorm.weight",
            "gate": "mlp.gate_proj.weight",
            "up": "mlp.up_proj.weight",
            "down": "mlp.down_proj.weight",
        }
        for x in "qkvo":
            names[x] = f"self_attn.{x}_proj.weight"
            names[x + "_bias"] = f"self_attn.{x}_proj.bias"
        out += [(prefix + name, layer[key]) for key, name in names.items() if key in layer]
    out.append(("model.norm.weight", weights["output_norm"]))
    if not shape.tied:
        out.append(("lm_head.weight", weights["output"]))
    return out


def write_safetensors(path, named_tensors):
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, rows in named_tensors:
        matrix = isinstance(rows[0], list)
        values = [v for row in rows for v in row] if matrix else rows
        data = struct.pack(f"<{len(values)}{'e' if matrix else 'f'}", *values)
        header[name] = {
            "dtype": "F16" if matrix else "F32",
            "shape": [len(rows), len(rows[0])] if matrix else [len(rows)],
            "data_offsets": [len(body), len(body) + len(data)],
        }
        body += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")


def write_model(directory, shape):
    os.makedirs(directory, exist_ok=True)
    named = tensors(shape, make_tiny.make_weights(shape))
    if shape.rope.factors:
        parts = [named[: len(named) // 2], named[len(named) // 2 :]]
        files = [f"model-{i + 1:05}-of-00002.safetensors" for i in range(2)]
        for file, part in zip(files, parts):
            write_safetensors(os.path.join(directory, file), part)
        places = {name: file for file, part in zip(files, parts) for name, _ in part}
        index = {"metadata": {}, "weight_map": places}
        write_json(os.path.join(directory, "model.safetensors.index.json"), index)
    else:
        write_safetensors(os.path.join(directory, "model.safetensors"), named)
    write_json(os.path.join(directory, "config.json"), config(shape))
    for name, value in zip(("tokenizer.json", "tokenizer_config.json"), tokenizer(shape)):
        write_json(os.path.join(directory, name), value)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", nargs="?", default=os.path.dirname(os.path.abspath(__file__)))
    options = parser.parse_args()
    for shape in make_tiny.SHAPES:
        if shape.name in NAMES:
            write_model(os.path.join(options.directory, shape.name + "-hf"), shape)


if __name__ == "__main__":
    main()
