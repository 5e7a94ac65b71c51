// How items of the shipped tasks become tokens, and where the answer begins. The ids are
// llama-tokenize's, by the reference family's vocabulary, whose BOS is 4095.
#include <string>
#include <vector>

#include "engine/model/load_tokenizer.h"
#include "engine/model/model.h"
#include "evals/embedded.h"
#include "evals/prompts.h"
#include "evals/wikitext.h"
#include "tests/support/test_support.h"

namespace crossover::evals {
namespace {

using Ids = std::vector<TokenId>;

TEST_CASE("item tokens: gsm8k's question, and its answer behind the colon") {
  const auto model = engine::Model::Load(EmbeddedModel("xs"));
  const auto tokenizer = engine::LoadTokenizer(model->file());
  const std::string prompt = "Question: Two and two?\nAnswer:";
  const Ids ids = {4095, 544, 58, 2348, 111, 271, 734, 520, 545, 58};
  CHECK(EncodePrompt(*tokenizer, prompt) == ids);
  const EncodedChoices item = EncodeChoices(*tokenizer, prompt, {" 2+2=4\n#### 4"});
  CHECK(item.context == ids);
  CHECK(item.continuations ==
        std::vector<Ids>{{32, 50, 43, 50, 61, 52, 10, 35, 35, 35, 35, 32, 52}});
}

TEST_CASE("item tokens: humaneval's prompt keeps its last line feed") {
  const auto model = engine::Model::Load(EmbeddedModel("xs"));
  const auto tokenizer = engine::LoadTokenizer(model->file());
  CHECK(EncodePrompt(*tokenizer, "def f(n):\n    \"\"\" Return n + 1 \"\"\"\n") ==
        Ids{4095, 2324, 102, 273, 40,  110, 41,  1193, 32, 32,  32, 359,
            34,   34,   562, 321, 586, 294, 739, 32,   49, 359, 34, 371});
}

TEST_CASE("item tokens: a page of WikiText as ordinary text") {
  const auto model = engine::Model::Load(EmbeddedModel("xs"));
  const auto tokenizer = engine::LoadTokenizer(model->file());
  CHECK(tokenizer->Encode(DetokenizeWikitext(" = A = \n One , two @-@ three . "),
                          {.add_special = false, .parse_special = false}) ==
        Ids{728, 364, 728, 10, 2528, 44, 734, 45, 412, 634, 46, 32});
}

}  // namespace
}  // namespace crossover::evals
