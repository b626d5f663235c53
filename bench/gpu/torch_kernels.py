"""The ops of `retrieval bench` in PyTorch at the same shapes: cuBLAS, SDPA's flash attention, a LoRA layer in PEFT's form, element-wise ops.
`--peaks` measures the machine's two ceilings instead: a large matrix product and a large copy."""
import math

import torch
import torch.nn.functional as F

from torch_bench import Bench

FEW_ROWS, GROUP, EPSILON = 8, 4, 1e-5


def memory(b):
    t, h, f, wide, narrow = b.tokens, b.hidden, b.inner, f"{b.tokens} × {b.inner}", f"{b.tokens} × {b.hidden}"

    def upload():
        host, there = torch.zeros(t, h, dtype=b.dtype), b.normal(t, h)
        return lambda: there.copy_(host)

    def download():
        host, there = torch.zeros(t, h, dtype=b.dtype), b.normal(t, h)
        return lambda: host.copy_(there)

    def copy():
        x, y = b.normal(t, f), b.normal(t, f)
        return lambda: y.copy_(x)

    def fill():
        x = b.normal(t, h, dtype=torch.float32)
        return lambda: x.zero_()

    other, label = (torch.bfloat16, "BF16") if b.dtype == torch.float32 else (b.dtype, b.label)

    def cast():
        x, y = b.normal(t, f, dtype=torch.float32), b.normal(t, f, dtype=other)
        return lambda: y.copy_(x)

    b.case("Upload", "from the host", narrow, "copy_ from pageable memory", upload)
    b.case("Download", "to the host", narrow, "copy_ to pageable memory", download)
    b.case("Copy", "b = a", wide, "copy_", copy)
    b.case("Fill", "a = 0", narrow, "zero_", fill, "F32")
    b.case("Cast", "from F32", wide, "copy_", cast, label)


def ends(b):
    t, h, v = b.tokens, b.hidden, b.vocabulary
    texts, queries, narrow = 128 * b.sequences, 8 * b.sequences, f"{b.tokens} × {b.hidden}"

    def embedding():
        ids, table = b.integers(v, t), b.normal(v, h)
        return lambda: F.embedding(ids, table)

    def embedding_backward():
        ids, dy = b.integers(v, t), b.normal(t, h)
        return lambda: torch.ops.aten.embedding_dense_backward(dy, ids, v, -1, False)

    def pool():
        x = b.normal(b.sequences, b.length, h)
        return lambda: x.mean(1, dtype=torch.float32)

    def pool_backward():
        dy = b.normal(b.sequences, h, dtype=torch.float32)
        return lambda: (dy / b.length).to(b.dtype).unsqueeze(1).expand(b.sequences, b.length, h).contiguous()

    def normalize(backward):
        x = b.normal(texts, h, dtype=torch.float32).requires_grad_(backward)
        return b.backward(lambda: F.normalize(x, dim=1), [x]) if backward else lambda: F.normalize(x, dim=1)

    def cross_entropy():
        scores, targets = b.normal(queries, texts, dtype=torch.float32).requires_grad_(), b.integers(texts, queries)
        return lambda: torch.autograd.grad(F.cross_entropy(scores, targets), scores)

    def squares():
        x = b.normal(b.trained, dtype=torch.float32)
        return lambda: torch.linalg.vector_norm(x)

    def adamw():
        x = b.normal(b.trained, dtype=torch.float32).requires_grad_()
        x.grad = b.normal(b.trained, dtype=torch.float32)
        optimizer = torch.optim.AdamW([x], lr=1e-4, fused=b.on_gpu)
        return optimizer.step

    b.case("EmbeddingForward", "random tokens", f"{t} of {v} × {h}", "F.embedding", embedding)
    b.case("EmbeddingBackward", "random tokens", f"{t} of {v} × {h}", "embedding_dense_backward", embedding_backward)
    b.case("PoolForward", "mean", narrow, "mean", pool)
    b.case("PoolBackward", "mean", narrow, "expand", pool_backward)
    b.case("L2NormalizeForward", "vectors", f"{texts} × {h}", "F.normalize", lambda: normalize(False), "F32")
    b.case("L2NormalizeBackward", "vectors", f"{texts} × {h}", "F.normalize", lambda: normalize(True), "F32")
    b.case("CrossEntropy", "in-batch negatives", f"{queries} × {texts}", "F.cross_entropy and its gradient", cross_entropy, "F32")
    b.case("SumOfSquares", "gradients", f"{b.trained}", "vector_norm", squares, "F32")
    b.case("AdamWStep", "with clipping", f"{b.trained}", "AdamW(fused)", adamw, "F32")


