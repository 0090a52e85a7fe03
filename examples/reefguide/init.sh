#!/bin/sh
# Makes a folder for a ReefGuide worker on this machine: settings, handlers, data. What is there already stays.
# Usage: sh examples/reefguide/init.sh [FOLDER]    (examples/reefguide/sandbox where none is named)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
folder=${1:-$here/sandbox}
sh "$root/tools/setup" dev

mkdir -p "$folder/cache"
for file in "$here"/worker/*.py; do
    [ -e "$folder/$(basename "$file")" ] || cp "$file" "$folder"
done
if [ ! -e "$folder/.env" ]; then
    (umask 077 && cp "$here/.env.dist" "$folder/.env")
fi
[ -d "$folder/data" ] || "${VENV:-$root/.venv}/bin/python" "$folder/raster.py" "$folder/data"
echo "Ready: $folder"
echo "Go on with: sh examples/reefguide/start.sh${1:+ $1}"
