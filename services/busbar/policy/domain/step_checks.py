"""Checks of a plan against what its adapters declare: names, inputs, types, and used outputs."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from busbar.backends.declaration import AdapterNotLoadable, Declaration
from busbar.kernel.expressions import Reference, TemplateError, parse, resolve, truthy
from busbar.kernel.json_schema import Place
from busbar.kernel.suggest import did_you_mean, listed
from busbar.messages.base import JsonObject
from busbar.messages.validation import field_errors
from busbar.policy.domain import spec_errors
from busbar.policy.domain.formatting import InputProblem, dotted
from busbar.policy.domain.json_types import SCALARS, Typed, branch_of, in_words, mismatch
from busbar.policy.domain.promise import StepFile, VersionFile
from busbar.policy.domain.schema import schema_at, with_defaults
from busbar.policy.domain.validator import validator_for

Declared = Mapping[str, Declaration]
"""The declarations of adapters, by their names."""

_STEP, _OUTPUT, _DEEPER = 1, 2, 4  # steps.<step>.<output>.<more>
_RESOURCE: Final = {
    "id": "payments/dev/thing/example",
    "team": "payments",
    "environment": "dev",
    "promise": "thing",
    "name": "example",
}
_SAMPLES: Final[Mapping[str, Any]] = {
    "boolean": True,
    "integer": 1,
    "number": 1,
    "string": "sample",
    "array": [],
    "object": {},
}


def problems_with_adapters(version: VersionFile, adapters: Declared) -> Iterator[InputProblem]:
    """Yield what is wrong with the steps and outputs of ``version``, whose plan is in order."""
    known: dict[str, Declaration] = {}
    sound = True
    for index, step in enumerate(version.plan):
        found = list(_declared(step, adapters, index, known))
        yield from found
        if found:
            sound = False
            continue
        problems = list(_StepCheck(version, step, ("plan", index, "inputs"), known).problems())
        sound = sound and not problems
        yield from problems
        yield from _output_problems(step.when, ("plan", index, "when"), version, known)
    for name, expression in version.outputs.items():
        yield from _output_problems(expression, ("outputs", name), version, known)
    if sound:
        yield from _sample_problems(version, known)


def _declared(
    step: StepFile, adapters: Declared, index: int, known: dict[str, Declaration]
) -> Iterator[InputProblem]:
    place = ("plan", index, "adapter")
    if step.adapter not in adapters:
        otherwise = f"installed are: {listed(sorted(adapters))}"
        fix = did_you_mean(step.adapter, adapters, otherwise=otherwise)
        yield InputProblem(place, f"no adapter {step.adapter!r} is installed", fix)
        return
    try:
        known[step.name] = adapters[step.adapter]
    except AdapterNotLoadable as error:
        yield InputProblem(place, str(error), "install what its package needs")


class _StepCheck:
    """Compares the inputs of one step with the schema that its adapter declares."""

    def __init__(self, version: VersionFile, step: StepFile, place: Place, known: Declared) -> None:
        self._version = version
        self._step = step
        self._place = place
        self._known = known

    def problems(self) -> Iterator[InputProblem]:
        """Yield every problem that shows without a spec."""
        for reference in parse(self._step.inputs).references:
            yield from _unknown_output(reference, self._place, self._known)
        model = self._known[self._step.name].inputs
        if model is None:
            return
        root = model.model_json_schema()
        inputs = self._step.inputs
        properties = root.get("properties", {})
        if root.get("additionalProperties") is False:
            for name in inputs.keys() - properties.keys():
                fix = did_you_mean(
                    name, properties, otherwise=f"known are: {listed([*properties])}"
                )
                yield self._problem((name,), f"{self._step.adapter} has no input {name!r}", fix)
        for name in root.get("required", ()):
            if name not in inputs:
                problem = f"the input {name!r} of {self._step.adapter} is missing"
                yield self._problem((), problem, "add it")
        for name, value in inputs.items():
            if name in properties:
                yield from self._compared(value, Typed(properties[name], root), (name,))
        fixed = {
            name
            for name, value in inputs.items()
            if name in properties and not parse(value).references
        }
        for place, problem in _refused(self._known[self._step.name], inputs):
            if place and place[0] in fixed:
                yield self._problem(place, problem, f"see the inputs of {self._step.adapter}")

    def _compared(self, value: Any, target: Typed, at: Place) -> Iterator[InputProblem]:
        if isinstance(value, str):
            yield from self._text_problems(value, target, at)
        elif isinstance(value, dict) and (branch := branch_of(target, "object")):
            properties: JsonObject = next(iter(branch.first("properties")), {})
            others = next(iter(branch.first("additionalProperties")), True)
            for name, item in value.items():
                inside = properties.get(name, others)
                yield from self._compared(item, Typed(inside, target.root), (*at, name))
        elif isinstance(value, list) and (branch := branch_of(target, "array")):
            items = Typed(next(iter(branch.first("items")), True), target.root)
            for index, item in enumerate(value):
                yield from self._compared(item, items, (*at, index))

    def _text_problems(self, text: str, target: Typed, at: Place) -> Iterator[InputProblem]:
        references = parse(text).references
        whole = len(references) == 1 and text == _written(references[0])
        for reference in references:
            source = _source(reference, self._version, self._known)
            if source is None:
                continue
            wrong = mismatch(source, target) if whole else _not_a_scalar(source)
            if wrong:
                problem = f"{_written(reference)} {wrong} for {self._step.adapter}"
                fix = "say so in the schema of the spec, or refer to something else"
                yield self._problem(at, problem, fix)
        if references and not whole and "string" not in target.types:
            problem = f"{self._step.adapter} takes {in_words(target.types)} here, not text"
            yield self._problem(at, problem, "write one expression and nothing else")

    def _problem(self, at: Place, problem: str, fix: str) -> InputProblem:
        return InputProblem((*self._place, *at), problem, fix)


def _sample_problems(version: VersionFile, known: Declared) -> Iterator[InputProblem]:
    """Yield what an adapter refuses for the defaults or an example, as far as it can be known."""
    validator = validator_for(version.spec)
    examples = [(f"the example {one.title!r}", one.spec) for one in version.examples]
    for title, spec in [("the defaults", {}), *examples]:
        filled = with_defaults(version.spec, version.spec, spec)
        if next(iter(spec_errors.violations(validator, filled)), None) is None:
            found = list(_refused_samples(version, filled, known, title))
            if found:
                yield from found
                return


def _refused_samples(
    version: VersionFile, spec: JsonObject, known: Declared, title: str
) -> Iterator[InputProblem]:
    outputs: dict[str, Any] = {}
    scope = {"resource": _RESOURCE, "spec": spec, "steps": outputs}
    for index, step in enumerate(version.plan):
        if step.when is not None and not truthy(step.when, scope):
            continue
        outputs[step.name] = {
            name: _SAMPLES[kind] for name, kind in (known[step.name].outputs or {}).items()
        }
        made_up = {
            name
            for name, value in step.inputs.items()
            if any(one.path[0] == "steps" for one in parse(value).references)
        }
        try:
            inputs = resolve(step.inputs, scope)
        except TemplateError:  # an output that the adapter does not declare
            continue
        for place, problem in _refused(known[step.name], inputs):
            if (place and place[0] in made_up) or (not place and made_up):
                continue
            at: Place = ("plan", index, "inputs", *place)
            yield InputProblem(at, f"{problem} with {title}", f"see the inputs of {step.adapter}")


def _refused(declaration: Declaration, inputs: JsonObject) -> Iterator[tuple[Place, str]]:
    if declaration.inputs is None:
        return
    try:
        declaration.inputs.model_validate(inputs)
    except ValidationError as error:
        for found in field_errors(error):
            named = f"the input {dotted(found.location)}" if found.location else "the inputs"
            yield found.location, f"{named} {found.expected}"


def _output_problems(
    expression: str | None, place: Place, version: VersionFile, known: Declared
) -> Iterator[InputProblem]:
    """Yield the outputs in a condition or an output of the promise that no adapter declares."""
    if expression is None:
        return
    condition = expression.removeprefix("!")
    for reference in parse(condition).references:
        yield from _unknown_output(reference, place, known)
        source = _source(reference, version, known)
        if source is None or condition == _written(reference):
            continue
        if wrong := _not_a_scalar(source):
            yield InputProblem(place, f"{_written(reference)} {wrong}", "use it as the whole text")


def _source(reference: Reference, version: VersionFile, known: Declared) -> Typed | None:
    """Return the schema of what ``reference`` is replaced by, or None if it is not known."""
    path = reference.path
    if path[0] == "spec":
        return Typed(schema_at(version.spec, path[1:]), version.spec)
    if path[0] == "resource":
        return Typed({"type": "string"}, {})
    kind = _output_type(path, known)
    return Typed({"type": kind}, {}) if kind and len(path) < _DEEPER else None


def _not_a_scalar(source: Typed) -> str | None:
    if source.types <= SCALARS:
        return None
    return f"may be {in_words(source.types - SCALARS)}, which cannot be part of a text"


def _unknown_output(reference: Reference, place: Place, known: Declared) -> Iterator[InputProblem]:
    path = reference.path
    if path[0] != "steps" or path[_STEP] not in known:
        return
    outputs = known[path[_STEP]].outputs
    if outputs is None or path[_OUTPUT] in outputs:
        return
    fix = did_you_mean(path[_OUTPUT], outputs, otherwise=f"its outputs are: {listed([*outputs])}")
    problem = f"the step {path[_STEP]} has no output {path[_OUTPUT]!r}"
    at = tuple(part for part in reference.pointer.split("/") if part)
    yield InputProblem((*place, *at), problem, fix)


def _output_type(path: tuple[str, ...], known: Declared) -> str | None:
    declared = known.get(path[_STEP])
    return (declared.outputs or {}).get(path[_OUTPUT]) if declared else None


def _written(reference: Reference) -> str:
    return "${" + ".".join(reference.path) + "}"
