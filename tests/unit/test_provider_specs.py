"""The specification of each provider: complete, and of one mind with the wire's types."""

from __future__ import annotations

from typing import get_args

import pytest

from afterword.api.graphql import resolving
from afterword.gateway.provider import ProviderSpec
from afterword.gateway.providers import SPECS
from afterword.types import ProviderName, Target


def test_provider_specs_and_provider_names_are_the_same():
    assert set(SPECS) == set(get_args(ProviderName))


def test_graphql_knows_the_names_and_inputs_of_all_specs():
    schema = resolving.schema()
    names = schema.type_map["ProviderName"].values  # pyright: ignore[reportAttributeAccessIssue]
    inputs = schema.type_map["ModelProviderDataInput"].fields  # pyright: ignore[reportAttributeAccessIssue]
    assert {spec.graphql_name for spec in SPECS.values()} <= set(names)
    assert sorted(name for spec in SPECS.values() for name in spec.graphql_inputs) == sorted(inputs)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_provider_has_an_endpoint_unless_models_need_their_own(spec: ProviderSpec):
    assert ("endpoint" in spec.fields) == bool(spec.endpoint or "endpoint" in spec.required_fields)
    assert set(spec.required_fields) <= set(spec.fields)


def test_models_endpoint_and_key_take_precedence_over_environment(monkeypatch: pytest.MonkeyPatch):
    google = SPECS["google"]
    own = Target(provider="google", key="k", model="m", endpoint="http://own", api_key="sk-own")
    none = Target(provider="google", key="k", model="m")
    for variable in (*google.endpoint_variables, *google.api_key_variables):
        monkeypatch.delenv(variable, raising=False)
    assert (google.find_endpoint(none), google.find_api_key(none)) == (google.endpoint, None)
    monkeypatch.setenv("GEMINI_BASE_URL", " http://environment ")
    monkeypatch.setenv("GOOGLE_API_KEY", "sk-environment")
    assert (google.find_endpoint(none), google.find_api_key(none)) == ("http://environment", "sk-environment")
    assert (google.find_endpoint(own), google.find_api_key(own)) == ("http://own", "sk-own")
