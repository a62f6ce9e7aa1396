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
    "bnviz/maths",
)
# Of the figures, not what is only data: templates, readouts, sizes of graphs.
ONLY = "not (json or template or binding or readout or operators_only)"
# Every notebook but `speed`, which shows stored tables and computes nothing.
NOTEBOOKS = ("tests/test_notebooks.py", "-k", "running_a_notebook and not speed")

OLDER = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Nehalem",
    "THREADS": "1",
}


def settings() -> dict[str, tuple[dict[str, str], bool]]:
    """Name -> environment, and whether notebooks run in it too.

    What this processor does with one thread is missing: that is `make test`. So an AVX2 processor
    has nothing to repeat as one, and a processor that is no x86 has no such kernels.
    """
    own = torch.backends.cpu.get_cpu_capability()
    found = {}
    if own != "DEFAULT":
        found["an older processor"] = (OLDER, True)
    if platform.machine() in ("x86_64", "AMD64") and own not in ("AVX2", "DEFAULT"):
        found["AVX2"] = ({"ATEN_CPU_CAPABILITY": "avx2", "THREADS": "1"}, False)
    return found | {f"this processor ({own}), two threads": ({"THREADS": "2"}, True)}


def main() -> int:
    """Run them all; the last line is pytest's."""
    failed = False
    for name, (chosen, with_notebooks) in settings().items():
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), chosen["THREADS"])
        environment = os.environ | chosen | threads
        runs = [(*NUMBERS, "-k", ONLY), *([NOTEBOOKS] if with_notebooks else [])]
        for tests in runs:
            print(f"==> {'Notebooks' if tests is NOTEBOOKS else 'Numbers'} on {name}", flush=True)
            pytest = [sys.executable, "-m", "pytest", "--numprocesses", "2", *tests]
            failed |= subprocess.run(pytest, env=environment).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
