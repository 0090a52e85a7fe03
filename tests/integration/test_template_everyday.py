"""Everyday commands must load, and get the words that a benign value would give them, whatever the value is."""

from __future__ import annotations

from pathlib import Path

import pytest

from job_item.template import compile_command
from tests.shells import judge, replaced

BENIGN = "Zq7Zq"
OUTPUT = "[ -p /dev/stdin ] && /bin/cat > /dev/null; printf %s\\\\n out"
"""Each command reads what is piped to it, so that none before it dies of a closed pipe, and prints one line."""
HOSTILE = ("a b", 'it\'s "$HOME" `x` \\', "$(touch PWNED); touch PWNED", "*", "-rf", "\\")

COMMANDS = tuple(
    "awk basename cat chmod chown convert cp curl cut date docker echo ffmpeg find git grep head jq kubectl ls make "
    "mkdir mv node openssl psql python3 rm rsync sed sleep sort systemctl tail tar tee timeout touch tr uniq wc wget "
    "xargs".split()
)

SH = (
    "echo {{v}}",
    "echo '{{v}}'",
    'echo "{{v}}"',
    'echo "Hello {{v}}, task {{task_id}}"',
    "python3 process.py {{task_id}}.json; rm {{task_id}}.json",
    "python3 process.py --input {{task_id}}.json --name={{v}}",
    "cat {{v}} | grep -v '^#' | sort -u | head -n 10",
    "grep -c -- {{v}} /etc/hosts || echo none",
    'grep "{{v}}" log.txt | wc -l',
    "sort {{v}} | uniq -c | sort -rn > counts.txt",
    "curl -s -X POST -d '{\"a\":\"{{v}}\"}' http://localhost/x",
    "curl -fsS -H 'Content-Type: application/json' -d '{\"id\":\"{{task_id}}\",\"v\":\"{{v}}\"}' \"$URL\"",
    'curl -o "{{v}}" "http://example.org/files/{{v}}"',
    "curl --data-urlencode q={{v}} http://example.org/?x=1",
    "wget -q -O {{task_id}}.html 'http://example.org/?q={{v}}'",
    "awk '{print $1}' {{v}}",
    "awk -F: 'NR > 1 {print $1, $NF; n++} END {print n}' {{v}} | tail -n 1",
    "sed -e 's/a/b/g' -e '/^$/d' {{v}} > {{task_id}}.out",
    "jq --arg v {{v}} '.items[] | select(.name == $v)' data.json",
    "jq -r '.a | keys[]' {{task_id}}.json",
    "tar -czf {{task_id}}.tar.gz -C /data {{v}}",
    'tar xf "{{v}}" --strip-components=1',
    "rsync -az --delete ./out/ backup@host:{{v}}/",
    "docker run --rm -e NAME={{v}} -v \"$HOME:/work\" image:latest run {{v}}",
    "docker exec web ls -la /srv/{{v}}",
    "kubectl -n prod get pod {{v}} -o json",
    "git clone --depth 1 https://example.org/{{v}}.git && make -C {{v}} all",
    "mkdir -p /data/{{v}} && cd . && touch -- {{v}}",
    "[ -n {{v}} ] && echo yes || echo no",
    'if [ -f "{{v}}" ]; then echo found; else echo "missing {{v}}"; fi',
    'if [ "{{v}}" = "$MODE" ]; then echo a; elif test -d {{v}}; then echo b; fi; echo end',
    "for f in {{v}} b c; do echo \"$f\"; done",
    "for f in *.csv; do python3 load.py \"$f\" --into {{v}}; done",
    "for f in a b\ndo\n  echo \"$f\" {{v}}\ndone",
    "while read -r line; do echo \"$line\" {{v}}; break; done < /dev/null; echo {{v}}",
    "cat {{v}} | while read -r line; do echo \"$line\" '{{v}}'; done",
    "case {{v}} in start|stop) systemctl {{v}} app ;; *) echo \"what is {{v}}?\" ;; esac",
    "case \"$MODE\" in\n  a) echo {{v}} ;;\n  (b | c) echo no ;;\n  *) echo '{{v}}';;\nesac",
    "find /data -name '*.tmp' -mtime +{{n}} -delete",
    "find {{v}} -type f -exec ls -l {} \\;",
    "find . -type f -name {{v}} -print0 | xargs -0 ls -l",
    "greet() { echo \"Hello $1\"; }; greet {{v}}",
    "run () {\n  echo \"$@\" >&2\n  \"$@\"\n}\nrun echo {{v}}",
    "( cd . && echo {{v}} ) > out.txt 2>&1",
    "{ echo {{v}}; echo done; } | tee {{task_id}}.log",
    "echo {{v}} > {{task_id}}.txt 2>/dev/null < /dev/null",
    "echo err {{v}} >&2; echo {{v}} >> all.log",
    "sleep 0 & echo started {{v}}; wait",
    "d=$(date +%F); echo \"$d\" {{v}}",
    "echo \"backup-$(date +%F)-{{v}}.tar\"",
    "echo `date` \"{{v}}\"",
    "x=\"$(cat \"{{v}}\" | wc -l)\"; echo \"$x\"",
    "name=$(basename {{v}} .csv); echo \"${name:-{{v}}}\" \"${OUT:-/tmp/{{v}}}\"",
    "echo $(( {{n}} * 2 + 1 )) {{v}}",
    "i=0; while [ $i -lt {{n}} ]; do echo $i {{v}}; i=$((i + 1)); done",
    "A={{v}} B='{{v}}' node app.js --port 1",
    "export NAME={{v}}; echo \"$NAME\"",
    "set -eu; echo {{v}} | tr a-z A-Z",
    "set -- {{v}} b; for x; do echo \"$x\"; done",
    "cd . ; ls -la {{v}} | tail -n +2 | cut -d' ' -f1 ; true",
    "echo start # note: {{v}}\necho {{v}} # end",
    "# {{v}}\nls \\\n  -la \\\n  {{v}}",
    "cat <<'EOF' > config.ini\n[a]\nb = \"$c\nEOF\necho {{v}}",
    "! grep -q {{v}} /etc/hosts; echo $?",
    "timeout 60 python3 slow.py -- {{v}}",
    "ffmpeg -i {{v}} -vf scale=1280:-1 -c:a copy {{task_id}}.mp4",
    "convert {{v}} -resize 50% \"thumb-{{v}}\"",
    "chmod 644 -- {{v}}; chown app:app -- '{{v}}'",
    "psql -v ON_ERROR_STOP=1 -v name={{v}} -f query.sql",
    "openssl dgst -sha256 {{v}} | awk '{print $2}'",
    "printf '%s\\n' {{v}} | sort",
    "ls {{#l}}{{.}} {{/l}}{{#flag}}--all{{/flag}}{{^flag}}--some{{/flag}} {{v}}",
    "{{#l}}echo {{.}} && {{/l}}echo end",
)  # fmt: skip
BASH = (
    "for i in {1..{{n}}}; do echo $i {{v}}; done",
    "for ((i = 0; i < {{n}}; i++)); do echo $i \"{{v}}\"; done",
    "if [[ {{v}} == zz* && -n \"{{v}}\" ]]; then echo a; else echo {{v}}; fi",
    "[[ {{n}} -gt 1 ]] && echo {{v}}",
    "(( {{n}} > 1 )) && echo {{v}} || echo no",
    "files=({{v}} '{{v}}.bak'); ls \"${files[@]}\"",
    "grep x <<< {{v}}; read -r y <<< \"{{v}}\"; echo {{v}}",
    "set -euo pipefail; echo {{v}} |& tee out.log",
    "echo {{v}} &> {{task_id}}.log",
    "cp {{v}}{,.bak}; mv a-{{v}} b-{{v}}",
    "trap 'rm -f tmp' EXIT; echo {{v}}",
    "f() { local a={{v}}; echo \"$a\"; }; f",
    "function g { echo {{v}}; }; g",
    "while IFS=, read -r a b; do echo \"$a\" {{v}}; break; done < <(cat {{v}})",
)  # fmt: skip


