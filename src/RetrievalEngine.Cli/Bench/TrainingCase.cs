using System;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Models;
using RetrievalEngine.Training;

namespace RetrievalEngine.Cli.Bench;

/// <summary>
/// A whole step of contrastive training: a Llama with random weights and adapters on all its linear maps, gradient checkpointing, AdamW. Queries are as long as
/// passages, so that a program that pads has nothing to lose.
/// </summary>
internal static class TrainingCase
{
    private const int Group = 3;
    private const ulong Seed = 1;

    /// <summary>The case at <paramref name="s"/>.</summary>
    public static BenchCase At(BenchShapes s, DType dtype)
    {
        int queries = s.Sequences / 2, texts = queries * (1 + Group), tokens = texts * s.Length;
        double h = s.Hidden, f = s.Inner, linear = (4 * h * h) + (3 * h * f), narrow = s.Rank * ((4 * 2 * h) + (3 * (h + f)));
        // Forward, forward again, and gradients of inputs, which the first layer's q, k and v need not give; adapters' gradients are as much again.
        double products = 2.0 * tokens * ((3 * s.Layers * linear) - (3 * h * h) + (4 * s.Layers * narrow));
        double attention = s.Layers * 4.5 * AttentionCases.Flops(texts, s.Length, s.Heads, s.Hidden / s.Heads, causal: true);
        return new("TrainingStep", "LoRA, checkpointing", $"{s.Layers} layers × {s.Hidden}, {texts} × {s.Length} tokens, rank {s.Rank}", dtype,
            products + attention, 3.0 * dtype.Size() * s.Layers * linear, data => Prepare(data, s, queries, tokens));
    }

    private static Action Prepare(BenchData data, BenchShapes s, int queries, int tokens)
    {
        IBackend backend = data.Backend;
        ModelConfig config = ModelConfig.Parse(System.Text.Encoding.UTF8.GetBytes(
            $$"""
            {"model_type": "llama", "vocab_size": {{s.Vocabulary}}, "hidden_size": {{s.Hidden}}, "intermediate_size": {{s.Inner}},
             "num_hidden_layers": {{s.Layers}}, "num_attention_heads": {{s.Heads}}, "num_key_value_heads": {{s.Heads}}, "hidden_act": "silu",
             "max_position_embeddings": {{Math.Max(2048, s.Length)}}, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": false}
            """), "the bench's config.json");
        Transformer model = data.Own(Transformer.CreateRandom(backend, config, Seed, exact: false));
        LoraWeights.Attach(backend, model, new AdapterConfig { R = s.Rank, LoraAlpha = 2 * s.Rank, TargetPattern = AdapterConfig.AllLinear }, Seed);
        ParameterBlock block = data.Own(new ParameterBlock(backend, model.LoraParameters));
        ContrastiveOptions options = new(Pooling.Last, Normalize: true, Temperature: 0.05f, BatchTokens: tokens, GradientCheckpointing: true);
        ContrastiveStep step = data.Own(new ContrastiveStep(backend, model, options));
        List<int[]> Texts(int count) => [.. Enumerable.Range(0, count).Select(_ => data.Random(s.Length, s.Vocabulary))];
        (List<int[]> asked, List<int[]> passages) = (Texts(queries), Texts(queries * Group));
        int[] targets = [.. Enumerable.Range(0, queries).Select(i => i * Group)];
        int done = 0;
        return () =>
        {
            block.ZeroGradients();
            Pending<ContrastiveResult> pending = step.Begin(asked, passages, targets, excluded: [], seed: 0);
            block.Step(new AdamW(1e-4f, Step: ++done, MaxGradNorm: 1), pending.Spare);
            pending.Await(backend);
        };
    }
}
