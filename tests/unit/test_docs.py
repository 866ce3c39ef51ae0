"""The documentation is true: what it shows runs, what it lists is all there is, and its links lead somewhere.

A fenced block is checked by what stands on the line above it:

- ``<!-- file: NAME -->``: the block is written to NAME in an empty folder, for the blocks after it;
- ``<!-- exit: N -->``: the last command of the block ends with this code and not with 0;
- ``<!-- not run: WHY -->``: the block is left alone.

Any other ``console`` block is run: lines ``$ sundog …`` are commands, the lines below are their output, each of which
must come, in this order and with nothing between (``…`` stands for anything, and a line of it alone for lines left
out; a command without any output below it may print what it will). Python blocks are executed, and yaml blocks must
load as a scenario, or as a part of one.
"""

from __future__ import annotations

import json
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import pytest
import typer
from pydantic import BaseModel, TypeAdapter
from ruamel.yaml import YAML

from sundog.cli.main import PARTIAL, app, main
from sundog.core.scheduler import BUILT_IN, DEFAULT_FILTERS, GROUP_POLICIES, TOO_LARGE
from sundog.core.scheduler.filters import NOVA_FILTERS
from sundog.core.scheduler.nova_options import DEFAULTS
from sundog.core.scheduler.weighers import NOVA_WEIGHERS
from sundog.errors import SundogError
from sundog.scenarios.load import library, load_scenario
from sundog.scenarios.schema import Scenario
from sundog.scenarios.what_if import HostEntry, RequestEntry
from sundog.sim.workload import batches, laws
from sundog.sim.workload.spec import presets

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
LESSONS = [page for page in PAGES if page.parent.name in ("tutorial", "howto", "explanation")]
WIDTH = 100


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what the comment above says, and its text."""

    line: int
    language: str
    mark: str
    text: str

    def marked(self, what: str) -> str | None:
        """What the comment says under ``what``."""
        match = re.fullmatch(rf"<!-- {what}: (.*) -->", self.mark)
        return match[1] if match else None


def blocks(page: Path) -> list[Block]:
    found, lines = [], page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        if lines[number].startswith("```"):
            first = number
            number = lines.index("```", first + 1)
            mark = lines[first - 1].strip() if first else ""
            found.append(Block(first + 1, lines[first][3:].strip(), mark, "\n".join(lines[first + 1 : number]) + "\n"))
        number += 1
    return found


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def read(*parts: str) -> str:
    return DOCS.joinpath(*parts).read_text(encoding="utf-8")


# ---------------------------------------------------------------- what is shown runs


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder; modules imported from it are forgotten, and Ctrl-C is as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.setattr(sys, "path", [*sys.path])
    handler = signal.getsignal(signal.SIGINT)
    yield tmp_path
    signal.signal(signal.SIGINT, handler)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "") or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("page", LESSONS, ids=lambda page: page.stem)
def test_what_a_lesson_shows_really_happens(page: Path, empty_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    names = {"__name__": "lesson"}  # what one python block defines is there for the next one
    for block in blocks(page):
        name = block.marked("file")
        if block.marked("not run") is not None:
            continue
        if name is not None:
            (empty_folder / name).write_text(block.text, encoding="utf-8")
            sys.modules.pop(Path(name).stem, None)  # another test may have had a module of that name
        if block.language == "console":
            _run(block, capfd)
        elif block.language == "python" and name is None:
            exec(compile(block.text, f"{page.name}:{block.line}", "exec"), names)
        elif block.language == "yaml":
            _loads(block, empty_folder)


def _run(block: Block, capfd: pytest.CaptureFixture[str]) -> None:
    parts = re.split(r"^\$ ", block.text.replace("\\\n", " "), flags=re.MULTILINE)[1:]
    assert parts, f"line {block.line}: a console block without a command"
    expected = [0] * (len(parts) - 1) + [int(block.marked("exit") or 0)]
    for part, code in zip(parts, expected, strict=True):
        command, _, output = part.partition("\n")
        program, *arguments = shlex.split(command, comments=True)
        assert program == "sundog", f"line {block.line}: only sundog can be run here, not {program}"
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        captured = capfd.readouterr()
        printed = captured.err + captured.out
        assert (ended.value.code or 0) == code, f"{command}\n{printed}"
        shown = output.rstrip().splitlines()
        if shown and not _comes(shown, printed):
            beginnings = ([*shown[: n + 1], "…"] for n in range(len(shown)))
            lost = next((each[-2] for each in beginnings if not _comes(each, printed)), "the end")
            pytest.fail(f"{command}\n{lost!r} does not come, or not there, in\n{printed}")


def _comes(shown: list[str], printed: str) -> bool:
    """Whether ``printed`` is what a page shows, line by line; spaces at the ends of lines do not matter."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == "…" else ".*".join(map(re.escape, line.rstrip().split("…"))) + r"\n" for line in shown
    )
    return re.fullmatch(pattern, "".join(f"{line.rstrip()}\n" for line in printed.splitlines())) is not None


