"""Forms in which other systems describe calls of models: spans and events of OpenTelemetry, logs of LiteLLM.

Pure translation: nothing here reads a store or a setting.
"""
