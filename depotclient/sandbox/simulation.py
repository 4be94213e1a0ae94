"""Session reports that never happened but could have: made from a seed, for the sandbox."""

from __future__ import annotations

import random
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import attrs
import msgspec

from evtransport.testing.sandbox import require_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Battery", "ReportShape", "SessionPlan", "render", "simulate_sessions"]

FIRST_START = datetime(2026, 1, 1, tzinfo=UTC)
"""When the first session begins unless a caller says otherwise."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TAPER = 80  # percent; above it a battery takes less and less current
_TAPER_END = 0.15  # the share of the full current that is left at 100 percent
_REQUEST = 1.006  # vehicles ask for a little more than they get, as in the vendor's example
_HOUR = 3_600_000  # ms

# Minutes of charging and of idling. They bound a cycle, so that the first start of many sessions
# can be chosen early enough for the last one to be over.
_CHARGING = (6.0, 42.0)
_IDLING = (15.0, 180.0)
_CYCLE = timedelta(hours=4)
_ROOM = 60

# The first two keys are the vendor's; the other two are an assumption of this sandbox.
_METER_KEYS = ("present_current", "present_voltage", "requested_current", "requested_voltage")
_DEVICES = (("Converter", "STANDBY", "CHARGE"), ("Breaker", "OPEN", "CLOSED"))
_WARNING = "WARN: converter : sibcos {}: VQS disabled from operating mode(no:144)"

Event = dict[str, str | int | float]


@attrs.frozen
class Battery:
    """A traction battery: its voltage rises with its charge, its current tapers off near the top.

    Attributes:
        capacity: Wh; a whole number of them for each percent of charge.
        empty_voltage: V at 0 %.
        full_voltage: V at 100 %.
        full_current: A up to 80 %.
    """

    capacity: int
    empty_voltage: float
    full_voltage: float
    full_current: float

    @cached_property
    def hours(self) -> tuple[float, ...]:
        """The time of charging from 0 % to n % at place n."""
        pace = [self.capacity / 100 / (self.voltage(n) * self.current(n)) for n in range(101)]
        times = [0.0]
        for slower, faster in pairwise(pace):
            times.append(times[-1] + (slower + faster) / 2)
        return tuple(times)

    def voltage(self, soc: float) -> float:
        """V at a state of charge in percent."""
        return self.empty_voltage + (self.full_voltage - self.empty_voltage) * soc / 100

    def current(self, soc: float) -> float:
        """A at a state of charge in percent."""
        over = max(0.0, soc - _TAPER) / (100 - _TAPER)
        return self.full_current * (1 - (1 - _TAPER_END) * over)


_BATTERIES = (
    Battery(170_000, 590.0, 680.0, 200.0),
    Battery(240_000, 600.0, 690.0, 250.0),
    Battery(350_000, 610.0, 700.0, 350.0),
    Battery(420_000, 615.0, 710.0, 450.0),
)
_FLEET = tuple((f"BUS-{n:03}", _BATTERIES[n % len(_BATTERIES)]) for n in range(1, 25))


@attrs.frozen
class ReportShape:
    """How many events a report carries; the default makes about 208 kB of JSON.

    Args:
        meter_values: Entries of `sessionMeterValues`, four for each point in time.
        charge_parameters: Entries of `chargeParameters`.
        detail_states: Entries of `detailStatus`.
        device_states: Entries of `deviceStatus`.

    Raises:
        ValueError: A count is no int or is negative.
    """

    meter_values: int = 2000
    charge_parameters: int = 200
    detail_states: int = 60
    device_states: int = 30

    def __attrs_post_init__(self) -> None:
        for field in attrs.fields(ReportShape):
            require_number(field.name, getattr(self, field.name), 0, whole=True)

    @classmethod
    def small(cls) -> ReportShape:
        """A few events of each kind: about 2 kB of JSON."""
        return cls(meter_values=4, charge_parameters=2, detail_states=2, device_states=1)

    @classmethod
    def lasting(cls, seconds: float) -> ReportShape:
        """What a charger that samples every 2.2 s writes down: 50 to 500 kB of JSON."""
        samples = max(2, round(seconds / 2.2))
        return cls(4 * samples, samples // 3, samples // 9, samples // 18)


@attrs.frozen
class SessionPlan:
    """One session before it is written out: who charged what, when, and how much.

    Attributes:
        session_id: Unique and ascending.
        vehicle_id: The vehicle.
        battery: Its battery.
        start: Of the session, epoch ms.
        charge_start: When the current begins to flow, epoch ms.
        charge_end: When it ceases, epoch ms.
        end: Of the session, epoch ms.
        soc: State of charge at both ends, percent.
        charge: Energy counter at both ends, Wh.
        primary: Energy counter of the supply side at both ends, Wh.
        requested: Counter of the energy that the vehicles asked for at both ends, Wh.
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
        """The shape that fits how long the session charged."""
        return ReportShape.lasting((self.charge_end - self.charge_start) / 1000)

    def at(self, start: int) -> SessionPlan:
        """The same session beginning at another time, in epoch ms."""
        later = start - self.start
        return attrs.evolve(
            self,
            start=start,
            charge_start=self.charge_start + later,
            charge_end=self.charge_end + later,
            end=self.end + later,
        )


