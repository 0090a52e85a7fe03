"""What the end of a word means to the command it stands in: the part of the shell's grammar that tags depend on."""

from __future__ import annotations

import re

from job_item.template.commands import begin
from job_item.template.frames import NO_WORD, Frame, Heredoc, Kind, Want, Word
from job_item.template.stack import Stack

_BEFORE_COMMAND = frozenset("if then elif else while until do { ! time fi done esac }".split())
_FILE_DESCRIPTOR = re.compile(r"\d+|\{[A-Za-z_]\w*\}")
_ARITHMETIC_TESTS = frozenset("-eq -ne -lt -le -gt -ge".split())
_LOOPS = {"for": Want.LOOP_NAME, "select": Want.LOOP_NAME, "case": Want.CASE_WORD, "function": Want.FUNCTION}
_NEXT = {
    Want.LOOP_NAME: Want.LOOP_IN,
    Want.CASE_WORD: Want.CASE_IN,
    Want.FUNCTION: Want.COMMAND,
}


def end_word(stack: Stack) -> None:
    """Take the word that was being read, if there is one."""
    frame = stack.top
    word = frame.word
    if not word.started:
        return
    stack.change(word=NO_WORD)
    if frame.kind is Kind.TEST:
        _end_test_word(stack, frame, word)
    elif frame.kind is Kind.ARRAY:
        pass
    elif frame.want is Want.COMMAND:
        _end_command_word(stack, word)
    elif frame.want is Want.ARGUMENT:
        _end_argument(stack, frame, word)
    elif frame.want is Want.DELIMITER:
        heredoc = Heredoc(word.text, word.quoted, frame.strip_tabs)
        stack.change(heredocs=(*frame.heredocs, heredoc), want=frame.back)
        if word.dynamic:
            stack.lose("the delimiter of a here-document is not plain text")
    elif frame.want in (Want.REDIRECTION, Want.DESCRIPTOR):
        stack.change(want=frame.back)
    else:
        _end_keyword_place(stack, frame, word)


def end_descriptor(stack: Stack) -> None:
    """Take the word before `<` or `>`: a number or `{name}` belongs to the redirection."""
    word = stack.top.word
    stack.mark_tags()
    if _FILE_DESCRIPTOR.fullmatch(word.text) and not word.quoted and not word.dynamic:
        stack.change(word=NO_WORD)
    else:
        end_word(stack)


def _end_command_word(stack: Stack, word: Word) -> None:
    plain = not (word.quoted or word.dynamic)
    if word.assigned:
        return
    if plain and word.text in _BEFORE_COMMAND:
        if word.text == "esac" and stack.top.kind is Kind.CASE:
            stack.pop()
            stack.end_command()
        return
    if plain and word.text in _LOOPS:
        stack.change(want=_LOOPS[word.text])
    elif plain and word.text == "[[":
        stack.push(Kind.TEST)
    elif plain and word.text == "coproc":
        stack.lose("coproc is not supported")
    elif word.unsure:
        stack.lose("the name of a command is put together by a section")
    elif not word.text.startswith("-"):
        stack.change(want=Want.ARGUMENT, command=begin(word.text, dynamic=word.dynamic))


def _end_argument(stack: Stack, frame: Frame, word: Word) -> None:
    command = frame.command.step(word.text, dynamic=word.dynamic, tagged=bool(word.tags))
    stack.change(command=command)
    if frame.command.is_declaring and word.text.startswith("-"):
        stack.findings.arrays |= bool(set(word.text) & set("aA"))
        stack.findings.integer_variables |= "i" in word.text
    if frame.command.name == "let":
        stack.findings.evaluate(f" {word.text} ")
    if frame.command.name in ("mapfile", "readarray", "read"):
        stack.findings.arrays = True


def _end_keyword_place(stack: Stack, frame: Frame, word: Word) -> None:
    text = "" if word.quoted or word.dynamic else word.text
    if frame.want in _NEXT:
        stack.change(want=_NEXT[frame.want], text=text)
    elif frame.want is Want.LOOP_IN:
        stack.change(want=Want.LOOP_WORD if text == "in" else Want.COMMAND)
        if text not in ("in", "do"):
            stack.lose("a loop is not written as usual")
    elif frame.want is Want.CASE_IN:
        stack.end_command()
        stack.push(Kind.CASE)
        stack.change(want=Want.PATTERN)
        if text != "in":
            stack.lose("a case is not written as usual")
    elif frame.want is Want.PATTERN and text == "esac":
        stack.pop()
        stack.end_command()


def _end_test_word(stack: Stack, frame: Frame, word: Word) -> None:
    text = "" if word.quoted or word.dynamic else word.text
    if text == "]]":
        stack.pop()
        stack.end_command()
        return
    if frame.text in _ARITHMETIC_TESTS:
        _compare_integers(stack, word)
    if text in _ARITHMETIC_TESTS:
        _compare_integers(stack, frame.prior)
    stack.change(text=text, prior=word)


def _compare_integers(stack: Stack, word: Word) -> None:
    stack.findings.integers |= word.tags
    stack.findings.evaluate(f" {word.text} {word.names} ")
