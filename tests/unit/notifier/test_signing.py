"""Standard Webhooks v1, held against the published library and its vectors."""

import base64
import pickle
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from busbar.kernel.errors import BusbarError, ConfigurationError
from busbar.notifier.domain import Unverified, WebhookSecret, headers, sign, verify

ID = "0b6f8e0e-2b53-5d6e-8a53-6f5f4c1f9a10"
KEY = bytes(range(32))
SECRET = WebhookSecret(KEY)
OLD = WebhookSecret(b"o" * 24)

keys = st.binary(min_size=24, max_size=64)
bodies = st.text(st.characters(codec="utf-8")).map(str.encode)
timestamps = st.integers(0, 4_000_000_000)


def clock() -> int:
    # The published library reads the clock itself, so its tests need the real one.
    return int(datetime.now(tz=UTC).timestamp())  # noqa: TID251 - a receiver reads its own clock


def published(secret: WebhookSecret) -> Webhook:
    return Webhook(secret.reveal())


def test_the_vector_of_the_published_libraries_gets_its_signature() -> None:
    # The specification prints a signature without its secret; its libraries test this one.
    secret = WebhookSecret.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(key=keys, body=bodies, timestamp=timestamps)
def test_our_signature_is_the_one_the_published_library_makes(
    key: bytes, body: bytes, timestamp: int
) -> None:
    secret = WebhookSecret(key)
    theirs = published(secret).sign(ID, datetime.fromtimestamp(timestamp, tz=UTC), body.decode())
    assert sign(secret, ID, timestamp, body) == theirs


@given(key=keys, body=bodies)
def test_the_published_library_verifies_what_we_sign(key: bytes, body: bytes) -> None:
    secret = WebhookSecret(key)
    published(secret).verify(body, headers([secret], ID, clock(), body), json_parse=False)


@given(key=keys, body=bodies, timestamp=timestamps)
def test_we_verify_what_the_published_library_signs(
    key: bytes, body: bytes, timestamp: int
) -> None:
    secret = WebhookSecret(key)
    time = datetime.fromtimestamp(timestamp, tz=UTC)
    received = {
        "Webhook-Id": ID,
        "Webhook-Timestamp": str(timestamp),
        "Webhook-Signature": published(secret).sign(ID, time, body.decode()),
    }
    assert verify([secret], received, body, now=timestamp) == ID


@given(body=st.binary(min_size=1), data=st.data())
def test_any_changed_byte_of_the_body_is_noticed(body: bytes, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(body) - 1))
    changed = bytearray(body)
    changed[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Unverified, match="bad_signature"):
        verify([SECRET], headers([SECRET], ID, 1000, body), bytes(changed), now=1000)


def test_while_keys_rotate_both_the_old_and_the_new_receiver_verify() -> None:
    sent = headers([SECRET, OLD], ID, clock(), b"{}")
    assert len(sent["webhook-signature"].split(" ")) == 2
    for secret in (SECRET, OLD):
        published(secret).verify(b"{}", sent)
        assert verify([secret], sent, b"{}", now=clock()) == ID


def test_a_receiver_that_knows_both_keys_accepts_either() -> None:
    for secret in (SECRET, OLD):
        assert verify([SECRET, OLD], headers([secret], ID, 5, b""), b"", now=5) == ID


def test_a_signature_of_a_stranger_is_refused() -> None:
    sent = headers([OLD], ID, clock(), b"{}")
    with pytest.raises(Unverified, match="bad_signature"):
        verify([SECRET], sent, b"{}", now=clock())
    with pytest.raises(WebhookVerificationError):
        published(SECRET).verify(b"{}", sent)


def test_a_receiver_without_secrets_accepts_nothing() -> None:
    with pytest.raises(Unverified, match="bad_signature"):
        verify([], headers([SECRET], ID, 5, b""), b"", now=5)


@pytest.mark.parametrize("off", [-300, 0, 300])
def test_a_timestamp_within_five_minutes_is_accepted(off: int) -> None:
    assert verify([SECRET], headers([SECRET], ID, 10_000 + off, b""), b"", now=10_000) == ID


@pytest.mark.parametrize("off", [-301, 301])
def test_a_timestamp_beyond_five_minutes_is_refused(off: int) -> None:
    with pytest.raises(Unverified, match="stale"):
        verify([SECRET], headers([SECRET], ID, 10_000 + off, b""), b"", now=10_000)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_refused_by_its_name(name: str) -> None:
    sent = headers([SECRET], ID, 5, b"")
    del sent[name]
    with pytest.raises(Unverified, match=f"missing_header.*{name}"):
        verify([SECRET], sent, b"", now=5)


