#!/usr/bin/env bash
# Holds every source against .clang-format: check_format.sh ROOT. Only release 14's output is the
# sources' own (Debian 12's; each release breaks some lines otherwise); without it status 77, which
# Meson counts as skipped.
set -euo pipefail
cd "$1"

formatter=
for candidate in clang-format-14 clang-format; do
  if command -v "$candidate" >/dev/null && "$candidate" --version | grep -q 'version 14\.'; then
    formatter=$candidate
    break
  fi
done
if [[ -z $formatter ]]; then
  echo "skipped: format: clang-format 14 is not here"
  exit 77
fi
find base bench engine evals kernels lib quant serve tests tokenizer tools \
  \( -name '*.cc' -o -name '*.h' \) -print0 | xargs -0 "$formatter" --dry-run -Werror
