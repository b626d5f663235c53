"""Makes the report of bench/gpu/run.sh from a folder of its results: python3 report.py FOLDER, writes FOLDER/<gpu>-<date>.md.
Every time stands beside the floor that the machine sets and beside PyTorch's in the same run."""
import json
import pathlib
import re
import sys

STAGES = ["build", "test", "sanitize", "kernels", "training", "search"]


def read_lines(path):
    """The results of `retrieval bench`, those of PyTorch, notes, and how the stage ended."""
    ours, peers, notes, done = [], [], [], None
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            entry = json.loads(line) if line.startswith("{") else {}
        except json.JSONDecodeError:
            entry = {}
        if "machine" in entry:
            ours.append(entry)
        elif "peer" in entry:
            peers.append(entry)
        elif "note" in entry:
            notes.append(entry["note"])
        elif "done" in entry:
            done = entry
    return ours, peers, notes, done


def key(case):
    return case["op"], case["case"], case["shape"], case["dtype"]


def rate(per_second, unit):
    for prefix in ["", "K", "M", "G", "T"]:
        if per_second < 999.5 or prefix == "T":
            return f"{per_second:.{0 if per_second >= 99.95 else 1 if per_second >= 9.995 else 2}f} {prefix}{unit}"
        per_second /= 1000


def milliseconds(seconds):
    return f"{seconds * 1e3:.4g}"


def joined(runs, peers):
    """Each case of ours with all of PyTorch's at the same op, shape and type of a run in the same activations' type."""
    for run in runs:
        theirs = [case for peer in peers if peer["dtype"] == run["dtype"] for case in peer["cases"]]
        for case in run["cases"]:
            yield run, case, [peer for peer in theirs if key(peer) == key(case)]


def ratio(case, peer):
    return peer["seconds"] / case["seconds"]


def table(rows):
    """Rows of (run, case, peers) as a table; a line for each of PyTorch's."""
    yield "| op | | shape | type | ms | rate | floor ms | share | PyTorch ms | PyTorch | times faster |"
    yield "|---|---|---|---|---:|---:|---:|---:|---:|---|---:|"
    for _, case, peers in rows:
        start = f"| {case['op']} | {case['case']} | {case['shape']} | {case['dtype']} |"
        if "seconds" not in case:
            yield f"{start} | | | | | {case.get('skipped') or 'failed: ' + case['failed']} | |"
            continue
        speed = rate(case["flops"] / case["seconds"], "FLOP/s") if case.get("bound") == "flops" else rate(case["bytes"] / case["seconds"], "B/s")
        floor, share = (milliseconds(case["floor_seconds"]), f"{case['share']:.0%}") if "share" in case else ("", "")
        start += f" {milliseconds(case['seconds'])} | {speed} | {floor} | {share} |"
        for peer in peers or [{}]:
            if "seconds" in peer:
                yield f"{start} {milliseconds(peer['seconds'])} | {peer['how']} | {ratio(case, peer):.2f} |"
            else:
                yield f"{start} | {peer.get('how', '')}{': ' + peer['skipped'] if 'skipped' in peer else ''} | |"


