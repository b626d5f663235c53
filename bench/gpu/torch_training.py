"""One step of contrastive LoRA training of a Llama with random weights and gradient checkpointing in PyTorch, at the shape of `retrieval bench --filter
TrainingStep`: with transformers and PEFT where they can be imported, and with plain modules in their form."""
import sys

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from torch_bench import Bench

PASSAGES, TEMPERATURE, ALPHA = 3, 0.05, 2
NAMES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class LoraLinear(nn.Module):
    """A frozen linear map with an adapter, as PEFT computes it."""

    def __init__(self, inputs, outputs, rank):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs).normal_(0, 0.02), requires_grad=False)
        self.a = nn.Parameter(torch.empty(rank, inputs).normal_(0, inputs ** -0.5))
        self.b = nn.Parameter(torch.zeros(outputs, rank))

    def forward(self, x):
        return F.linear(x, self.weight) + F.linear(F.linear(x, self.a), self.b) * ALPHA


class Layer(nn.Module):
    """A Llama layer as transformers computes it, attention by SDPA."""

    def __init__(self, hidden, inner, heads, rank):
        super().__init__()
        self.heads, self.width = heads, hidden // heads
        self.input_norm, self.output_norm = nn.RMSNorm(hidden, 1e-5), nn.RMSNorm(hidden, 1e-5)
        self.q, self.k, self.v, self.o = (LoraLinear(hidden, hidden, rank) for _ in range(4))
        self.gate, self.up, self.down = LoraLinear(hidden, inner, rank), LoraLinear(hidden, inner, rank), LoraLinear(inner, hidden, rank)

    def forward(self, x, cos, sin):
        y = self.input_norm(x)
        q, k, v = (part(y).view(*y.shape[:2], self.heads, self.width).transpose(1, 2) for part in (self.q, self.k, self.v))
        q, k = (part * cos + torch.cat([-part[..., self.width // 2:], part[..., :self.width // 2]], -1) * sin for part in (q, k))
        x = x + self.o(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(x.shape))
        y = self.output_norm(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Llama(nn.Module):
    """The whole network up to its last norm."""

    def __init__(self, bench):
        super().__init__()
        self.embedding = nn.Embedding(bench.vocabulary, bench.hidden)
        self.layers = nn.ModuleList(Layer(bench.hidden, bench.inner, bench.heads, bench.rank) for _ in range(bench.layers))
        self.norm = nn.RMSNorm(bench.hidden, 1e-5)
        for module in (self.embedding, *(m for m in self.modules() if isinstance(m, nn.RMSNorm))):
            module.requires_grad_(False)
        width = bench.hidden // bench.heads
        angles = torch.arange(bench.length, dtype=torch.float32)[:, None] * 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float32) / width)
        angles = torch.cat([angles, angles], 1)
        self.cos, self.sin = angles.cos().to(bench.dtype), angles.sin().to(bench.dtype)

    def forward(self, ids):
        x = self.embedding(ids)
        for layer in self.layers:
            x = checkpoint(layer, x, self.cos, self.sin, use_reentrant=False)
        return self.norm(x)


def plain(bench):
    return Llama(bench).train(), f"plain PyTorch in PEFT's form, all in {bench.args.dtype}", lambda model, ids: model(ids)


def hugging_face(bench):
    import peft
    import transformers

    config = transformers.LlamaConfig(
        vocab_size=bench.vocabulary, hidden_size=bench.hidden, intermediate_size=bench.inner, num_hidden_layers=bench.layers,
        num_attention_heads=bench.heads, num_key_value_heads=bench.heads, max_position_embeddings=max(2048, bench.length), use_cache=False)
    config._attn_implementation = "sdpa"
    model = transformers.LlamaModel(config).to(bench.dtype)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    adapter = peft.LoraConfig(r=bench.rank, lora_alpha=ALPHA * bench.rank, lora_dropout=0.0, target_modules=NAMES, bias="none")
    model = peft.get_peft_model(model, adapter).train()

    def forward(model, ids):
        with torch.autocast(bench.device.type, dtype=bench.dtype, enabled=bench.dtype != torch.float32):
            return model(input_ids=ids).last_hidden_state
    return model, f"transformers {transformers.__version__} + PEFT {peft.__version__}, autocast, adapters in float32", forward


def step(bench, make):
    torch.set_default_dtype(bench.dtype)
    try:
        with torch.device(bench.device):
            model, how, forward = make(bench)
    finally:
        torch.set_default_dtype(torch.float32)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=bench.on_gpu)
    queries = bench.sequences // 2
    texts = queries * (1 + PASSAGES)
    ids = bench.integers(bench.vocabulary, texts, bench.length)
    targets = torch.arange(queries, device=bench.device) * PASSAGES

    def work():
        vectors = F.normalize(forward(model, ids)[:, -1].float(), dim=1)
        F.cross_entropy(vectors[:queries] @ vectors[queries:].t() / TEMPERATURE, targets).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    shape = f"{bench.layers} layers × {bench.hidden}, {texts} × {bench.length} tokens, rank {bench.rank}"
    bench.case("TrainingStep", "LoRA, checkpointing", shape, how, lambda: work)


bench = Bench(__doc__)
for make in (hugging_face, plain):
    try:
        step(bench, make)
    except Exception as error:  # what other libraries raise is theirs to choose; the plain modules are there for that
        print(f"{make.__name__}: {type(error).__name__}: {error}", file=sys.stderr)
    if bench.on_gpu:
        torch.cuda.empty_cache()
bench.finish()
