"""The whole platform in one process of its own time, which can be stopped and restarted.

Engine, relay, workers, stores and services are the product's own, wired by the product's own
:class:`~busbar.runtime.host.process.ServiceProcess`. Simulated are Kafka, the clock, the world,
and the threads of the SQLite driver.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from busbar.audit.handlers import Audit
from busbar.gateway.domain import ADMINISTRATOR
from busbar.gateway.handlers import Gateway, accept_intent
from busbar.identity.handlers import Identity
from busbar.messages import topics
from busbar.notifier.domain import RetryPolicy
from busbar.notifier.handlers import Notifier
from busbar.policy.adapters import load_promises, load_rules, shipped
from busbar.policy.domain.rule_scope import Known
from busbar.policy.handlers import Policy
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.core.private_file import ensure_private_file
from busbar.runtime.core.settings import Settings
from busbar.runtime.core.signing_key import key_path
from busbar.runtime.host.process import App, Context, ProcessTiming, ServiceProcess
from busbar.runtime.outbox.relay import RelayTiming
from busbar.runtime.personal import PersonalData, load_marks
from busbar.runtime.secrets.open import subject_keys_of
from busbar.runtime.secrets.subjects import KEY_BYTES
from busbar.runtime.store import Store, StoreUnavailable, store_of
from busbar.runtime.tasks.runner import TaskRunner, TaskTiming
from faults import erasure
from faults.bus import Broker, SimulatedBus
from faults.client import Client
from faults.discards import BrittlePolicy, BrittleProvisioner
from faults.loop import VirtualClock, VirtualLoop, latency, polling, running, wait
from faults.names import STRANGER
from faults.rotation import GATEWAY, PRINCIPALS
from faults.scenarios import PROMISE, Asked, Scenario
from faults.sqlite import copy_as_killed, reset_connections, rewind, without_threads
from faults.world import OneSecret, Outside, Receiver, SimulatedAdapters, strangers
from support.personal import no_personal_data

SERVICES = ("policy", "provisioner", "audit", "notifier", "gateway")
"""The services that every scenario needs."""

SETTLING_SECONDS = 5.0
"""After this much time every service has heard of the first keys."""

IDLE_SECONDS = 7 * 24 * 3600.0
"""No polling: every waiter has to be woken by its event."""

TIMING = ProcessTiming(
    health=IDLE_SECONDS,
    relay=RelayTiming(idle=IDLE_SECONDS),
    tasks=TaskTiming(idle=IDLE_SECONDS),
)

LOOK_SECONDS = TaskTiming().idle
"""The polling interval, which only a clock that jumps makes necessary."""

MOST_AWAITS = 8_000
"""Far more than any run needs: beyond it, the run is in a loop."""
JUMP_SECONDS = 3600.0
JUMP_CHANCE = 0.003

SCRIPT = "script"
"""In the answers of a client: it has been answered everything."""

_STOPPED: list[object] = []
"""Loops of processes that were stopped. Nothing of them may run, not even when it is collected."""


class Simulation:
    """A platform and what is outside of it, through as many lives as it takes."""

    def __init__(self, scenario: Scenario, *, seed: int, root: Path) -> None:
        self.scenario = scenario
        self.seed = seed
        self.clock = VirtualClock()
        self.outside = Outside()
        self.broker = Broker()
        self.broker.latency = latency
        self.broker.poll = polling
        self.broker.timestamp = lambda: int(self.clock.now().timestamp() * 1000)
        self.life = 0
        self.stores: dict[str, Store] = {}
        self.deaths: list[str] = []
        """Parts of the platform that ended by an error."""
        self.jumps = 0
        self.runners: list[TaskRunner] = []
        """Who works on tasks in this life."""
        self.wanted: tuple[Asked, ...] = ()
        self.prepared = False
        """Whether everything is there that is there before the scenario begins."""
        self.harmed: Callable[[], list[str]] = list
        """What of other people's things was touched."""
        self.kill: Callable[[int], None] | None = None
        """Called at every await of the process, by its number."""
        self.broken: Exception | None = None
        """Why a kill could not be carried out."""
        self.root = root
        self._home = root / "0"
        self._home.mkdir(mode=0o700)
        self._promises = root / "promises"
        self._promises.mkdir()
        promise = erasure.PROMISE if scenario.personal else PROMISE
        (self._promises / "thing.yaml").write_text(promise, encoding="utf-8")
        self._marks = load_marks([self._promises])
        known = Known(load_promises([self._promises]), shipped().environments)
        self._judge = (known.promises, load_rules([], known, with_shipped=False))
        self._settings = Settings(
            home=self._home, kafka_bootstrap_servers="simulated:9092", batch_records=500
        )
        self.loop = self._new_loop()

    @property
    def services(self) -> tuple[str, ...]:
        """The services that run."""
        return (*SERVICES, "identity") if self.scenario.signed else SERVICES

    @property
    def home(self) -> Path:
        """The folder of the stores in this life."""
        return self._home

    # -- lives ----------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Have everything that is there before the scenario begins."""
        self.scenario.prepare(self.outside)
        self.harmed = strangers(self.outside.world, STRANGER)
        self.run(self.scenario.before)
        self.restart()
        self.prepared = True
        if self.scenario.rewound:
            rewind(self._home / "policy.db", "policy", topics.FACTS_IDENTITY)

    def run(self, wanted: tuple[Asked, ...]) -> None:
        """Live until nothing is left to do, with a client that wants ``wanted``."""
        self.wanted = wanted
        self.loop.limit(MOST_AWAITS)
        self.loop.on_await = self._on_await
        self._tasks = [self.loop.create_task(self._service(name)) for name in self.services]
        self.loop.run_until_quiet()
        if self.broken is not None:
            raise self.broken

    def restart(self) -> None:
        """Stop as by ``kill -9``, and be ready to run on what is durable."""
        _STOPPED.append((self.loop, self._tasks, self.stores))
        self.life += 1
        home = self.root / str(self.life)
        copy_as_killed(self._home, home)
        self._home, self.stores, self.runners = home, {}, []
        self.broker.forget_members()
        self.loop = self._new_loop()
        if self.scenario.jumps:
            self._jump()

    def move(self) -> None:
        """Work in a folder of this process, on a copy of what is durable; nothing runs yet."""
        home = self.root / str(self.life)
        copy_as_killed(self._home, home)
        self._home = home

    def reset_connections(self) -> None:
        """Reset every connection to a database and to the bus, where the processes are now."""
        reset_connections(
            random.Random(f"reset/{self.scenario.name}/{self.seed}/{self.loop.awaits}")
        )
        self.broker.resets += 1

    def _new_loop(self) -> VirtualLoop:
        name = f"{self.scenario.name}/{self.seed}/{self.life}"
        self._dice = random.Random(f"jumps/{name}")
        return VirtualLoop(self.clock, name)

    def _on_await(self, number: int) -> None:
        if self.scenario.jumps and self.life and self._dice.random() < JUMP_CHANCE:
            self._jump()
        if self.kill is None or self.broken is not None:
            return
        try:
            self.kill(number)
        except Exception as error:  # noqa: BLE001 - raised where no service can take it for its own
            self.broken = error
            self.loop.stop()

    def _jump(self) -> None:
        """By an hour; never further off than one, so that the longest wait is known."""
        late = self.clock.offset.total_seconds()
        choices = [d for d in (-JUMP_SECONDS, JUMP_SECONDS) if abs(late + d) <= JUMP_SECONDS]
        self.clock.jump(self._dice.choice(choices))
        self.jumps += 1
        self.loop.call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Have everybody see what the clock says now, as they do once a second in production."""
        for runner in self.runners:
            runner._wake.set()

    # -- one life -------------------------------------------------------------------------------

    async def _service(self, name: str) -> None:
        """Run a service as ``busbar run`` does; if it ends, something is wrong."""
        try:
            await self._lives(name)
        except Exception as error:  # noqa: BLE001 - whatever ends a service is a finding
            self.deaths.append(f"{name}: {type(error).__name__}: {error}")
        else:
            self.deaths.append(f"{name} ended")

    async def _lives(self, name: str) -> None:
        settings = self._settings.model_copy(update={"home": self._home})
        if self.scenario.signed and name == "gateway":
            ensure_private_file(key_path(self._home, name), GATEWAY.pem.strip())
        store = store_of(self._home / f"{name}.db", service=name, clock=self.clock)
        self.stores[name] = store
        personal = self.personal_data()
        context = Context(settings, store, self.clock, Cipher(bytes(32)), personal)
        service = ServiceProcess(
            self._wire(name, personal),
            context,
            timing=TIMING,
            make_bus=self._bus,
            create_topics=_no_topics,
            make_runner=self._runner,
        )
        if name == "gateway":
            self._asking = asyncio.create_task(self._client(store, personal))
        await service.run(asyncio.Event())

    def personal_data(self) -> PersonalData:
        """Return the personal data as a process of this life sees them."""
        if not self.scenario.personal:
            return no_personal_data()
        settings = self._settings.model_copy(update={"home": self._home})
        keys = subject_keys_of(settings, cipher=Cipher(bytes(32)), clock=self.clock)
        return PersonalData(self._marks, keys)

    def _bus(self, _bootstrap: str, **named: Any) -> SimulatedBus:
        return SimulatedBus(self.broker, **named)

    def _runner(self, *given: Any, **named: Any) -> TaskRunner:
        made = TaskRunner(*given, **named)
        self.runners.append(made)
        return made

    async def _client(self, store: Store, personal: PersonalData) -> None:
        """Send what is wanted, again and again until it is answered."""
        if self.prepared and self.scenario.script is not None:
            client = Client(store, personal, self.outside, self.broker, self.clock)
            await self.scenario.script(client)
            self.outside.answered.add(SCRIPT)
            return
        if self.scenario.signed:
            await self.clock.sleep(SETTLING_SECONDS)
        for asked in self.wanted:
            if asked.id in self.outside.answered:
                continue
            await latency()
            await self._accepted(store, asked)
            await latency()
            self.outside.answered.add(asked.id)

    async def _accepted(self, store: Store, asked: Asked) -> None:
        """Send one intent until the gateway's database has it."""
        while True:
            try:
                await accept_intent(
                    store, asked.envelope, principal=ADMINISTRATOR, traceparent=None
                )
            except StoreUnavailable:
                await self.clock.sleep(1)
            else:
                return

    def _wire(self, name: str, personal: PersonalData) -> App:
        """The service over what is outside; otherwise as in its ``app.py``."""
        clock, lease = self.clock, self._settings.lease_seconds
        match name:
            case "policy":
                policy = BrittlePolicy if self.scenario.broken else Policy
                unsigned = not self.scenario.signed
                judge = policy(*self._judge, personal, accepts_unsigned=unsigned)
                return App(judge.service())
            case "identity":
                identity, store = Identity(personal), self.stores[name]
                return App(identity.service(), open=lambda: identity.declare(PRINCIPALS, store))
            case "provisioner":
                adapters = SimulatedAdapters(self.outside, clock)
                provisioner = BrittleProvisioner(adapters, personal, clock=clock, lease=lease)
                provisioner.outside = self.outside
                return App(provisioner.service())
            case "audit":
                return App(Audit(Cipher(bytes(32)), personal).service())
            case "gateway":
                return App(Gateway().service())
            case _:
                return App(
                    Notifier(
                        Receiver(self.outside),
                        OneSecret(),
                        url_problem=lambda _: None,
                        policy=RetryPolicy(delays=(5.0, 30.0, 120.0)),
                        clock=clock,
                    ).service()
                )


