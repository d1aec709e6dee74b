"""A service as a process: it connects, runs, reports its health, and stops cleanly."""

import asyncio
import importlib
import json
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

from busbar.kernel.clock import Clock
from busbar.kernel.errors import ConfigurationError
from busbar.messages import topics
from busbar.runtime.consume.dead_letters import DeadLetters
from busbar.runtime.consume.engine import Engine
from busbar.runtime.consume.parking import PARKED
from busbar.runtime.consume.service import Service
from busbar.runtime.core.backoff import UNREACHABLE
from busbar.runtime.core.bus import Bus, BusUnavailable
from busbar.runtime.core.cipher import Cipher, load_cipher
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.core.settings import Settings
from busbar.runtime.core.signing_key import key_path, load_signing_key
from busbar.runtime.core.version import VERSION
from busbar.runtime.host.gauges import Gauges
from busbar.runtime.host.gc import tune_gc
from busbar.runtime.host.instances import member_name, process_name
from busbar.runtime.http.server import AsgiApp, HealthApp, HttpServer, listen, url_of
from busbar.runtime.kafka.bus import KafkaBus
from busbar.runtime.kafka.topics import ensure_topics
from busbar.runtime.outbox.relay import Relay, RelayTiming
from busbar.runtime.personal import PersonalData, personal_data_of
from busbar.runtime.store import Store, StoreUnavailable, store_of
from busbar.runtime.tasks.runner import Job, TaskRunner, TaskTiming
from busbar.runtime.telemetry import tracing
from busbar.runtime.telemetry.logs import configure, get_logger
from busbar.runtime.telemetry.reachability import Reachability

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessTiming:
    """Intervals of a service's process, in seconds."""

    health: float = 2.0
    """Interval of the checks of broker and store."""

    unhealthy: float = 0.5
    """Interval of the checks of a broker that does not answer."""

    stop: float = 4.0
    """Time for the parts of a service to end after the current transaction."""

    relay: RelayTiming = field(default_factory=RelayTiming)
    tasks: TaskTiming = field(default_factory=TaskTiming)


@dataclass(frozen=True, slots=True)
class Context:
    """The dependencies that are passed to a service's ``app.create(context)``."""

    settings: Settings
    store: Store
    clock: Clock
    cipher: Cipher
    personal: PersonalData


@dataclass(frozen=True, slots=True)
class App:
    """The wired service that ``app.create(context)`` returns."""

    service: Service
    http: AsgiApp | None = None
    http_port: int | None = None
    """Port of the service's own; the default is that of ``Settings.http_port_number``."""
    open: Callable[[], Awaitable[None]] | None = None
    """Called before the service runs, again if it raises :class:`StoreUnavailable`; :attr:`close`
    is called after it, even if this fails."""
    close: Callable[[], Awaitable[None]] | None = None


Create = Callable[[Context], App]


def load(name: str) -> Create:
    """Return ``create`` of ``busbar.<name>.app``.

    Raises:
        ConfigurationError: the service does not exist.
    """
    if name not in topics.SERVICES:
        raise ConfigurationError(
            f"There is no service called {name!r}.",
            fix=f"Choose one of {', '.join(topics.SERVICES)}.",
        )
    create: Create = importlib.import_module(f"busbar.{name}.app").create
    return create


def run_service(name: str, settings: Settings) -> None:
    """Run the service ``name`` until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: the configuration has to be changed before it can run.
    """
    create = load(name)
    configure(service=name, level=settings.log_level, form=settings.log_format)
    with suppress(ImportError):
        import uvloop  # noqa: PLC0415 - not available on every platform

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(_run(name, create, settings))


