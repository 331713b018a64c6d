"""Generate the cffi module's C source: python binding.py pmo.h _core.c

pmo.h is the single source of the interface; cffi reads the same text as the compiler.

Every call gives up the interpreter's lock (the GIL) meanwhile, but for those to the functions
whose names end as BRIEF says: they never wait, and take less time than giving it up and
getting it back. Where another thread computes, getting it back would take milliseconds.
"""

import re
import sys

from cffi import FFI

PREAMBLE = """
#include <stdint.h>
#include "pmo.h"
"""

BRIEF = "(_int|_str)"


def keep_lock(source: str) -> str:
    """The generated source, in which the wrappers of brief functions keep the GIL."""

    def kept(wrapper: re.Match[str]) -> str:
        return re.sub(r"Py_(BEGIN|END)_ALLOW_THREADS\n", "", wrapper[0])

    return re.sub(rf"^_cffi_f_\w+{BRIEF}\(.*?^}}", kept, source, flags=re.DOTALL | re.MULTILINE)


def main(header: str, target: str) -> None:
    builder = FFI()
    with open(header, encoding="utf-8") as file:
        builder.cdef(file.read())
    builder.set_source("pmemobj._core", PREAMBLE, py_limited_api=True)
    builder.emit_c_code(target)
    with open(target, encoding="utf-8") as file:
        source = file.read()
    with open(target, "w", encoding="utf-8") as file:
        file.write(keep_lock(source))


if __name__ == "__main__":
    main(*sys.argv[1:])
