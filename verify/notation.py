"""Numbers and intervals as a mathematician reads them: short, and never narrower than they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal, localcontext
from typing import Any

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_DIGITS = 8  # of a midpoint, at most; an ellipsis stands for the others
_NARROW = Decimal("1e-3")


def number(value: float | None, digits: int = 4) -> str:
    """A number to some significant digits; None is unbounded."""
    if value is None or math.isinf(value):
        return "−∞" if value is not None and value < 0 else "∞"
    if value == 0:
        return "0"
    if float(value).is_integer() and abs(value) < 1e6:
        return _signed(str(int(value)))
    power = _power(Decimal(value))
    if -4 <= power < 6:
        decimals = max(digits - 1 - power, 0)
        return _signed(_trimmed(f"{value:.{decimals}f}"))
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    return _scaled(_trimmed(mantissa), int(exponent))


def percent(value: float | None) -> str:
    """A relative change as a percentage to three significant digits."""
    return "∞" if value is None else f"{number(100 * value, 3)} %"


def interval(record: Mapping[str, Any]) -> str:
    """An interval {lower, upper, exact?}: a point, a midpoint with a radius if it is narrow, or both ends."""
    if record.get("exact") is not None and len(record["exact"]) <= 24:
        return _signed(record["exact"])
    lower, upper = record["lower"], record["upper"]
    if lower is None or upper is None:
        left = "(−∞" if lower is None else f"[{number(lower)}"
        right = "∞)" if upper is None else f"{number(upper)}]"
        return f"{left}, {right}"
    if lower == upper:
        return number(lower)
    with localcontext(prec=1000):
        low, up = Decimal(repr(lower)), Decimal(repr(upper))
        power = _power(max(abs(low), abs(up)))
        if up - low > _NARROW.scaleb(power) and low and up and abs(_power(low) - _power(up)) >= 2:
            return f"[{_end(low, ROUND_FLOOR)}, {_end(up, ROUND_CEILING)}]"
        shift = 0 if -4 <= power < 6 else power
        low, up = low.scaleb(-shift), up.scaleb(-shift)
        narrow = up - low <= _NARROW * max(abs(low), abs(up))
        text = _ball(low, up) if narrow else _ends(low, up)
    return text if not shift else _scaled(f"({text})" if narrow else text, shift)


def _ball(low: Decimal, up: Decimal) -> str:
    """`15.418961… ± 2·10⁻¹³`: digits cut off are shown to be, and the radius covers what was rounded."""
    middle, radius = (low + up) / 2, (up - low) / 2
    digits = min(_power(middle) - _power(radius) + 1, _DIGITS)
    unit = Decimal(1).scaleb(_power(middle) - digits + 1)
    if _power(radius) < _power(unit):
        return _signed(f"{middle.quantize(unit, ROUND_DOWN):f}…") + f" ± {_one_digit(radius)}"
    shown = middle.quantize(unit)
    return f"{_signed(f'{shown:f}')} ± {_one_digit(radius + abs(middle - shown))}"


def _ends(low: Decimal, up: Decimal) -> str:
    """Both ends, rounded outward to two digits of the width."""
    unit = min(Decimal(1).scaleb(_power(up - low) - 1), Decimal(1))
    low, up = low.quantize(unit, ROUND_FLOOR), up.quantize(unit, ROUND_CEILING)
    return "[" + ", ".join(_signed(f"{end:f}") if end else "0" for end in (low, up)) + "]"


def _end(end: Decimal, rounding: str) -> str:
    """An end by itself, rounded outward to two digits, for where the other is of another magnitude."""
    shown = end.quantize(Decimal(1).scaleb(_power(end) - 1), rounding)
    return number(float(shown), 2)


def _one_digit(radius: Decimal) -> str:
    power = _power(radius)
    shown = radius.quantize(Decimal(1).scaleb(power), ROUND_CEILING)
    power = _power(shown)
    return f"{shown:f}" if -4 <= power < 1 else _scaled(f"{shown.scaleb(-power).normalize():f}", power)


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def _power(value: Decimal) -> int:
    return value.adjusted() if value else 0


def _scaled(mantissa: str, power: int) -> str:
    return f"{_signed(mantissa)}·10{str(power).translate(_SUPERSCRIPT)}"


def _signed(text: str) -> str:
    return text.replace("-", "−")
