"""The table of addresses that webhooks must never reach.

``ipaddress.is_global`` is not enough: on the supported Pythons it accepts multicast, NAT64,
site-local, segment routing, documentation and IPv4-in-IPv6 ranges. Hence our own table.
Sources: IANA's IPv4 and IPv6 Special-Purpose Address Registries; RFC 4291 for 2000::/3.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from busbar.kernel.errors import ConfigurationError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

REFUSED_NETWORKS: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network; Linux connects it to itself
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT, and metadata at some clouds
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's wire server, a public address that is not public
        "169.254.0.0/16",  # link-local, metadata at most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # multicast tunnels (AMT)
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        # Everything in IPv6 that is not global unicast (2000::/3). ::/3 holds loopback, all of
        # ::/8 (IPv4-mapped, -compatible and -translated), NAT64 and discard; the others hold
        # segment routing, unique local, link-local, site-local and multicast.
        "::/3",
        "4000::/2",
        "8000::/1",
        # Ranges inside global unicast that are not global.
        "2001::/23",  # IETF protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",  # documentation
    )
)


def is_refused(host: str, allow_networks: Iterable[Network] = ()) -> bool:
    """Return whether webhooks must not connect to ``host``, an address as text.

    ``allow_networks`` take precedence over the table. Text that is not an address is refused.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return True
    if any(address in network for network in allow_networks):
        return False
    return any(address in network for network in REFUSED_NETWORKS)


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Parse networks in CIDR form, such as ``127.0.0.0/8``.

    Raises:
        ConfigurationError: one of them is not a network.
    """
    networks: list[Network] = []
    for text in texts:
        try:
            networks.append(ip_network(text))
        except ValueError as error:
            raise ConfigurationError(
                f"{text!r} is not a network.",
                fix="Write it in CIDR form, such as 127.0.0.0/8, with no host bits set.",
            ) from error
    return tuple(networks)
