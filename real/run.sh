# The main job on real models: sourced by ./run behind real/fetch.sh.

readonly REAL_OUT=out/real
# Evals whose data is here under --data DIR: DIR/FOLDER tells, and the tasks are run.
readonly REAL_TASKS=(
  arc:arc_easy arc:arc_challenge hellaswag:hellaswag piqa:piqa winogrande:winogrande
  lambada:lambada_openai truthfulqa:truthfulqa_mc1 truthfulqa:truthfulqa_mc2 boolq:boolq
  openbookqa:openbookqa gsm8k:gsm8k
  mmlu:mmlu_anatomy mmlu:mmlu_astronomy mmlu:mmlu_college_computer_science
  mmlu:mmlu_high_school_geography mmlu:mmlu_moral_disputes
)

# step NAME COMMAND...: shows what the command prints, and keeps it in out/real/NAME.txt. What an
# earlier call finished with the same program, arguments and model is shown again, not done again.
step() {
  local name=$1 file=$REAL_OUT/$1.txt key
  shift
  key=$(printf '%s\n' "$REAL_PROGRAM_SUM" "$@" | sha256sum)
  if [[ -f $file && -f $file.key && $(<"$file.key") == "$key" ]]; then
    say "$name (from before: $file)"
    cat "$file"
    return
  fi
  say "$name: ${*/#build\/tools\/crossover/crossover}"
  rm -f -- "$file.key"
  mkdir -p "${file%/*}"
  "$@" </dev/null | tee "$file" || fail "$name failed"
  printf '%s' "$key" >"$file.key"
}

# Two turns of a conversation, the input of `chat`.
real_chat() {
  printf '%s\n' 'What is the capital of France?' 'And of Italy?' |
    build/tools/crossover chat "$1" --temp 0 -n 48
}

# real_tasks DATA: what can be run there, as --tasks takes it.
real_tasks() {
  local entry tasks=()
  for entry in "${REAL_TASKS[@]}"; do
    if [[ -d $1/${entry%%:*} ]]; then tasks+=("${entry#*:}"); fi
  done
  local IFS=,
  printf '%s' "${tasks[*]}"
}

# real_model NAME FILE: the main job on one model, but for the study.
real_model() {
  local name=$1 file=$2 exe=build/tools/crossover
  step "$name/info" "$exe" info "$file"
  step "$name/generate" "$exe" generate "$file" -p 'The three largest cities of France are' -n 48 --temp 0
  step "$name/chat" real_chat "$file"
  step "$name/perplexity" "$exe" perplexity "$file" -f "$REAL_TEXT" --chunks 20
  step "$name/eval" "$exe" eval "$file" --limit "$REAL_LIMIT" --resume "$REAL_OUT/answers.jsonl" \
    ${REAL_DATA:+--data "$REAL_DATA" --tasks "$REAL_TASK_NAMES"}
  step "$name/bench" "$exe" bench model "$file" -p 256 -n 64 -r 5
}

# Beside the plan, which names its files relative to itself: what they are here.
make_real_plan() {
  local cache=$1 sum file
  # Named by its own path: what a step prints is kept under its arguments.
  REAL_TEXT=$(realpath models/heldout.txt)
  if [[ -n $REAL_DATA && -f $REAL_DATA/wikitext2/wiki.test.raw ]]; then
    REAL_TEXT=$REAL_DATA/wikitext2/wiki.test.raw
  fi
  mkdir -p "$REAL_OUT/plan"
  cp -f real/plan.json "$REAL_OUT/plan/plan.json"
  ln -sfn -- "$REAL_TEXT" "$REAL_OUT/plan/text.txt"
  while read -r sum file; do
    ln -sfn -- "$cache/$file" "$REAL_OUT/plan/$file"
  done <real/models.sha256
  say "perplexity and divergence on $REAL_TEXT"
}

# The study's table with its notes, ready to be pasted into the README.
write_readme_table() {
  local commit
  commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
  {
    printf 'From `./run real` at commit %s.\n\n' "$commit"
    cat "$REAL_OUT/table.md"
  } >"$REAL_OUT/README-table.md"
}

real_options() {
  REAL_DATA='' REAL_LIMIT=100 REAL_FETCH_ONLY=false REAL_TASK_NAMES=''
  while (($# > 0)); do
    case $1 in
      --fetch) REAL_FETCH_ONLY=true ;;
      --data | --limit | --tasks)
        (($# > 1)) || fail "$1 needs a value (./run help)"
        case $1 in
          --data) REAL_DATA=$(realpath -- "$2") && [[ -d $REAL_DATA ]] || fail "--data: $2 is no folder" ;;
          --limit) [[ $2 =~ ^[1-9][0-9]*$ ]] && REAL_LIMIT=$2 || fail "--limit takes a whole number, not '$2'" ;;
          --tasks) REAL_TASK_NAMES=$2 ;;
        esac
        shift
        ;;
      *) fail "unknown option '$1' of real (./run help)" ;;
    esac
    shift
  done
  if [[ -z $REAL_DATA && -n $REAL_TASK_NAMES ]]; then fail "--tasks needs --data DIR"; fi
  if [[ -n $REAL_DATA && -z $REAL_TASK_NAMES ]]; then
    REAL_TASK_NAMES=$(real_tasks "$REAL_DATA")
    [[ -n $REAL_TASK_NAMES ]] || fail "--data: $REAL_DATA holds none of the sets (docs/tasks.md)"
  fi
}

real() {
  local cache status=0
  real_options "$@"
  cache=$(real_cache)
  fetch_real_models "$cache"
  if [[ $REAL_FETCH_ONLY == true ]]; then
    printf '%s\n' "$cache"
    return
  fi
  install "the study of real models" "${BUILD_PACKAGES[@]}" "${DEMO_PACKAGES[@]}"
  build tools/crossover
  REAL_PROGRAM_SUM=$(sha256sum <build/tools/crossover)
  make_real_plan "$cache"
  real_model smollm2-135m-instruct "$REAL_OUT/plan/SmolLM2-135M-Instruct.Q4_1.gguf"
  real_model gemma-3-270m "$REAL_OUT/plan/gemma-3-270m-q4_k_m.gguf"
  say "the study: the files as they are, and re-quantised in seven recipes"
  # Cells that failed are in the report too.
  build/tools/crossover study "$REAL_OUT/plan/plan.json" --out "$REAL_OUT" || status=$?
  build/tools/crossover report "$REAL_OUT"
  write_readme_table
  say "the report with its plots: file://$PWD/$REAL_OUT/report.html; the table for a README: $REAL_OUT/README-table.md"
  return "$status"
}
