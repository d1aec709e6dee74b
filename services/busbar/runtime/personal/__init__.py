"""Personal data: sealed per subject before anything stores it, and erased by destroying a key."""

from busbar.kernel.clock import Clock
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.core.settings import Settings
from busbar.runtime.personal.data import Opened, PersonalData
from busbar.runtime.personal.marks import PromiseMarks, load_marks
from busbar.runtime.secrets.open import subject_keys_of

__all__ = ["Opened", "PersonalData", "PromiseMarks", "load_marks", "personal_data_of"]


def personal_data_of(settings: Settings, *, cipher: Cipher, clock: Clock) -> PersonalData:
    """Return the personal data of this installation; nothing is connected before its first use.

    Raises:
        ConfigurationError: a folder of promises does not exist or cannot be searched.
    """
    marks = load_marks(settings.promise_folders())
    return PersonalData(marks, subject_keys_of(settings, cipher=cipher, clock=clock))
