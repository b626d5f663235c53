"""Exact search in PyTorch, as one writes it: a matrix product and topk over pieces of the index, merged by another topk. The sizes are those of a run of
`retrieval bench --filter scoretopk --json` (`--like FILE`, its first line)."""
import json
import re

import torch

from torch_bench import DTYPES, Bench

SCORES = 1 << 31  # elements of one piece's score matrix, at most


def search(queries, rows, k):
    piece = max(k, SCORES // len(queries))
    best_scores, best_rows = None, None
    for first in range(0, len(rows), piece):
        scores = queries @ rows[first:first + piece].t()
        found_scores, found = torch.topk(scores, min(k, scores.shape[1]), dim=1)
        found = found + first
        if best_scores is not None:
            found_scores, found = torch.cat([best_scores, found_scores], 1), torch.cat([best_rows, found], 1)
            found_scores, order = torch.topk(found_scores, min(k, found_scores.shape[1]), dim=1)
            found = found.gather(1, order)
        best_scores, best_rows = found_scores, found
    return best_scores, best_rows


bench = Bench(__doc__, lambda parser: parser.add_argument("--like", required=True))
with open(bench.args.like, encoding="utf-8") as file:
    wanted = [case for case in json.loads(file.readline())["cases"] if case["op"] == "ScoreTopK"]
label, dtype = DTYPES["float16"]
sizes = [tuple(map(int, re.findall(r"\d+", case["shape"]))) for case in wanted if case["dtype"] == label]
rows = torch.empty(sizes[0][1], sizes[0][2], dtype=dtype, device=bench.device)
for start in range(0, len(rows), 1 << 18):
    rows[start:start + (1 << 18)].normal_()
for queries, count, width, k in sizes:
    asked = bench.normal(queries, width, dtype=dtype)
    name = "one query" if queries == 1 else f"{queries} queries"
    bench.case("ScoreTopK", name, f"{queries} × {count} × {width}, k {k}", "matmul + topk, scores in float16",
               lambda: lambda: search(asked, rows, k), label)
bench.finish()
