// crossover tokenize: text to token ids and back, as the model's own vocabulary has it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/say.h"
#include "engine/files/gguf.h"
#include "engine/model/load_tokenizer.h"
#include "tokenizer/two_bos.h"
#include "tools/checks.h"
#include "tools/command.h"
#include "tools/input.h"
#include "tools/model_warnings.h"
#include "tools/token_ids.h"
#include "tools/warning.h"

namespace crossover::tools {
namespace {

using tokenizer::TokenId;
using tokenizer::Tokenizer;

struct TokenizeFlags {
  std::string model;
  std::string file = "-";
  bool no_special = false;
  bool decode = false;
  bool pieces = false;
};

/// Any bytes as a JSON string: what is no UTF-8 (half a character) becomes U+FFFD.
std::string Quoted(const std::string& text) { return DumpJson(nlohmann::json(text)); }

void Print(const std::string& text) { SayGenerated(text); }

void PrintIds(const Tokenizer& tokenizer, const std::vector<TokenId>& ids,
              const TokenizeFlags& flags, bool json) {
  std::vector<std::string> pieces;
  if (flags.pieces) {
    for (TokenId id : ids) pieces.push_back(tokenizer.Decode(id, /*special=*/true));
  }
  if (json) {
    nlohmann::ordered_json out{{"ids", ids}, {"count", ids.size()}};
    if (flags.pieces) out["pieces"] = pieces;
    Print(DumpJson(out) + "\n");
  } else if (flags.pieces) {
    for (size_t i = 0; i < ids.size(); ++i) {
      Print(fmt::format("{:>8}  {}\n", ids[i], Quoted(pieces[i])));
    }
  } else {
    Print(fmt::format("{}\n", fmt::join(ids, " ")));
  }
}

// What is shown is what the vocabulary does, so nothing is left out here as `generate` does.
void WarnOfTwoBos(const Tokenizer& tokenizer, const std::vector<TokenId>& ids,
                  const tokenizer::EncodeOptions& options) {
  if (!options.add_special || !tokenizer::BeginsWithTwoBos(tokenizer, ids)) return;
  Warn(
      "the text begins with BOS, and the vocabulary adds one: there are two (generate leaves one "
      "out; --no-special adds none)");
}

void Run(const TokenizeFlags& flags, const GlobalOptions& globals) {
  const auto file = engine::GgufFile::Open(flags.model);
  const auto tokenizer = engine::LoadTokenizer(*file);
  TellWarnings(flags.model, *tokenizer);
  const std::string input = ReadInput(flags.file);
  if (!flags.decode) {
    const tokenizer::EncodeOptions options{.add_special = !flags.no_special,
                                           .parse_special = !flags.no_special};
    const std::vector<TokenId> ids = tokenizer->Encode(input, options);
    WarnOfTwoBos(*tokenizer, ids, options);
    return PrintIds(*tokenizer, ids, flags, globals.json);
  }
  const auto ids = ParseTokenIds(input, InputName(flags.file));
  if (flags.pieces) return PrintIds(*tokenizer, ids, flags, globals.json);
  const std::string text = tokenizer->Decode(ids, /*special=*/!flags.no_special);
  if (globals.json) {
    Print(fmt::format("{{\"text\":{},\"count\":{}}}\n", Quoted(text), ids.size()));
  } else {
    Print(text);  // to the byte, so that it can be compared with what was encoded
  }
}

}  // namespace

void AddTokenize(CLI::App& app, const GlobalOptions& globals) {
  auto flags = std::make_shared<TokenizeFlags>();
  const Subcommand command(app, "tokenize", "Turn text into token ids, or ids into text");
  AddModel(command, flags->model, "GGUF file; a vocabulary alone will do").Required();
  command.Add("-f,--file", flags->file, "Read this file; -: the standard input")
      .NotEmpty()
      .Type("FILE")
      .ShowDefault();
  command.Switch("--no-special", flags->no_special,
                 "Neither add BOS or EOS nor look for special tokens in the text; with "
                 "--decode, leave special tokens out");
  command.Switch("--decode", flags->decode, "The input is ids; print their text");
  command.Switch("--pieces", flags->pieces, "One line for each token, with its text");
  command.Examples(
      "echo -n 'Once upon a time' | crossover tokenize model.gguf\n"
      "crossover tokenize model.gguf --file book.txt --no-special --json\n"
      "echo '1 15043 3186' | crossover tokenize model.gguf --decode");
  command.Run([flags, &globals] { Run(*flags, globals); });
}

}  // namespace crossover::tools
