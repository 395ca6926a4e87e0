"""What the service does with documents, in pool threads: parse, analyse, render."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 768


@dataclass(slots=True)
class Document:
    """An uploaded document as the service keeps it."""

    name: str
    body: bytes
    records: list[dict[str, object]]
    index: dict[str, int]
    vectors: NDArray[np.float32]


def parse(name: str, body: bytes) -> Document:
    """From the JSON body: its records, an index of their words, a vector for each."""
    records = json.loads(body)["records"]
    index: Counter[str] = Counter()
    for record in records:
        index.update(record["text"].split())
    vectors = np.zeros((len(records), DIMENSIONS), dtype=np.float32)
    for row, record in zip(vectors, records, strict=True):
        values = np.asarray(record["values"], dtype=np.float32)
        row[: len(values)] = values
    return Document(name, body, records, dict(index), vectors)


def search(documents: list[Document], query: list[float]) -> list[dict[str, object]]:
    """The records that are nearest to the query."""
    if not documents:
        return []
    everything = np.concatenate([document.vectors for document in documents])
    probe = np.zeros(DIMENSIONS, dtype=np.float32)
    probe[: len(query)] = query
    lengths = np.linalg.norm(everything, axis=1) * np.linalg.norm(probe) + 1e-9
    # einsum, for the product by BLAS would bring a thread pool of its own into each figure.
    scores = np.einsum("ij,j->i", everything, probe) / lengths
    best = np.argsort(scores)[-5:][::-1]
    return [{"record": int(place), "score": round(float(scores[place]), 6)} for place in best]


def analyse(values: list[float]) -> dict[str, float]:
    """Statistics and the strongest frequency of a series."""
    series = np.asarray(values, dtype=np.float64)
    spectrum = np.abs(np.fft.rfft(np.tile(series - series.mean(), 64)))
    low, middle, high = np.percentile(series, (5, 50, 95))
    return {
        "mean": float(series.mean()),
        "p5": float(low),
        "p50": float(middle),
        "p95": float(high),
        "strongest": float(spectrum.argmax()),
    }


def render(documents: list[Document]) -> bytes:
    """All records as lines of text, the way an export does it."""
    lines = [
        f"{document.name}\t{record['id']}\t{record['text']}"
        for document in documents
        for record in document.records
    ]
    return "\n".join(lines).encode()
