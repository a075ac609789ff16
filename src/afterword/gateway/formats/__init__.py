"""The forms of calls beside chat."""

from afterword.gateway.call_format import CallFormat

FORMATS: dict[str, CallFormat] = {}
