"""Personal data: addresses and numbers. Check digits and fixed forms are checked."""

from collections.abc import Callable, Sequence
from ipaddress import ip_address

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.guardrails.base import PatternGuardrail
from ai_agents.guardrails.matching import Accepted, Rejected, Rule, is_in_word
from ai_agents.guardrails.patterns import regex

# Letters beyond ASCII as a few ranges: \w would be hundreds of ranges, repeated sixty-four times.
_LETTER = "a-z0-9\u00c0-\u1fff\u2c00-\u2dff\u3040-\ud7ff"
_LABEL = rf"[{_LETTER}](?:[{_LETTER}-]{{0,61}}[{_LETTER}])?"
_EMAIL = rf"[{_LETTER}.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@(?:{_LABEL}\.){{1,8}}[{_LETTER}]{{2,24}}"
_PHONE = (
    # International; with an area code in brackets; in groups of 3, 3 and 4; with a leading 0.
    r"(?:\+[0-9]{1,3}(?:[ ./()-]{0,2}[0-9]){6,13}"
    r"|\([0-9]{2,5}\)[ .-]{0,2}[0-9]{2,4}(?:[ .-][0-9]{2,5}){0,3}"
    r"|[0-9]{3}[-. ][0-9]{3}[-. ][0-9]{4}"
    r"|0[0-9]{2,4}[ /-][0-9]{3,8}(?:[ -][0-9]{2,4}){0,2})"
    # It may take one more character: \b sees no end before the _ of _+1 415 555 0132_ or the x of 212-555-0187x3.
    r"(?:\b|[X_])"
)
# One digit more than a card has, to recognize longer numbers.
_CARD = "[0-9](?:[ \u2010-\u2015-]?[0-9]){12,19}"
_CARD_DIGITS = range(13, 20)
_IBAN = r"[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}"
_IPV4 = r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}"
_IPV6 = (
    r"(?:[0-9a-f]{1,4}:(?:[0-9a-f]{0,4}:){1,7}|::(?:[0-9a-f]{0,4}:){0,6})"
    rf"(?:{_IPV4}|[0-9a-f]{{1,4}}(?:\b|_))?"
)
# The length of each country's numbers: https://www.swift.com/standards/data-standards/iban, as of 2024. A test holds
# them against python-stdnum's copy of the registry.
_IBAN_LENGTHS = {
    15: "NO", 16: "BE", 18: "DK FK FI FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ XK LT LU MN",
    21: "HR LV LI CH", 22: "BH BG CR GE DE IE ME RS GB VA", 23: "GI IL IQ OM SO TL AE",
    24: "AD CZ MD PK RO SA SK ES SE TN VG", 25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN SV HU LB NI PL", 29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
}  # fmt: skip
_IBAN_LENGTH = {country: length for length, countries in _IBAN_LENGTHS.items() for country in countries.split()}


def _check_card(text: str, start: int, end: int) -> Accepted | Rejected:
    """Accepts the longest beginning that is a card number and not part of a longer sequence of digits."""
    row_end = next((place for place in range(start, end) if not text[place].isdigit()), end)
    if text[start] not in "23456" or (start and text[start - 1].isdigit()):
        return Rejected(row_end)
    found, count = 0, 0
    # Luhn's sums, of digits at even and odd positions: of the digits, and of their doubles.
    plain, doubled = [0, 0], [0, 0]
    for place in range(start, end):
        if not text[place].isdigit():
            continue
        digit, parity = int(text[place]), count % 2
        plain[parity] += digit
        doubled[parity] += sum(divmod(2 * digit, 10))
        count += 1
        if count in _CARD_DIGITS and (plain[parity] + doubled[1 - parity]) % 10 == 0:
            found = found if text[place + 1 : place + 2].isdigit() else place + 1
    return Accepted(found) if found else Rejected(row_end)


def _check_phone(text: str, start: int, end: int) -> Accepted | Rejected:
    if text[start].isdigit() and is_in_word(text, start):
        return Rejected(start + 1)
    return Accepted(end if text[end - 1].isdigit() else end - 1)


def _check_iban(text: str, start: int, end: int) -> Accepted | Rejected:
    length = _IBAN_LENGTH.get(text[start : start + 2].upper())
    if length is None or is_in_word(text, start):
        return Rejected(start + 1)
    places = [place for place in range(start, end) if text[place] != " "][:length]
    number = "".join(text[place] for place in places)
    digits = "".join(str(int(character, 36)) for character in number[4:] + number[:4])
    return Accepted(places[-1] + 1) if len(places) == length and int(digits) % 97 == 1 else Rejected(start + 1)


def _check_ipv4(text: str, start: int, end: int) -> Accepted | Rejected:
    if start and text[start - 1].isdigit():
        return Rejected(start + 1)
    place = start
    for part in text[start:end].split("."):
        if int(part) > 255:
            # An address that begins earlier would contain this number too.
            return Rejected(place + len(part))
        place += len(part) + 1
    return Accepted(end)


def _check_ipv6(text: str, start: int, end: int) -> Accepted | Rejected:
    begins_late = text[start] == ":" and start and text[start - 1] == ":"
    if begins_late or is_in_word(text, start) or not any(map(str.isalnum, text[start:end])):
        return Rejected(start + 1)
    if text.count("::", start, end - 2) > 1:
        return Rejected(start + 1)
    # The candidate may end with an underscore or with colons that belong to the sentence.
    for stop in (end, end - 1, end - 2):
        try:
            ip_address(text[start:stop])
        except ValueError:
            continue
        return Accepted(stop)
    return Rejected(start + 1)


_KINDS: dict[str, Callable[[], list[Rule]]] = {
    "email": lambda: [Rule(regex(_EMAIL))],
    "phone": lambda: [Rule(regex(_PHONE), _check_phone)],
    "card": lambda: [Rule(regex(_CARD), _check_card)],
    "iban": lambda: [Rule(regex(_IBAN), _check_iban)],
    "ip": lambda: [Rule(regex(_IPV4), _check_ipv4), Rule(regex(_IPV6), _check_ipv6)],
}
KINDS = tuple(_KINDS)


class Pii(PatternGuardrail):
    """Finds personal data of the given kinds: `email`, `phone`, `card`, `iban`, `ip`."""

    def __init__(self, kinds: Sequence[str] = KINDS) -> None:
        super().__init__()
        unknown = sorted({str(kind) for kind in kinds} - set(KINDS))
        if unknown or not kinds:
            raise InvalidRequest(f"The kinds of pii are: {', '.join(KINDS)}.", loc=("kinds",))
        self._kinds = tuple(dict.fromkeys(kinds))

    def rules(self) -> Sequence[Rule]:
        """One or two rules for each kind."""
        return [rule for kind in self._kinds for rule in _KINDS[kind]()]
