#!/usr/bin/env bash
# Runs one command of pillion in a workflow of GitHub Actions. Everything comes in by the environment (see action.yml)
# and is data: names of branches, files and inputs are quoted everywhere and never evaluated.
set -euo pipefail
unset BASH_ENV ENV CDPATH
export LC_ALL=C.UTF-8
# The token is a variable of this shell alone: no program that it starts finds it in its environment.
token=${PILLION_TOKEN:-}
unset PILLION_TOKEN

# ---- telling

work=$(mktemp -d "${RUNNER_TEMP:-/tmp}/pillion.XXXXXXXX")
summary=${GITHUB_STEP_SUMMARY:-/dev/null}
outputs=${GITHUB_OUTPUT:-/dev/null}

# Escapes the message of a workflow command.
escaped() {
  local text=$1
  text=${text//'%'/'%25'}
  text=${text//$'\r'/'%0D'}
  printf '%s' "${text//$'\n'/'%0A'}"
}
notice() { printf '::notice title=pillion::%s\n' "$(escaped "$1")"; }
fail() {
  # On standard error, because it may be said within a substitution.
  printf '::error title=pillion::%s\n' "$(escaped "$1")" >&2
  put result wrong
  exit 1
}

# Sets an output; its text cannot end itself, because nobody knows the delimiter before.
put() {
  local delimiter
  delimiter="end-$(random)"
  printf '%s<<%s\n%s\n%s\n' "$1" "$delimiter" "$2" "$delimiter" >>"$outputs"
}
random() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

# Prints text of the repository into the log, where no line of it is a workflow command.
show() {
  local token
  token=$(random)
  printf '::stop-commands::%s\n' "$token"
  cat -- "$1"
  printf '\n::%s::\n' "$token"
}

# Appends to the summary, which has at most 1 MiB a step.
summarize() { head -c 900000 -- "$1" >>"$summary"; }

# Appends what a command printed, if it printed something.
summarize_told() {
  if [ ! -s "$2" ]; then return; fi
  { printf '### %s\n\n```text\n' "$1"; sed 's/```/` ` `/g' "$2"; printf '\n```\n'; } >"$work/text"
  summarize "$work/text"
}

# Shows findings as annotations, severest first: GitHub shows ten of a level, first come. The rest is in the summary.
annotate() {
  local level shown all
  for level in error warning notice; do
    grep -a "^::$level " "$1" >"$work/level" || true
    head -n 10 -- "$work/level"
    all=$(wc -l <"$work/level")
    shown=10
    if [ "$all" -gt "$shown" ]; then
      printf '\n%s of %s findings of the level `%s` are shown as annotations; all of them:\n\n```text\n' "$shown" "$all" "$level" >>"$summary"
      sed -e 's/^::[a-z]* //' -e 's/```/` ` `/g' -- "$work/level" | head -c 200000 >>"$summary"
      printf '\n```\n' >>"$summary"
    fi
  done
  # What is no finding: failures of the environment and hints.
  grep -av '^::' "$1" >"$work/rest" || true
  if [ -s "$work/rest" ]; then show "$work/rest"; fi
}

# ---- the program

# Finds or fetches the binary. Nothing is ever compiled here.
install() {
  if [ -n "${PILLION_BINARY:-}" ]; then
    [ -x "$PILLION_BINARY" ] || fail "binary-path: \`$PILLION_BINARY\` is not an executable file"
    pillion=$PILLION_BINARY
    return
  fi
  if [ -z "${PILLION_VERSION:-}" ] && pillion=$(command -v pillion); then return; fi
  local version=${PILLION_VERSION:-}
  if [ -z "$version" ]; then version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$GITHUB_ACTION_PATH/Cargo.toml" | head -n 1); fi
  [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] || fail "version: \`$version\` is not like 1.2.3"
  local repository=${PILLION_ACTION_REPOSITORY:-}
  [[ $repository =~ ^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$ ]] ||
    fail "\`pillion\` is not on PATH, and the action does not know where it came from: put it on PATH or give \`binary-path\`"
  local server=${GITHUB_SERVER_URL:-https://github.com} target
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) target=x86_64-unknown-linux-musl ;;
    Linux-aarch64) target=aarch64-unknown-linux-musl ;;
    Darwin-arm64) target=aarch64-apple-darwin ;;
    Darwin-x86_64) target=x86_64-apple-darwin ;;
    *) fail "there is no binary for $(uname -s) on $(uname -m): give \`binary-path\`" ;;
  esac
  local archive="pillion-$target-v$version.tgz" from="$server/$repository/releases/download/v$version" sum
  # The table of the action was committed before its tag: a release cannot bring checksums of its own.
  sum=$(awk -v name="$archive" '$2 == name { print $1 }' "$GITHUB_ACTION_PATH/action/SHA256SUMS")
  [[ $sum =~ ^[0-9a-f]{64}$ ]] ||
    fail "action/SHA256SUMS has no checksum of \`$archive\`: use the commit of the action that has it, or give \`binary-path\`"
  # The archive is kept, and not what is in it: whoever wrote into the cache since is found out.
  local cache="${RUNNER_TOOL_CACHE:-$work}/pillion/$version"
  if ! [ -f "$cache/$archive" ] || [ "$(digest "$cache/$archive")" != "$sum" ]; then
    fetch "$from/$archive" -o "$work/$archive" || fail "\`$from/$archive\` cannot be fetched: put \`pillion\` on PATH or give \`binary-path\`"
    [ "$(digest "$work/$archive")" = "$sum" ] || fail "\`$archive\` does not match its checksum: it is not used"
    attested "$work/$archive" "$repository"
    mkdir -p -- "$cache"
    cp -- "$work/$archive" "$cache/.$archive.$$" && mv -- "$cache/.$archive.$$" "$cache/$archive"
  fi
  # What is unpacked is what is compared, not what somebody swaps in the cache meanwhile.
  cp -- "$cache/$archive" "$work/checked.tgz"
  [ "$(digest "$work/checked.tgz")" = "$sum" ] || fail "\`$archive\` does not match its checksum: it is not used"
  tar -xzf "$work/checked.tgz" -C "$work" "${archive%.tgz}/pillion"
  pillion=$work/${archive%.tgz}/pillion
}

