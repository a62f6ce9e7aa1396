"""C to WebAssembly, by the C compiler of the Python package `ziglang`."""

import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["BuildError", "compiled"]

# Sums may be taken in another order, which SIMD needs; NaN and infinities stay what they are, so no
# -ffast-math.
_FLAGS = (
    *("-target", "wasm32-wasi", "-mexec-model=reactor", "-O3", "-std=c11", "-w"),
    *("-msimd128", "-mnontrapping-fptoint", "-mbulk-memory"),
    # whole numbers overflow, as in PyTorch
    "-fwrapv",
    *("-fno-math-errno", "-fno-trapping-math", "-fassociative-math", "-fno-signed-zeros"),
    *("-fno-unroll-loops",),
    *("-Wl,--export=memory_begins", "-Wl,--strip-all"),
)


class BuildError(RuntimeError):
    """The C compiler refused; the message has its words."""


def compiled(code: str) -> bytes:
    """A WebAssembly module of that C.

    Raises:
        BuildError: it did not compile, or the compiler is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, module = Path(folder) / "figure.c", Path(folder) / "figure.wasm"
        source.write_text(code, encoding="utf-8")
        command = [sys.executable, "-m", "ziglang", "cc", *_FLAGS, str(source), "-o", str(module)]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise BuildError(f"the C compiler failed:\n{done.stderr.strip()[-3000:]}")
        return module.read_bytes()
