"""Simulated charging sessions: plausible plans made from a seed, and their reports as JSON."""

from __future__ import annotations

import itertools
import random
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import attrs
import msgspec

from depotclient.sandbox.shape import ReportShape
from evtransport.validation import validate_int

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Battery", "ReportShape", "SessionPlan", "default_start", "plan_sessions"]
__all__ += ["render", "simulate_sessions"]

_FIRST_START = datetime(2026, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR_MS = 3_600_000
# Interval between two meter values of the vendor's chargers.
_SAMPLE_MS = 2_200

# The current falls above this state of charge (percent), to this share of the full current.
_TAPER_START = 80
_TAPER_END = 0.15
# A vehicle requests a little more than it gets, as in the vendor's example.
_REQUEST = 1.006

_CHARGING_MINUTES = (6.0, 42.0)
_IDLE_MINUTES = (15.0, 180.0)
# Longest session with the idle time after it. Each session beyond 60 moves the first start back by
# one cycle, so that the last session ends in January 2026.
_CYCLE = timedelta(hours=4)
_SESSIONS_IN_JANUARY = 60

# The first two keys are the vendor's. The other two are an assumption.
_METER_KEYS = ("present_current", "present_voltage", "requested_current", "requested_voltage")
_DEVICES = (("Converter", "STANDBY", "CHARGE"), ("Breaker", "OPEN", "CLOSED"))
_WARNING = "WARN: converter : sibcos {}: VQS disabled from operating mode(no:144)"


@attrs.frozen
class Battery:
    """A traction battery. Its voltage rises with the charge; its current tapers near the end.

    Attributes:
        capacity: Capacity in Wh, a multiple of 100.
        empty_voltage: Voltage at 0 %, in V.
        full_voltage: Voltage at 100 %, in V.
        full_current: Current up to 80 %, in A.
    """

    capacity: int
    empty_voltage: float
    full_voltage: float
    full_current: float

    @cached_property
    def hours(self) -> tuple[float, ...]:
        """Return the charging time from 0 % to 0, 1, ... 100 %, in hours."""
        pace = [self.capacity / 100 / (self.voltage(n) * self.current(n)) for n in range(101)]
        times = [0.0]
        for before, after in itertools.pairwise(pace):
            times.append(times[-1] + (before + after) / 2)
        return tuple(times)

    def soc(self, hours: float) -> float:
        """Return the state of charge after charging from 0 % for some hours, in percent."""
        percent = min(bisect_right(self.hours, hours), 100) - 1
        start = self.hours[percent]
        return percent + (hours - start) / (self.hours[percent + 1] - start)

    def voltage(self, soc: float) -> float:
        """Return the voltage at a state of charge in percent, in V."""
        return self.empty_voltage + (self.full_voltage - self.empty_voltage) * soc / 100

    def current(self, soc: float) -> float:
        """Return the current at a state of charge in percent, in A."""
        taper = max(0.0, soc - _TAPER_START) / (100 - _TAPER_START)
        return self.full_current * (1 - (1 - _TAPER_END) * taper)


_BATTERIES = (
    Battery(170_000, 590.0, 680.0, 200.0),
    Battery(240_000, 600.0, 690.0, 250.0),
    Battery(350_000, 610.0, 700.0, 350.0),
    Battery(420_000, 615.0, 710.0, 450.0),
)
_FLEET = tuple((f"BUS-{n:03}", _BATTERIES[n % len(_BATTERIES)]) for n in range(1, 25))


@attrs.frozen
class SessionPlan:
    """A simulated session. Times are in milliseconds since 1970.

    Attributes:
        charge_start: Start of the current.
        charge_end: End of the current.
        soc: State of charge at the start and the end, in percent.
        charge: Energy counter at the start and the end, in Wh.
        primary: Energy counter of the supply side at the start and the end, in Wh.
        requested: Counter of the requested energy at the start and the end, in Wh.
    """

    session_id: int
    vehicle_id: str
    battery: Battery
    start: int
    charge_start: int
    charge_end: int
    end: int
    soc: tuple[int, int]
    charge: tuple[int, int]
    primary: tuple[int, int]
    requested: tuple[int, int]

    @property
    def shape(self) -> ReportShape:
        """Return the shape of a charger that samples every 2.2 s: 50 to 500 kB of JSON."""
        samples = max(2, round((self.charge_end - self.charge_start) / _SAMPLE_MS))
        return ReportShape(4 * samples, samples // 3, samples // 9, samples // 18)

    def starting_at(self, start: int) -> SessionPlan:
        """Return the same session at another time."""
        times = ("start", "charge_start", "charge_end", "end")
        shift = start - self.start
        return attrs.evolve(self, **{name: getattr(self, name) + shift for name in times})


def simulate_sessions(
    seed: int,
    charger_id: str,
    connector_id: str,
    count: int,
    *,
    start: datetime | None = None,
    first_session_id: int = 1,
) -> tuple[SessionPlan, ...]:
    """Plan the first sessions of one connector. See `plan_sessions`.

    Args:
        seed: Seed of the data.
        charger_id: Id of the charger.
        connector_id: Id of the connector.
        count: Number of sessions.
        start: Start of the first session. The default is `default_start(count)`.
        first_session_id: Id of the first session. The others count up from it.

    Raises:
        ValueError: A number is out of range, or `start` is naive.
    """
    validate_int("count", count, minimum=0)
    validate_int("first_session_id", first_session_id, minimum=0)
    start = start or default_start(count)
    plans = plan_sessions(seed, charger_id, connector_id, start, first_session_id)
    return tuple(itertools.islice(plans, count))


def default_start(count: int) -> datetime:
    """Return 2026-01-01 UTC, or earlier if more than 60 sessions must end in January 2026."""
    return _FIRST_START - _CYCLE * max(0, count - _SESSIONS_IN_JANUARY)


def plan_sessions(
    seed: int, charger_id: str, connector_id: str, start: datetime, first_session_id: int
) -> Iterator[SessionPlan]:
    """Plan endless sessions of one connector, ascending in time and without overlap.

    The same seed and ids give the same sessions.

    Raises:
        ValueError: `start` is naive.
    """
    if start.tzinfo is None:
        raise ValueError("start must be an aware datetime, such as one in UTC")
    draw = random.Random(f"{seed}/{charger_id}/{connector_id}")  # noqa: S311
    first_start = (start - _EPOCH) // timedelta(milliseconds=1)
    return _plan_sessions(draw, first_start, itertools.count(first_session_id))


def _plan_sessions(
    draw: random.Random, start: int, session_ids: Iterable[int]
) -> Iterator[SessionPlan]:
    charge = draw.randrange(500_000, 2_000_000)
    primary = draw.randrange(100_000_000, 300_000_000)
    requested = charge + draw.randrange(5_000, 10_000)
    for session_id in session_ids:
        vehicle_id, battery = draw.choice(_FLEET)
        soc = _draw_soc(draw, battery)
        energy = battery.capacity * (soc[1] - soc[0]) // 100
        supplied = round(energy / draw.uniform(0.94, 0.96))
        charge_start = start + draw.randrange(25_000, 60_000)
        charge_hours = battery.hours[soc[1]] - battery.hours[soc[0]]
        charge_end = charge_start + round(charge_hours * _HOUR_MS)
        plan = SessionPlan(
            session_id=session_id,
            vehicle_id=vehicle_id,
            battery=battery,
            start=start,
            charge_start=charge_start,
            charge_end=charge_end,
            end=charge_end + draw.randrange(20_000, 90_000),
            soc=soc,
            charge=(charge, charge + energy),
            primary=(primary, primary + supplied),
            requested=(requested, requested + round(energy * _REQUEST)),
        )
        yield plan
        charge, primary, requested = plan.charge[1], plan.primary[1], plan.requested[1]
        start = plan.end + round(draw.uniform(*_IDLE_MINUTES) * 60_000)


def _draw_soc(draw: random.Random, battery: Battery) -> tuple[int, int]:
    """Return the states of charge at both ends of a session that charges for a random time."""
    first = draw.randint(12, 74)
    shortest, longest = _CHARGING_MINUTES
    hours = shortest * (longest / shortest) ** draw.random() / 60
    last = int(battery.soc(battery.hours[first] + hours))
    return first, min(98, max(first + 3, last))


def render(plan: SessionPlan, shape: ReportShape | None = None) -> bytes:
    """Return the report of a session as JSON in the vendor's format.

    The energy under the curve of `present_current` and `present_voltage` agrees with the counters
    to about 1 %, given a hundred meter values or more.

    Args:
        plan: The session.
        shape: Number of events. The default depends on how long the session charged.
    """
    shape = shape or plan.shape
    draw = random.Random(plan.session_id ^ plan.start)  # noqa: S311
    voltage, last_voltage = (round(plan.battery.voltage(soc)) for soc in plan.soc)
    report = {
        "sessionId": plan.session_id,
        "vehicleId": plan.vehicle_id,
        "ocppStatus": _render_ocpp_states(plan),
        "detailStatus": list(_render_detail_states(plan, shape.detail_states, draw)),
        "deviceStatus": list(_render_device_states(plan, shape.device_states, draw)),
        "energySocEnd": plan.soc[1],
        "energySocStart": plan.soc[0],
        "sessionTimeEnd": _format_time(plan.end),
        "energyChargeEnd": plan.charge[1],
        "chargeParameters": list(_render_parameters(plan, shape.charge_parameters)),
        "energyPrimaryEnd": plan.primary[1],
        "sessionTimeStart": _format_time(plan.start),
        "energyChargeStart": plan.charge[0],
        "energyPrimaryStart": plan.primary[0],
        "energyRequestedEnd": plan.requested[1],
        "sessionMeterValues": list(_render_meter_values(plan, shape.meter_values)),
        "energyRequestedStart": plan.requested[0],
        "batteryAlignmentResults": {
            "inRange": True,
            "eventTimestamp": _format_time(plan.charge_start - 2_000),
            "presentVoltage": voltage,
            "requestedVoltage": voltage,
        },
        "dcBreakerOpenConditions": {
            "current": 0,
            "voltage": last_voltage,
            "eventTimestamp": _format_time(plan.charge_end + 1_500),
        },
    }
    return msgspec.json.encode(report)


@lru_cache(maxsize=1024)
def _format_minute(number: int) -> str:
    return (_EPOCH + timedelta(minutes=number)).isoformat()[:17]


def _format_time(epoch_ms: int) -> str:
    # Without the cache of minutes, formatting takes half of the rendering time.
    minute, rest = divmod(epoch_ms, 60_000)
    digits = str(100_000 + rest)
    return f"{_format_minute(minute)}{digits[1:3]}.{digits[3:]}Z"


def _spread(first: int, last: int, count: int) -> list[int]:
    """Return `count` moments at regular steps, including the first and the last."""
    return [first + (last - first) * n // max(1, count - 1) for n in range(count)]


def _charging_points(plan: SessionPlan, count: int) -> Iterator[tuple[str, float]]:
    """Yield moments while the current flows, with the state of charge in percent."""
    battery = plan.battery
    for moment in _spread(plan.charge_start, plan.charge_end, count):
        hours = battery.hours[plan.soc[0]] + (moment - plan.charge_start) / _HOUR_MS
        yield _format_time(moment), battery.soc(hours)


def _render_meter_values(plan: SessionPlan, count: int) -> list[dict[str, object]]:
    values = list[dict[str, object]]()
    for moment, soc in _charging_points(plan, -(-count // len(_METER_KEYS))):
        current, voltage = plan.battery.current(soc), round(plan.battery.voltage(soc))
        readings = (round(current, 1), voltage, round(current * _REQUEST, 1), voltage)
        values += [
            {"key": key, "value": value, "eventTimestamp": moment}
            for key, value in zip(_METER_KEYS, readings, strict=True)
        ]
    return values[:count]


def _render_parameters(plan: SessionPlan, count: int) -> Iterator[dict[str, object]]:
    """Yield the limits of the station and of the vehicle alternately."""
    for n, (moment, soc) in enumerate(_charging_points(plan, count)):
        current = round(plan.battery.current(soc) * _REQUEST) if n % 2 else 600
        yield {
            "maxPower": 750 * current,
            "paramType": "Request" if n % 2 else "Station",
            "maxCurrent": current,
            "maxVoltage": 750,
            "minCurrent": 0,
            "minVoltage": 0 if n % 2 else 400,
            "eventTimestamp": moment,
        }


def _render_ocpp_states(plan: SessionPlan) -> list[dict[str, str]]:
    states = (
        ("Available", plan.start),
        ("Preparing", plan.start + 5_000),
        ("Charging", plan.charge_start),
        ("Finishing", plan.charge_end),
        ("Available", plan.end),
    )
    return [{"value": name, "eventTimestamp": _format_time(moment)} for name, moment in states]


def _render_detail_states(
    plan: SessionPlan, count: int, draw: random.Random
) -> Iterator[dict[str, str]]:
    for n, moment in enumerate(_spread(plan.start, plan.end, count)):
        yield {
            "key": "operationalStatus" if n % 2 else "systemStatus",
            "value": f"0x{draw.getrandbits(16) if n > 1 else 0:08X}",
            "eventTimestamp": _format_time(moment),
        }


def _render_device_states(
    plan: SessionPlan, count: int, draw: random.Random
) -> Iterator[dict[str, object]]:
    """Yield states of the converter, sometimes with warnings, and of the breaker alternately."""
    for n, moment in enumerate(_spread(plan.start, plan.end, count)):
        device, idle, busy = _DEVICES[n % 2]
        charging = plan.charge_start <= moment < plan.charge_end
        time = _format_time(moment)
        state: dict[str, object] = {
            "status": busy if charging else idle,
            "deviceId": device,
            "eventTimestamp": time,
        }
        if n % 8 == 0:
            state["errorCodes"] = [
                {
                    "errorCode": _WARNING.format(unit),
                    "errorCounter": draw.randrange(1, 60),
                    "eventTimestamp": time,
                }
                for unit in range(1, draw.randint(1, 2) + 1)
            ]
        yield state
