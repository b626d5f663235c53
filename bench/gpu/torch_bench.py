"""What the PyTorch side of the comparison shares: the shapes of `retrieval bench` (src/RetrievalEngine.Cli/Bench/BenchShapes.cs), its way of timing, and its
form of result: one JSON object on one line. Exit code 3 says that PyTorch, or a GPU for it, is not here."""
import argparse
import json
import statistics
import sys
import time

try:
    import torch
except ImportError as error:
    print(f"PyTorch cannot be imported ({error}): no comparison", file=sys.stderr)
    sys.exit(3)

PRESETS = {
    "tiny": dict(sequences=4, length=16, hidden=64, inner=176, heads=4, vocabulary=300, layers=2, rank=8, trained=5000),
    "small": dict(sequences=16, length=128, hidden=768, inner=3072, heads=12, vocabulary=30522, layers=6, rank=16, trained=1_000_000),
    "7b": dict(sequences=16, length=512, hidden=4096, inner=11008, heads=32, vocabulary=32000, layers=32, rank=16, trained=40_000_000),
}
DTYPES = {"bfloat16": ("BF16", torch.bfloat16), "float16": ("F16", torch.float16), "float32": ("F32", torch.float32)}
WARM_UPS, FEWEST_RUNS, MOST_RUNS = 2, 3, 1000


class Bench:
    """Times work on one device and collects the results."""

    def __init__(self, description, add_arguments=lambda parser: None):
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--preset", choices=PRESETS, default="7b")
        parser.add_argument("--dtype", choices=DTYPES, default="bfloat16")
        parser.add_argument("--device", default="cuda", help="cuda, or cpu to try the script")
        parser.add_argument("--seconds", type=float, default=1, help="about how long each case is repeated")
        add_arguments(parser)
        self.args = parser.parse_args()
        if self.args.device == "cuda" and not torch.cuda.is_available():
            print("PyTorch finds no GPU: no comparison", file=sys.stderr)
            sys.exit(3)
        for name, value in PRESETS[self.args.preset].items():
            setattr(self, name, value)
        self.tokens = self.sequences * self.length
        self.label, self.dtype = DTYPES[self.args.dtype]
        self.device = torch.device(self.args.device)
        self.on_gpu = self.device.type == "cuda"
        # float32 means float32: its product is compared with one that is as exact.
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.manual_seed(1)
        cache = torch.cuda.get_device_properties(0).L2_cache_size if self.on_gpu else 1 << 16
        self.flushed = torch.ones(4 * cache // 4, device=self.device)
        self.cases = []

    def normal(self, *sizes, dtype=None, deviation=1.0):
        tensor = torch.empty(sizes, dtype=dtype or self.dtype, device=self.device)
        return tensor.normal_(0, deviation)

    def integers(self, below, *sizes):
        return torch.randint(below, sizes, device=self.device)

    def time(self, work, before=lambda: None):
        """The median of many runs of `work`, each after `before` and with what it reads out of the cache; and how many there were."""
        for _ in range(WARM_UPS):
            before()
            work()
        times, begin = [], time.perf_counter()
        while len(times) < FEWEST_RUNS or (len(times) < MOST_RUNS and time.perf_counter() - begin < self.args.seconds):
            before()
            times.append(self.once(work))
        return statistics.median(times), len(times)

    def once(self, work):
        if not self.on_gpu:
            begin = time.perf_counter()
            work()
            return time.perf_counter() - begin
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        self.flushed.sum()
        start.record()
        work()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1e3

    def case(self, op, name, shape, how, prepare, label=None):
        """Times what `prepare` gives: the work, or work and what must be done before each run of it. A case that fails says why in its result."""
        entry = dict(op=op, case=name, shape=shape, dtype=label or self.label, how=how)
        try:
            prepared = prepare()
            work, before = prepared if isinstance(prepared, tuple) else (prepared, lambda: None)
            entry["seconds"], entry["runs"] = self.time(work, before)
        except (RuntimeError, TypeError, AttributeError) as error:
            entry["skipped"] = str(error).splitlines()[0] if str(error) else repr(error)
        if self.on_gpu:
            torch.cuda.empty_cache()
        self.cases.append(entry)
        print(f"{op:24}{name:24}{shape:42}{entry['dtype']:6}{entry.get('seconds', 0) * 1e3:12.5f} ms  {how}  {entry.get('skipped', '')}", file=sys.stderr, flush=True)

    def backward(self, forward, inputs):
        """Work that is the backward pass of `forward`, with gradients of `inputs`; the forward pass before it is not timed."""
        state = {}
        gradient = []

        def before():
            state["y"] = y = forward()
            if not gradient:
                gradient.extend(torch.randn_like(part) for part in (y if isinstance(y, tuple) else (y,)))

        def work():
            y = state["y"]
            torch.autograd.grad(y if isinstance(y, tuple) else (y,), inputs, gradient)

        return work, before

    def finish(self, **more):
        result = dict(peer=f"PyTorch {torch.__version__}", device=torch.cuda.get_device_name(0) if self.on_gpu else "CPU", preset=self.args.preset,
                      dtype=self.label, **more, cases=self.cases)
        print(json.dumps(result, ensure_ascii=False))
