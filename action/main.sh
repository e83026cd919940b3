#!/usr/bin/env bash
# Runs one command of pillion in a workflow of GitHub Actions. All input comes from the environment (see action.yml) and
# is data: names of branches, files and inputs are quoted everywhere and never evaluated.
set -euo pipefail
unset BASH_ENV ENV CDPATH
export LC_ALL=C.UTF-8
# The token is a variable of this shell only: no program that it starts finds it in its environment.
token=${PILLION_TOKEN:-}
unset PILLION_TOKEN

# ---- output

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
# Ends the step: `fail` if the environment is at fault, `reject` if an input or the checkout is. The exit codes are those
# of pillion. Errors go to standard error, because both may be called inside a substitution.
fail() { end_with failed 3 "$1"; }
reject() { end_with usage-error 2 "$1"; }
end_with() {
  printf '::error title=pillion::%s\n' "$(escaped "$3")" >&2
  put result "$1"
  exit "$2"
}

# Sets an output. Its text cannot end itself, because the delimiter is random.
put() {
  local delimiter
  delimiter="end-$(random)"
  printf '%s<<%s\n%s\n%s\n' "$1" "$delimiter" "$2" "$delimiter" >>"$outputs"
}
random() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

# Prints text of the repository into the log, without interpreting its lines as workflow commands.
show() {
  local token
  token=$(random)
  printf '::stop-commands::%s\n' "$token"
  cat -- "$1"
  printf '\n::%s::\n' "$token"
}

# Appends to the summary, which has at most 1 MiB per step.
summarize() { head -c 900000 -- "$1" >>"$summary"; }

# Appends the output of a command, if any.
summarize_output() {
  if [ ! -s "$2" ]; then return; fi
  { printf '### %s\n\n```text\n' "$1"; sed 's/```/` ` `/g' "$2"; printf '\n```\n'; } >"$work/text"
  summarize "$work/text"
}

# Prints findings as annotations, most severe first, because GitHub shows the first ten of each level. The summary has all.
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
  # Lines that are not findings: environment errors and hints.
  grep -av '^::' "$1" >"$work/rest" || true
  if [ -s "$work/rest" ]; then show "$work/rest"; fi
}

# ---- the program

# Finds or downloads the binary. It never compiles one.
install() {
  if [ -n "${PILLION_BINARY:-}" ]; then
    [ -x "$PILLION_BINARY" ] || reject "binary-path: \`$PILLION_BINARY\` is not an executable file"
    pillion=$PILLION_BINARY
    return
  fi
  if [ -z "${PILLION_VERSION:-}" ] && pillion=$(command -v pillion); then return; fi
  local version=${PILLION_VERSION:-}
  if [ -z "$version" ]; then version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$GITHUB_ACTION_PATH/Cargo.toml" | head -n 1); fi
  [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] || reject "version: \`$version\` is not like 1.2.3"
  local repository=${PILLION_ACTION_REPOSITORY:-}
  [[ $repository =~ ^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$ ]] ||
    fail "\`pillion\` is not on PATH, and the repository of the action is unknown: put it on PATH or set \`binary-path\`"
  local server=${GITHUB_SERVER_URL:-https://github.com} target
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) target=x86_64-unknown-linux-musl ;;
    Linux-aarch64) target=aarch64-unknown-linux-musl ;;
    Darwin-arm64) target=aarch64-apple-darwin ;;
    Darwin-x86_64) target=x86_64-apple-darwin ;;
    *) fail "there is no binary for $(uname -s) on $(uname -m): set \`binary-path\`" ;;
  esac
  local archive="pillion-$target-v$version.tgz" from="$server/$repository/releases/download/v$version" sum
  # The checksums were committed before the tag of the action, so a release cannot bring its own.
  sum=$(awk -v name="$archive" '$2 == name { print $1 }' "$GITHUB_ACTION_PATH/action/SHA256SUMS")
  [[ $sum =~ ^[0-9a-f]{64}$ ]] ||
    fail "action/SHA256SUMS has no checksum of \`$archive\`: use a commit of the action that has it, or set \`binary-path\`"
  # The cache contains the archive and not its content, so a change of the cache is detected.
  local cache="${RUNNER_TOOL_CACHE:-$work}/pillion/$version"
  if ! [ -f "$cache/$archive" ] || [ "$(digest "$cache/$archive")" != "$sum" ]; then
    fetch "$from/$archive" -o "$work/$archive" || fail "\`$from/$archive\` cannot be downloaded: put \`pillion\` on PATH or set \`binary-path\`"
    [ "$(digest "$work/$archive")" = "$sum" ] || fail "\`$archive\` does not match its checksum: it is not used"
    attested "$work/$archive" "$repository"
    mkdir -p -- "$cache"
    cp -- "$work/$archive" "$cache/.$archive.$$" && mv -- "$cache/.$archive.$$" "$cache/$archive"
  fi
  # A copy is compared and unpacked, in case another process changes the cache in between.
  cp -- "$cache/$archive" "$work/checked.tgz"
  [ "$(digest "$work/checked.tgz")" = "$sum" ] || fail "\`$archive\` does not match its checksum: it is not used"
  tar -xzf "$work/checked.tgz" -C "$work" "${archive%.tgz}/pillion"
  pillion=$work/${archive%.tgz}/pillion
}

