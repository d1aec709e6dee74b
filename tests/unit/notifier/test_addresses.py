"""Which URLs and addresses a webhook may go to."""

from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from busbar.kernel.errors import ConfigurationError
from busbar.notifier.adapters.sender import url_problem
from busbar.notifier.domain import REFUSED_NETWORKS, Network, is_refused, parse_networks

LOOPBACK = parse_networks(["127.0.0.0/8"])


@pytest.mark.parametrize(
    "url",
    [
        "https://payments.example/hooks/busbar?x=1#f",
        "http://receiver:9000/",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]:8443/",
        "https://bücher.example/",
        "https://user.example/@name",
    ],
)
def test_a_sound_url_has_no_problem(url: str) -> None:
    assert url_problem(url) is None


def test_an_allowed_network_makes_its_literals_sound() -> None:
    assert url_problem("http://127.0.0.1:9000/") is not None
    assert url_problem("http://127.0.0.1:9000/", LOOPBACK) is None
    assert url_problem("http://10.0.0.1/", LOOPBACK) is not None


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "10.1.2.3", "100.100.100.200", "127.255.255.255", "168.63.129.16"),  # noqa: S104 - a table, no bind
        *("169.254.169.254", "172.31.0.1", "192.0.0.192", "192.168.1.1", "192.88.99.1"),
        *("198.19.0.1", "224.0.0.1", "239.255.255.250", "255.255.255.255"),
        *("::", "::1", "::8.8.8.8", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::808:808"),
        *("64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1"),
        *("5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "fe80::1%eth0"),
        *("", "example.com", "8.8.8.8 ", "0x8.8.8.8"),
    ],
)
def test_what_is_not_a_public_address_is_refused(address: str) -> None:
    assert is_refused(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "223.255.255.255", "2a00::1"]
)
def test_a_public_address_is_not_refused(address: str) -> None:
    assert not is_refused(address)


@given(value=st.integers(0, 2**32 - 1))
def test_what_python_calls_private_is_refused_and_what_we_refuse_has_an_entry(value: int) -> None:
    address = IPv4Address(value)
    if not address.is_global:
        assert is_refused(str(address))
    assert is_refused(str(address)) == any(address in network for network in REFUSED_NETWORKS)


@given(network=st.sampled_from([n for n in REFUSED_NETWORKS if n.version == 4]), data=st.data())
def test_no_spelling_of_a_refused_address_is_a_sound_url(
    network: Network, data: st.DataObject
) -> None:
    value = int(network[0]) + data.draw(st.integers(0, network.num_addresses - 1))
    octets = IPv4Address(value).packed
    for host in (
        str(IPv4Address(value)),
        str(value),
        hex(value),
        ".".join(map(hex, octets)),
        ".".join(f"0{octet:o}" for octet in octets),
        f"{octets[0]}.{value & 0xFFFFFF}",
        f"[::ffff:{IPv4Address(value)}]",
        f"[{ip_address((0x64FF9B << 96) + value)}]",
    ):
        assert url_problem(f"http://{host}/") is not None


@given(url=st.text())
@example(url="\x00")
def test_no_text_makes_the_check_of_a_url_crash(url: str) -> None:
    for text in (url, f"http://{url}", f"https://x.example{url}", f"http://[{url}]/"):
        problem = url_problem(text)
        assert problem is None or problem


@pytest.mark.parametrize("text", ["127.0.0.1/8", "localhost", ""])
def test_an_invalid_network_is_an_error_of_the_configuration(text: str) -> None:
    with pytest.raises(ConfigurationError, match="CIDR"):
        parse_networks([text])
