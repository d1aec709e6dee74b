"""Keys: which are refused, and what the revocation of a service's key means for its heads."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from busbar.identity.adapters import load_principals
from busbar.identity.domain import PrincipalEntry, PrincipalsFile, decide_register
from busbar.identity.handlers import Identity
from busbar.kernel.errors import ConfigurationError
from busbar.messages import topics
from busbar.messages.authority import EMPTY, evolve
from busbar.messages.base import EXAMPLE_INTENT, EXAMPLE_OPERATION, IntentRef
from busbar.messages.delivery import HeadKeyRevoked
from busbar.messages.identity import KeyRefused, KeyRegistered, PrincipalDeclared, RegisterKey
from busbar.messages.signing import PublicKey, SigningKey, published_in
from busbar.runtime.store import Store, open_store
from busbar.testing import ManualClock
from support.personal import no_personal_data

VECTORS = json.loads(Path("contracts/signing-vectors.json").read_text(encoding="utf-8"))
RFC_8032 = [
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
    "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
]
"""The secret keys of the test vectors in RFC 8032, section 7.1."""

PUBLISHED = [
    *(PublicKey.parse(one["public_key"]) for one in VECTORS["keys"]["accepted"]),
    *(
        PublicKey(
            Ed25519PrivateKey.from_private_bytes(bytes.fromhex(one)).public_key().public_bytes_raw()
        )
        for one in RFC_8032
    ),
]
POLICY, CI = (SigningKey.generate().public for _ in range(2))


@pytest.mark.parametrize("key", PUBLISHED, ids=lambda key: key.id[:8])
def test_a_key_whose_private_half_is_published_is_never_registered(
    key: PublicKey, tmp_path: Path
) -> None:
    known = evolve(
        EMPTY,
        PrincipalDeclared(principal="ci", kind="bot", teams=(), sources=(), permissions=()),
    )
    refused = decide_register(
        known,
        RegisterKey(principal="ci", public_key=key.text),
        operation=UUID(EXAMPLE_OPERATION),
        intent=IntentRef.model_validate(EXAMPLE_INTENT),
    )
    assert isinstance(refused, KeyRefused)
    assert refused.reason == "published_key"
    assert f"the private half of the key {key.id} is published" in refused.detail
    path = tmp_path / "principals.yaml"
    head = "busbar: principals/v1\nprincipals:\n"
    path.write_text(f'{head}  - name: ci\n    kind: bot\n    keys: ["{key.text}"]\n')
    with pytest.raises(ConfigurationError, match=r"line 5: .* is published \("):
        load_principals(path)


def test_a_key_of_ones_own_is_published_nowhere() -> None:
    assert published_in(CI) is None


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(tmp_path / "identity.db", service="identity", clock=ManualClock())
    yield opened
    await opened.close()


def declared(*, policy: bool) -> PrincipalsFile:
    entries = [
        PrincipalEntry(name="policy", kind="service", keys=(POLICY.text,) if policy else ()),
        PrincipalEntry(name="ci", kind="bot", keys=(CI.text,) if policy else ()),
    ]
    return PrincipalsFile(busbar="principals/v1", principals=tuple(entries))


async def test_a_revoked_key_of_a_service_is_announced_among_its_heads(store: Store) -> None:
    identity = Identity(no_personal_data())
    await identity.declare(declared(policy=True), store)
    await identity.declare(declared(policy=False), store)
    revoked = [one for one in await store.events() if one.topic == topics.FACTS_HEAD]
    assert [(one.type, one.key, json.loads(one.data)) for one in revoked] == [
        (HeadKeyRevoked.TYPE, "policy", {"relay": "policy", "key": POLICY.id})
    ]


async def test_it_does_not_change_the_position_in_the_key_stream(store: Store) -> None:
    identity = Identity(no_personal_data())
    await identity.declare(declared(policy=True), store)
    await identity.declare(declared(policy=False), store)
    await identity.declare(declared(policy=False), store)
    facts = [one for one in await store.events() if one.topic == topics.FACTS_IDENTITY]
    assert len(facts) == 6
    assert sum(one.type == KeyRegistered.TYPE for one in facts) == 2
