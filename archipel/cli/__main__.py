"""``python -m archipel.cli``: the same as the ``archipel`` command."""

from archipel.cli.app import main

main()
