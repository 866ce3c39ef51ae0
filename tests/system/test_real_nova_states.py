"""What ``tests/nova_states.py`` says of Nova is what the real Nova's source says: it is read, not run."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from tests.nova_states import ANY, ELSEWHERE, NOVA, TAGS, Allowed
from tests.system.test_real_nova import real_python  # noqa: F401 - a fixture

pytestmark = [pytest.mark.nova, pytest.mark.slow]


class Constants:
    """What the names in Nova's conditions mean: ``vm_states.ACTIVE``, ``task_states.ALLOW_REBOOT``."""

    def __init__(self, nova: Path) -> None:
        self._fields = self._instance_fields(nova / "objects" / "fields.py")
        self._modules: dict[str, dict[str, Any]] = {}
        for name in ("vm_states", "task_states"):
            known = self._modules[name] = {}
            for each in ast.parse((nova / "compute" / f"{name}.py").read_text()).body:
                if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
                    known[each.targets[0].id] = self.value(each.value, known)

    @staticmethod
    def _instance_fields(path: Path) -> dict[str, str]:
        return {
            f"{each.name}.{line.targets[0].id}": line.value.value
            for each in ast.parse(path.read_text()).body
            if isinstance(each, ast.ClassDef) and each.name in ("InstanceState", "InstanceTaskState")
            for line in each.body
            if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name)
            if isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)
        }

    def value(self, node: ast.expr, known: dict[str, Any] | None = None) -> Any:
        """What an expression means."""
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return (known or {})[name]
            case ast.Attribute(value=ast.Name(id=module), attr=name) if module in self._modules:
                return self._modules[module][name]
            case ast.Attribute(value=ast.Attribute(attr=of) | ast.Name(id=of), attr=name):
                return self._fields[f"{of}.{name}"]
            case ast.List(elts=some) | ast.Tuple(elts=some) | ast.Set(elts=some):
                return [self.value(each, known) for each in some]
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return [*self.value(left, known), *self.value(right, known)]
            case ast.Call(func=ast.Name(id="set"), args=[only]):
                return self.value(only, known)
        raise ValueError(f"this expression is not understood: {ast.unparse(node)}")


@pytest.fixture(scope="module")
def nova(real_python: Path) -> Path:  # noqa: F811
    """The folder of Nova's source."""
    [found] = real_python.parents[1].glob("lib/python*/site-packages/nova")
    return found


def checked(nova: Path) -> dict[str, Allowed]:
    """What methods of the API of compute check of the states of a server."""
    constants, found = Constants(nova), {}
    for each in ast.walk(ast.parse((nova / "compute" / "api.py").read_text())):
        if not isinstance(each, ast.FunctionDef):
            continue
        for decorator in each.decorator_list:
            if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "check_instance_state":
                told = {word.arg: constants.value(word.value) for word in decorator.keywords}
                vm_states, tasks = told.get("vm_state"), told.get("task_state", (None,))
                found[each.name] = Allowed(
                    ANY if vm_states is None else frozenset(vm_states), ANY if tasks is None else frozenset(tasks)
                )
    return found


def test_what_is_said_of_nova_is_so(nova: Path) -> None:
    found = checked(nova)
    assert {name: found[name] for name in NOVA} == dict(NOVA)
    assert set(found) == {*NOVA, *ELSEWHERE}


def test_tags_change_in_the_same_states(nova: Path) -> None:
    constants = Constants(nova)
    source = ast.parse((nova / "api" / "openstack" / "compute" / "server_tags.py").read_text())
    [states] = [
        constants.value(each.comparators[0])
        for each in ast.walk(source)
        if isinstance(each, ast.Compare) and isinstance(each.ops[0], ast.NotIn) and "vm_state" in ast.unparse(each.left)
    ]
    assert frozenset(states) == TAGS.vm_states