def aims(rows):
    """What was aimed at, what was reached, whether that is enough."""
    def find(op, name=None, dtype="BF16"):
        return [(case, [p for p in peers if "seconds" in p]) for _, case, peers in rows
                if case["op"] == op and "seconds" in case and case["dtype"] == dtype and (name is None or case["case"] in name)]

    def entry(name, aim, found, enough, text):
        results = [(text(case, peers), enough(case, peers)) for case, peers in found]
        if results:
            yield f"| {name} | {aim} | {'; '.join(t for t, _ in results)} | {'yes' if all(ok for _, ok in results) else 'no'} |"

    def best(case, peers):
        return max((ratio(case, p) for p in peers), default=None)

    def least(case, peers):
        return min((ratio(case, p) for p in peers), default=None)

    def show(case, value):
        return f"{case['case']} {value}"

    def with_peer(case, peers):
        other = least(case, peers)
        return show(case, f"{case['flops'] / case['seconds'] / 1e12:.0f} TFLOP/s{'' if other is None else f', {other:.2f} of PyTorch'}")

    wide = ["x·Wᵀ", "x·Wᵀ, wide", "x·Wᵀ, deep", "dy·W"]
    linear = ["q, k, v", "o", "gate, up", "down"]
    fast = lambda case, peers, share: case["flops"] / case["seconds"] >= 600e12 or (least(case, peers) or 0) >= share
    yield "| what | aim | reached | enough |"
    yield "|---|---|---|---|"
    yield from entry("matrix products", "600 TFLOP/s or 0.76 of cuBLAS", find("MatMul", wide), lambda c, p: fast(c, p, 0.76), with_peer)
    yield from entry("matrix products on Hopper", "1.0 of cuBLAS", find("MatMul", wide), lambda c, p: (least(c, p) or 0) >= 1, with_peer)
    for op, name in [("LoraMatMulForward", "LoRA layer forward"), ("LoraMatMulBackward", "LoRA layer backward")]:
        yield from entry(name, "1.15 of PEFT's form", find(op, linear), lambda c, p: (least(c, p) or 0) >= 1.15, with_peer)
    for op, name in [("AttentionForward", "attention forward"), ("AttentionBackward", "attention backward")]:
        yield from entry(name, "1.0 of SDPA's flash backend", find(op), lambda c, p: (least(c, p) or 0) >= 1, with_peer)
    # Hugging Face's own where it was there: the first of the peers.
    yield from entry("training step", "1.3 of Hugging Face + PEFT", find("TrainingStep"), lambda c, p: bool(p) and ratio(c, p[0]) >= 1.3,
                     lambda c, p: f"{milliseconds(c['seconds'])} ms; " + (", ".join(f"{ratio(c, x):.2f} of {x['how']}" for x in p) or "no PyTorch"))
    found = find("ScoreTopK", dtype="F16")
    over = lambda c, p: show(c, f"{c['seconds'] / c['floor_seconds']:.2f} of the floor{'' if best(c, p) is None else f', {best(c, p):.1f} times PyTorch'}")
    yield from entry("search, one query", "within 1.15 of reading the index once", found[:1], lambda c, p: c["seconds"] <= 1.15 * c["floor_seconds"], over)
    yield from entry("search, many queries", "within 1.25 of the products' floor", found[-1:], lambda c, p: c["seconds"] <= 1.25 * c["floor_seconds"], over)


def summary_of_tests(text):
    yield "| tests | exit code | total | succeeded | failed | skipped |"
    yield "|---|---:|---:|---:|---:|---:|"
    for part in re.split(r"^== tests ", text, flags=re.MULTILINE)[1:]:
        name, code = re.match(r"(.*): exit code (\d+)", part).groups()
        counts = [next(iter(re.findall(rf"^ *{word}: (\d+)", part, re.MULTILINE)), "") for word in ("total", "succeeded", "failed", "skipped")]
        yield f"| {name} | {code} | {' | '.join(counts)} |"
    failures = sorted(set(re.findall(r"^failed (.*?) \(\d", text, re.MULTILINE)))
    for failure in failures[:40]:
        yield f"\n- failed: {failure}"
    if len(failures) > 40:
        yield f"\n- and {len(failures) - 40} more in test.log"


def summary_of_sanitizer(text):
    yield "| tool | what | exit code | summary |"
    yield "|---|---|---:|---|"
    for tool, name, code, rest in re.findall(r"^== (\w+), (.*): exit code (\d+)\n((?:(?!^== ).*\n?)*)", text, re.MULTILINE):
        found = re.findall(r"^=+ (.*SUMMARY.*)$", rest, re.MULTILINE)
        yield f"| {tool} | {name} | {code} | {found[-1] if found else 'no summary'} |"


