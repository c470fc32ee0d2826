"""Time zones by Windows and by IANA name, and the date-times of Graph (fact sheet 1.7)."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mms_simulator.errors import GraphError, bad_request

_WINDOWS = """
Dateline Standard Time=Etc/GMT+12|UTC-11=Etc/GMT+11|Aleutian Standard Time=America/Adak
Hawaiian Standard Time=Pacific/Honolulu|Marquesas Standard Time=Pacific/Marquesas
Alaskan Standard Time=America/Anchorage|UTC-09=Etc/GMT+9|Pacific Standard Time (Mexico)=America/Tijuana
UTC-08=Etc/GMT+8|Pacific Standard Time=America/Los_Angeles|US Mountain Standard Time=America/Phoenix
Mountain Standard Time (Mexico)=America/Mazatlan|Mountain Standard Time=America/Denver
Yukon Standard Time=America/Whitehorse|Central America Standard Time=America/Guatemala
Central Standard Time=America/Chicago|Easter Island Standard Time=Pacific/Easter
Central Standard Time (Mexico)=America/Mexico_City|Canada Central Standard Time=America/Regina
SA Pacific Standard Time=America/Bogota|Eastern Standard Time (Mexico)=America/Cancun
Eastern Standard Time=America/New_York|Haiti Standard Time=America/Port-au-Prince
Cuba Standard Time=America/Havana|US Eastern Standard Time=America/Indianapolis
Turks And Caicos Standard Time=America/Grand_Turk|Paraguay Standard Time=America/Asuncion
Atlantic Standard Time=America/Halifax|Venezuela Standard Time=America/Caracas
Central Brazilian Standard Time=America/Cuiaba|SA Western Standard Time=America/La_Paz
Pacific SA Standard Time=America/Santiago|Newfoundland Standard Time=America/St_Johns
Tocantins Standard Time=America/Araguaina|E. South America Standard Time=America/Sao_Paulo
SA Eastern Standard Time=America/Cayenne|Argentina Standard Time=America/Buenos_Aires
Greenland Standard Time=America/Godthab|Montevideo Standard Time=America/Montevideo
Magallanes Standard Time=America/Punta_Arenas|Saint Pierre Standard Time=America/Miquelon
Bahia Standard Time=America/Bahia|UTC-02=Etc/GMT+2|Mid-Atlantic Standard Time=Etc/GMT+2
Azores Standard Time=Atlantic/Azores|Cape Verde Standard Time=Atlantic/Cape_Verde|UTC=Etc/UTC
GMT Standard Time=Europe/London|Greenwich Standard Time=Atlantic/Reykjavik|Sao Tome Standard Time=Africa/Sao_Tome
Morocco Standard Time=Africa/Casablanca|W. Europe Standard Time=Europe/Berlin
Central Europe Standard Time=Europe/Budapest|Romance Standard Time=Europe/Paris
Central European Standard Time=Europe/Warsaw|W. Central Africa Standard Time=Africa/Lagos
Jordan Standard Time=Asia/Amman|GTB Standard Time=Europe/Bucharest|Middle East Standard Time=Asia/Beirut
Egypt Standard Time=Africa/Cairo|E. Europe Standard Time=Europe/Chisinau|Syria Standard Time=Asia/Damascus
West Bank Standard Time=Asia/Hebron|South Africa Standard Time=Africa/Johannesburg|FLE Standard Time=Europe/Kiev
Israel Standard Time=Asia/Jerusalem|South Sudan Standard Time=Africa/Juba
Kaliningrad Standard Time=Europe/Kaliningrad|Sudan Standard Time=Africa/Khartoum|Libya Standard Time=Africa/Tripoli
Namibia Standard Time=Africa/Windhoek|Arabic Standard Time=Asia/Baghdad|Turkey Standard Time=Europe/Istanbul
Arab Standard Time=Asia/Riyadh|Belarus Standard Time=Europe/Minsk|Russian Standard Time=Europe/Moscow
E. Africa Standard Time=Africa/Nairobi|Volgograd Standard Time=Europe/Volgograd|Iran Standard Time=Asia/Tehran
Arabian Standard Time=Asia/Dubai|Astrakhan Standard Time=Europe/Astrakhan|Azerbaijan Standard Time=Asia/Baku
Russia Time Zone 3=Europe/Samara|Mauritius Standard Time=Indian/Mauritius|Saratov Standard Time=Europe/Saratov
Georgian Standard Time=Asia/Tbilisi|Caucasus Standard Time=Asia/Yerevan|Afghanistan Standard Time=Asia/Kabul
West Asia Standard Time=Asia/Tashkent|Qyzylorda Standard Time=Asia/Qyzylorda
Ekaterinburg Standard Time=Asia/Yekaterinburg|Pakistan Standard Time=Asia/Karachi|India Standard Time=Asia/Calcutta
Sri Lanka Standard Time=Asia/Colombo|Nepal Standard Time=Asia/Katmandu|Central Asia Standard Time=Asia/Bishkek
Bangladesh Standard Time=Asia/Dhaka|Omsk Standard Time=Asia/Omsk|Myanmar Standard Time=Asia/Rangoon
SE Asia Standard Time=Asia/Bangkok|Altai Standard Time=Asia/Barnaul|W. Mongolia Standard Time=Asia/Hovd
North Asia Standard Time=Asia/Krasnoyarsk|N. Central Asia Standard Time=Asia/Novosibirsk
Tomsk Standard Time=Asia/Tomsk|China Standard Time=Asia/Shanghai|North Asia East Standard Time=Asia/Irkutsk
Singapore Standard Time=Asia/Singapore|W. Australia Standard Time=Australia/Perth|Taipei Standard Time=Asia/Taipei
Ulaanbaatar Standard Time=Asia/Ulaanbaatar|Aus Central W. Standard Time=Australia/Eucla
Transbaikal Standard Time=Asia/Chita|Tokyo Standard Time=Asia/Tokyo|North Korea Standard Time=Asia/Pyongyang
Korea Standard Time=Asia/Seoul|Yakutsk Standard Time=Asia/Yakutsk|Cen. Australia Standard Time=Australia/Adelaide
AUS Central Standard Time=Australia/Darwin|E. Australia Standard Time=Australia/Brisbane
AUS Eastern Standard Time=Australia/Sydney|West Pacific Standard Time=Pacific/Port_Moresby
Tasmania Standard Time=Australia/Hobart|Vladivostok Standard Time=Asia/Vladivostok
Lord Howe Standard Time=Australia/Lord_Howe|Bougainville Standard Time=Pacific/Bougainville
Russia Time Zone 10=Asia/Srednekolymsk|Magadan Standard Time=Asia/Magadan|Norfolk Standard Time=Pacific/Norfolk
Sakhalin Standard Time=Asia/Sakhalin|Central Pacific Standard Time=Pacific/Guadalcanal
Russia Time Zone 11=Asia/Kamchatka|New Zealand Standard Time=Pacific/Auckland|UTC+12=Etc/GMT-12
Fiji Standard Time=Pacific/Fiji|Chatham Islands Standard Time=Pacific/Chatham|UTC+13=Etc/GMT-13
Tonga Standard Time=Pacific/Tongatapu|Samoa Standard Time=Pacific/Apia|Line Islands Standard Time=Pacific/Kiritimati
tzone://Microsoft/Utc=Etc/UTC|tzone://Microsoft/Custom=Etc/UTC
"""
WINDOWS_TO_IANA: dict[str, str] = {
    windows.lower(): iana
    for windows, iana in (pair.strip().split("=") for pair in _WINDOWS.strip().replace("\n", "|").split("|"))
}
"""Windows zone names, lower-case, and the zone each one stands for (Unicode CLDR, territory 001)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE_TIME = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)(\.\d+)?(Z|[+-]\d\d:?\d\d)?$")
_FIRST_YEAR, _LAST_YEAR = 1601, 4500
_DATE = re.compile(r"^\d{4}-\d\d-\d\d$")


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """Find a zone by Windows or IANA name; 400 TimeZoneNotSupportedException when there is none."""
    try:
        return ZoneInfo(WINDOWS_TO_IANA.get(name.lower(), name))
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise GraphError(
            400, "TimeZoneNotSupportedException", f"A valid TimeZone value must be specified. '{name}' is not one."
        ) from exc


