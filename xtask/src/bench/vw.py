"""Vowpal Wabbit's default over one file, as a figure to compare with: prints its progressive log loss and its speed.

vw.py FILE COPIES: FILE is in VW's text format; the speed is taken over so many copies of it.
"""

import json
import sys
import tempfile
import time

import vowpalwabbit

path, copies = sys.argv[1], int(sys.argv[2])
OPTIONS = "--loss_function logistic --quiet"


def run(data):
    model = vowpalwabbit.Workspace(f"{OPTIONS} --data {data}")
    figures = model.get_sum_loss() / model.get_weighted_examples(), model.get_weighted_examples()
    model.finish()
    return figures


loss, _ = run(path)
with tempfile.NamedTemporaryFile() as many:
    text = open(path, "rb").read()
    for _ in range(copies):
        many.write(text)
    many.flush()
    start = time.perf_counter()
    _, examples = run(many.name)
    seconds = time.perf_counter() - start
print(json.dumps({"version": vowpalwabbit.__version__, "log_loss": loss, "examples_per_s": examples / seconds}))
