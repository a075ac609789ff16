"""Calls, messages and evaluations that other systems report: OpenTelemetry and LiteLLM."""
