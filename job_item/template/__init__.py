"""Templates of commands: Mustache whose values are, by default, literal text to the shell that reads them.

Theory of operation. A command is parsed once, when the settings are loaded: `mustache` reads it into a tree, `walk`
follows the shell's text through that tree with the scanner of `shell` (its grammar lies in `code`, `words`, `quotes`
and `expansions`, its memory in `frames`), `place` judges each tag by what is open around it, and `safe` makes the
function that writes values at that place. To render means to join text and written values (`program`, `scope`).
What cannot be judged is refused with its position, so that no value is ever inserted on a guess.
"""

from job_item.template.command import Template, compile_command
from job_item.template.faults import TemplateError, TemplateFault

__all__ = ["Template", "TemplateError", "TemplateFault", "compile_command"]