# Asks GitHub whether the release workflow of the repository built an archive, where the runner has gh and a token.
attested() {
  if [ "${GITHUB_SERVER_URL:-https://github.com}" != https://github.com ] || [ -z "$token" ] ||
    ! command -v gh >/dev/null; then
    notice 'the attestation of the archive is not looked at: that needs github.com, gh and a token; its checksum is right'
    return
  fi
  GH_TOKEN=$token gh attestation verify "$1" --repo "$2" \
    --signer-workflow "$2/.github/workflows/release.yml" >"$work/attestation" 2>&1 || {
    show "$work/attestation"
    fail "\`$(basename -- "$1")\` has no attestation of \`$2\`: it is not used"
  }
}

fetch() {
  local url=$1
  shift
  curl --fail --silent --show-error --location --proto '=https' --proto-redir '=https' --tlsv1.2 --retry 3 "$@" -- "$url"
}
digest() { if command -v sha256sum >/dev/null; then sha256sum -- "$1"; else shasum -a 256 -- "$1"; fi | cut -d' ' -f1; }

# Runs pillion: data into a file, findings into another; the exit code is kept.
run() {
  local data=$1
  shift
  code=0
  "$pillion" --color never --message-format github "$@" >"$data" 2>"$work/findings" || code=$?
  annotate "$work/findings"
}

# The exit code in a word, and what the step makes of it. `watch` that waits is no failure.
finish() {
  local word
  case $1 in
    0) word=done ;;
    1) word=findings ;;
    2) word=wrong ;;
    4) word=waiting ;;
    5) word=paused ;;
    *) word=failed ;;
  esac
  put result "$word"
  case $word in
    done | waiting | paused) exit 0 ;;
    *) exit "$1" ;;
  esac
}

# ---- the repository

