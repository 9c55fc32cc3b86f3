"""``python -m dlcore info``: what a bug report should hold."""


def add_arguments(parser):
    """No options."""


def run(args):
    """Prints the configuration."""
    from .runtime import show_config

    show_config()
    return 0
