from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, Field, SecretStr, ValidationError, field_validator

from busbar.messages.resource import ApplyResource
from busbar.messages.validation import (
    MAX_ERRORS,
    MAX_EXPECTED_CHARS,
    MAX_POINTER_CHARS,
    describe,
    field_errors,
)


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Wish(BaseModel, extra="forbid"):
    name: Annotated[str, Field(pattern="^[a-z]+$")] = "orders"
    size: Annotated[int, Field(ge=1)] = 1
    tags: list[str] = []
    mode: Literal["a", "b"] = "a"
    url: AnyUrl = AnyUrl("https://busbar.example")
    password: SecretStr = SecretStr("none")
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] = Cat(kind="cat")

    @field_validator("mode", mode="before")
    @classmethod
    def _no_number(cls, value: object) -> object:
        if isinstance(value, int):
            raise ValueError("write a word")  # noqa: TRY004 - pydantic expects it
        return value


def said(data: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Wish.model_validate(data)
    return describe(caught.value)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"name": 1}, "/name must be text"),
        ({"name": "Orders"}, "/name must match ^[a-z]+$"),
        ({"size": "x"}, "/size must be a whole number"),
        ({"size": 0}, "/size must be greater than or equal to 1"),
        ({"tags": ["a", 1]}, "/tags/1 must be text"),
        ({"tags": "a"}, "/tags must be a list"),
        ({"mode": "c"}, "/mode must be 'a' or 'b'"),
        ({"mode": 1}, "/mode is not valid: write a word"),
        ({"pet": {"kind": "bird"}}, "/pet must have one of the tags 'cat', 'dog'"),
        ({"pet": {}}, "/pet must have one of the tags that are known"),
        ({"a/b": 1}, "/a~1b is not a known field"),
        ([], "the document must be an object"),
    ],
)
def test_an_error_names_the_field_and_what_is_expected(data: Any, expected: str) -> None:
    assert said(data) == expected


def test_a_missing_field_is_missing() -> None:
    with pytest.raises(ValidationError) as caught:
        ApplyResource.model_validate({"team": "payments"})
    assert "/spec is missing" in describe(caught.value)


def _errors_of(data: Any) -> str:
    try:
        Wish.model_validate(data)
    except ValidationError as error:
        return describe(error)
    return ""


secrets = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=12)


@given(secret=secrets, field=st.sampled_from(sorted(Wish.model_fields)))
def test_a_value_is_never_repeated(secret: str, field: str) -> None:
    wrapped: Any = {"kind": secret} if field == "pet" else secret
    for value in (wrapped, [wrapped], {"x": wrapped}):
        assert secret not in _errors_of({field: value})


@given(keys=st.sets(st.text(min_size=1), min_size=1, max_size=40), long=st.integers(1, 2000))
def test_however_much_is_wrong_the_sentence_is_bounded(keys: set[str], long: int) -> None:
    with pytest.raises(ValidationError) as caught:
        Wish.model_validate({"?" + key * long: 1 for key in keys})
    assert len(field_errors(caught.value)) == len(keys)
    one = MAX_POINTER_CHARS + MAX_EXPECTED_CHARS + 3
    assert len(describe(caught.value)) <= (MAX_ERRORS + 1) * one


def test_what_is_left_out_is_counted() -> None:
    assert said({f"key{number}": 1 for number in range(13)}).endswith("; and 3 more")