def simulate_sessions(
    seed: int,
    charger_id: str,
    connector_id: str,
    count: int,
    *,
    start: datetime | None = None,
    first_session_id: int = 1,
) -> tuple[SessionPlan, ...]:
    """Plan the sessions of one connector, ascending in time and without overlap.

    Args:
        seed: The same seed and ids give the same sessions.
        charger_id: The charger.
        connector_id: The connector.
        count: How many sessions.
        start: An aware datetime, not before which the first session begins. By default 2026-01-01
            UTC; above 60 sessions as much earlier as it takes for the last to end in January 2026.
        first_session_id: The id of the first session; the others count up from it.

    Raises:
        ValueError: A number is out of range, or `start` is naive.
    """
    require_number("count", count, 0, whole=True)
    require_number("first_session_id", first_session_id, 0, whole=True)
    if start is None:
        start = FIRST_START - _CYCLE * max(0, count - _ROOM)
    if start.tzinfo is None:
        raise ValueError("start must be an aware datetime, such as one in UTC")
    draw = random.Random(f"{seed}/{charger_id}/{connector_id}")  # noqa: S311
    clock = (start - _EPOCH) // timedelta(milliseconds=1)
    return tuple(_plans(draw, clock, range(first_session_id, first_session_id + count)))


def _plans(draw: random.Random, clock: int, session_ids: Sequence[int]) -> Iterator[SessionPlan]:
    charge = draw.randrange(500_000, 2_000_000)
    primary = draw.randrange(100_000_000, 300_000_000)
    requested = charge + draw.randrange(5_000, 10_000)
    for session_id in session_ids:
        vehicle_id, battery = draw.choice(_FLEET)
        soc = _socs(draw, battery)
        energy = battery.capacity * (soc[1] - soc[0]) // 100
        supplied = round(energy / draw.uniform(0.94, 0.96))
        asked = round(energy * _REQUEST)
        begin = clock + draw.randrange(25_000, 60_000)
        over = begin + round((battery.hours[soc[1]] - battery.hours[soc[0]]) * _HOUR)
        end = over + draw.randrange(20_000, 90_000)
        yield SessionPlan(
            session_id=session_id,
            vehicle_id=vehicle_id,
            battery=battery,
            start=clock,
            charge_start=begin,
            charge_end=over,
            end=end,
            soc=soc,
            charge=(charge, charge + energy),
            primary=(primary, primary + supplied),
            requested=(requested, requested + asked),
        )
        charge, primary, requested = charge + energy, primary + supplied, requested + asked
        clock = end + round(draw.uniform(*_IDLING) * 60_000)


def _socs(draw: random.Random, battery: Battery) -> tuple[int, int]:
    """Where a session begins and ends, so that it charges for about the drawn time."""
    first = draw.randint(12, 74)
    shortest, longest = _CHARGING
    hours = shortest * (longest / shortest) ** draw.random() / 60
    last = bisect_right(battery.hours, battery.hours[first] + hours) - 1
    return first, min(98, max(first + 3, last))


def render(plan: SessionPlan, shape: ReportShape | None = None) -> bytes:
    """Write a report as the vendor does: JSON with camelCase keys.

    The energy under the curve of `present_current` and `present_voltage` agrees with the counters
    to about 1 %, given a hundred meter values or more.

    Args:
        plan: The session.
        shape: How many events; by default what fits how long the session charged.
    """
    shape = shape or plan.shape
    draw = random.Random(plan.session_id ^ plan.start)  # noqa: S311
    voltage = round(plan.battery.voltage(plan.soc[0]))
    last_voltage = round(plan.battery.voltage(plan.soc[1]))
    report = {
        "sessionId": plan.session_id,
        "vehicleId": plan.vehicle_id,
        "ocppStatus": _ocpp_states(plan),
        "detailStatus": _detail_states(plan, shape.detail_states, draw),
        "deviceStatus": _device_states(plan, shape.device_states, draw),
        "energySocEnd": plan.soc[1],
        "energySocStart": plan.soc[0],
        "sessionTimeEnd": _stamp(plan.end),
        "energyChargeEnd": plan.charge[1],
        "chargeParameters": _charge_parameters(plan, shape.charge_parameters),
        "energyPrimaryEnd": plan.primary[1],
        "sessionTimeStart": _stamp(plan.start),
        "energyChargeStart": plan.charge[0],
        "energyPrimaryStart": plan.primary[0],
        "energyRequestedEnd": plan.requested[1],
        "sessionMeterValues": _meter_values(plan, shape.meter_values),
        "energyRequestedStart": plan.requested[0],
        "batteryAlignmentResults": {
            "inRange": True,
            "eventTimestamp": _stamp(plan.charge_start - 2_000),
            "presentVoltage": voltage,
            "requestedVoltage": voltage,
        },
        "dcBreakerOpenConditions": {
            "current": 0,
            "voltage": last_voltage,
            "eventTimestamp": _stamp(plan.charge_end + 1_500),
        },
    }
    return msgspec.json.encode(report)


