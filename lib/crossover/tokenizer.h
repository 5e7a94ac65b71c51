// Text to token ids and back, special tokens, chat templates.
//
// Constant once made: any number of threads may encode and decode at a time. Text is UTF-8 bytes.
#pragma once

#include "engine/model/load_tokenizer.h"  // IWYU pragma: export
#include "tokenizer/chat_template.h"      // IWYU pragma: export
#include "tokenizer/tokenizer.h"          // IWYU pragma: export
