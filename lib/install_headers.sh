#!/bin/sh
# Installs the public headers, and below crossover/internal/ what they include, with include paths
# that no other library's headers can be mistaken for: install_headers.sh ROOT INCLUDEDIR HEADER...
set -eu
root=$1
to=$MESON_INSTALL_DESTDIR_PREFIX/$2
shift 2

own='(base|engine|kernels|quant|tokenizer)/'

# copy FROM TO
copy() {
  mkdir -p "$(dirname "$2")"
  sed -E "s@#include \"$own@#include \"crossover/internal/\\1/@" "$1" > "$2"
  chmod 644 "$2"
}

# The headers of ours that a file includes.
included() {
  sed -nE "s@^#include \"($own[^\"]*)\".*@\\1@p" "$1"
}

# take HEADER: it and all that it includes, each once.
taken=' '
take() {
  case $taken in *" $1 "*) return ;; esac
  taken="$taken$1 "
  copy "$root/$1" "$to/crossover/internal/$1"
  for name in $(included "$root/$1"); do take "$name"; done
}

for header in "$@"; do
  copy "$header" "$to/crossover/$(basename "$header")"
  for name in $(included "$header"); do take "$name"; done
done
