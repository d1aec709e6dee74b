"""Access by tokens that principals sign: one form, by a key that is theirs and is valid now."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from busbar.gateway.domain import BadToken, parse_token
from busbar.messages.access_token import MAX_SECONDS, encode, sign_token
from busbar.messages.identity import KeyRevoked, PrincipalRemoved
from busbar.messages.signing import SigningKey
from busbar.testing import ManualClock
from unit.gateway.conftest import Api, Platform, Reply
from unit.gateway.principals import Caller, join, registered

ME = "/v1/principals/ci"


@pytest.fixture
async def ci(api: Api, platform: Platform) -> Caller:
    return await join(platform, api, "ci", "payments")


def seconds(clock: ManualClock) -> int:
    return int(clock.now().timestamp())


def signed(key: SigningKey, header: bytes, claims: bytes) -> str:
    """A token of these parts, with a signature that fits."""
    text = encode(header) + b"." + encode(claims)
    return (text + b"." + encode(key.sign(text))).decode()


def header_of(key: SigningKey, **other: Any) -> dict[str, Any]:
    return {"alg": "EdDSA", "kid": key.public.id, "typ": "JWT", **other}


def claims_of(caller: Caller, **other: Any) -> dict[str, Any]:
    now = seconds(caller.clock)
    return {"aud": "busbar", "exp": now + 60, "iat": now, "sub": caller.name, **other}


def refused(reply: Reply) -> str:
    """The reason in an answer, once it is known that the token is refused as every other."""
    body = reply.problem()
    assert (reply.status, body["code"]) == (401, "invalid_token"), reply
    assert reply.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    detail: str = body["detail"]
    return detail


async def test_a_principal_is_authenticated_by_a_token_that_its_key_signs(ci: Caller) -> None:
    reply = await ci.get(ME)
    assert (reply.status, reply.json["principal"]) == (200, "ci")


async def test_a_token_made_by_hand_of_the_same_members_is_the_same(ci: Caller) -> None:
    header, claims = json.dumps(header_of(ci.key)), json.dumps(claims_of(ci))
    token = signed(ci.key, header.encode(), claims.encode())
    assert (await ci.api.get(ME, token=token)).status == 200


def without(members: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in members.items() if key != name}


HEADERS: dict[str, Any] = {
    "no algorithm": {"alg": "none"},
    "another algorithm": {"alg": "HS256"},
    "the new name of the algorithm": {"alg": "Ed25519"},
    "the algorithm in another case": {"alg": "eddsa"},
    "a list of algorithms": {"alg": ["EdDSA"]},
    "another type": {"typ": "at+jwt"},
    "a type in another case": {"typ": "jwt"},
    "a key of its own": {"jwk": {"kty": "OKP"}},
    "the address of a key": {"jku": "https://example.com/keys"},
    "something critical": {"crit": ["exp"]},
    "a payload that is not encoded": {"b64": False},
    "a kid that is a path": {"kid": "../../keys/admin"},
    "a kid that is a number": {"kid": 1},
    "a kid in capitals": {"kid": "A" * 32},
}


@pytest.mark.parametrize("case", HEADERS)
async def test_a_token_with_another_header_is_refused(case: str, ci: Caller) -> None:
    header = json.dumps(header_of(ci.key, **HEADERS[case])).encode()
    token = signed(ci.key, header, json.dumps(claims_of(ci)).encode())
    refused(await ci.api.get(ME, token=token))


@pytest.mark.parametrize("name", ["alg", "kid", "typ"])
async def test_a_token_without_a_part_of_its_header_is_refused(name: str, ci: Caller) -> None:
    header = json.dumps(without(header_of(ci.key), name)).encode()
    token = signed(ci.key, header, json.dumps(claims_of(ci)).encode())
    assert "header" in refused(await ci.api.get(ME, token=token))


CLAIMS: dict[str, Any] = {
    "another audience": {"aud": "others"},
    "several audiences": {"aud": ["busbar"]},
    "no principal": {"sub": ""},
    "a principal that is a number": {"sub": 1},
    "a path as its principal": {"sub": "../ci"},
    "a time that is text": {"iat": "now"},
    "a time that is a fraction": {"iat": 1.5},
    "a time that is true": {"iat": True},
    "a time before 1970": {"iat": -1},
    "a time that is far in the future": {"exp": 2**62},
    "a claim that is not checked": {"nbf": 0},
    "an issuer": {"iss": "me"},
}


@pytest.mark.parametrize("case", CLAIMS)
async def test_a_token_with_other_claims_is_refused(case: str, ci: Caller) -> None:
    claims = json.dumps(claims_of(ci, **CLAIMS[case])).encode()
    token = signed(ci.key, json.dumps(header_of(ci.key)).encode(), claims)
    refused(await ci.api.get(ME, token=token))


@pytest.mark.parametrize("name", ["aud", "exp", "iat", "sub"])
async def test_a_token_without_a_claim_is_refused(name: str, ci: Caller) -> None:
    claims = json.dumps(without(claims_of(ci), name)).encode()
    token = signed(ci.key, json.dumps(header_of(ci.key)).encode(), claims)
    assert "claims" in refused(await ci.api.get(ME, token=token))


@pytest.mark.parametrize(
    ("issued", "lasting", "word"),
    [
        (0, MAX_SECONDS + 1, "too long"),
        (0, 0, "never"),
        (0, -1, "never"),
        (-91, 60, "expired"),
        (-10_000, 60, "expired"),
        (32, 60, "not valid yet"),
    ],
)
async def test_a_token_is_valid_for_a_short_time(
    issued: int, lasting: int, word: str, ci: Caller
) -> None:
    now = seconds(ci.clock)
    token = sign_token("ci", ci.key, issued=now + issued, seconds=lasting)
    assert word in refused(await ci.api.get(ME, token=token))


@pytest.mark.parametrize(("issued", "lasting"), [(0, MAX_SECONDS), (-80, 60), (29, 60)])
async def test_clocks_may_differ_a_little(issued: int, lasting: int, ci: Caller) -> None:
    token = sign_token("ci", ci.key, issued=seconds(ci.clock) + issued, seconds=lasting)
    assert (await ci.api.get(ME, token=token)).status == 200


async def test_a_public_key_is_not_taken_as_a_shared_secret(ci: Caller) -> None:
    header, claims = header_of(ci.key, alg="HS256"), claims_of(ci)
    text = b".".join(encode(json.dumps(part).encode()) for part in (header, claims))
    for secret in (ci.key.public.raw, ci.key.public.text.encode()):
        mac = hmac.digest(secret, text, hashlib.sha256)
        refused(await ci.api.get(ME, token=(text + b"." + encode(mac)).decode()))


async def test_a_token_without_a_signature_is_refused(ci: Caller) -> None:
    for alg in ("none", "EdDSA"):
        parts = (header_of(ci.key, alg=alg), claims_of(ci))
        text = b".".join(encode(json.dumps(part).encode()) for part in parts).decode()
        refused(await ci.api.get(ME, token=f"{text}."))


async def test_only_keys_of_the_principal_itself_are_taken_and_nothing_says_which_exist(
    ci: Caller, platform: Platform
) -> None:
    other = await join(platform, ci.api, "other", "payments")
    stranger = SigningKey.generate()
    now = seconds(ci.clock)
    cases = {
        "the key of another principal": sign_token("ci", other.key, issued=now),
        "a key that is not registered": sign_token("ci", stranger, issued=now),
        "a principal that does not exist": sign_token("unknown", ci.key, issued=now),
        "neither of them": sign_token("unknown", stranger, issued=now),
        "the id of one key and the signature of another": signed(
            stranger, json.dumps(header_of(ci.key)).encode(), json.dumps(claims_of(ci)).encode()
        ),
    }
    bodies = {case: (await ci.api.get(ME, token=token)).body for case, token in cases.items()}
    assert len(set(bodies.values())) == 1, bodies


async def test_a_revoked_key_is_refused_from_the_next_request_on(
    ci: Caller, platform: Platform
) -> None:
    assert (await ci.get(ME)).status == 200
    await platform.publish(KeyRevoked(key=ci.key.public.id, principal="ci", reason="lost"))
    assert "revoked" in refused(await ci.get(ME))
    new = SigningKey.generate()
    await platform.publish(registered("ci", new))
    token = sign_token("ci", new, issued=seconds(ci.clock))
    assert (await ci.api.get(ME, token=token)).status == 200


async def test_a_principal_that_is_removed_is_refused(ci: Caller, platform: Platform) -> None:
    await platform.publish(PrincipalRemoved(principal="ci"))
    assert "not declared" in refused(await ci.get(ME))


def mutated(token: str) -> dict[str, str]:
    """Other texts that a lenient reader takes for ``token``."""
    header, claims, signature = token.split(".")
    unused = signature[:-1] + chr(ord(signature[-1]) + 1)  # bits that no byte has
    standard = base64.b64encode(base64.urlsafe_b64decode(signature + "==")).decode()
    return {
        "padding": f"{header}.{claims}.{signature}==",
        "padding of the claims": f"{header}.{claims}=.{signature}",
        "unused bits": f"{header}.{claims}.{unused}",
        "the other alphabet": f"{header}.{claims}.+/{standard[2:]}",
        "a space": f"{header}.{claims}. {signature}",
        "a tab inside": f"{header}.{claims}.{signature[:5]}\t{signature[5:]}",
        "a character that is dropped": f"{header}.{claims}.{signature[:5]}!{signature[5:]}",
        "another part": f"{token}.{signature}",
        "two parts": f"{header}.{claims}",
        "an empty header": f".{claims}.{signature}",
        "empty claims": f"{header}..{signature}",
        "a long signature": f"{token}AAAA",
        "a very long header": f"{'A' * 4000}.{claims}.{signature}",
    }


async def test_a_token_is_written_in_one_way_only(ci: Caller) -> None:
    for case, token in mutated(ci.token()).items():
        reply = await ci.api.get(ME, token=token)
        assert reply.status == 401, case


async def test_the_form_is_checked_before_the_library_reads_it(ci: Caller) -> None:
    now = ci.clock.now()
    assert parse_token(ci.token(), now=now).principal == "ci"
    for token in mutated(ci.token()).values():
        with pytest.raises(BadToken):
            parse_token(token, now=now)


PARTS: dict[str, tuple[bytes | None, bytes | None]] = {
    "a member that is there twice": (b'{"alg":"none","alg":"EdDSA","kid":"%b","typ":"JWT"}', None),
    "a claim that is there twice": (
        None,
        b'{"aud":"busbar","exp":%d,"iat":%d,"sub":"x","sub":"ci"}',
    ),
    "a header that is a list": (b'["alg","kid","typ"]', None),
    "claims that are a text": (None, b'"ci"'),
    "a header that ends early": (b"{", None),
    "claims that are not UTF-8": (None, b'{"sub":"\xff"}'),
    "a byte order mark": (b'\xef\xbb\xbf{"alg":"EdDSA","kid":"%b","typ":"JWT"}', None),
}


@pytest.mark.parametrize("case", PARTS)
async def test_a_part_that_two_readers_could_take_differently_is_refused(
    case: str, ci: Caller
) -> None:
    header, claims = PARTS[case]
    if header is not None and b"%b" in header:
        header %= ci.key.public.id.encode()
    if claims is not None and b"%d" in claims:
        claims %= (seconds(ci.clock) + 60, seconds(ci.clock))
    token = signed(
        ci.key,
        header or json.dumps(header_of(ci.key)).encode(),
        claims or json.dumps(claims_of(ci)).encode(),
    )
    refused(await ci.api.get(ME, token=token))


async def test_two_credentials_are_refused_whichever_comes_first(ci: Caller) -> None:
    good, bad = ("authorization", f"Bearer {ci.token()}"), ("authorization", "Bearer x")
    for headers in ([good, bad], [bad, good], [good, good]):
        reply = await ci.api.request("GET", ME, headers=headers, token=None)
        assert (reply.status, reply.problem()["code"]) == (401, "unauthenticated")
        assert "twice" in reply.problem()["detail"]


async def test_a_refusal_repeats_nothing_of_the_token(ci: Caller) -> None:
    token = sign_token("ci", SigningKey.generate(), issued=seconds(ci.clock))
    reply = await ci.api.get(ME, token=token)
    assert not any(part in reply.body.decode() for part in token.split("."))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(min_value=0), char=st.sampled_from("AZaz09-_.=+/ "))
async def test_no_other_text_than_the_token_is_taken(place: int, char: str, ci: Caller) -> None:
    token = ci.token()
    place %= len(token)
    other = token[:place] + char + token[place + 1 :]
    reply = await ci.api.get(ME, token=other)
    assert reply.status == (200 if other == token else 401), other
