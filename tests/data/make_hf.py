"""Writes the models of make_tiny.py as Hugging Face distributes models, for the tests of converting.

    python3 make_hf.py [DIRECTORY]

Of each: NAME-hf/ with config.json, tokenizer.json, tokenizer_config.json and SafeTensors. The rows
of q and k are in the published order, and nothing of make_tiny.py's GGUF writer is used, so that
the logits of a converted model prove the conversion. One is split over two files, one is tied.
"""

import argparse
import json
import math
import os
import struct

import make_tiny
from make_tiny import BYTE, CONTROL, NORMAL, UNKNOWN

HF_ARCHITECTURES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}
CONTEXT_BEFORE_SCALING = 64  # llama3_factors' default
NAMES = ("tiny-llama", "tiny-llama3", "tiny-qwen2")

# The layers of 2024 to 2026: config.json and weights alone, their tokenizer is tiny-qwen2's.
# Class, model_type, what config.json says beside the sizes, and names of tensors that are not Llama's.
LAYER = "self_attn."
POST_NORMS = {
    "attn_post_norm": "post_attention_layernorm",
    "ffn_post_norm": "post_feedforward_layernorm",
}
HEAD_NORMS = {"q_norm": LAYER + "q_norm", "k_norm": LAYER + "k_norm"}
YARN = {"rope_type": "yarn", "factor": 8.0, "beta_fast": 3.0, "original_max_position_embeddings": 16}
HUNYUAN_ALPHA = (11158840.0 / 10000.0) ** (14 / 16)  # base 10000 · alpha^(d / (d - 2))
PUBLISHED = {
    "tiny-qwen3": ("Qwen3ForCausalLM", "qwen3", {"attention_bias": False}, HEAD_NORMS),
    "tiny-smollm3": (
        "SmolLM3ForCausalLM", "smollm3",
        {"no_rope_layers": [1, 1, 1, 0, 1], "no_rope_layer_interval": 4,
         "use_sliding_window": False, "layer_types": ["full_attention"] * 5}, {},
    ),
    "tiny-olmo2": ("Olmo2ForCausalLM", "olmo2", {"attention_bias": False}, POST_NORMS | HEAD_NORMS),
    "tiny-olmo3": (
        "Olmo3ForCausalLM", "olmo3",
        {"sliding_window": 6, "rope_theta": None,
         "rope_parameters": {
             "full_attention": {**YARN, "rope_theta": 10000.0},
             "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}},
         "layer_types": ["sliding_attention"] * 3 + ["full_attention", "sliding_attention"]},
        POST_NORMS | HEAD_NORMS,
    ),
    "tiny-granite": (
        "GraniteForCausalLM", "granite",
        {"embedding_multiplier": 6.0, "residual_multiplier": 0.3, "attention_multiplier": 0.125,
         "logits_scaling": 4.0, "attention_bias": False, "mlp_bias": False}, {},
    ),
    "tiny-mistral3": (
        "Ministral3ForCausalLM", "ministral3",
        {"sliding_window": None, "rope_theta": None,
         "rope_parameters": {
             "rope_type": "yarn", "rope_theta": 1000000.0, "factor": 4.0, "beta_fast": 4.0,
             "beta_slow": 1.0, "original_max_position_embeddings": 8, "mscale": 1.0,
             "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.5}}, {},
    ),
    "tiny-exaone4": (
        "Exaone4ForCausalLM", "exaone4",
        {"sliding_window": None, "sliding_window_pattern": None,
         "layer_types": ["full_attention"] * 2}, POST_NORMS | HEAD_NORMS,
    ),
    "tiny-glm4": (
        "Glm4ForCausalLM", "glm4", {"partial_rotary_factor": 0.5, "attention_bias": True},
        {"attn_post_norm": "post_self_attn_layernorm", "ffn_post_norm": "post_mlp_layernorm"},
    ),
    "tiny-hunyuan": (
        "HunYuanDenseV1ForCausalLM", "hunyuan_v1_dense",
        {"rope_theta": 10000.0, "use_qk_norm": True, "attention_head_dim": 16,
         "rope_scaling": {"type": "dynamic", "alpha": HUNYUAN_ALPHA, "factor": 1.0, "beta_fast": 32,
                          "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0}},
        {"q_norm": LAYER + "query_layernorm", "k_norm": LAYER + "key_layernorm"},
    ),
    "tiny-ernie4_5": ("Ernie4_5ForCausalLM", "ernie4_5", {"use_bias": False}, {}),
    "tiny-minicpm": (
        "MiniCPMForCausalLM", "minicpm",
        {"scale_emb": 12, "scale_depth": 0.8 * math.sqrt(3), "dim_model_base": 12.8}, {},
    ),
    "tiny-seed_oss": (
        "SeedOssForCausalLM", "seed_oss", {"attention_bias": True, "attention_out_bias": False}, {},
    ),
    "tiny-arcee": ("ArceeForCausalLM", "arcee", {"hidden_act": "relu2", "mlp_bias": False}, {}),
    "tiny-phi2": (
        "PhiForCausalLM", "phi",
        {"hidden_act": "gelu_new", "partial_rotary_factor": 0.375, "qk_layernorm": False},
        {"o": LAYER + "dense", "up": "mlp.fc1", "down": "mlp.fc2",
         "output_norm": "model.final_layernorm"},
    ),
    "tiny-stablelm": (
        "StableLmForCausalLM", "stablelm",
        {"partial_rotary_factor": 0.25, "use_qkv_bias": True, "qk_layernorm": False,
         "use_parallel_residual": False}, {},
    ),
    "tiny-starcoder2": (
        "Starcoder2ForCausalLM", "starcoder2",
        {"hidden_act": "gelu_pytorch_tanh", "use_bias": True, "sliding_window": None},
        {"up": "mlp.c_fc", "down": "mlp.c_proj"},
    ),
    "tiny-command-r": (
        "CohereForCausalLM", "cohere", {"logit_scale": 0.25, "use_qk_norm": False}, {},
    ),
    "tiny-cohere2": (
        "Cohere2ForCausalLM", "cohere2",
        {"logit_scale": 0.5, "sliding_window": 5,
         "layer_types": ["sliding_attention"] * 3 + ["full_attention", "sliding_attention"]}, {},
    ),
    "tiny-nemotron": (
        "NemotronForCausalLM", "nemotron",
        {"hidden_act": "relu2", "partial_rotary_factor": 0.5, "attention_bias": False,
         "mlp_bias": False}, {},
    ),
}  # fmt: skip
# In these the published model, too, turns neighbours.
TURNS_NEIGHBOURS = ("glm4", "ernie4_5", "command-r", "cohere2")
NORM_EPS = {"starcoder2": "norm_epsilon", "nemotron": "norm_eps"}

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


def published_config(shape):
    model, kind, words, _ = PUBLISHED[shape.name]
    out = {
        "architectures": [model],
        "model_type": kind,
        "num_hidden_layers": shape.layers,
        "hidden_size": shape.dim,
        "intermediate_size": shape.ffn,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "max_position_embeddings": make_tiny.CONTEXT,
        "rope_theta": shape.rope.base,
        "tie_word_embeddings": shape.tied,
        "vocab_size": make_tiny.VOCAB,
        "torch_dtype": "float16",
        "bos_token_id": make_tiny.VOCAB - 2,
        "eos_token_id": make_tiny.VOCAB - 1,
        "pad_token_id": None,
    }
    eps = NORM_EPS.get(shape.arch, "layer_norm_eps" if shape.layer_norm else "rms_norm_eps")
    out[eps] = shape.eps
    if shape.head_dim * shape.heads != shape.dim or kind in ("qwen3", "glm4", "ernie4_5", "seed_oss",
                                                             "ministral3"):
        out["head_dim"] = shape.head_dim
    out.update(words)
    return {key: value for key, value in out.items() if value is not None or key != "rope_theta"}


def published_tensors(shape, weights):
    """(name, rows) of the models of PUBLISHED."""
    other = PUBLISHED[shape.name][3]
    names = {
        "attn_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
        "gate": "mlp.gate_proj",
        "up": "mlp.up_proj",
        "down": "mlp.down_proj",
    }
    names |= {x: f"self_attn.{x}_proj" for x in "qkvo"} | other
    order = make_tiny.interleave if shape.arch in TURNS_NEIGHBOURS else lambda rows, _: rows
    offset = 1.0 if shape.arch == "nemotron" else 0.0

    def entry(prefix, key, rows):
        bias = key.endswith("_bias")
        name = names[key.removesuffix("_bias")] + (".bias" if bias else ".weight")
        if key in ("q", "k", "q_bias", "k_bias"):
            rows = order(rows, shape)
        if key.endswith("norm"):
            rows = [v - offset for v in rows]
        return prefix + name, rows

    out = [("model.embed_tokens.weight", weights["embedding"])]
    for n, layer in enumerate(weights["layers"]):
        prefix = f"model.layers.{n}."
        absent = [] if shape.pre_norms else ["attn_norm", "ffn_norm"]
        absent += ["ffn_norm", "ffn_norm_bias"] if shape.one_norm else []
        absent += ["gate"] if shape.unit in ("gelu", "relu2") else []
        if shape.arch == "glm4":
            absent += ["gate", "up"]
            out.append((prefix + "mlp.gate_up_proj.weight", layer["gate"] + layer["up"]))
        if shape.arch == "glm4":
            names["ffn_norm"] = "post_attention_layernorm"
        out += [entry(prefix, key, rows) for key, rows in layer.items() if key not in absent]
    names["output_norm"] = names.get("output_norm", "model.norm")
    out.append(entry("", "output_norm", weights["output_norm"]))
    if shape.norm_biases:
        out.append(entry("", "output_norm_bias", weights["output_norm_bias"]))
    if not shape.tied:
        out.append(("lm_head.weight", weights["output"]))
    if shape.logit_biases:
        out.append(("lm_head.bias", weights["output_bias"]))
    return out


def write_published(directory, shape):
    os.makedirs(directory, exist_ok=True)
    named = published_tensors(shape, make_tiny.make_weights(shape))
    write_safetensors(os.path.join(directory, "model.safetensors"), named)
    write_json(os.path.join(directory, "config.json"), published_config(shape))


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
        if shape.name in PUBLISHED:
            write_published(os.path.join(options.directory, shape.name + "-hf"), shape)


if __name__ == "__main__":
    main()
