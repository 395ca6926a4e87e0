"""The documentation says what is: commands parse, settings exist, links lead somewhere, examples
run, and the functions and files that it names are there."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from argparse import ArgumentParser
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path

import pytest
from support.preload import clean_environment

import trimalloc
from python.documents import CHECKOUT, Document, documents
from trimalloc.cli import engine_options
from trimalloc.cli.main import command_parser
from trimalloc.collected import fields as fields_of_records
from trimalloc.sizes import parse_size

DOCUMENTS = documents()
COMMANDS = ("run", "env", "stats", "size-classes", "doctor", "compare")
PLACEHOLDERS = {"PID": "1", "$PID": "1", "SIZE": "1G", "S": "1", "N": "1"}
REFERENCE = CHECKOUT / "docs" / "reference"

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=str)


# --- commands -------------------------------------------------------------------------------


@each_document
def test_every_command_line_is_understood(document: Document) -> None:
    for words in document.commands():
        assert _is_understood(words), f"trimalloc {' '.join(words)}"


def _is_understood(words: list[str]) -> bool:
    if words[0] in {"COMMAND", "--help", "--version"}:
        return True
    if words[0] not in COMMANDS:
        return False
    if words[0] == "run":
        given = [PLACEHOLDERS.get(word, word) for word in words[1:]]
        _, program = engine_options.read_options(given)
        return program[:1] in ([], ["-m"], ["-c"], ["--"]) or not program[0].startswith("-")
    own = words[1 : words.index("--")] if "--" in words else words[1:]
    try:
        args = command_parser(words[0]).parse_args([PLACEHOLDERS.get(word, word) for word in own])
    except SystemExit as end:
        return end.code == 0
    # `--watch PID` parses too, as so many seconds.
    return "PID" not in own or args.pid is not None


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_described(name: str) -> None:
    text = (REFERENCE / "command-line.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    described = sections[name] + sections["Options of the engine"]
    for option in _options(command_parser(name)) - {"-h", "--help"}:
        assert f"`{option}" in described or f"[{option}" in described, option


def _options(parser: ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings}


# --- settings -------------------------------------------------------------------------------

_ASK_SETTINGS = """
import errno, json
from trimalloc import _native
_native.stats()
def is_live(name, value):
    try:
        _native.set_setting(name, value)
    except OSError as error:
        return error.errno != errno.EACCES
    return True