async def _run(name: str, create: Create, settings: Settings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    clock = SystemClock()
    home = settings.private_home()
    async with AsyncExitStack() as stack:
        if settings.otlp_endpoint is not None:
            tracing.start(
                service=name,
                endpoint=settings.otlp_endpoint,
                sample=settings.trace_sample,
                version=VERSION,
            )
            stack.push_async_callback(tracing.stop)
        url = settings.database_url.get_secret_value() if settings.database_url else None
        store = store_of(
            home / f"{name}.db",
            service=name,
            clock=clock,
            database_url=url,
            connections=settings.database_connections,
        )
        stack.push_async_callback(store.close)
        cipher = load_cipher(home, settings.data_key)
        personal = personal_data_of(settings, cipher=cipher, clock=clock)
        stack.push_async_callback(personal.close)
        context = Context(settings, store, clock, cipher, personal)
        app = create(context)
        if app.close is not None:
            stack.push_async_callback(app.close)
        process = ServiceProcess(app, context, when_running=tune_gc)
        # Before the database is connected: /readyz says what is missing.
        server = _serve(name, process, app, settings)
        stack.push_async_callback(server.stop)
        server.start()
        stack.push_async_callback(process.stop)
        await process.run(stopping)


def _serve(name: str, process: "ServiceProcess", app: App, settings: Settings) -> HttpServer:
    port = settings.http_port_number if app.http_port is None else app.http_port
    expose = process.gauges.expose if settings.metrics else None
    health = HealthApp(name, process.problems, app.http, expose=expose)
    server = HttpServer(health, listen(settings.http_host, port), clock=process.context.clock)
    place = settings.home / "run" / f"{process_name(name, settings.instance_number)}.json"
    place.parent.mkdir(mode=0o700, exist_ok=True)
    address = {"pid": os.getpid(), "url": url_of(settings.http_host, server.port)}
    place.write_text(json.dumps(address), encoding="utf-8")
    log.info("listening", url=address["url"])
    return server


@dataclass(slots=True)
class ServiceProcess:
    """The running parts of one service."""

    app: App
    context: Context
    when_running: Callable[[], None] = lambda: None
    """Called once all parts run."""
    timing: ProcessTiming = field(default_factory=ProcessTiming)
    make_bus: Callable[..., Bus] = KafkaBus
    create_topics: Callable[[str], Awaitable[Any]] = ensure_topics
    make_runner: Callable[..., TaskRunner] = TaskRunner
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _part_ended: asyncio.Event = field(default_factory=asyncio.Event)
    _bus: Bus | None = None
    _relay: Relay | None = None
    _engine: Engine | None = None
    _connected: bool = False
    gauges: Gauges = field(init=False)
    _broker: Reachability = field(init=False)

    def __post_init__(self) -> None:
        """Restrict the store to the messages that the service declares."""
        self._broker = Reachability("Kafka", self.context.clock)
        self.context.store.publish_only(message.TYPE for message in self.app.service.publishes)
        self.gauges = Gauges(self.context.store, clock=self.context.clock)

    async def run(self, stopping: asyncio.Event) -> None:
        """Connect and run until ``stopping`` is set or a part fails.

        Raises:
            Exception: the error of the part; the supervisor restarts the process.
        """
        stopped = asyncio.create_task(stopping.wait())
        ended = asyncio.create_task(self._part_ended.wait())
        connecting = asyncio.create_task(self._connect())
        await asyncio.wait({stopped, ended, connecting}, return_when=asyncio.FIRST_COMPLETED)
        if connecting.done():
            connecting.result()
            self.when_running()
            log.info("running")
            await asyncio.wait({stopped, ended}, return_when=asyncio.FIRST_COMPLETED)
        for task in (connecting, ended, stopped):
            task.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        for part in self._tasks:
            if part.done():
                part.result()
        log.info("stopping")

    async def stop(self) -> None:
        """Stop consuming, then tasks and publishing: within 10 seconds, even if a part hangs.

        The next process recovers from unfinished work, as it does after a kill.
        """
        if self._engine is not None:
            await self._engine.stop()
        for task in self._tasks:
            task.cancel()
        ending = list(self._tasks)
        if self._bus is not None:
            ending.append(asyncio.create_task(self._bus.stop()))
        if not ending:
            return
        _, late = await asyncio.wait(ending, timeout=self.timing.stop)
        if late:
            log.warning("stop_timed_out", parts=len(late))

    async def _connect(self) -> None:
        """Connect the store, then all parts that need the broker; retry what is unreachable."""
        settings, store, clock = self.context.settings, self.context.store, self.context.clock
        service, bootstrap = self.app.service, settings.bootstrap()
        self._engine = Engine(
            service, store, self._dead_letters(), clock=clock, attempts=settings.handler_attempts
        )
        bus = self.make_bus(
            bootstrap,
            service=service.name,
            batch_records=settings.batch_records,
            gather_seconds=service.gather_seconds,
        )
        instance = member_name(
            service.name,
            settings.instance_number,
            home=settings.home,
            alone=settings.database_url is None,
        )
        bus.subscribe(service.topics, self._engine, instance=instance)
        self._bus = bus
        await self._until_reachable(store.connect)
        self._spawn(store.watch())
        if self.app.open is not None:
            await self._until_reachable(self.app.open)
        await self._until_reachable(lambda: self.create_topics(bootstrap))
        await self._until_reachable(bus.start)
        # Publishing and unfinished tasks resume immediately; joining the group may take longer.
        holder = f"{service.name}-{socket.gethostname()}-{os.getpid()}"
        lease = settings.lease_seconds
        self._relay = self._relay_to(bus, holder)
        jobs = {**service.jobs, PARKED: Job(self._engine.parking.resume)}
        self.gauges.attach(
            engine=self._engine,
            relay=self._relay,
            behind=bus.behind,
            kinds=jobs.keys(),
            counts=service.counts,
        )
        self._spawn(self._relay.run())
        self._spawn(self._watch_broker(bus))
        self._spawn(self._watch_store())
        for kind, job in jobs.items():
            runner = self.make_runner(
                kind,
                job,
                store,
                clock=clock,
                holder=holder,
                lease=lease,
                timing=self.timing.tasks,
            )
            self._spawn(runner.run())
        await self._until_reachable(bus.consume)
        self._connected = True

    def _dead_letters(self) -> DeadLetters:
        service, context = self.app.service, self.context
        return DeadLetters(
            service.name, context.cipher, personal=context.personal, executes=service.executes
        )

    def _relay_to(self, bus: Bus, holder: str) -> Relay:
        settings, name = self.context.settings, self.app.service.name
        return Relay(
            self.context.store,
            bus,
            clock=self.context.clock,
            holder=holder,
            lease=settings.lease_seconds,
            timing=self.timing.relay,
            signing_key=load_signing_key(key_path(settings.home, name)),
        )

    async def _until_reachable(self, step: Callable[[], Awaitable[object]]) -> None:
        """Run ``step``, and retry it while the database or the broker is unreachable."""
        failures = 0
        while True:
            try:
                await step()
            except (BusUnavailable, StoreUnavailable) as error:
                if isinstance(error, BusUnavailable):
                    self._broker.failed(error.reason)
                failures += 1
                wait = UNREACHABLE.after(failures)
                log.info("not_connected", error=str(error), again_in_seconds=round(wait, 3))
                await self.context.clock.sleep(wait)
            else:
                return

    def _spawn(self, part: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(part)
        task.add_done_callback(lambda _: self._part_ended.set())
        self._tasks.append(task)

    async def _watch_broker(self, bus: Bus) -> None:
        while True:
            answers = await bus.answers()
            if answers:
                self._broker.answered()
            else:
                self._broker.failed("no answer")
            if self._connected and bus.is_dead:
                log.warning("consumer_restarts")
                await self._until_reachable(bus.restart)
            await self.gauges.refresh_process()
            await self.context.clock.sleep(self.timing.health if answers else self.timing.unhealthy)

    async def _watch_store(self) -> None:
        """Terminate stalled sessions: an open transaction delays the readers of all services."""
        while True:
            with suppress(StoreUnavailable):
                if ended := await self.context.store.terminate_stalled_sessions():
                    log.warning("stalled_sessions_terminated", sessions=ended)
            await self.context.clock.sleep(self.timing.health)

    async def problems(self) -> Mapping[str, str]:
        """Return the reasons that the service is not ready, by part; empty if it is ready."""
        found: dict[str, str] = {}
        if problem := await self.context.store.problem():
            found["store"] = problem
        if problem := self._broker.problem:
            found["kafka"] = problem
        if not self._connected or self._bus is None:
            found.setdefault("kafka", "not connected to Kafka yet")
        if found or self._bus is None:
            return found  # the other parts wait for these
        if problem := self._bus.problem():
            found["consumer"] = problem
        if self._engine is not None and self._engine.stalled:
            found["engine"] = self._engine.stalled
        if self._relay is not None and not self._relay.healthy:
            found["relay"] = "the relay cannot publish"
        if any(task.done() for task in self._tasks):
            found["worker"] = "a part of the service has ended"
        return found


__all__ = ["App", "ConfigurationError", "Context", "load", "run_service"]
