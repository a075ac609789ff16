"""Outgoing proxies, as the environment names them: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.

The variables are read as curl, Go and Python read them: in small letters before capitals, a proxy without a scheme as
http://. NO_PROXY lists hosts (each with its subdomains), addresses, networks (10.0.0.0/8), any of them with a port, or
`*` for all. As in Go, localhost and loopback addresses never go through a proxy.
"""

from __future__ import annotations

import base64
import ipaddress
import os
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}


class ProxyInvalid(ValueError):
    """A proxy in the environment cannot be used. The message says why, without credentials."""


class Proxy(NamedTuple):
    """A proxy: its URL without credentials, and the value of Proxy-Authorization."""

    url: str
    authorization: str | None


class Exemption(NamedTuple):
    """An entry of NO_PROXY: a host with its subdomains, or a network, on one port or all."""

    host: str
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None
    port: int | None


class Proxies:
    """Chooses the proxy for a URL, by the environment as it was at the start."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment

        def variable(name: str) -> str:
            return (environment.get(name.lower()) or environment.get(name) or "").strip()

        fallback = variable("ALL_PROXY")
        self._by_scheme = {scheme: variable(f"{scheme.upper()}_PROXY") or fallback for scheme in DEFAULT_PORTS}
        entries = variable("NO_PROXY").replace(",", " ").split()
        self._exempts_all = "*" in entries
        self._exemptions = [_exemption(entry) for entry in entries]

    def find(self, url: str) -> Proxy | None:
        """Return the proxy for a URL; None for a direct connection.

        Raises `ProxyInvalid`, and `ValueError` for a malformed URL.
        """
        parts = urlsplit(url)
        proxy_text = self._by_scheme.get(parts.scheme)
        if (
            not proxy_text
            or not parts.hostname
            or self._is_exempt(parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme])
        ):
            return None
        return _proxy(proxy_text, parts.scheme)

    def _is_exempt(self, host: str, port: int) -> bool:
        host = host.rstrip(".")
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            address = None
        if self._exempts_all or host == "localhost" or (address is not None and address.is_loopback):
            return True
        for exemption in self._exemptions:
            if exemption.port not in (None, port):
                continue
            if exemption.network is not None:
                if address is not None and address in exemption.network:
                    return True
            elif exemption.host and (host == exemption.host or host.endswith(f".{exemption.host}")):
                return True
        return False


def _exemption(entry: str) -> Exemption:
    text = entry.lower()
    try:
        return Exemption("", ipaddress.ip_network(text.strip("[]"), strict=False), None)
    except ValueError:
        pass
    host, colon, number = text.rpartition(":")
    if not colon or not number.isdigit():
        host, number = text, ""
    port = int(number) if number else None
    try:
        return Exemption("", ipaddress.ip_network(host.strip("[]"), strict=False), port)
    except ValueError:
        return Exemption(host.removeprefix("*").strip("."), None, port)


def _proxy(proxy_text: str, scheme: str) -> Proxy:
    variable = f"{scheme.upper()}_PROXY"
    try:
        parts = urlsplit(proxy_text if "://" in proxy_text else f"http://{proxy_text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ProxyInvalid(f"{variable} is no URL") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise ProxyInvalid(f"{variable} is a proxy of the kind {parts.scheme}, but only http and https are supported")
    if not host:
        raise ProxyInvalid(f"{variable} names no host")
    authorization = None
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(credentials.encode()).decode()
    host_text = f"[{host}]" if ":" in host else host
    return Proxy(f"{parts.scheme}://{host_text}:{port or DEFAULT_PORTS[parts.scheme]}", authorization)
