from typing import Any

# What cffi makes of csrc/pmo.h; its names are known at run time only.
ffi: Any
lib: Any
