#!/usr/bin/env bash
# A job's script with bash and curl: counts what is in its task file, uploads the count, hands in a result.
set -euo pipefail

# Text as a JSON string.
json() {
    local text=${1//\\/\\\\}
    text=${text//\"/\\\"}
    text=${text//$'\n'/\\n}
    text=${text//$'\t'/\\t}
    printf '"%s"' "$text"
}

notify() {
    curl --silent --show-error --fail --max-time 30 --retry 3 \
        --header 'Content-Type: application/json' \
        --data "{\"msg\": $(json "$1")}" "$JOB_ITEM_MSG_NOTIF_HOST" >/dev/null
}

# The key of the project comes from standard input, so that the list of processes does not show it.
with_key() {
    curl --silent --show-error --fail-with-body --retry 3 --header @- "$@" \
        <<<"Authorization: Bearer $JOB_ITEM_PROJECT_KEY"
}

work=$(mktemp -d)
tidy_up() {
    local code=$?
    rm -rf "$work"
    if [ "$code" -ne 0 ]; then
        notify "report failed" || true
        exit 1
    fi
}
trap tidy_up EXIT

notify "report begins"
input=$JOB_ITEM_TASK_ID.json
bytes=$(($(wc -c <"$input")))

notify "report is written"
printf 'name,value\nbytes,%d\n' "$bytes" >"$work/report.csv"

answer=$(with_key --form "file=@$work/report.csv" "$JOB_MANAGER_UPLOAD_FILE")

with_key --header 'Content-Type: application/json' \
    --data "{\"status\": \"completed\", \"result\": {\"bytes\": $bytes, \"upload\": $answer}}" \
    "$JOB_MANAGER_RESULT_URL"
echo

notify "report is done: $bytes bytes"
