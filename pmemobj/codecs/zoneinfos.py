"""The codec of zoneinfo.ZoneInfo; a module of its own, for zoneinfo may never be loaded."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from pmemobj.codecs.registry import register
from pmemobj.codecs.zones import canonical_zone, encode_zone

register(encoders={ZoneInfo: encode_zone}, canonicals={ZoneInfo: canonical_zone})
