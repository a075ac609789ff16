"""The client: `Afterword` and `AsyncAfterword`, the same resources with and without await."""

from afterword.client.aio import AsyncAfterword
from afterword.client.sync import Afterword
from afterword.client.uploading import UploadFailure, UploadReport

__all__ = ["Afterword", "AsyncAfterword", "UploadFailure", "UploadReport"]
