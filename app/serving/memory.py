"""Memory that is free in the process and that the system could have."""

import ctypes
import gc


def give_back_memory() -> None:
    """Collect garbage and give the free memory of the C library's heap back to the system.

    It takes some hundredths of a second, in which nothing else of this process goes on while garbage is collected.
    """
    gc.collect()
    try:
        trim = ctypes.CDLL(None).malloc_trim  # of glibc: https://man7.org/linux/man-pages/man3/malloc_trim.3.html
    except (AttributeError, OSError, TypeError):
        return  # another C library
    trim(0)