class _Dice:
    """The jitter of whatever waits, from the seed."""

    @staticmethod
    def randbelow(below: int) -> int:
        return running().dice.randrange(below)

    @staticmethod
    def random() -> float:
        return running().dice.random()


def _key() -> bytes:
    """A key of a person, from the seed: sealed values are the same when a run is repeated."""
    return running().dice.randbytes(KEY_BYTES)


@asynccontextmanager
async def _unlocked(_path: Path) -> AsyncIterator[None]:
    """No other process opens the file, and there is no thread that could wait for one."""
    yield


async def _no_topics(_bootstrap: str) -> list[str]:
    await wait(0)
    return []


@contextmanager
def simulated() -> Iterator[None]:
    """Make jitter and keys depend on the seed, keep the driver out of threads, catch the logs."""
    quiet = structlog.testing.CapturingLoggerFactory()
    with without_threads(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("busbar.notifier.handlers.notifier.randomness", _Dice)
        patch.setattr("busbar.runtime.core.backoff._random", _Dice)
        patch.setattr("busbar.runtime.secrets.subjects._random_key", _key)
        patch.setattr("busbar.runtime.secrets.open._exclusive", _unlocked)
        logging.disable(logging.CRITICAL)
        structlog.configure(
            processors=[structlog.processors.format_exc_info, _keep],
            logger_factory=quiet,
            cache_logger_on_first_use=False,
        )
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
            structlog.reset_defaults()


LOGGED: list[str] = []
"""What the services of all lives have logged."""


def _keep(_logger: object, _name: str, event: Any) -> Any:
    LOGGED.append(repr(event))
    raise structlog.DropEvent
