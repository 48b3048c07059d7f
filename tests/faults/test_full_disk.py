"""Disks that are full: 507, nothing half-written, and everything goes on once there is room."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.faults.conftest import amount
from tests.faults.full_disk import NO_MOUNT

pytestmark = pytest.mark.soak
MEGABYTES = amount(sample=2, all_of_it=5)
REFUSALS = amount(sample=2, all_of_it=15)


async def test_a_full_disk_is_said_and_keeps_nothing_half(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.faults.full_disk", str(tmp_path), str(MEGABYTES), str(REFUSALS)]
    # A user without rights may mount within a name space of their own.
    process = await asyncio.create_subprocess_exec(
        "unshare", "-rm", *program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()[-3000:] if process.returncode != NO_MOUNT else "no file system here"
