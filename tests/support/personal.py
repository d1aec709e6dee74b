"""Personal data for tests."""

from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from busbar.kernel.clock import Clock
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.core.settings import Settings
from busbar.runtime.personal import PersonalData, PromiseMarks
from busbar.runtime.secrets.database import SecretDatabase
from busbar.runtime.secrets.open import subject_keys_of
from busbar.runtime.secrets.subjects import SubjectKeys
from busbar.testing import ManualClock


def no_personal_data() -> PersonalData:
    """Personal data of promises without personal fields: any use of a key fails."""

    async def never() -> tuple[AsyncEngine, None]:
        raise AssertionError("there are no personal fields, so no key is needed")

    keys = SubjectKeys(SecretDatabase(never), Cipher(bytes(32)), ManualClock())
    return PersonalData(PromiseMarks(), keys)


def personal_data(
    home: Path, marks: PromiseMarks, clock: Clock, *, cipher: Cipher | None = None
) -> PersonalData:
    """Personal data with its keys in a file in ``home``."""
    cipher = cipher or Cipher(bytes(32))
    keys = subject_keys_of(Settings(home=home), cipher=cipher, clock=clock)
    return PersonalData(marks, keys)
