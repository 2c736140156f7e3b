"""Where the service may connect to: every form that an address and a URL can take."""

import ipaddress
import socket
from datetime import UTC, datetime

import pytest

from gateway.errors import FetchRefused
from gateway.outbound.asking import media_type_of, name_of, request_head, retry_after_s
from gateway.outbound.guard import URL_CHARS_MAX, Guard, Policy, Target
from gateway.outbound.settings import networks

PUBLIC = Policy()
HERE = Target(scheme="https", host="files.example", port=443, path="/a/b?c=d")

REFUSED = {
    "this machine": "127.0.0.1",
    "this machine's whole network": "127.255.255.254",
    "nowhere": "0.0.0.0",  # noqa: S104 -- refused, not bound
    "private 10": "10.0.0.1",
    "private 172": "172.31.255.255",
    "private 192": "192.168.1.1",
    "carrier": "100.64.0.1",
    "metadata": "169.254.169.254",
    "metadata of another cloud": "100.100.100.200",
    "platform server": "168.63.129.16",
    "protocols": "192.0.0.8",
    "documentation": "203.0.113.1",
    "benchmarks": "198.19.0.1",
    "6to4 relay": "192.88.99.1",
    "multicast": "224.0.0.1",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "loopback 6": "::1",
    "unspecified 6": "::",
    "IPv4-mapped": "::ffff:127.0.0.1",
    "IPv4-mapped private": "::ffff:a00:1",
    "IPv4-compatible": "::7f00:1",
    "IPv4-translated": "::ffff:0:7f00:1",
    "NAT64 of loopback": "64:ff9b::7f00:1",
    "NAT64 of metadata": "64:ff9b::a9fe:a9fe",
    "local NAT64": "64:ff9b:1::808:808",
    "6to4 of loopback": "2002:7f00:1::",
    "6to4 of a public address": "2002:808:808::1",
    "Teredo": "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "protocols 6": "2001:2::1",
    "documentation 6": "2001:db8::1",
    "new documentation 6": "3fff::1",
    "segment routing": "5f00::1",
    "discard": "100::1",
    "unique local": "fd00:ec2::254",
    "link-local": "fe80::1",
    "link-local with a zone": "fe80::1%eth0",
    "site-local": "fec0::1",
    "multicast 6": "ff02::1",
    "public multicast 6": "ff0e::1",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=list(REFUSED))
@pytest.mark.claim("C-FETCH-1")
def test_no_socket_is_made_for_an_address_that_is_not_public(text: str) -> None:
    address = ipaddress.ip_address(text)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    guard = Guard(PUBLIC)
    with pytest.raises(PermissionError):
        guard.socket_for((family, socket.SOCK_STREAM, 0, "", (text, 80)))
    assert guard.refused


