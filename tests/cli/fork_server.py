"""Starts processes of the command line, each forked from this one, which has imported torch once.

One JSON object a line on standard input, one on standard output: ``{"start": ...}`` gives a process id,
``{"wait": id}`` its exit status (negative: the signal that killed it).
"""

import json
import os
import resource
import sys


def child(job):
    os.chdir(job["folder"])
    os.environ.update(job["environment"])
    for number, name in ((0, os.devnull), (1, job["out"]), (2, job["err"])):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666), number)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    if job["largest_file"]:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["largest_file"],) * 2)
    exec(job["before"], {})
    from unrolled.cli import main

    code = main(job["arguments"])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def serve():
    import matplotlib.backends.backend_svg
    import matplotlib.figure  # noqa: F401
    import tokenizers  # noqa: F401
    import torch

    import unrolled.cli.app
    import unrolled.cli.text  # noqa: F401

    torch.set_num_threads(1)
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # imports what an optimizer needs
    for line in sys.stdin:
        job = json.loads(line)
        if "wait" in job:
            answer = os.waitstatus_to_exitcode(os.waitpid(job["wait"], 0)[1])
        else:
            answer = os.fork()
            if not answer:
                try:
                    child(job["start"])
                finally:
                    os._exit(99)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
