"""The documentation as tests see it: its files, their code, their links, the names in them.

Only as much Markdown as these pages use: fenced and indented code, code spans, inline links,
headings, tables.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).resolve().parents[2]
PATTERNS = ("*.md", "docs/**/*.md", "engine/*.md", "bench/*.md", "examples/**/*.md")

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_INDENTED = re.compile(r"^ {4}(?:\$ )?(trimalloc .*)$", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} +(.+)$", re.MULTILINE)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
# A JSON list in a Dockerfile or a Kubernetes manifest.
_WORD_LIST = re.compile(r'\["trimalloc",.*?\]')
# `trimalloc ...` inside another word: a command substitution, or the value of a unit's setting.
_NESTED = re.compile(r"\$\((trimalloc [^)]*)\)|^ExecStart=(.*)$", re.MULTILINE)
_ENDS_COMMAND = {"|", "||", "&&", ";", "&", ">", ">>", "<"}


class Block(NamedTuple):
    """A fenced block: its language, and its text."""

    language: str
    text: str


@dataclass(frozen=True)
class Document:
    """One Markdown file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(CHECKOUT))

    @property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """What is outside fenced blocks."""
        return _FENCE.sub("", self.text)

    def blocks(self, *languages: str) -> list[Block]:
        """The fenced blocks in any of `languages`; all of them without one."""
        found = [Block(*groups) for groups in _FENCE.findall(self.text)]
        return [block for block in found if not languages or block.language in languages]

    def spans(self) -> list[str]:
        """The code spans of the prose."""
        return _SPAN.findall(self.prose)

    def links(self) -> list[str]:
        """The targets of the prose's links."""
        return _LINK.findall(self.prose)

    def anchors(self) -> set[str]:
        """What a link to a heading may name, by the rules of GitHub."""
        return {anchor(heading) for heading in _HEADING.findall(self.prose)}

    def commands(self) -> Iterator[list[str]]:
        """The words of every `trimalloc` command line, the program's name left out."""
        for span in self.spans():
            if span.startswith("trimalloc ") and "…" not in span:
                yield from _commands_in_line(span)
        for block in self.blocks("console", "sh", "ini", "dockerfile", "yaml"):
            for words in _WORD_LIST.findall(block.text):
                yield json.loads(words)[1:]
            for match in _NESTED.finditer(block.text):
                yield from _commands_in_line(match[1] or match[2])
            if block.language in {"console", "sh"}:
                for line in block.text.replace("\\\n", " ").splitlines():
                    yield from _commands_in_line(line.removeprefix("$ "))
        for line in _INDENTED.findall(self.prose):
            yield from _commands_in_line(line)

    def table_rows(self) -> list[list[str]]:
        """The cells of every table row."""
        lines = [line for line in self.prose.splitlines() if line.startswith("| ")]
        return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def anchor(heading: str) -> str:
    """The name that a heading can be linked by."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")


def documents() -> list[Document]:
    """Every page, in order."""
    return [Document(path) for pattern in PATTERNS for path in sorted(CHECKOUT.glob(pattern))]


def _commands_in_line(line: str) -> Iterator[list[str]]:
    """The `trimalloc` commands of one line of shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.wordchars += "$…@{}^%+,:"
    try:
        words = list(lexer)
    except ValueError:  # a quote that the prose around it closes
        return
    command: list[str] = []
    for word in [*words, ";"]:
        if word not in _ENDS_COMMAND:
            command.append(word)
            continue
        yield from _own_part(command)
        command = []


def _own_part(command: list[str]) -> Iterator[list[str]]:
    """The words after `trimalloc` in a command: behind variables, or inside sudo's or docker's."""
    words = list(command)
    while words and _ASSIGNMENT.match(words[0]):
        words.pop(0)
    names = [Path(word).name for word in words]
    if "trimalloc" not in (names if words[:1] in (["sudo"], ["docker"]) else names[:1]):
        return
    rest = words[names.index("trimalloc") + 1 :]
    yield [word for word in rest if word != "IMAGE"]
