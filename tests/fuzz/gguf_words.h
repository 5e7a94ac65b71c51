// What the names and texts of GGUF files are made of, for changing them (gguf_mutator.cc).
#pragma once

#include <array>
#include <string_view>

namespace crossover::test {

// Keys that mean something without an architecture before them, and with one.
inline constexpr auto kKeys = std::to_array<std::string_view>({
    "general.architecture",
    "general.name",
    "general.alignment",
    "tokenizer.ggml.model",
    "tokenizer.ggml.pre",
    "tokenizer.ggml.tokens",
    "tokenizer.ggml.token_type",
    "tokenizer.ggml.scores",
    "tokenizer.ggml.merges",
    "tokenizer.ggml.bos_token_id",
    "tokenizer.ggml.eos_token_id",
    "tokenizer.ggml.unknown_token_id",
    "tokenizer.ggml.padding_token_id",
    "tokenizer.ggml.eot_token_id",
    "tokenizer.ggml.add_bos_token",
    "tokenizer.ggml.add_eos_token",
    "tokenizer.ggml.add_space_prefix",
    "tokenizer.chat_template",
    "imatrix.datasets",
    "imatrix.chunk_count",
    "imatrix.chunk_size",
    "crossover.packed.layout",
    "crossover.packed.rows",
    "split.count",
    "split.no",
    "split.tensors.count",
});
inline constexpr auto kArchitectureKeys = std::to_array<std::string_view>({
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.scale",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "expert_count",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scale_linear",
    "rope.scaling.attn_factor",
    "rope.scaling.factor",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "rope.scaling.yarn_ext_factor",
    "rope.scaling.yarn_log_multiplier",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "rope.freq_base_swa",
    "logit_scale",
    "attention.causal",
    "hidden_act",
    "vocab_size",
});
inline constexpr auto kArchitectures = std::to_array<std::string_view>(
    {"llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "phi3"});
inline constexpr auto kWords = std::to_array<std::string_view>({
    "gpt2",        "llama",  "default", "gpt-2",    "llama-bpe", "qwen2", "gpt-4o",
    "deepseek-v3", "linear", "yarn",    "longrope", "none",      "phi-3", "<|eot_id|>",
    "</s>",        "<0x41>", "\u2581",  "\u0120",   "a b",
});
inline constexpr auto kTensors = std::to_array<std::string_view>({
    "token_embd.weight",
    "output.weight",
    "output_norm.weight",
    "output.bias",
    "rope_freqs.weight",
    "rope_factors_long.weight",
    "rope_factors_short.weight",
    "blk.0.attn_q.weight",
    "blk.0.attn_k.weight",
    "blk.0.attn_v.weight",
    "blk.0.attn_qkv.weight",
    "blk.0.attn_q.bias",
    "blk.0.attn_output.weight",
    "blk.0.attn_output.bias",
    "blk.0.ffn_gate.weight",
    "blk.0.ffn_up.weight",
    "blk.0.ffn_down.weight",
    "blk.0.ffn_down.weight.in_sum2",
    "blk.0.ffn_down.weight.counts",
    "a.in_sum2",
    "a.counts",
});

}  // namespace crossover::test