# Asks GitHub whether the release workflow of the repository built an archive, if the runner has gh and a token.
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

# Runs pillion. Data goes to one file, findings to another, the exit code to `code`.
run() {
  local data=$1
  shift
  code=0
  "$pillion" --color never --message-format github "$@" >"$data" 2>"$work/findings" || code=$?
  annotate "$work/findings"
}

# Sets the output `result` to a word for the exit code, and ends the step. A waiting `watch` succeeds.
finish() {
  local word
  case $1 in
    0) word=done ;;
    1) word=findings ;;
    2) word=usage-error ;;
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

# Enters the folder of pillion.yaml, and never leaves the workspace.
enter() {
  local workspace=${GITHUB_WORKSPACE:-$PWD} folder
  workspace=$(cd -- "$workspace" && pwd -P)
  folder=$(cd -- "$workspace" && cd -- "${PILLION_DIRECTORY:-.}" 2>/dev/null && pwd -P) ||
    reject "working-directory: \`${PILLION_DIRECTORY:-}\` is not a folder"
  case $folder/ in
    "$workspace"/*) cd -- "$folder" ;;
    *) reject "working-directory: \`${PILLION_DIRECTORY:-}\` is outside of the workspace" ;;
  esac
}

# Fails in a shallow clone: rollouts read the history.
whole_history() {
  if [ "$(git rev-parse --is-shallow-repository 2>/dev/null)" = true ]; then
    reject 'the clone is shallow: set `fetch-depth: 0` of actions/checkout'
  fi
}

# Prints the commit that ledgers are compared with, or nothing.
base() {
  local base=${PILLION_BASE:-}
  if [ -z "$base" ] && [ -n "${PILLION_BASE_REF:-}" ]; then base="refs/remotes/origin/$PILLION_BASE_REF"; fi
  if [ -n "$base" ]; then
    git rev-parse --verify --quiet --end-of-options "$base^{commit}" ||
      git rev-parse --verify --quiet --end-of-options "refs/remotes/origin/$base^{commit}" ||
      reject "base: \`$base\` is not a commit in this clone: set \`fetch-depth: 0\` of actions/checkout"
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
    { printf '### Rendered files are not up to date\n\n```diff\n'; sed 's/```/` ` `/g' "$diff" | head -c 400000; printf '\n```\n'; } >"$work/text"
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
  if [ -n "${PILLION_CLUSTER_STATE:-}" ]; then arguments+=("--cluster-state=$PILLION_CLUSTER_STATE"); fi
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
    notice 'the plan is in the summary only: this is not a pull request'
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

# Sends a request to GitHub's API, with the token outside of the command line. Returns non-zero on an error.
api() {
  local method=$1 path=$2 status
  shift 2
  status=$(printf 'header = "Authorization: Bearer %s"\n' "$token" |
    curl --silent --show-error --config - --request "$method" --header 'Accept: application/vnd.github+json' \
      --output "$work/answer" --write-out '%{http_code}' "$@" -- "${GITHUB_API_URL:-https://api.github.com}$path") || return 1
  [ "$status" -ge 200 ] && [ "$status" -lt 300 ]
}

# Writes one comment per folder. An earlier one is found by its first line, if a program wrote it.
post() {
  local number=$1 marker=$2 page=1 id=''
  # A comment has at most 65,536 characters. The plan stays below; this is a safeguard.
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
      notice 'the comment could not be written: the job needs `pull-requests: write`; the plan is in the summary'
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
  # Lines of commits start with a blank. Branches that are removed or not needed are left out.
  branches=$(sed -nE 's/^[^ ].*: `(.*)` (unchanged|created|recreated)( and pushed)?$/\1/p' "$work/stage")
  put branches "$branches"
  if [ -n "$branches" ]; then put changed true; else put changed false; fi
  summarize_output Staged "$work/stage"
  finish "$code"
}

# Renders the commit of HEAD onto the deploy branch of the two-branch layout.
render() {
  whole_history
  with_token
  [ -n "${PILLION_DEPLOY_BRANCH:-}" ] || reject 'deploy-branch: `render` needs the branch that the cluster follows'
  run "$work/render" render --push "--branch=$PILLION_DEPLOY_BRANCH"
  show "$work/render"
  summarize_output Rendered "$work/render"
  finish "$code"
}

watch() {
  whole_history
  with_token
  run "$work/watch" watch --once
  show "$work/watch"
  summarize_output Watched "$work/watch"
  finish "$code"
}

# `main.sh install` only finds the binary: it gets the token for GitHub's attestations, and reads no file of the
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
  render) render ;;
  watch) watch ;;
  *) reject "command: \`${PILLION_COMMAND}\` must be check, plan, comment, stage, render or watch" ;;
esac
