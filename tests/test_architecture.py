"""The shape of the house, read from its source: imports, sizes, and one test file for each room."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

TOP = Path(__file__).parent.parent

# The rooms from the ground up: each may import those before it, never one after it.
ORDER = (
    "__init__", "units", "periods", "moments", "error_texts", "help_texts", "noted_texts",
    "pulse_texts", "texts", "errors", "progress",  # words and arithmetic
    "hosts", "passwords", "values", "ini", "keys", "faults", "config", "clock", "worker",  # what every part needs
    "door", "user",  # of commands
    "pulses", "pulse_health", "lines", "pin", "files", "register", "folder", "identity", "gaps", "anchors", "layout",
    "undo", "ring", "draft", "store",
    "writing", "meter", "counting",  # from the contact to the disk
    "totals", "readings", "locales", "reader",  # from the disk to figures
    "axes", "picture", "bars", "graph", "pictures",  # from figures to pictures
    "digests", "ledger", "hindsight", "noting", "wire", "messages",  # rows that travel
    "telling", "reasons", "line", "peer", "sync",  # to the mirror
    "samples", "sample_course", "push_status", "push", "sending",  # at every interval
    "facts", "mirrored", "sampled", "mirror",  # from the senders
    "house", "furnish",  # what is behind the page
    "assets", "ask", "asking", "logins", "guard", "images", "wording", "header", "wiring", "page_help",
    "page_mirror", "page_noted", "page_pulses", "page", "as_json", "web",  # the page
    "receiving", "front",  # all that is served
    "load", "simulate",  # a household without a house
    "server", "notify", "arrival", "finding", "check_machine", "contacts", "looking",
    "notary", "answering", "building", "daemon", "demo",  # all of it together
    "filling", "predecessor", "settling",  # a first configuration
    "typed", "reading_by_hand", "restore",
    "sealed", "saved", "saving", "backup_file", "comparing", "new_file", "backups", "config_copy",  # in one file
    "csv_forms", "limits", "intervals", "old_rrd", "gridding", "export", "spreading", "source_file",
    "exporting", "importing",  # rows as text, and back
    "backup", "restoring", "by_hand", "watching", "check_meters", "check_copies", "check", "report",
    "options", "cli", "__main__",  # the commands
)  # fmt: skip

ONLY_IMPORTERS = {
    "gpiozero": {"pin"},
    "rrdtool": {"store"},
    "bottle": {"web"},
    "waitress": {"server"},
    "configparser": {"ini"},
    "argparse": {"options"},
    "subprocess": {"reader", "locales", "demo"},
    "ctypes": {"clock", "daemon"},
    "requests": {"peer"},
    "urllib3": {"reasons", "line"},
}
THIRD_PARTY = {"gpiozero", "rrdtool", "bottle", "waitress"}
EXTRAS = {"push": {"requests"}}
COME_ALONG = {"urllib3"}  # with requests, whose errors let it through
PRINTING = {
    "backup",
    "by_hand",
    "check",
    "cli",
    "demo",
    "exporting",
    "importing",
    "reading_by_hand",
    "report",
    "restoring",
    "settling",
    "watching",
}
NO_TEST_OF_THEIR_OWN = {
    "__init__": "holds the version alone",
    "__main__": "one line, run by test_cli",
    "error_texts": "a part of texts, whose tests read it",
    "pulse_texts": "likewise",
    "asking": "holds a protocol alone",
    "help_texts": "a part of texts, whose tests read it",
    "noted_texts": "likewise",
}

MODULE_LINES = 300
FUNCTION_LINES = 40


class Import(NamedTuple):
    """One name that a module imports, and whether for the type checker alone."""

    module: str
    name: str  # such as os.path, or powerpi.pin
    typing_only: bool


PATHS = sorted((TOP / "powerpi").glob("*.py"))
TREES = {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in PATHS}
rooms = pytest.mark.parametrize("room", TREES)


def is_typing_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imports(module: str) -> list[Import]:
    """All that a module imports, at its top, in functions, and for the type checker."""
    tree = TREES[module]
    guarded = {id(inner) for node in ast.walk(tree) if is_typing_guard(node) for inner in ast.walk(node)}
    return [Import(module, name, id(node) in guarded) for node in ast.walk(tree) for name in names(node)]


def names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        whole = "powerpi" if node.level else node.module or ""
        whole = ".".join(filter(None, (whole, node.module))) if node.level else whole
        # `from powerpi import pin` imports a room, `from powerpi.pin import Pin` something out of it
        yield from (f"{whole}.{alias.name}" if whole == "powerpi" else whole for alias in node.names)


def importers(package: str) -> set[str]:
    return {room for room in TREES for found in imports(room) if found.name.partition(".")[0] == package}


def imported_rooms(module: str) -> set[str]:
    found = [name.split(".") for _, name, _ in imports(module) if name.partition(".")[0] == "powerpi"]
    # what is no room, such as `__version__`, lives in the package itself
    return {parts[1] if len(parts) > 1 and parts[1] in TREES else "__init__" for parts in found}


# ---------------------------------------------------------------- imports


@pytest.mark.parametrize("package", ONLY_IMPORTERS)
def test_package_has_its_one_importer(package: str) -> None:
    assert importers(package) == ONLY_IMPORTERS[package]


@rooms
def test_nothing_else_is_imported(room: str) -> None:
    allowed = sys.stdlib_module_names | THIRD_PARTY | set().union(*EXTRAS.values()) | COME_ALONG | {"powerpi"}
    strangers = {
        name
        for _, name, typing_only in imports(room)
        if name.partition(".")[0] not in (allowed | {"_typeshed"} if typing_only else allowed)
    }
    assert strangers == set()


def setup_argument(name: str) -> Any:
    tree = ast.parse((TOP / "setup.py").read_text(encoding="utf-8"))
    [value] = [
        ast.literal_eval(keyword.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == name
    ]
    return value


def test_setup_requires_the_packages_that_are_imported() -> None:
    assert {requirement.partition(">")[0] for requirement in setup_argument("install_requires")} == THIRD_PARTY


def test_setup_offers_the_packages_of_optional_features_as_extras() -> None:
    offered = setup_argument("extras_require").items()
    assert {name: {package.partition(">")[0] for package in packages} for name, packages in offered} == EXTRAS


def test_the_daemon_carries_no_extra_package_until_something_is_sent() -> None:
    code = "import sys; from powerpi import daemon; print(sorted({'requests', 'urllib3'} & sys.modules.keys()))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_every_room_has_its_place_in_the_order() -> None:
    assert sorted(ORDER) == sorted(TREES)


@rooms
def test_imports_point_one_way(room: str) -> None:
    upwards = {other for other in imported_rooms(room) if ORDER.index(other) >= ORDER.index(room)}
    assert upwards == set()


# ---------------------------------------------------------------- every room


@rooms
def test_room_opens_with_a_docstring(room: str) -> None:
    text = ast.get_docstring(TREES[room])
    assert text
    assert text.splitlines()[0].endswith((".", ":"))


@pytest.mark.parametrize("room", [room for room in TREES if room not in NO_TEST_OF_THEIR_OWN])
def test_room_has_a_test_file_of_its_own(room: str) -> None:
    path = TOP / "tests" / f"test_{room}.py"
    assert path.is_file()
    assert "def test_" in path.read_text(encoding="utf-8")


def test_rooms_excused_from_a_test_file_have_none() -> None:
    assert not [room for room in NO_TEST_OF_THEIR_OWN if (TOP / "tests" / f"test_{room}.py").exists()]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_room_is_not_too_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MODULE_LINES


@rooms
def test_no_function_is_too_long(room: str) -> None:
    long = {
        node.name: lines
        for node in ast.walk(TREES[room])
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES
    }
    assert long == {}


def swallows(handler: ast.ExceptHandler) -> bool:
    """Whether a handler catches everything by having no type, or does nothing with what it has caught."""
    idle = all(
        isinstance(step, ast.Pass) or (isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant))
        for step in handler.body
    )
    return handler.type is None or idle


def suppresses_all(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith("suppress")
        and any(ast.unparse(argument) in ("Exception", "BaseException") for argument in node.args)
    )


@rooms
def test_no_error_is_swallowed(room: str) -> None:
    swallowed = [
        node.lineno
        for node in ast.walk(TREES[room])
        if (isinstance(node, ast.ExceptHandler) and swallows(node))
        or (isinstance(node, ast.Call) and suppresses_all(node))
    ]
    assert swallowed == []


def test_only_the_commands_print() -> None:
    printing = {
        room
        for room, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert printing <= PRINTING


def test_the_top_level_holds_what_was_agreed_and_nothing_else() -> None:
    if not (TOP / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a checkout")
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files"], cwd=TOP, capture_output=True, text=True, check=True
    )
    seen = {name.partition("/")[0] for name in listed.stdout.splitlines() if not name.startswith(".")}
    assert seen <= {"powerpi", "www", "init", "tests", "README.md", "setup.py", "LICENSE"}