known = _native.settings()
print(json.dumps({name: (value, is_live(name, value)) for name, (value, _) in known.items()}))
"""


@cache
def _settings() -> dict[str, tuple[str, bool]]:
    """Each setting's variable, with its default and whether it may change while a program runs."""
    done = subprocess.run(
        [sys.executable, "-c", _ASK_SETTINGS],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return {f"TRIMALLOC_{name.upper()}": entry for name, entry in json.loads(done.stdout).items()}


def test_the_settings_page_tells_every_default() -> None:
    rows = {row[0].strip("`"): row for row in Document(REFERENCE / "settings.md").table_rows()}
    for variable, (default, live) in _settings().items():
        assert variable in rows, f"{variable} is not on the page"
        _, told, _, when, *_ = rows[variable]
        told = told.strip("`")
        same = told == default or (default.isdigit() and parse_size(told) == int(default))
        assert same, f"{variable} is {default} by default, the page says {told}"
        assert when == ("live" if live else "at start only"), variable


@each_document
def test_no_variable_is_invented(document: Document) -> None:
    headers = [f"include/trimalloc/{name}.h" for name in ("trimalloc", "heap", "containers")]
    sources = ("CMakeLists.txt", "cmake/engine.cmake", *headers, "engine/base/check.h")
    others = {"TRIMALLOC_COMPARE_REPORT", "TRIMALLOC_COMPARE_IDLE", "TRIMALLOC_LIBRARY"}
    # Of collected heaps, not of malloc.
    others |= {"TRIMALLOC_PROCS", "TRIMALLOC_MARKERS", "TRIMALLOC_GCTRACE"}
    for source in sources:
        others |= set(_variables_in((CHECKOUT / source).read_text(encoding="utf-8")))
    for name in _variables_in(document.text):
        assert name in others or name in _settings(), name


def _variables_in(text: str) -> list[str]:
    return re.findall(r"\bTRIMALLOC_[A-Z_]*[A-Z]\b", text)


# --- links ----------------------------------------------------------------------------------


@each_document
def test_every_link_leads_somewhere(document: Document) -> None:
    for target in document.links():
        if re.match(r"[a-z]+:", target):
            continue
        file, _, name = target.partition("#")
        path = (document.path.parent / file).resolve() if file else document.path
        assert path.exists(), target
        if name:
            assert name in Document(path).anchors(), target


# --- examples -------------------------------------------------------------------------------

_RUN_EXAMPLES = """
import doctest, sys
test = doctest.DocTestParser().get_doctest(sys.stdin.read(), {}, sys.argv[1], sys.argv[1], 0)
runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
sys.exit(min(runner.run(test).failed, 1))
"""


@each_document
def test_python_sessions_run(document: Document, tmp_path: Path) -> None:
    sessions = "\n".join(block.text for block in document.blocks("pycon"))
    if not sessions:
        return
    done = subprocess.run(
        [sys.executable, "-m", "trimalloc", "run", "-c", _RUN_EXAMPLES, str(document)],
        env=clean_environment(),
        cwd=tmp_path,
        input=sessions,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@each_document
def test_python_and_json_are_well_formed(document: Document) -> None:
    for block in document.blocks("python"):
        ast.parse(block.text)
    for block in document.blocks("json"):
        json.loads(block.text)


def test_the_c_example_compiles(tmp_path: Path) -> None:
    for number, block in enumerate(Document(REFERENCE / "c.md").blocks("c")):
        source = tmp_path / f"{number}.c"
        source.write_text(block.text, encoding="utf-8")
        include = f"-I{CHECKOUT / 'include'}"
        subprocess.run(["cc", "-fsyntax-only", "-Wall", "-Werror", include, source], check=True)


# --- the interfaces -------------------------------------------------------------------------


def test_the_python_page_describes_every_name() -> None:
    page = Document(REFERENCE / "python.md")
    headings = {anchor.partition("(")[0] for anchor in re.findall(r"^### `(\w+)", page.text, re.M)}
    # What stands in annotations shares a table.
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", page.text, re.M)
    listed = {name for row in rows for name in re.findall(r"\w+", row)}
    kinds = {name for name in trimalloc.__all__ if name in vars(fields_of_records)}
    assert headings == set(trimalloc.__all__) - {"__version__"} - kinds
    assert kinds <= listed
    spans = set(page.spans())
    for name in trimalloc.__all__:
        value = getattr(trimalloc, name)
        if not (isinstance(value, type) and is_dataclass(value)):
            continue
        properties = {key for key, one in vars(value).items() if isinstance(one, property)}
        missing = {field.name for field in fields(value)} | properties
        assert not missing - spans, name


def test_the_c_page_describes_every_function() -> None:
    spans = set(Document(REFERENCE / "c.md").spans())
    header = (CHECKOUT / "include/trimalloc/trimalloc.h").read_text(encoding="utf-8")
    assert not set(re.findall(r"\(\*(\w+)\)\(", header)) - {"get", "hook"} - spans
    for file in ("c_interface.cc", "glibc_interface.cc"):
        source = (CHECKOUT / "engine/frontends/malloc" / file).read_text(encoding="utf-8")
        exported = re.findall(r"^TRI_EXPORT [\w *]*?(\w+)\(", source, re.MULTILINE)
        assert exported
        assert not set(exported) - {"wide_mallinfo"} - spans


# --- the engine's page ----------------------------------------------------------------------

ENGINE_PAGE = Document(CHECKOUT / "engine" / "README.md")


@cache
def _engine_code() -> str:
    """All of it, without comments."""
    sources = [*(CHECKOUT / "engine").rglob("*.h"), *(CHECKOUT / "engine").rglob("*.cc")]
    text = "\n".join(source.read_text(encoding="utf-8") for source in sources)
    return re.sub(r"//.*", "", text)


def test_the_engine_page_names_files_that_are_there() -> None:
    for span in ENGINE_PAGE.spans():
        if re.fullmatch(r"[\w/]+\.(h|cc|py|md)", span):
            places = (CHECKOUT / "engine" / span, CHECKOUT / span)
            assert any(place.is_file() for place in places), span


def test_the_engine_page_names_what_the_code_has() -> None:
    words = set(re.findall(r"\w+", _engine_code()))
    for span in ENGINE_PAGE.spans():
        if re.fullmatch(r"\w+(::\w+)?", span):
            assert not set(span.split("::")) - words, span


def test_the_engine_page_gives_constants_their_value() -> None:
    told = re.findall(r"`(k\w+)` \((\d+) (\w+)\)", ENGINE_PAGE.prose)
    assert told
    for name, number, unit in told:
        definition = re.search(rf"\b{name} = ([^;]+);", _engine_code())
        assert definition, name
        expected = number if unit == "ms" else f"{number} * k{unit}"
        assert definition[1] == expected, f"{name} is {definition[1]}, not {number} {unit}"
