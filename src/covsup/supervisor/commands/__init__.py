"""The commands: a module each, with make_parser(), the arguments, and run(), what the command does.

cli.py imports the module of the command that is given. Its work is in the other rooms, and run()
imports it, so that --help and a mistake on the command line are quick.

No other room imports a command.
"""
