"""The address of a proxy, as it is configured."""

import pytest

from voxd.errors import ConnectionFailed
from voxd.net.proxy import Proxy, proxy_of


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://proxy:3128", Proxy("http", "proxy", 3128)),
        ("http://proxy/", Proxy("http", "proxy", 80)),
        ("https://proxy.example", Proxy("https", "proxy.example", 443)),
        ("http://[fd00::1]:3128", Proxy("http", "fd00::1", 3128)),
        ("http://me:pass%40word@proxy:3128", Proxy("http", "proxy", 3128, "me:pass%40word@")),
    ],
)
def test_a_proxy_is_a_host_and_perhaps_an_account(url: str, expected: Proxy) -> None:
    assert proxy_of("parrot", url) == expected


@pytest.mark.parametrize(
    ("host", "url"),
    [("10.0.0.1", "http://me:secret@10.0.0.1:3128"), ("fd00::1", "http://me:secret@[fd00::1]:3128")],
)
def test_its_name_can_be_replaced_by_a_number(host: str, url: str) -> None:
    assert proxy_of("parrot", "http://me:secret@proxy:3128").url(host) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "secret-proxy",
        "http://",
        "socks5://secret:secret@proxy:1080",
        "http://secret@proxy",
        "http://proxy/secret",
        "http://[secret",
        "http://proxy:secret",
        "http://proxy:99999",
    ],
)
def test_an_invalid_proxy_is_a_configuration_mistake_and_is_not_retried(url: str) -> None:
    with pytest.raises(ConnectionFailed) as raised:
        proxy_of("parrot", url)
    assert (raised.value.code, raised.value.retryable) == ("bad_endpoint", False)
    assert "options.proxy" in raised.value.hint
    assert "secret" not in f"{raised.value} {raised.value.hint}"


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(proxy_of("parrot", "http://me:secret@proxy"))