@pytest.mark.parametrize(
    "text", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_a_public_address_gets_its_socket(text: str) -> None:
    address = ipaddress.ip_address(text)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    guard = Guard(PUBLIC)
    guard.socket_for((family, socket.SOCK_STREAM, 0, "", (text, 80))).close()
    assert not guard.refused


class Between:
    """Two ends of a connection, for a machine with a public address, which this one has not."""

    def __init__(self, own: str, peer: str) -> None:
        self.getsockname = lambda: (own, 40_000)
        self.getpeername = lambda: (peer, 443)


@pytest.mark.parametrize("own", ["8.8.4.4", "2606:4700::1"])
def test_a_public_address_of_this_machine_itself_is_refused(own: str) -> None:
    guard = Guard(PUBLIC)
    with pytest.raises(PermissionError):
        guard.check_connected(Between(own, own))  # type: ignore[arg-type]
    assert guard.refused
    guard = Guard(Policy(allow=networks((own,))))
    guard.check_connected(Between(own, own))  # type: ignore[arg-type]
    guard.check_connected(Between("10.0.0.7", "8.8.8.8"))  # type: ignore[arg-type]


def test_an_operator_allows_and_denies_networks() -> None:
    policy = Policy(
        allow=networks(("10.1.0.0/16", "fd00:1::/32")),
        deny=networks(("10.1.2.0/24", "8.8.8.0/24", "64:ff9b::/96")),
    )
    verdicts = {
        text: policy.permits(ipaddress.ip_address(text))
        for text in (
            *("10.1.0.1", "::ffff:10.1.0.1", "fd00:1::1", "1.1.1.1"),
            *("10.1.2.1", "10.2.0.1", "fd00:2::1", "8.8.8.8", "::ffff:8.8.8.8"),
            "64:ff9b::101:101",
        )
    }
    assert [text for text, permitted in verdicts.items() if permitted] == [
        *("10.1.0.1", "::ffff:10.1.0.1", "fd00:1::1", "1.1.1.1")
    ]


SPELLED = [
    *("http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://0177.0.0.1/"),
    *(
        "http://127.1/",
        "http://127.0.0.1./",
        "http://\uff11\uff12\uff17.\uff10.\uff10.\uff11/",
        "http://127\u30020\u30020\u30021/",
    ),
    *("http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[0:0:0:0:0:ffff:7f00:1]/"),
    *("http://0/", "http://0x0/", "http://[64:ff9b::127.0.0.1]/", "https://3232235777/"),
]


@pytest.mark.parametrize("url", SPELLED)
def test_an_address_is_known_in_any_spelling(url: str) -> None:
    with pytest.raises(FetchRefused) as caught:
        PUBLIC.target_of(url)
    assert caught.value.reason == "address"


def test_a_public_address_in_an_odd_spelling_is_that_address() -> None:
    for url in ("http://134744072/", "http://0x8.010.8.8/", "http://8.8.8.8/"):
        assert PUBLIC.target_of(url).host == "8.8.8.8"


MALFORMED = {
    "file:///etc/passwd": "scheme",
    "FILE:///etc/passwd": "scheme",
    "gopher://files.example/": "scheme",
    "ftp://files.example/a": "scheme",
    "data:text/plain,a": "scheme",
    "//files.example/a": "scheme",
    "files.example/a": "scheme",
    "": "scheme",
    "https://user:secret@files.example/": "credentials",
    "https://user@files.example/": "credentials",
    "https://@files.example/": "credentials",
    "https://files.example\\@10.0.0.1/": "credentials",
    "https://files.example:22/": "port",
    "https://files.example:0/": "port",
    "https://files.example:99999/": "url",
    "https://files.example:x/": "url",
    "https:///a": "url",
    "https:files.example/a": "url",
    "https://fi les.example/": "url",
    "https://files.example\\.internal/": "url",
    "https://files..example/": "url",
    "https://-files.example/": "url",
    "https://%31%32%37.0.0.1/": "url",
    "https://[::1": "url",
    "https://[fe80::1%25eth0]/": "address",
    "https://[v1.a]/": "url",
    "https://1.2.3.4.5/": "url",
    "https://08.1.1.1/": "url",
    "https://256.1.1.1/": "url",
    "https://files.example/\r\nX-Injected: a": "url",
    "https://files.example/\ta": "url",
    "https://files.example/\x00": "url",
    "https://files.example/\ud800": "url",
    "https://files.example/" + "a" * URL_CHARS_MAX: "url",
}


@pytest.mark.parametrize(
    ("url", "reason"), MALFORMED.items(), ids=[ascii(u)[:48] for u in MALFORMED]
)
def test_a_url_that_is_not_asked_says_why_and_quotes_nothing(url: str, reason: str) -> None:
    with pytest.raises(FetchRefused) as caught:
        PUBLIC.target_of(url)
    assert caught.value.reason == reason
    for part in ("secret", "files.", "10.0", "passwd"):
        assert part not in str(caught.value)


def test_a_url_is_asked_as_it_was_signed() -> None:
    told = "https://Files.EXAMPLE.:443/a%2Fb/é ü?sig=%2b+%2F/=&x=[1]|{2}#fragment"
    target = PUBLIC.target_of(told)
    assert (target.host, target.port) == ("files.example", 443)
    assert target.path == "/a%2Fb/%C3%A9%20%C3%BC?sig=%2b+%2F/=&x=[1]%7C%7B2%7D"
    assert target.authority == "files.example"
    assert PUBLIC.target_of("https://bücher.example?a").url == "https://xn--bcher-kva.example/?a"
    odd = Policy(ports=frozenset()).target_of("http://[2606:4700::1]:8080/")
    assert odd.authority == "[2606:4700::1]:8080"


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://files.example/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("//169.254.169.254/latest", "address"),
        ("https://[::ffff:10.0.0.1]/", "address"),
        ("https://user@files.example/", "credentials"),
        ("https://files.example:6379/", "port"),
        ("/a\r\nb", "url"),
        ("/\udcff", "url"),
    ],
)
def test_a_redirect_is_checked_as_the_url_was(location: str, reason: str) -> None:
    with pytest.raises(FetchRefused) as caught:
        PUBLIC.redirected(HERE, location)
    assert caught.value.reason == reason


