#!/usr/bin/python3
"""Every time at which a schedule fires, against a second opinion: Python's zoneinfo, minute by minute.

    tests/conformance/schedule_times.py ['part of a case name']

The program says when (secretctl schedule preview); here each minute of UTC is turned into local time and
held against the fields, with no arithmetic of dates in common. schedule_times.txt has known answers; then
come CASES expressions that are drawn around changes of the clocks (SCHEDULE_SEED=n draws others,
SCHEDULE_CASES=n more).
"""
import datetime
import json
import os
import random
import subprocess
import sys
import zoneinfo

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from keyturn import program  # noqa: E402
from tap import Tap, equal, true  # noqa: E402

tap = Tap("tests/conformance/schedule_times.py")
TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schedule_times.txt")
CASES = int(os.environ.get("SCHEDULE_CASES", "320"))
SEED = os.environ.get("SCHEDULE_SEED", "1")
UTC, MINUTE = datetime.timezone.utc, datetime.timedelta(minutes=1)
MADE_UP = datetime.timedelta(hours=3)  # a longer jump is a correction: nothing is made up for
SCAN_DAYS = 100                        # what lies further away is not scanned
ZONES = """
Europe/Berlin Europe/London Europe/Dublin Europe/Lisbon America/New_York America/St_Johns America/Havana
America/Santiago America/Sao_Paulo America/Caracas America/Nuuk Africa/Casablanca Africa/Cairo Asia/Beirut
Asia/Gaza Asia/Tehran Asia/Amman Asia/Pyongyang Australia/Lord_Howe Australia/Adelaide Pacific/Chatham
Pacific/Apia Pacific/Easter Antarctica/Troll Asia/Kolkata UTC
""".split()
WORDS = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
         "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *"}
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
DAYS = "sun mon tue wed thu fri sat".split()


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


# ---- the second opinion ----

def values(field, low, high, names=()):
    def number(text):
        return low + names.index(text.lower()) if text.lower() in names else int(text)
    found = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        begin, end = (low, high) if span == "*" else (number(first), number(last or first))
        found.update(range(begin, end + 1, int(step or 1)))
    return found


class Expression:
    def __init__(self, text):
        fields = WORDS.get(text, text).split()
        seconds = fields.pop(0) if len(fields) == 6 else "0"
        minute, hour, day, month, weekday = fields
        self.seconds = sorted(values(seconds, 0, 59))
        self.minutes, self.hours = values(minute, 0, 59), values(hour, 0, 23)
        self.days, self.months = values(day, 1, 31), values(month, 1, 12, MONTHS)
        self.weekdays = {n % 7 for n in values(weekday, 0, 7, DAYS)}
        self.both = day[0] == "*" or weekday[0] == "*"
        self.fixed = minute[0] != "*" and hour[0] != "*"

    def names(self, local):
        by_day, by_weekday = local.day in self.days, local.isoweekday() % 7 in self.weekdays
        return (local.minute in self.minutes and local.hour in self.hours and local.month in self.months
                and (by_day and by_weekday if self.both else by_day or by_weekday))


def scan(text, zone, after, until):
    """All times > after and <= until, by looking at each minute."""
    expression, place, found = Expression(text), zoneinfo.ZoneInfo(zone), set()
    at = after.replace(second=0)
    before = (at - MINUTE).astimezone(place)
    while at <= until:
        local = at.astimezone(place)
        jump = local.utcoffset() - before.utcoffset()
        if expression.fixed and datetime.timedelta(0) < jump <= MADE_UP:
            missing = before.replace(tzinfo=None, fold=0) + MINUTE
            while missing < local.replace(tzinfo=None, fold=0):
                if expression.names(missing):
                    found.add(at)
                missing += MINUTE
        if expression.names(local) and not (expression.fixed and local.fold):
            found.update(at + datetime.timedelta(seconds=s) for s in expression.seconds)
        before, at = local, at + MINUTE
    return sorted(t for t in found if after < t <= until)


# ---- what the program says ----

