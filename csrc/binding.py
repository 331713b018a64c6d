"""Generate the cffi module's C source: python binding.py pmo.h _core.c

pmo.h is the single source of the interface; cffi reads the same text as the compiler.
"""

import sys

from cffi import FFI

PREAMBLE = """
#include <stdint.h>
#include "pmo.h"
"""


def main(header: str, target: str) -> None:
    builder = FFI()
    with open(header, encoding="utf-8") as file:
        builder.cdef(file.read())
    builder.set_source("pmemobj._core", PREAMBLE, py_limited_api=True)
    builder.emit_c_code(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