def _loads(block: Block, folder: Path) -> None:
    """A whole scenario, or some of its keys put into a small one."""
    document = YAML(typ="safe").load(block.text)
    whole = {
        "name": "small",
        "horizon": "1 d",
        "fleet": [{"type": {"name": "h", "vcpus": 8, "memory": "16 GiB"}, "count": 4, "zone": "az1", "racks": 2}],
        "workload": {"synthetic": {"preset": "huawei-like", "arrivals_per_day": 100}},
    }
    if "workload" in document and "synthetic" not in document["workload"]:
        del whole["horizon"]
    path = folder / "loads.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML().dump(whole | document, file)
    load_scenario(path)


@pytest.mark.parametrize("page", [page for page in PAGES if page not in LESSONS], ids=lambda page: page.stem)
def test_the_scenario_parts_that_a_page_shows_load(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.language == "yaml" and block.marked("not run") is None:
            _loads(block, tmp_path)


# ---------------------------------------------------------------- links


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_links_lead_to_a_page_and_a_heading_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in _anchors(path), f"{page.name} links to {target}; there are {_anchors(path)}"


def _anchors(page: Path) -> list[str]:
    headings = re.findall(r"^#+ (.*)$", prose(page.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_the_index_names_every_page() -> None:
    linked = re.findall(r"\]\(([^)#\s]+)", read("README.md"))
    missing = [
        str(page.relative_to(DOCS))
        for page in PAGES
        if page != DOCS / "README.md" and page.parent.name != "adr" and str(page.relative_to(DOCS)) not in linked
    ]
    assert missing == []


# ---------------------------------------------------------------- what is listed is all there is


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    inside = get_args(annotation)
    for each in inside:
        yield from _models(each)
    if not inside and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation


def _all_models() -> dict[str, type[BaseModel]]:
    found: dict[str, type[BaseModel]] = {}
    todo: list[type[BaseModel]] = [Scenario]
    while todo:
        model = todo.pop()
        if model.__name__ not in found:
            found[model.__name__] = model
            todo.extend(each for field in model.model_fields.values() for each in _models(field.annotation))
    return found


MODELS = _all_models()
LAWS = {name: model for name, model in MODELS.items() if "law" in model.model_fields}


def _rows(text: str, after: str) -> list[list[str]]:
    """Cells of the first table after a text, without its head."""
    lines = text[text.index(after) + len(after) :].splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


@pytest.mark.parametrize("name", [name for name in MODELS if name not in LAWS])
def test_every_key_of_a_scenario_is_documented_with_its_default(name: str) -> None:
    model = MODELS[name]
    rows = _rows(read("reference", "scenario.md"), f"<!-- model: {name} -->")
    assert [row[0].strip("`") for row in rows] == list(model.model_fields)
    for row in rows:
        field = model.model_fields[row[0].strip("`")]
        if field.is_required():
            assert row[2] == "required", f"{name}.{row[0]}"
            continue
        assert row[2] != "required", f"{name}.{row[0]}"
        told = None if row[2] in ("none", "") else YAML(typ="safe").load(row[2].strip("`"))
        adapter: TypeAdapter[Any] = TypeAdapter(Annotated[field.annotation, "as its default", *field.metadata])  # type: ignore[arg-type]
        assert adapter.dump_python(adapter.validate_python(told)) == adapter.dump_python(field.default), row


def test_every_law_is_documented_with_its_keys() -> None:
    text = read("reference", "scenario.md")
    for marker, known in (("lifetime laws", laws.LIFETIME_LAWS), ("batch laws", batches.BATCH_LAWS)):
        rows = _rows(text, f"<!-- {marker} -->")
        assert [row[0].strip("`") for row in rows] == list(known)
    told = {
        (marker, row[0].strip("`")): re.findall(r"`(\w+)`", row[1])
        for marker in ("lifetime laws", "batch laws")
        for row in _rows(text, f"<!-- {marker} -->")
    }
    for model in LAWS.values():
        kind = "batch laws" if issubclass(model, batches.Batch) else "lifetime laws"
        keys = [key for key in model.model_fields if key not in ("law", "shared_lifetime")]
        assert sorted(told[kind, model.model_fields["law"].default]) == sorted(keys)


def test_every_preset_and_library_scenario_is_documented() -> None:
    text = read("reference", "scenario.md")
    for name in (*presets(), *library()):
        assert f"`{name}`" in text


def _commands() -> dict[str, Any]:
    root = typer.main.get_command(app)
    found: dict[str, Any] = {}
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found |= {name: command} if inner is None else {f"{name} {each}": sub for each, sub in inner.items()}
    return found


COMMANDS = _commands()


def test_every_command_is_documented_and_no_other() -> None:
    headings = re.findall(r"^## `sundog ([a-z -]+)", read("reference", "cli.md"), flags=re.MULTILINE)
    assert sorted(heading.strip() for heading in headings) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_documented_and_no_other(name: str) -> None:
    text = read("reference", "cli.md")
    section = re.split(r"^## ", text[text.index(f"## `sundog {name}") + 3 :], maxsplit=1, flags=re.MULTILINE)[0]
    told = re.findall(r"^\| `(--[a-z0-9-]+)", section, flags=re.MULTILINE)
    options = [each for each in COMMANDS[name].params if each.param_type_name == "option"]
    assert sorted(told) == sorted(each.opts[0] for each in options)
    for argument in (each for each in COMMANDS[name].params if each.param_type_name == "argument"):
        assert argument.name.upper() in section.splitlines()[0]


def test_every_exit_code_is_documented() -> None:
    def below(kind: type[SundogError]) -> Iterator[type[SundogError]]:
        yield kind
        for each in kind.__subclasses__():
            yield from below(each)

    told = {int(row[0].strip("`")) for row in _rows(read("reference", "cli.md"), "## Exit codes")}
    assert told == {0, PARTIAL, *(each.exit_code for each in below(SundogError))}


def test_every_policy_filter_weigher_and_group_policy_is_documented() -> None:
    text = read("reference", "policies.md")
    assert [row[0].strip("`") for row in _rows(text, "## Built-in policies")] == list(BUILT_IN)
    assert [row[0].strip("`") for row in _rows(text, "## Filters")] == [each.name for each in DEFAULT_FILTERS]
    weighers = _rows(text, "## Weighers")
    assert [row[0].strip("`") for row in weighers] == [each.name for each in NOVA_WEIGHERS]
    assert [row[1].strip("`") for row in weighers] == [each.option for each in NOVA_WEIGHERS]
    assert [float(row[2]) for row in weighers] == [DEFAULTS[each.option] for each in NOVA_WEIGHERS]
    assert [row[0].strip("`") for row in _rows(text, "## Nova's own filters")] == list(NOVA_FILTERS)
    for word in (*GROUP_POLICIES, TOO_LARGE):
        assert f"`{word}`" in text


def test_every_option_of_nova_is_documented_with_its_default() -> None:
    rows = _rows(read("reference", "policies.md"), "## Options of nova")
    multipliers = [each.option for each in NOVA_WEIGHERS]
    assert sorted([row[0].strip("`") for row in rows] + multipliers) == sorted(DEFAULTS)
    for row in rows:
        default = DEFAULTS[row[0].strip("`")]
        written = ",".join(default) if isinstance(default, tuple) else "" if default is None else str(default)
        assert row[1].strip("`") == (written.lower() if isinstance(default, bool) else written), row


@pytest.mark.parametrize("kind", [HostEntry, RequestEntry], ids=lambda kind: kind.__name__)
def test_every_field_of_hosts_and_requests_is_documented_with_its_default(kind: type[BaseModel]) -> None:
    rows = _rows(read("reference", "place.md"), f"<!-- entry: {kind.__name__} -->")
    assert sorted(row[0].strip("`") for row in rows) == sorted(kind.model_fields)
    for row in rows:
        field = kind.model_fields[row[0].strip("`")]
        assert (row[1] == "required") == field.is_required(), row
        if row[1].startswith("`") and row[1].endswith("`") and " " not in row[1]:
            assert json.loads(row[1].strip("`")) == field.default, row


def test_the_glossary_is_in_order_and_has_one_entry_a_word() -> None:
    words = [row[0].strip("*").lower() for row in _rows(read("glossary.md"), "# Glossary")]
    assert words == sorted(dict.fromkeys(words))


def test_the_documentation_names_no_place_of_somebodys_machine() -> None:
    for page in PAGES:
        assert not re.search(r"/(work|home|root|tmp|Users)/", page.read_text(encoding="utf-8")), page


def test_every_test_of_an_advisory_is_there_and_bears_its_number() -> None:
    page = (DOCS / "reference/security.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| advisory")]
    assert len(rows) >= 25
    for row in rows:
        advisories, _, tests = (cell.strip() for cell in row.strip("|").split("|")[:3])
        named = re.findall(r"`(tests/[^`]*)::([^`]*)`", row)
        assert named or tests == "not yet", row
        for file, test in named:
            assert f"def {test}(" in (DOCS.parent / file).read_text(encoding="utf-8"), f"{file} has no {test}"
        numbers = [number.replace("-", "_").lower() for number in re.findall(r"OSSA-[0-9-]*[0-9]", advisories)]
        if tests != "not yet":
            first = numbers[0]
            assert all(first in test for _, test in named), row
    listed = set(re.findall(r"::(test_[a-z0-9_]*)`", page))
    written = {
        name
        for file in (DOCS.parent / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w*ossa_\d\w*)\(", file.read_text(encoding="utf-8"))
    }
    assert written <= listed, f"docs/reference/security.md misses {sorted(written - listed)}"