def render(cmd: str, shell: str, value: str) -> str:
    data = {"v": value, "n": 3, "l": [value, "b"], "flag": True}
    return compile_command(cmd, shell=shell).render(data, "T1")[2]


@pytest.mark.parametrize(("shell", "table"), [("dash", SH), ("bash", SH + BASH), ("sh", SH)])
def test_everyday_commands_get_the_value_as_it_is(shell: str, table: tuple[str, ...], tmp_path: Path) -> None:
    benign, _ = judge(
        shell, [render(c, shell, BENIGN) for c in table], tmp_path / "a", names=COMMANDS, output=OUTPUT, timeout_s=280
    )
    pairs = [(cmd, value) for value in HOSTILE for cmd in table]
    texts = [render(cmd, shell, value) for cmd, value in pairs]
    got, made = judge(shell, texts, tmp_path / "b", names=COMMANDS, output=OUTPUT, timeout_s=280)
    expected = dict(zip(table, benign, strict=True))
    altered = [
        (cmd, value, sorted(records), sorted(replaced(expected[cmd], BENIGN, value)))
        for (cmd, value), records in zip(pairs, got, strict=True)
        if sorted(records) != sorted(replaced(expected[cmd], BENIGN, value)) or not records
    ]
    assert not altered, "\n".join(map(repr, altered))
    assert "PWNED" not in made


def test_there_are_at_least_sixty_everyday_commands() -> None:
    assert len(set(SH)) >= 60


@pytest.mark.parametrize("cmd", SH + BASH)
def test_a_plain_value_renders_as_plain_text_would(cmd: str) -> None:
    if "{{v}}{," not in cmd:
        plain = compile_command(cmd.replace("{{v}}", "plain.txt").replace("{{task_id}}", "T1"))
        data = {"v": "plain.txt", "n": 3, "l": ["plain.txt"], "flag": False}
        quoted = compile_command(cmd).render(data, "T1")[2]
        assert quoted.replace("'plain.txt'", "plain.txt") == plain.render(data, "T1")[2].replace(
            "'plain.txt'", "plain.txt"
        )