def to_epoch(moment: datetime) -> int:
    """Whole seconds since 1970 of an aware date-time."""
    return int((moment - _EPOCH).total_seconds())


def from_epoch(seconds: float, zone_name: str = "UTC") -> datetime:
    """Aware date-time in the named zone."""
    moment = _EPOCH + timedelta(seconds=seconds)
    return moment if zone_name == "UTC" else moment.astimezone(zone(zone_name))


def parse_local(text: object, zone_name: str) -> int:
    """Read the dateTime of a dateTimeTimeZone: local in *zone_name* unless it carries an offset."""
    match = _DATE_TIME.match(text) if isinstance(text, str) else None
    if not match:
        raise bad_request(f"Cannot parse date-time {text!r}.", "ErrorInvalidPropertyValue")
    if match[3]:
        return exchange_instant(str(text))
    moment = _naive(match[1])
    _check_year(moment.year)
    return to_epoch(moment.replace(tzinfo=zone(zone_name)))


def exchange_instant(text: str) -> int:
    """Read an instant that is stored; 400 outside the years that Exchange knows."""
    _check_year(int(text[:4]) if text[:4].isdigit() else 0)
    return parse_instant(text)


@lru_cache(maxsize=4096)
def parse_instant(text: str) -> int:
    """Read a date-time of a query or a directory value: its offset counts, without one it is UTC (2.1)."""
    if _DATE.match(text):
        text += "T00:00:00"
    match = _DATE_TIME.match(text.replace(" ", "+"))
    if not match:
        raise bad_request(f"Cannot parse date-time '{text}'.", "ErrorInvalidParameter")
    offset = match[3] or "Z"
    seconds = to_epoch(_naive(match[1]).replace(tzinfo=UTC))
    if offset != "Z":
        digits = offset.replace(":", "")
        shift = int(digits[1:3]) * 3600 + int(digits[3:5]) * 60
        seconds += shift if offset[0] == "-" else -shift
    return seconds


def graph_local(seconds: int, zone_name: str) -> dict[str, str]:
    """Write a dateTimeTimeZone: seven decimals, no offset."""
    return {"dateTime": f"{from_epoch(seconds, zone_name):%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": zone_name}


def graph_instant(seconds: float) -> str:
    """Write a DateTimeOffset in UTC; decimals only where there are any."""
    moment = from_epoch(seconds)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{moment.microsecond:06d}0Z" if moment.microsecond else f"{text}Z"


def _check_year(year: int) -> None:
    if not _FIRST_YEAR <= year < _LAST_YEAR:
        raise bad_request("The date is out of range.", "ErrorInvalidPropertyValue")


def _naive(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as exc:
        raise bad_request(f"Cannot parse date-time '{text}'.", "ErrorInvalidPropertyValue") from exc
