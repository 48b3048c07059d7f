"""Disks that are full: 507, nothing half-written, and everything goes on once there is room.

Not every machine lets its users mount a file system, so this is a part of `make soak` alone. In `make test` uploads
fail at each of their bytes (tests/unit/attachments/test_full_storage.py), and a database is full (test_outages.py).
"""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.faults.full_disk import NO_MOUNT
from tests.support.examples import SOAK

pytestmark = pytest.mark.soak
MEGABYTES, REFUSALS = "5", "15"


async def keep_nothing_half(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.faults.full_disk", str(tmp_path), MEGABYTES, REFUSALS]
    # A user without rights may mount within a name space of their own.
    process = await asyncio.create_subprocess_exec(
        "unshare", "-rm", *program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()[-3000:] if process.returncode != NO_MOUNT else "no file system here"


if SOAK:
    test_a_full_disk_is_said_and_keeps_nothing_half = keep_nothing_half
