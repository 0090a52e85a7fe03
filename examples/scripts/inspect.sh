#!/usr/bin/env bash
# Shows what a job gets from the node: its directory, its variables, its values. The project's key is not printed.
set -euo pipefail

echo "directory:  $PWD"
echo "task:       $JOB_ITEM_TASK_ID"
echo "project:    $JOB_ITEM_PROJECT_ID"
echo "notify at:  $JOB_ITEM_MSG_NOTIF_HOST"
echo "values, as variables:"
env | grep '^JOB_ITEM_DATA_' | sort | sed 's/^/  /' || echo "  (none)"
echo "values, in $JOB_ITEM_TASK_ID.json:"
cat "$JOB_ITEM_TASK_ID.json"
echo
