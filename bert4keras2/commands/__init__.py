"""The commands about tasks: train, predict, evaluate; `python -m bert4keras2.commands.train` and so on do the same."""