@pytest.mark.parametrize(
    "timestamp", ["5.0", "+5", "\N{ARABIC-INDIC DIGIT FIVE}", "5 ", "-5", "1e3", "9" * 5000]
)
def test_a_timestamp_that_is_not_a_whole_number_is_refused(timestamp: str) -> None:
    sent = {**headers([SECRET], ID, 5, b""), "webhook-timestamp": timestamp}
    with pytest.raises(Unverified, match="bad_header"):
        verify([SECRET], sent, b"", now=5)


@given(signature=st.text(min_size=1))
def test_no_text_in_place_of_the_signature_is_accepted_or_crashes(signature: str) -> None:
    sent = {**headers([SECRET], ID, 5, b""), "webhook-signature": signature}
    with pytest.raises(Unverified, match="bad_signature"):
        verify([SECRET], sent, b"", now=5)


def test_a_signature_of_another_scheme_beside_ours_does_no_harm() -> None:
    sent = headers([SECRET], ID, 5, b"")
    sent["webhook-signature"] = "v1a,AAAA nonsense " + sent["webhook-signature"]
    assert verify([SECRET], sent, b"", now=5) == ID


def test_only_the_first_sixteen_signatures_are_looked_at() -> None:
    sent = headers([SECRET], ID, 5, b"")
    sent["webhook-signature"] = "v1,AAAA " * 16 + sent["webhook-signature"]
    with pytest.raises(Unverified, match="bad_signature"):
        verify([SECRET], sent, b"", now=5)


@pytest.mark.parametrize("webhook_id", ["", "a.b", "a b", "a\r\nx: y", "é", "x" * 256])
def test_an_id_that_could_be_read_in_two_ways_is_not_signed(webhook_id: str) -> None:
    with pytest.raises(ValueError, match="cannot be a webhook id"):
        sign(SECRET, webhook_id, 5, b"")
    sent = {**headers([SECRET], ID, 5, b""), "webhook-id": webhook_id or "."}
    with pytest.raises(Unverified, match="bad_header"):
        verify([SECRET], sent, b"", now=5)


def test_a_webhook_without_a_secret_is_not_signed() -> None:
    with pytest.raises(ValueError, match="at least one secret"):
        headers([], ID, 5, b"")


@given(key=keys)
def test_a_secret_reads_back_with_and_without_padding(key: bytes) -> None:
    text = "whsec_" + base64.b64encode(key).decode()
    assert WebhookSecret.parse(text) == WebhookSecret(key)
    assert WebhookSecret.parse(f" {text.rstrip('=')}\n").reveal() == text


@pytest.mark.parametrize("size", [0, 1, 23, 65])
def test_a_secret_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(ConfigurationError, match="24 to 64"):
        WebhookSecret.parse("whsec_" + base64.b64encode(b"k" * size).decode())


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(KEY).decode(),
        "whsk_" + base64.b64encode(KEY).decode(),
        "whsec_" + base64.b64encode(KEY).decode()[:-3] + "!!=",
        "whsec_" + "ü" * 44,
    ],
)
def test_a_malformed_secret_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ConfigurationError, match="whsec_ followed by") as caught:
        WebhookSecret.parse(text)
    assert text[8:] not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@given(key=keys)
def test_nothing_printed_shows_a_secret(key: bytes) -> None:
    secret = WebhookSecret(key)
    shown = f"{secret} {secret!r} {[secret]} {secret!s:>5}"
    assert shown == shown.replace(secret.reveal(), "").replace(repr(key), "")
    assert repr(secret) == repr(WebhookSecret(b"x" * 24))


def test_the_refusal_of_a_webhook_is_final_and_shows_no_secret() -> None:
    with pytest.raises(BusbarError) as caught:
        verify([SECRET], headers([OLD], ID, 5, b""), b"", now=5)
    assert SECRET.reveal() not in str(caught.value)
    assert sign(SECRET, ID, 5, b"") not in str(caught.value)


def test_a_secret_has_no_dictionary_to_look_into() -> None:
    assert not hasattr(SECRET, "__dict__")
    assert pickle.loads(pickle.dumps(SECRET)) == SECRET  # noqa: S301 - our own bytes