def test_a_redirect_may_be_relative() -> None:
    for location, url in (
        ("e", "https://files.example/a/e"),
        ("?e", "https://files.example/a/b?e"),
        ("/../e f", "https://files.example/e%20f"),
        ("//cdn.example/e", "https://cdn.example/e"),
    ):
        assert PUBLIC.redirected(HERE, location).url == url


def test_a_request_has_one_host_and_no_line_of_a_callers_making() -> None:
    head = request_head("GET", HERE, {"user-agent": "mine", "X-Token": "a b"}).decode()
    assert head.split("\r\n") == [
        *("GET /a/b?c=d HTTP/1.1", "Host: files.example", "User-Agent: mine", "Accept: */*"),
        *("Accept-Encoding: identity", "Connection: close", "X-Token: a b", "", ""),
    ]
    for name, value in (
        *(("Host", "a"), ("content-length", "1"), ("Transfer-Encoding", "chunked")),
        *(("X-A\r\nX-B", "a"), ("X-A", "a\r\nX-B: b"), ("X-A", "é"), ("X A", "a"), ("", "a")),
    ):
        with pytest.raises(FetchRefused):
            request_head("GET", HERE, {name: value})


@pytest.mark.parametrize(
    ("disposition", "path", "name"),
    [
        ("attachment; filename=a.pdf", "/x.png", "a.pdf"),
        ("attachment; filename*=UTF-8''%C3%BC.pdf", "/", "ü.pdf"),
        ('attachment; filename="../../etc/a.pdf"', "/", "a.pdf"),
        ("attachment", "/d/x.png?a=/b.c", "x.png"),
        (None, "/d/%C3%BC%2Fx.png", "x.png"),
        (None, "/download", None),
        (None, "/a.b/", None),
        ("inline", "/" + "a" * 300 + ".pdf", "a" * 255),
    ],
)
def test_a_name_comes_from_the_answer_or_from_the_path(
    disposition: str | None, path: str, name: str | None
) -> None:
    headers = {"Content-Disposition": disposition} if disposition else {}
    target = Target(scheme="https", host="files.example", port=443, path=path)
    assert name_of(headers, target) == name


def test_a_media_type_comes_without_its_parameters() -> None:
    assert media_type_of({"Content-Type": " Image/PNG ; a=b"}) == "image/png"
    assert media_type_of({}) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        ("999999999", 86_400),
        ("Fri, 02 Jan 2026 00:01:00 GMT", 60),
        ("Fri, 02 Jan 2020 00:01:00 GMT", 0),
        ("-1", None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_receivers_wish_to_be_left_alone_is_read(text: str, seconds: float | None) -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert retry_after_s({"Retry-After": text}, now) == seconds