@lru_cache(maxsize=1024)
def _minute(number: int) -> str:
    return (_EPOCH + timedelta(minutes=number)).isoformat()[:17]


def _stamp(epoch_ms: int) -> str:
    # A quarter of the time that formatting a datetime takes, and this is most of the rendering.
    minute, rest = divmod(epoch_ms, 60_000)
    digits = str(100_000 + rest)
    return f"{_minute(minute)}{digits[1:3]}.{digits[3:]}Z"


def _spread(first: int, last: int, count: int) -> Iterator[int]:
    """So many moments at regular steps; the first and the last are among them."""
    for n in range(count):
        yield first + (last - first) * n // max(1, count - 1)


def _socs_at(plan: SessionPlan, moments: Iterator[int]) -> Iterator[tuple[int, float]]:
    """The state of charge at ascending moments while the current flows."""
    hours, percent = plan.battery.hours, plan.soc[0]
    offset = hours[percent]
    for moment in moments:
        passed = offset + (moment - plan.charge_start) / _HOUR
        while percent < plan.soc[1] - 1 and hours[percent + 1] <= passed:
            percent += 1
        yield moment, percent + (passed - hours[percent]) / (hours[percent + 1] - hours[percent])


def _meter_values(plan: SessionPlan, count: int) -> list[Event]:
    battery, values = plan.battery, list[Event]()
    moments = _spread(plan.charge_start, plan.charge_end, -(-count // len(_METER_KEYS)))
    for moment, soc in _socs_at(plan, moments):
        stamp, current = _stamp(moment), battery.current(soc)
        voltage = round(battery.voltage(soc))
        readings = (round(current, 1), voltage, round(current * _REQUEST, 1), voltage)
        values += [
            {"key": key, "value": value, "eventTimestamp": stamp}
            for key, value in zip(_METER_KEYS, readings, strict=True)
        ]
    return values[:count]


def _charge_parameters(plan: SessionPlan, count: int) -> list[Event]:
    """By turns what the station offers and what the vehicle asks for."""
    parameters = list[Event]()
    moments = _spread(plan.charge_start, plan.charge_end, count)
    for n, (moment, soc) in enumerate(_socs_at(plan, moments)):
        amperes = round(plan.battery.current(soc) * _REQUEST) if n % 2 else 600
        parameters.append(
            {
                "maxPower": 750 * amperes,
                "paramType": "Request" if n % 2 else "Station",
                "maxCurrent": amperes,
                "maxVoltage": 750,
                "minCurrent": 0,
                "minVoltage": 0 if n % 2 else 400,
                "eventTimestamp": _stamp(moment),
            }
        )
    return parameters


def _ocpp_states(plan: SessionPlan) -> list[Event]:
    moments = {
        "Available": plan.start,
        "Preparing": plan.start + 5_000,
        "Charging": plan.charge_start,
        "Finishing": plan.charge_end,
    }
    states: list[Event] = [
        {"value": state, "eventTimestamp": _stamp(moment)} for state, moment in moments.items()
    ]
    return [*states, {"value": "Available", "eventTimestamp": _stamp(plan.end)}]


def _detail_states(plan: SessionPlan, count: int, draw: random.Random) -> list[Event]:
    return [
        {
            "key": "operationalStatus" if n % 2 else "systemStatus",
            "value": f"0x{draw.getrandbits(16) if n > 1 else 0:08X}",
            "eventTimestamp": _stamp(moment),
        }
        for n, moment in enumerate(_spread(plan.start, plan.end, count))
    ]


def _device_states(
    plan: SessionPlan, count: int, draw: random.Random
) -> list[dict[str, str | list[Event]]]:
    """By turns the converter, at times with warnings, and the breaker."""
    states = list[dict[str, str | list[Event]]]()
    for n, moment in enumerate(_spread(plan.start, plan.end, count)):
        device, idle, busy = _DEVICES[n % 2]
        charging = plan.charge_start <= moment < plan.charge_end
        stamp = _stamp(moment)
        state: dict[str, str | list[Event]] = {
            "status": busy if charging else idle,
            "deviceId": device,
            "eventTimestamp": stamp,
        }
        if n % 8 == 0:
            state["errorCodes"] = [
                {
                    "errorCode": _WARNING.format(unit),
                    "errorCounter": draw.randrange(1, 60),
                    "eventTimestamp": stamp,
                }
                for unit in range(1, draw.randint(1, 2) + 1)
            ]
        states.append(state)
    return states
