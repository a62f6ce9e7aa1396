"""The tests of numbers as other processors would run them: `make test-machines`.

PyTorch picks its kernels by what the processor can do; they take sums in another order, or keep
products exact on their way into a sum. `ATEN_CPU_CAPABILITY` makes it pick those of an older one;
the libraries that multiply matrices for PyTorch and NumPy have switches of their own.
"""

import os
import platform
import subprocess
import sys

import torch

# What depends on how PyTorch rounds. Not here: browsers, hosts, files and words, which have no sums
# of their own; tests of wrong arguments, which compute next to nothing.
NUMBERS = (
    "tests/test_batchnorm.py",
    "tests/test_nets.py",
    "tests/test_convnet.py",
    "tests/test_broken.py",
    "tests/test_fold.py",
    "tests/test_ics.py",
    "tests/test_measures.py",
    "tests/test_noisy.py",
    "tests/test_numpy_net.py",
    "tests/test_prng.py",
    "tests/test_record.py",
    "tests/test_train.py",
    "tests/test_trio.py",
    "tests/test_explorers.py",
    "tests/test_shift_figures.py",
    "tests/test_steps_figures.py",
    "tests/test_backprop_figures.py",
    "tests/test_placement_figures.py",
    "tests/test_inference_figures.py",
    "tests/test_benefits_figures.py",
    "tests/test_landscape_figures.py",
    "tests/test_experiments.py",
    "tests/test_benefit_sweeps.py",
    "tests/test_placement_experiment.py",
    "tests/test_compile.py",
    "tests/test_compile_programs.py",
    "tests/test_compile_check.py",
    "tests/test_compile_batches.py",
    "bnviz/maths",
)
# Of the figures, not what is only data (templates, readouts, sizes of graphs), nor what one process
# says twice, nor the thresholds of a fingerprint, which stand far from any value; nor an export of
# what the figures hold anyway.
ONLY = (
    "not (json or template or binding or readout or operators or same_values or fingerprint"
    " or a_page_can_compute_it)"
)
NOTEBOOKS = ("tests/test_notebooks.py", "-k", "running_a_notebook")

OLDER = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Nehalem",
}
ONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
TWO = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}


def settings() -> dict[str, tuple[dict[str, str], tuple]]:
    """Name -> environment, and the tests that run in it.

    The numbers on this processor itself are not here: that is `make test`. Two threads split large
    products, which the notebooks have and the tests have not. AVX2 is one more setting only where
    the processor can do more, and the notebooks have seen both ends by then.
    """
    own = torch.backends.cpu.get_cpu_capability()
    numbers = (*NUMBERS, "-m", "not long", "-k", ONLY)
    found = {}
    if own != "DEFAULT":
        found["an older processor"] = (OLDER | ONE, (numbers, NOTEBOOKS))
    if platform.machine() in ("x86_64", "AMD64") and own not in ("AVX2", "DEFAULT"):
        found["AVX2"] = ({"ATEN_CPU_CAPABILITY": "avx2"} | ONE, (numbers,))
    return found | {f"this processor ({own}), two threads": (TWO, (NOTEBOOKS,))}


def main() -> int:
    """Run them all; the last line is pytest's."""
    failed = False
    for name, (chosen, runs) in settings().items():
        for tests in runs:
            print(f"==> {'Notebooks' if tests is NOTEBOOKS else 'Numbers'} on {name}", flush=True)
            pytest = [sys.executable, "-m", "pytest", "--numprocesses", "2", "--durations", "5"]
            failed |= subprocess.run([*pytest, *tests], env=os.environ | chosen).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