def main(folder):
    results = {stage: read_lines(folder / f"{stage}.{'log' if stage in ('build', 'test', 'sanitize') else 'jsonl'}") for stage in STAGES}
    text = {stage: path.read_text(encoding="utf-8") if (path := folder / f"{stage}.log").exists() else "" for stage in ("build", "test", "sanitize")}
    runs = [run for ours, *_ in results.values() for run in ours]
    devices = re.search(r"^cuda:0 +(.*?)(?: \(sm_|, )", text["build"], re.MULTILINE)
    gpu = runs[0]["machine"].get("gpu", "no GPU") if runs else devices.group(1) if devices else "unknown"
    date = max((run["date"][:10] for run in runs), default=(re.findall(r"^\d{4}-\d\d-\d\d", text["build"], re.MULTILINE) or ["unknown-date"])[0])
    lines = [f"# {gpu}, {date}", ""]
    if runs:
        run, machine = runs[0], runs[0]["machine"]
        lines += [f"Version {run['version']}, preset {run['preset']}. {machine['hardware']} ({machine.get('architecture', '')}, {machine.get('multiprocessors', '')} "
                  f"multiprocessors, {machine.get('memory_bytes', 0) / 2**30:.1f} GiB, CUDA {machine.get('cuda_version', '')}), kernels {machine.get('kernels', '')}; "
                  f"{machine['processor']}, {machine['cores']} cores.", "",
                  f"Peaks: {rate(run['peaks']['flops_per_second'], 'FLOP/s')} ({run['peaks']['flops_source']}), {rate(run['peaks']['bytes_per_second'], 'B/s')} "
                  f"({run['peaks']['bytes_source']}); those given are what cuBLAS (8192³, bfloat16) and a copy (read plus written) reach in PyTorch here. A floor is the "
                  "time of the operations at the first or of the necessary bytes at the second, whichever is longer; the share is floor / time. float32 on a GPU counts "
                  "as six products of 16-bit parts; PyTorch's float32 is full float32. Times are medians on random normal data with flushed caches, by the GPU's clock."]
        peers = {peer["peer"] for _, theirs, _, _ in results.values() for peer in theirs}
        lines += ["", f"Beside it: {', '.join(sorted(peers)) or 'nothing'}. Times faster: PyTorch's time over ours.", ""]
    notes = [note for _, _, found, _ in results.values() for note in found]
    lines += [*(f"- {note}" for note in dict.fromkeys(notes)), ""] if notes else []
    rows = [row for ours, theirs, _, _ in results.values() for row in joined(ours, theirs)]
    if rows:
        lines += ["## Aims", "", *aims(rows), ""]
    for stage, title in [("kernels", "Kernels"), ("training", "Training step"), ("search", "Search")]:
        ours, theirs, _, _ = results[stage]
        for run in ours:
            lines += [f"## {title}, {run['dtype']}", "", *table(joined([run], theirs)), ""]
    if text["test"]:
        lines += ["## Tests on this driver", "", *summary_of_tests(text["test"]), ""]
    if text["sanitize"]:
        lines += ["## compute-sanitizer", "", *summary_of_sanitizer(text["sanitize"]), ""]
    if text["build"]:
        lines += ["## Machine", "", "```", *(line for line in text["build"].splitlines() if not line.startswith("{")), "```", ""]
    lines += ["## Stages", "", "| stage | seconds | |", "|---|---:|---|"]
    for stage, (_, _, _, done) in results.items():
        lines.append(f"| {stage} | {done['seconds'] if done else ''} | {'not run, or not to its end' if done is None else 'with failures' if done['failed'] else ''} |")
    target = folder / f"{re.sub(r'[^a-z0-9]+', '-', gpu.lower()).strip('-')}-{date}.md"
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(target)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not pathlib.Path(sys.argv[1]).is_dir():
        sys.exit("usage: python3 report.py FOLDER, a folder of results of bench/gpu/run.sh")
    main(pathlib.Path(sys.argv[1]))
