#!/bin/sh
# Starts a stand-in of the ReefGuide API, an S3 server and a node, until Ctrl-C; edits of the handlers act at once.
# Usage: sh examples/reefguide/start.sh [FOLDER]    (the folder that init.sh has made)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
folder=${1:-$here/sandbox}
[ -e "$folder/.env" ] || sh "$here/init.sh" ${1:+"$1"}
folder=$(cd "$folder" && pwd)
cd "$root"
exec "${VENV:-$root/.venv}/bin/python" -m examples.reefguide.start "$folder"