# Goes where pillion.yaml is; never out of the workspace.
enter() {
  local workspace=${GITHUB_WORKSPACE:-$PWD} folder
  workspace=$(cd -- "$workspace" && pwd -P)
  folder=$(cd -- "$workspace" && cd -- "${PILLION_DIRECTORY:-.}" 2>/dev/null && pwd -P) ||
    fail "working-directory: \`${PILLION_DIRECTORY:-}\` is no folder"
  case $folder/ in
    "$workspace"/*) cd -- "$folder" ;;
    *) fail "working-directory: \`${PILLION_DIRECTORY:-}\` leads out of the workspace" ;;
  esac
}

# Rollouts read the history.
whole_history() {
  if [ "$(git rev-parse --is-shallow-repository 2>/dev/null)" = true ]; then
    fail 'the clone is shallow: give actions/checkout `fetch-depth: 0`'
  fi
}

# What ledgers are compared with, as a commit; nothing where nobody says.
base() {
  local base=${PILLION_BASE:-}
  if [ -z "$base" ] && [ -n "${PILLION_BASE_REF:-}" ]; then base="refs/remotes/origin/$PILLION_BASE_REF"; fi
  if [ -n "$base" ]; then
    git rev-parse --verify --quiet --end-of-options "$base^{commit}" ||
      git rev-parse --verify --quiet --end-of-options "refs/remotes/origin/$base^{commit}" ||
      fail "base: \`$base\` is no commit here: give actions/checkout \`fetch-depth: 0\`"
  fi
}

# Lets git push with the token, without writing it anywhere.
with_token() {
  if [ -n "$token" ]; then
    printf '::add-mask::%s\n' "$token"
    local basic
    basic=$(printf 'x-access-token:%s' "$token" | base64 | tr -d '\n')
    printf '::add-mask::%s\n' "$basic"
    export GIT_CONFIG_COUNT=2
    export GIT_CONFIG_KEY_0="http.${GITHUB_SERVER_URL:-https://github.com}/.extraheader" GIT_CONFIG_VALUE_0=''
    export GIT_CONFIG_KEY_1=$GIT_CONFIG_KEY_0 GIT_CONFIG_VALUE_1="AUTHORIZATION: basic $basic"
  fi
}

# ---- commands

check() {
  local worst=0 diff="$work/diff"
  run "$work/nothing" render --check
  worst=$code
  if [ "$worst" = 1 ]; then "$pillion" --quiet render --diff >"$diff" 2>/dev/null || true; fi
  if [ -s "$diff" ]; then
    { printf '### Rendered files are not what pillion makes\n\n```diff\n'; sed 's/```/` ` `/g' "$diff" | head -c 400000; printf '\n```\n'; } >"$work/text"
    summarize "$work/text"
    show "$diff"
  fi
  local since
  since=$(base)
  if [ -n "$since" ] && [ "$worst" -le 1 ]; then
    whole_history
    run "$work/verify" verify --base "$since"
    show "$work/verify"
    if [ "$code" -gt "$worst" ]; then worst=$code; fi
  fi
  if [ "$worst" = 0 ]; then put changed false; else put changed true; fi
  finish "$worst"
}

plan_arguments() {
  arguments=()
  if [ -n "${PILLION_OBSERVED:-}" ]; then arguments+=("--cluster-state=$PILLION_OBSERVED"); fi
}

plan() {
  plan_arguments
  run "$work/plan.md" plan -o markdown "${arguments[@]}"
  if [ "$code" -gt 1 ]; then finish "$code"; fi
  "$pillion" --quiet plan -o json "${arguments[@]}" >"$work/plan.json" 2>/dev/null || true
  put plan-json "$work/plan.json"
  local batches=0
  if command -v jq >/dev/null && [ -s "$work/plan.json" ]; then
    batches=$(jq '[.items[]?.batches[]?] | length' "$work/plan.json")
  fi
  put batches "$batches"
  if [ "$batches" = 0 ]; then put changed false; else put changed true; fi
  summarize "$work/plan.md"
  show "$work/plan.md"
}

comment() {
  plan
  local verdict=$code
  if [ -z "${GITHUB_EVENT_PATH:-}" ] || ! command -v jq >/dev/null; then
    notice 'the plan is in the summary only: a comment needs a pull request and jq'
    finish "$verdict"
  fi
  local number
  number=$(jq -r '.pull_request.number // .issue.number // empty' "$GITHUB_EVENT_PATH")
  if ! [[ $number =~ ^[0-9]+$ ]]; then
    notice 'the plan is in the summary only: this is no pull request'
    finish "$verdict"
  fi
  if jq -e '.pull_request.head.repo.full_name as $head | $head != null and $head != .pull_request.base.repo.full_name' "$GITHUB_EVENT_PATH" >/dev/null; then
    notice 'the plan is in the summary only: the token of a pull request from a fork cannot comment'
    finish "$verdict"
  fi
  local marker
  marker="<!-- pillion plan $(printf '%s' "${PILLION_DIRECTORY:-.}" | base64 | tr -d '\n') -->"
  { printf '%s\n' "$marker"; cat -- "$work/plan.md"; } >"$work/comment.md"
  post "$number" "$marker"
  finish "$verdict"
}

# Asks GitHub's API; the token is on no command line. Prints the answer and returns non-zero for an error.
api() {
  local method=$1 path=$2 status
  shift 2
  status=$(printf 'header = "Authorization: Bearer %s"\n' "$token" |
    curl --silent --show-error --config - --request "$method" --header 'Accept: application/vnd.github+json' \
      --output "$work/answer" --write-out '%{http_code}' "$@" -- "${GITHUB_API_URL:-https://api.github.com}$path") || return 1
  [ "$status" -ge 200 ] && [ "$status" -lt 300 ]
}

# One comment a folder: found by its first line, and only where a program wrote it.
post() {
  local number=$1 marker=$2 page=1 id=''
  # A comment has at most 65,536 characters; the plan keeps to less, and this is the last guard.
  jq --null-input --rawfile body "$work/comment.md" '{body: $body[0:65500]}' >"$work/body.json"
  while [ "$page" -le 20 ]; do
    api GET "/repos/$GITHUB_REPOSITORY/issues/$number/comments?per_page=100&page=$page" || break
    id=$(jq -r --arg marker "$marker" 'map(select(.user.type == "Bot" and (.body | startswith($marker)))) | first.id // empty' "$work/answer")
    if [ -n "$id" ] || [ "$(jq length "$work/answer")" -lt 100 ]; then break; fi
    page=$((page + 1))
  done
  if [ -n "$id" ]; then
    api PATCH "/repos/$GITHUB_REPOSITORY/issues/comments/$id" --data-binary "@$work/body.json" ||
      notice 'the comment could not be changed: the job needs `pull-requests: write`; the plan is in the summary'
  else
    api POST "/repos/$GITHUB_REPOSITORY/issues/$number/comments" --data-binary "@$work/body.json" ||
      notice 'no comment could be written: the job needs `pull-requests: write`; the plan is in the summary'
  fi
}

stage() {
  whole_history
  with_token
  plan_arguments
  local names=() name
  while IFS= read -r name; do
    if [ -n "$name" ]; then names+=("$name"); fi
  done <<<"${PILLION_SIDECARSETS:-}"
  run "$work/stage" stage --push "${arguments[@]}" -- "${names[@]}"
  show "$work/stage"
  local branches
  # Lines of commits begin with a blank. A branch that is removed or not needed is none.
  branches=$(sed -nE 's/^[^ ].*: `(.*)` is (as it was|made|made anew)(, and pushed)?$/\1/p' "$work/stage")
  put branches "$branches"
  if [ -n "$branches" ]; then put changed true; else put changed false; fi
  summarize_told Staged "$work/stage"
  finish "$code"
}

watch() {
  whole_history
  with_token
  run "$work/watch" watch --once
  show "$work/watch"
  summarize_told Watched "$work/watch"
  finish "$code"
}

# `main.sh install` only finds the binary: it gets the token for GitHub's attestations, and sees nothing of the
# repository. `main.sh run` gets the token only for commands that write.
what=${1:-all}
if [ "$what" != run ]; then
  install
  put binary "$pillion"
  if [ "$what" = install ]; then exit 0; fi
else
  pillion=${PILLION_BINARY:?}
fi
enter
case ${PILLION_COMMAND:-check} in
  check) check ;;
  plan)
    plan
    finish "$code"
    ;;
  comment) comment ;;
  stage) stage ;;
  watch) watch ;;
  *) fail "command: \`${PILLION_COMMAND}\` is none of check, plan, comment, stage and watch" ;;
esac
