"""`python -m chainrule`: the command, of the environment of this Python."""

from chainrule.cli.main import main

if __name__ == "__main__":
    main()
