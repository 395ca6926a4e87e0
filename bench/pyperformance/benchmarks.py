"""Which of pyperformance's benchmarks are run, and how each is called.

Left out: what measures the start of other processes (python_startup, 2to3, hg_startup), what needs
many packages (dask, sphinx, fastapi, xdsl), what waits for timers and sockets (asyncio_tcp,
asyncio_websockets, concurrent_imap), and bpe_tokeniser, which takes longer than ten others.
"""

from __future__ import annotations

from dataclasses import dataclass

# Another version has other benchmarks, whose figures can't stand beside these.
VERSION = "1.14.0"


@dataclass(frozen=True)
class Benchmark:
    """One benchmark as pyperformance's MANIFEST has it."""

    name: str
    script: str  # the folder, without bm_
    arguments: tuple[str, ...] = ()
    minimum_python: tuple[int, int] = (3, 10)


_PLAIN = (
    "async_generators",
    "base64",
    "chameleon",
    "chaos",
    "comprehensions",
    "coroutines",
    "coverage",
    "crypto_pyaes",
    "deepcopy",
    "deltablue",
    "django_template",
    "docutils",
    "dulwich_log",
    "fannkuch",
    "float",
    "gc_collect",
    "gc_traversal",
    "generators",
    "genshi",
    "go",
    "hexiom",
    "html5lib",
    "json_dumps",
    "json_loads",
    "logging",
    "mako",
    "mdp",
    "meteor_contest",
    "nbody",
    "nqueens",
    "pathlib",
    "pidigits",
    "pprint",
    "pyflate",
    "raytrace",
    "regex_compile",
    "regex_dna",
    "regex_effbot",
    "regex_v8",
    "richards",
    "richards_super",
    "scimark",
    "spectral_norm",
    "sqlalchemy_declarative",
    "sqlalchemy_imperative",
    "sqlite_synth",
    "sympy",
    "telco",
    "tomli_loads",
    "tornado_http",
    "typing_runtime_protocols",
    "unpack_sequence",
    "xml_etree",
)

BENCHMARKS = (
    *(Benchmark(name, name) for name in _PLAIN),
    Benchmark("argparse", "argparse", ("many_optionals",)),
    Benchmark("async_tree", "async_tree", ("none",)),
    Benchmark("async_tree_io", "async_tree", ("io",)),
    Benchmark("async_tree_memoization", "async_tree", ("memoization",)),
    Benchmark("async_tree_cpu_io_mixed", "async_tree", ("cpu_io_mixed",)),
    Benchmark("async_tree_tg", "async_tree", ("none", "--task-groups"), (3, 11)),
    Benchmark("networkx", "networkx", ("shortest_path",), (3, 11)),
    Benchmark("pickle", "pickle", ("pickle",)),
    Benchmark("pickle_dict", "pickle", ("pickle_dict",)),
    Benchmark("pickle_list", "pickle", ("pickle_list",)),
    Benchmark("pickle_pure_python", "pickle", ("--pure-python", "pickle")),
    Benchmark("sqlglot_normalize", "sqlglot_v2", ("normalize",)),
    Benchmark("sqlglot_parse", "sqlglot_v2", ("parse",)),
    Benchmark("unpickle", "pickle", ("unpickle",)),
    Benchmark("unpickle_list", "pickle", ("unpickle_list",)),
    Benchmark("unpickle_pure_python", "pickle", ("--pure-python", "unpickle")),
)