def layers(b):
    t, h, f, wide, narrow = b.tokens, b.hidden, b.inner, f"{b.tokens} × {b.inner}", f"{b.tokens} × {b.hidden}"

    def add():
        x, y, z = b.normal(t, h), b.normal(t, h), b.normal(t, h)
        return lambda: torch.add(x, y, out=z)

    def scale():
        x, z = b.normal(t, h), b.normal(t, h)
        return lambda: torch.mul(x, 2, out=z)

    def gelu(backward):
        x = b.normal(t, f).requires_grad_(backward)
        work = lambda: F.gelu(x, approximate="tanh")
        return b.backward(work, [x]) if backward else work

    def swiglu(backward):
        gate, up = (b.normal(t, f).requires_grad_(backward) for _ in range(2))
        work = lambda: F.silu(gate) * up
        return b.backward(work, [gate, up]) if backward else work

    def rms_norm(inputs):
        x, residual = b.normal(t, h).requires_grad_("x" in inputs), b.normal(t, h)
        weight = torch.ones(h, dtype=b.dtype, device=b.device, requires_grad="w" in inputs)
        if inputs:
            return b.backward(lambda: F.rms_norm(x, (h,), weight, EPSILON), [x, weight] if "w" in inputs else [x])

        def forward():
            total = x + residual
            return total, F.rms_norm(total, (h,), weight, EPSILON)
        return forward

    def layer_norm(backward):
        x, residual = b.normal(t, h).requires_grad_(backward), b.normal(t, h)
        weight, bias = (torch.full((h,), value, dtype=b.dtype, device=b.device, requires_grad=backward) for value in (1.0, 0.0))
        if backward:
            return b.backward(lambda: F.layer_norm(x, (h,), weight, bias, EPSILON), [x, weight, bias])

        def forward():
            total = x + residual
            return total, F.layer_norm(total, (h,), weight, bias, EPSILON)
        return forward

    def rope():
        width = h // b.heads
        angles = torch.arange(b.length, device=b.device)[:, None] * 10000.0 ** (-torch.arange(0, width, 2, device=b.device) / width)
        angles = torch.cat([angles, angles], 1)[:, None]
        cos, sin = angles.cos().to(b.dtype), angles.sin().to(b.dtype)
        q = b.normal(b.sequences, b.length, b.heads, width)
        return lambda: q * cos + torch.cat([-q[..., width // 2:], q[..., :width // 2]], -1) * sin

    b.case("Add", "a + b", narrow, "add", add)
    b.case("Scale", "2 a", narrow, "mul", scale)
    b.case("ActivationForward", "GELU", wide, "F.gelu", lambda: gelu(False))
    b.case("ActivationBackward", "GELU", wide, "F.gelu", lambda: gelu(True))
    b.case("GatedActivationForward", "SwiGLU", wide, "silu(gate) * up", lambda: swiglu(False))
    b.case("GatedActivationBackward", "SwiGLU", wide, "silu(gate) * up", lambda: swiglu(True))
    b.case("RmsNormForward", "with residual", narrow, "x + r, F.rms_norm", lambda: rms_norm(""))
    b.case("RmsNormBackward", "dx", narrow, "F.rms_norm", lambda: rms_norm("x"))
    b.case("RmsNormBackward", "dx, dweight", narrow, "F.rms_norm", lambda: rms_norm("xw"))
    b.case("LayerNormForward", "with residual", narrow, "x + r, F.layer_norm", lambda: layer_norm(False))
    b.case("LayerNormBackward", "dx, dweight, dbias", narrow, "F.layer_norm", lambda: layer_norm(True))
    b.case("Rope", "q", narrow, "Hugging Face's form", rope)


def matmuls(b):
    t, h, f, queries, passages = b.tokens, b.hidden, b.inner, 8 * b.sequences, 128 * b.sequences

    def linear(m, n, k, with_bias=False):
        x, w = b.normal(m, k), b.normal(n, k, deviation=k ** -0.5)
        if not with_bias:
            return lambda: F.linear(x, w)
        bias = b.normal(n)
        return lambda: F.gelu(F.linear(x, w, bias), approximate="tanh")

    def input_gradient():
        dy, w = b.normal(t, h), b.normal(h, h, deviation=h ** -0.5)
        return lambda: dy @ w

    def weight_gradient():
        dy, x = b.normal(t, h), b.normal(t, h)
        return lambda: dy.t() @ x

    def scores():
        q, p = b.normal(queries, h, dtype=torch.float32), b.normal(passages, h, dtype=torch.float32)
        return lambda: q @ p.t()

    for name, m, n, k in [("x·Wᵀ", t, h, h), ("x·Wᵀ, wide", t, f, h), ("x·Wᵀ, deep", t, h, f), ("x·Wᵀ, few rows", FEW_ROWS, h, h)]:
        b.case("MatMul", name, f"{m} × {n} × {k}", "cuBLAS", lambda: linear(m, n, k))
    b.case("MatMul", "f(x·Wᵀ + b)", f"{t} × {f} × {h}", "cuBLAS, F.gelu", lambda: linear(t, f, h, True))
    b.case("MatMul", "dy·W", f"{t} × {h} × {h}", "cuBLAS", input_gradient)
    b.case("MatMul", "dyᵀ·x", f"{h} × {h} × {t}", f"cuBLAS, result {b.label}", weight_gradient)
    b.case("MatMul", "scores", f"{queries} × {passages} × {h}", "cuBLAS, float32", scores, "F32")


def adapters(b):
    h, f, r, m = b.hidden, b.inner, b.rank, b.tokens

    def layer(backward, k, outputs, probability):
        x = b.normal(m, k).requires_grad_(backward)
        maps = [(b.normal(n, k, deviation=k ** -0.5), b.normal(r, k, deviation=k ** -0.5).requires_grad_(), b.normal(n, r, deviation=r ** -0.5).requires_grad_())
                for n in outputs]

        def forward():
            return tuple(F.linear(x, w) + F.linear(F.linear(F.dropout(x, probability), a), c) * 2 for w, a, c in maps)
        return b.backward(forward, [x] + [part for _, a, c in maps for part in (a, c)]) if backward else forward

    groups = [("q, k, v", h, [h, h, h]), ("o", h, [h]), ("gate, up", h, [f, f]), ("down", f, [h])]
    for probability in (0.0, 0.1):
        for name, k, outputs in groups:
            if probability and len(outputs) > 1:
                continue
            shape, case = f"{m} × {'+'.join(map(str, outputs))} × {k}, rank {r}", f"{name}, dropout" if probability else name
            b.case("LoraMatMulForward", case, shape, "PEFT's form", lambda: layer(False, k, outputs, probability))
            b.case("LoraMatMulBackward", case, shape, "PEFT's form", lambda: layer(True, k, outputs, probability))


def attention(b):
    width = b.hidden // b.heads

    def kernel():
        # Flash attention takes 16-bit numbers only, and a GPU.
        from torch.nn.attention import SDPBackend, sdpa_kernel
        return sdpa_kernel(SDPBackend.FLASH_ATTENTION if b.on_gpu and b.dtype != torch.float32 else
                           [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])

    def sdpa(backward, sequences, length, kv_heads, causal):
        def heads(count):
            return b.normal(sequences, length, count, width).transpose(1, 2).requires_grad_(backward)
        q, k, v = heads(b.heads), heads(kv_heads), heads(kv_heads)

        def forward():
            with kernel():
                return F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=kv_heads != b.heads)
        return b.backward(forward, [q, k, v]) if backward else forward

    batches = [("causal", b.sequences, b.length, b.heads, True), ("all to all", b.sequences, b.length, b.heads, False),
               ("causal, grouped keys", b.sequences, b.length, b.heads // GROUP, True), ("causal, long", b.sequences // 4, b.length * 4, b.heads, True)]
    how = "SDPA, flash" if b.dtype != torch.float32 else "SDPA, memory-efficient"
    for name, sequences, length, kv_heads, causal in batches:
        shape = f"{sequences} × {length}, {b.heads}{'' if kv_heads == b.heads else f'/{kv_heads}'} heads × {width}"
        b.case("AttentionForward", name, shape, how, lambda: sdpa(False, sequences, length, kv_heads, causal))
        b.case("AttentionBackward", name, shape, how, lambda: sdpa(True, sequences, length, kv_heads, causal))


def peaks(b):
    size, count = (8192, 1 << 30) if b.on_gpu else (256, 1 << 16)
    x, w = b.normal(size, size), b.normal(size, size, deviation=1 / math.sqrt(size))
    seconds, _ = b.time(lambda: F.linear(x, w))
    source, target = torch.ones(count, dtype=torch.uint8, device=b.device), torch.ones(count, dtype=torch.uint8, device=b.device)
    copying, _ = b.time(lambda: target.copy_(source))
    b.finish(peak_tflops=2 * size ** 3 / seconds / 1e12, peak_gbs=2 * count / copying / 1e9)


bench = Bench(__doc__, lambda parser: parser.add_argument("--peaks", action="store_true"))
if bench.args.peaks:
    peaks(bench)
else:
    for part in (memory, ends, layers, matmuls, adapters, attention):
        part(bench)
    bench.finish()