def preview(text, zone, after, count):
    done = subprocess.run(
        [program("secretctl"), "schedule", "preview", "-o", "json", "-count=%d" % count,
         "-from=" + after.strftime("%Y-%m-%dT%H:%M:%SZ"), "cron=" + text, "zone=" + zone],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return done.stderr
    return [instant(row["at"]) for row in json.loads(done.stdout)]


def said(times):
    return [t.strftime("%Y-%m-%dT%H:%M:%SZ") for t in times]


def compare(text, zone, after, until):
    count = 60
    got = preview(text, zone, after, count)
    true(isinstance(got, list), "times of '%s' in %s, not: %s" % (text, zone, got))
    wanted = scan(text, zone, after, until)[:count]
    equal(said(wanted), said([t for t in got if t <= until]), "'%s' in %s after %s" % (text, zone, after))
    return len(wanted)


# ---- the table ----

def rows():
    with open(TABLE, encoding="utf-8") as file:
        for line in file:
            if not line.startswith("#") and line.strip():
                yield [cell.strip() for cell in line.split(" | ")]


for cron, zone, after, times in rows():
    def known(cron=cron, zone=zone, after=instant(after), times=times):
        got = preview(cron, zone, after, 3)
        if times == "never":
            true(isinstance(got, str) and "never" in got, "a refusal as it never fires, not %r" % (got,))
            return
        true(isinstance(got, list), "times, not: %s" % (got,))
        equal(times.split(), said(got), "secretctl")
        last = instant(times.split()[-1])
        if last - after < datetime.timedelta(days=SCAN_DAYS):
            equal(times.split(), said(scan(cron, zone, after, last)), "the scan")
    tap.case("%s in %s after %s" % (cron, zone, after))(known)


# ---- drawn around changes of the clocks ----

def changes(zone, first_year, last_year):
    """The first minutes of new offsets."""
    place, found = zoneinfo.ZoneInfo(zone), []
    at, end = datetime.datetime(first_year, 1, 1, tzinfo=UTC), datetime.datetime(last_year, 1, 1, tzinfo=UTC)
    day = datetime.timedelta(days=1)

    def offset(when):
        return when.astimezone(place).utcoffset()
    while at < end:
        if offset(at) != offset(at + day):
            low, high = 0, 24 * 60
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(at + middle * MINUTE) == offset(at) else (low, middle)
            found.append(at + high * MINUTE)
        at += day
    return found


def expression_near(draw, change, zone):
    """What names the hours around the change, in one of many ways."""
    place = zoneinfo.ZoneInfo(zone)
    sides = [change.astimezone(place), (change - MINUTE).astimezone(place)]
    hours = sorted({(side.hour + by) % 24 for side in sides for by in (-1, 0, 0, 1)})
    hour, other = draw.choice(hours), draw.choice(hours)
    low, high = min(hour, other), max(hour, other)
    minute, more = draw.choice((0, 15, 29, 30, 31, 45, 59)), draw.randrange(60)
    step = draw.choice((2, 3, 7, 15, 20, 30))
    minutes = draw.choice(("%d" % minute, "%d" % minute, "%d,%d" % (minute, more), "*/%d" % step, "*",
                           "%d-%d" % (min(minute, more), max(minute, more)), "0-59/%d" % step))
    hours = draw.choice(("%d" % hour, "%d" % hour, "%d,%d" % (low, high), "%d-%d" % (low, high), "*", "*/2", "*/3"))
    local = draw.choice(sides)
    days = draw.choice(("* * *", "* * *", "* * *", "%d * *" % local.day, "* * %d" % (local.isoweekday() % 7),
                        "%d * %s" % (local.day, DAYS[draw.randrange(7)]), "*/2 * *", "* %d *" % local.month))
    seconds = draw.choice(("", "", "", "", "%d " % draw.randrange(60), "0,30 "))
    return "%s%s %s %s" % (seconds, minutes, hours, days)


draw = random.Random("schedules %s" % SEED)
known_changes = {}


def drawn():
    zone = draw.choice(ZONES)
    if zone not in known_changes:
        known_changes[zone] = changes(zone, 2010, 2039)
    change = (draw.choice(known_changes[zone]) if known_changes[zone]
              else datetime.datetime(2027, 3, 28, 1, tzinfo=UTC))
    after = change - datetime.timedelta(minutes=draw.randrange(36 * 60))
    return expression_near(draw, change, zone), zone, after


@tap.case("%d expressions around changes of the clocks, seed %s" % (CASES, SEED))
def _():
    fired = quiet = 0
    for _ in range(CASES):
        text, zone, after = drawn()
        n = compare(text, zone, after, after + datetime.timedelta(days=3))
        fired, quiet = fired + n, quiet + (n == 0)
    true(fired > 5 * CASES and quiet < CASES / 2, "more than %d times at which one fires, not %d" % (5 * CASES, fired))


sys.exit(tap.run(sys.argv[1:]))
