"""``python -m dlcore``: info, bench, selftest, demo."""

import argparse
import importlib
import os
import signal
import sys

from . import __version__

# name -> (module that has add_arguments(parser) and run(args), one line of help)
COMMANDS = {
    "info": ("info", "version, CPU, instruction sets, threads, caches, build"),
    "bench": ("bench", "time the ops against NumPy, PyTorch and onnxruntime"),
    "selftest": ("selftest", "check every op on every instruction set of this CPU"),
    "demo": ("demo", "train LeNet-5 on real handwritten digits, with a picture"),
}


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m dlcore",
        description="The kernels of deep learning in one small wheel.",
    )
    parser.add_argument("--version", action="version", version=f"dlcore {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, line) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=line,
            description=line[0].upper() + line[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        importlib.import_module("." + module, __package__).add_arguments(command)
    return parser


def main(argv=None):
    """Runs one command; returns its exit code: 0 done, 1 failed, 2 wrong usage."""
    args = _parser().parse_args(argv)
    module = importlib.import_module("." + COMMANDS[args.command][0], __package__)
    try:
        code = module.run(args)
        if sys.stdout:  # None when it was closed: `python -m dlcore info >&-`
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print(f"{args.command}: stopped", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:  # as in `python -m dlcore bench | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


if __name__ == "__main__":
    sys.exit(main())
