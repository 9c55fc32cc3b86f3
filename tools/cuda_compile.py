#!/usr/bin/env python3
"""Compiles csrc/cuda for GPUs and refuses kernels that spill or use local memory.

``tools/cuda_compile.py [FAMILY...] [--archs 75,80,90a] [--jobs N]`` needs nvcc and no
GPU; ``--log FILE`` judges what a build with ``-Xptxas -v`` printed instead. A kernel
that uses the stack is an error unless a line of ALLOWED names it, with the reason.
"""

import argparse
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
OPTIONS = ["-std=c++20", "--extended-lambda", "-DDLCORE_ISA=cuda", "-Xptxas", "-v"]
# whose bits must not depend on FMA, as in CMakeLists.txt
UNFUSED = {"random", "box_iou", "nms", "soft_nms"}

# (pattern of the demangled kernel, architectures, why)
ALLOWED: list[tuple[str, str, str]] = []

KERNEL = re.compile(
    r"Compiling entry function '(\w+)' for 'sm_(\w+)'.*?"
    r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads.*?"
    r"Used (\d+) registers",
    re.DOTALL,
)


def compile_one(source, archs):
    """What nvcc printed, and whether it succeeded; the device's part alone."""
    fused = ["-fmad=false"] if source.stem in UNFUSED else []
    targets = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in archs]
    with tempfile.NamedTemporaryFile(suffix=".fatbin") as made:
        command = ["nvcc", "-fatbin", *OPTIONS, *fused, *targets, f"-I{ROOT}/csrc"]
        run = subprocess.run(
            [*command, str(source), "-o", made.name], capture_output=True, text=True
        )
    return run.stdout + run.stderr, run.returncode == 0


def demangle(name):
    if shutil.which("c++filt") is None:
        return name
    run = subprocess.run(["c++filt", name], capture_output=True, text=True, check=True)
    return run.stdout.strip().replace("dlcore::cuda::(anonymous namespace)::", "")


def complaints(name, text, ok):
    """One line for each error, warning and kernel that must not be so."""
    lines = [x for x in text.splitlines() if re.search(r"\b(error|warning)\b", x)]
    bad = [f"{name}: {x[:240]}" for x in lines[:8]]
    if not ok and not bad:
        bad = [f"{name}: nvcc failed: {text[-400:]}"]
    for mangled, arch, stack, stores, loads, registers in KERNEL.findall(text):
        if int(stack) + int(stores) + int(loads) == 0:
            continue
        kernel = demangle(mangled)
        if not any(re.search(p, kernel) and arch in on.split() for p, on, _ in ALLOWED):
            bad.append(
                f"{name} sm_{arch}: stack {stack}, spilled {stores}, "
                f"{registers} registers: {kernel[:300]}"
            )
    return bad


def compiled(options):
    """(name, what nvcc printed, whether it succeeded) of each file."""
    if shutil.which("nvcc") is None:
        sys.exit("cuda_compile: nvcc is not installed")
    sources = sorted((ROOT / "csrc" / "cuda").glob("*.cu"))
    if options.families:
        sources = [s for s in sources if s.stem in options.families]
    archs = options.archs.split(",")
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = pool.map(lambda source: compile_one(source, archs), sources)
        for source, (text, ok) in zip(sources, results):
            yield source.name, text, ok


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("families", nargs="*", help="names of files; default: all")
    parser.add_argument("--archs", default="75,80,90a")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--log", type=pathlib.Path)
    options = parser.parse_args()
    if options.log:
        texts = [(options.log.name, options.log.read_text(), True)]
    else:
        texts = compiled(options)
    bad, found = [], []
    for name, text, ok in texts:
        bad += complaints(name, text, ok)
        found += [kernel[1] for kernel in KERNEL.findall(text)]
    for line in bad:
        print(line)
    archs = ", ".join(f"sm_{arch}" for arch in sorted(set(found)))
    print(
        f"ready: {len(found)} kernels for {archs or 'nothing'}, {len(bad)} complaints"
    )
    return 1 if bad or not found else 0


if __name__ == "__main__":
    sys.exit(main())
