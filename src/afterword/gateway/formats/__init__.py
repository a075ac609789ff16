"""The forms of calls beside chat: a package for each."""

from afterword.gateway.call_format import CallFormat
from afterword.gateway.formats.generate_content import GenerateContentFormat
from afterword.gateway.formats.messages.messages_format import MessagesFormat
from afterword.gateway.formats.responses import Responses

FORMATS: dict[str, CallFormat] = {
    call_format.operation: call_format for call_format in (MessagesFormat(), Responses(), GenerateContentFormat())
}
