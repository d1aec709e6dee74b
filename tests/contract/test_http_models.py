"""Audit's answers have the fields that the models of the HTTP API describe."""

from dataclasses import fields
from typing import Any

import pytest
from pydantic import BaseModel

from busbar.audit import domain
from busbar.audit.domain.completeness import RelayReport
from busbar.messages import http


@pytest.mark.parametrize(
    ("answer", "model"),
    [
        (domain.AuditRecord, http.AuditRecord),
        (domain.Sentence, http.Sentence),
        (RelayReport, http.RelayView),
    ],
)
def test_a_model_has_every_field_of_the_answer(answer: type[Any], model: type[BaseModel]) -> None:
    assert {field.name for field in fields(answer)} == model.model_fields.keys()
