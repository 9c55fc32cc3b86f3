#!/usr/bin/env python3
"""Compiles csrc/cuda for GPUs and refuses kernels that spill or use local memory.

``tools/cuda_compile.py [FAMILY...] [--archs 75,80,90a] [--jobs N] [--out DIR]`` needs
nvcc and no GPU. Of each kernel it reads what ptxas says; one that uses the stack is an
error unless a line of ALLOWED names it, with the reason.
"""

import argparse
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
OPTIONS = [
    *("-std=c++20", "--extended-lambda", "-DDLCORE_ISA=cuda", "-O3", "-lineinfo"),
    *("-Xcompiler", "-fPIC,-fvisibility=hidden,-Wall,-Wno-maybe-uninitialized", "-Xptxas", "-v"),
]
UNFUSED = {"random"}  # whose bits must not depend on FMA, as in CMakeLists.txt

# (pattern of the demangled kernel, architectures, why)
ALLOWED: list[tuple[str, str, str]] = []


def compile_one(source, arch, out):
    """The text that nvcc printed, and whether it succeeded."""
    made = out / f"{source.stem}.sm_{arch}.o"
    fused = ["-fmad=false"] if source.stem in UNFUSED else []
    command = [
        *("nvcc", *OPTIONS, *fused, f"-I{ROOT / 'csrc'}"),
        *("-gencode", f"arch=compute_{arch},code=sm_{arch}"),
        *("-c", str(source), "-o", str(made)),
    ]
    run = subprocess.run(command, capture_output=True, text=True)
    return run.stdout + run.stderr, run.returncode == 0


def kernels(text):
    """(mangled name, stack bytes, spill bytes, registers) of each kernel."""
    entry = re.compile(
        r"Compiling entry function '(\w+)' for '\w+'.*?"
        r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads.*?"
        r"Used (\d+) registers",
        re.DOTALL,
    )
    for name, stack, stores, loads, registers in entry.findall(text):
        yield name, int(stack), int(stores) + int(loads), int(registers)


def demangle(names):
    if not names or shutil.which("c++filt") is None:
        return {name: name for name in names}
    run = subprocess.run(
        ["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True
    )
    return dict(zip(names, run.stdout.splitlines()))


def allowed(name, arch):
    return any(re.search(p, name) and arch in on.split() for p, on, _ in ALLOWED)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("families", nargs="*", help="names of files; default: all")
    parser.add_argument("--archs", default="75,80,90a")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build" / "nvcc")
    options = parser.parse_args()
    if shutil.which("nvcc") is None:
        sys.exit("cuda_compile: nvcc is not installed")
    sources = sorted((ROOT / "csrc" / "cuda").glob("*.cu"))
    if options.families:
        sources = [s for s in sources if s.stem in options.families]
    options.out.mkdir(parents=True, exist_ok=True)

    jobs = [(s, arch) for s in sources for arch in options.archs.split(",")]
    bad, count = [], 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = pool.map(lambda job: compile_one(*job, options.out), jobs)
        for (source, arch), (text, ok) in zip(jobs, results):
            if not ok or "warning" in text:
                lines = [x for x in text.splitlines() if re.search("error|warning", x)]
                bad += [f"{source.name} sm_{arch}: {x[:240]}" for x in lines[:8]]
            found = list(kernels(text))
            count += len(found)
            guilty = [k for k in found if k[1] or k[2]]
            names = demangle([k[0] for k in guilty])
            for name, stack, spilled, registers in guilty:
                if not allowed(names[name], arch):
                    bad.append(
                        f"{source.name} sm_{arch}: stack {stack}, spilled {spilled} bytes, "
                        f"{registers} registers: {names[name][:300]}"
                    )
    print("\n".join(bad))
    print(f"{count} kernels of {len(sources)} files, {len(bad)} complaints")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
