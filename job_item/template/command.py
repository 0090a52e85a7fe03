"""Compiles the command of a job: reads its template, judges each tag by where it stands, makes it ready to render."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from job_item.codes import REGISTER
from job_item.template import legacy
from job_item.template.commands import COMMAND_NAME, Arguments, begin
from job_item.template.faults import Remark, TemplateError, TemplateFault, locate
from job_item.template.mustache import SYNTAX, Node, Section, Tag, Text, is_task_id, name_of, parse
from job_item.template.place import OPTION, SECOND, Place, Style
from job_item.template.program import Piece, build, render
from job_item.template.safe import encoder
from job_item.template.scope import Stack, root
from job_item.template.shell import SHELLS
from job_item.template.walk import Walk

UNKNOWN_SHELL = "ERR-RUN-113"
LEGACY = "ERR-RUN-118"


@dataclass(frozen=True, slots=True)
class Template:
    """The command of a job, ready to be rendered any number of times."""

    before: tuple[str, ...]
    """Words that stand before the rendered ones: `bash -c`, or nothing for a list command."""
    words: tuple[tuple[Piece, ...] | legacy.Legacy, ...]
    warnings: tuple[TemplateFault, ...] = ()

    def render(self, data: dict[str, Any] | list[Any], task_id: str) -> tuple[str, ...]:
        """Give the argument vector for one job; raises JobFailure where a value cannot stand where it would."""
        stack = root(data, task_id)
        return (*self.before, *(_render_word(word, stack) for word in self.words))


def _render_word(word: tuple[Piece, ...] | legacy.Legacy, stack: Stack) -> str:
    return word.render(stack[0]) if isinstance(word, legacy.Legacy) else render(word, stack)


def compile_command(
    cmd: str | tuple[str, ...], *, shell: str = "bash", render: Literal["safe", "legacy"] = "safe"
) -> Template:
    """Compile `cmd`: text for `shell -c`, or the words of a command that is run without a shell.

    Raises TemplateError with all faults (never with `render="legacy"`, which does as protocol job-item.md 4.3 says).
    """
    before = (shell, "-c") if isinstance(cmd, str) else ()
    texts = (cmd,) if isinstance(cmd, str) else tuple(cmd)
    if render == "legacy":
        return Template(before, tuple(legacy.Legacy(text) for text in texts), _warn_of_legacy(texts))
    return _compile_text(cmd, shell) if isinstance(cmd, str) else _compile_words(texts)


def _warn_of_legacy(texts: tuple[str, ...]) -> tuple[TemplateFault, ...]:
    if not any("{{" in text for text in texts):
        return ()
    return locate([Remark(LEGACY, "values are inserted without quoting", 0, warning=True)], "")


def _parse(text: str) -> tuple[tuple[Node, ...], tuple[Remark, ...]]:
    nodes, remarks = parse(text)
    if "\0" in text:
        remarks = (*remarks, Remark(SYNTAX, "the text holds a NUL character", text.index("\0")))
    return nodes, remarks


def _compile_text(text: str, shell: str) -> Template:
    nodes, remarks = _parse(text)
    places: dict[int, Place] = {}
    rewrites: dict[int, str] = {}
    if not remarks and not all(isinstance(node, Text) for node in nodes):
        name = shell.rsplit("/", 1)[-1]
        if name not in SHELLS:
            remarks = (Remark(UNKNOWN_SHELL, f"values cannot be quoted for the shell {shell!r}", nodes[0].offset),)
        else:
            walk = Walk(name)
            places = walk.run(nodes)
            rewrites = walk.findings.rewrites
            remarks = tuple(walk.remarks)
    warnings = _raise_faults(remarks, text)
    pieces = build(_rewritten(nodes, rewrites), lambda tag: encoder(places.get(tag.offset, _VERBATIM), name_of(tag)))
    return Template((shell, "-c"), (pieces,), warnings)


def _rewritten(nodes: tuple[Node, ...], rewrites: dict[int, str]) -> tuple[Node, ...]:
    """Put the characters that must be written in another way into the text."""
    if not rewrites:
        return nodes
    return tuple(_rewritten_node(node, rewrites) for node in nodes)


def _rewritten_node(node: Node, rewrites: dict[int, str]) -> Node:
    if isinstance(node, Section):
        return replace(node, body=_rewritten(node.body, rewrites))
    if isinstance(node, Text):
        chars = (rewrites.get(node.offset + at, char) for at, char in enumerate(node.text))
        return replace(node, text="".join(chars))
    return node


_VERBATIM = Place(Style.VERBATIM)


def _raise_faults(remarks: tuple[Remark, ...], text: str, place: str = "") -> tuple[TemplateFault, ...]:
    faults = [remark for remark in remarks if not remark.warning]
    if faults:
        raise TemplateError(locate(faults, text, place))
    return locate(remarks, text, place)


def _compile_words(texts: tuple[str, ...]) -> Template:
    """A list command: values are arguments as they are; only what its program does with them is judged."""
    words: list[tuple[Piece, ...]] = []
    faults: list[TemplateFault] = []
    warnings: list[TemplateFault] = []
    command: Arguments | None = None
    for number, text in enumerate(texts, 1):
        nodes, remarks = _parse(text)
        tags = _tags_of(nodes)
        begun = nodes[0].text if nodes and isinstance(nodes[0], Text) else ""
        remarks = remarks or _judge_word(command, begun, tags)
        place = f"word {number}, "
        faults += locate([remark for remark in remarks if not remark.warning], text, place)
        warnings += locate([remark for remark in remarks if remark.warning], text, place)
        words.append(build(nodes, lambda tag: encoder(_VERBATIM, name_of(tag))))
        if command is None:
            command = begin(begun, dynamic=bool(tags))
        else:
            command = command.step(begun, dynamic=bool(tags), tagged=bool(tags))
    if faults:
        raise TemplateError(tuple(faults))
    return Template((), tuple(words), tuple(warnings))


def _tags_of(nodes: tuple[Node, ...]) -> tuple[Tag | Section, ...]:
    return tuple(node for node in nodes if not isinstance(node, Text))


def _judge_word(command: Arguments | None, begun: str, tags: tuple[Tag | Section, ...]) -> tuple[Remark, ...]:
    if not tags:
        return ()
    tag = tags[0]
    if command is None:
        return (Remark(COMMAND_NAME, f"{name_of(tag)}: the value would name the command", tag.offset),)
    refused = command.refusal(begun) if command.runs_code else ""
    if refused:
        return (Remark(refused, f"{name_of(tag)}: {REGISTER[refused].meaning} ({command.name})", tag.offset),)
    remarks = []
    if second := command.warning(begun):
        remarks.append(Remark(SECOND, f"{name_of(tag)}: {second}", tag.offset, warning=True))
    may_be_option = not begun and not is_task_id(tag)
    if may_be_option and not command.ended_options and command.phase not in ("safe", "done"):
        message = f"{name_of(tag)}: a value that begins with `-` would be read as an option"
        remarks.append(Remark(OPTION, message, tag.offset, warning=True))
    return tuple(remarks)
