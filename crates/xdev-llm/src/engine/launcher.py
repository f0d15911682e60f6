"""Serves llama.cpp's HTTP API from this process, through the package xllamacpp.

Takes the flags and the environment variables of llama-server that the engine passes. Ends when its standard input closes, so it never outlives the process that started it.
"""

import argparse
import os
import signal
import sys
import threading


def end_when_stdin_closes():
    """Ends this process once the other end of standard input is gone."""
    if sys.platform == "linux":
        # Loading a model holds the interpreter's lock, so no thread runs meanwhile. A signal needs no lock.
        import fcntl

        signal.signal(signal.SIGIO, signal.SIG_DFL)
        fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)

    def wait():
        while os.read(0, 4096):
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def read_arguments():
    """Reads the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--poll", type=int, required=True)
    return parser.parse_args()


def main():
    """Starts the server and waits for the end of standard input."""
    end_when_stdin_closes()
    arguments = read_arguments()

    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = arguments.model
    params.model_alias = {os.environ["LLAMA_ARG_ALIAS"]}
    params.hostnames = [arguments.host]
    params.port = arguments.port
    params.api_keys = [os.environ["LLAMA_API_KEY"]]
    params.n_ctx = int(os.environ["LLAMA_ARG_CTX_SIZE"])
    params.n_parallel = int(os.environ["LLAMA_ARG_N_PARALLEL"])
    params.cache_ram_mib = int(os.environ["LLAMA_ARG_CACHE_RAM"])
    params.kv_unified = True
    params.ui = False
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = int(os.environ["LLAMA_ARG_THREADS"])
        cpu.poll = arguments.poll

    server = xllamacpp.Server(params)
    print("listening on", server.listening_address, file=sys.stderr, flush=True)
    threading.Event().wait()


main()
