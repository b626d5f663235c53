using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Models;
using RetrievalEngine.Training;

namespace RetrievalEngine.Bench;

/// <summary>
/// One contrastive training step of a decoder of 6 layers × 512 (feed-forward 1408, vocabulary 32,000), LoRA r = 16 on all seven linear maps, 32 queries × (1 + 7) passages × 64 tokens:
/// 288 texts, 18,432 tokens, AdamW. <c>shared/peers/train_torch.py</c> times the same in PyTorch.
/// </summary>
internal static class TrainingStep
{
    private const string Config = """
        {"model_type":"qwen2","architectures":["Qwen2Model"],"hidden_size":512,"intermediate_size":1408,"num_hidden_layers":6,"num_attention_heads":8,"num_key_value_heads":8,
         "vocab_size":32000,"max_position_embeddings":512,"rms_norm_eps":1e-6,"rope_theta":10000.0,"hidden_act":"silu","tie_word_embeddings":true,"use_sliding_window":false}
        """;

    /// <summary>Prints seconds, tokens/s and the share of the peak in the linear maps for LoRA, full training and the forward pass alone.</summary>
    public static void Run(string[] args)
    {
        int steps = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 4;
        int batchTokens = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : new TrainingOptions().BatchTokens;
        CpuBackend cpu = new();
        using TimedBackend backend = new(cpu);
        ModelConfig config = ModelConfig.Parse(System.Text.Encoding.UTF8.GetBytes(Config), "config.json");
        double perLayer = (4.0 * config.HiddenSize * config.HiddenSize) + (3.0 * config.HiddenSize * config.IntermediateSize), forward = 2 * perLayer * config.NumHiddenLayers;
        double peak = Peak.Fma(cpu.Threads);
        Console.WriteLine(FormattableString.Invariant($"{backend.Name}; chunks of {batchTokens} tokens"));
        foreach (string mode in (string[])["forward", "lora", "full"])
        {
            using Transformer model = Transformer.CreateRandom(backend, config, seed: 1);
            if (mode == "lora")
            {
                AdapterConfig lora = new() { R = 16, LoraAlpha = 32, TargetPattern = AdapterConfig.AllLinear };
                LoraWeights.Attach(backend, model, lora, seed: 1);
            }

            Random random = new(1);
            List<int[]> queries = Texts(random, 32), passages = Texts(random, 256);
            int[] targets = [.. Enumerable.Range(0, 32).Select(i => i * 8)];
            double tokens = 288 * 64, best = double.PositiveInfinity;
            List<double> seconds = [];
            using ParameterBlock? block = mode == "forward" ? null : new(backend, mode == "lora" ? model.LoraParameters : model.Parameters);
            using ContrastiveStep step = new(backend, model, new ContrastiveOptions(Pooling.Last, Normalize: true, Temperature: 0.05f, batchTokens));
            using Arena arena = new(backend);
            for (int i = 0; i <= steps; i++)
            {
                long start = Stopwatch.GetTimestamp();
                if (block is null) Forward(model, arena, [.. queries, .. passages], batchTokens);
                else
                {
                    block.ZeroGradients();
                    step.Run(queries, passages, targets, excluded: [], seed: 0);
                    block.Step(new AdamW(1e-4f, Step: i + 1, MaxGradNorm: 1));
                }

                if (i == 0) backend.Reset();
                double elapsed = Stopwatch.GetElapsedTime(start).TotalSeconds;
                if (i > 0) seconds.Add(elapsed);
                best = Math.Min(best, elapsed);
            }

            // Again, because a neighbour may have had the machine while it was measured first.
            peak = Math.Max(peak, Peak.Fma(cpu.Threads));
            seconds.Sort();
            double median = seconds[seconds.Count / 2], passes = mode switch { "forward" => 1, "lora" => 2, _ => 3 };
            Console.WriteLine(FormattableString.Invariant(
                $"{mode,-8} {median,7:F2} s/step (best {best:F2})  {tokens / median,7:F0} tokens/s  linear maps alone {passes * forward * tokens / median / 1e9,5:F0} GFLOP/s = {passes * forward * tokens / median / peak:P0} of the peak of {peak / 1e9:F0}"));
            backend.Print();
        }
    }

    private static void Forward(Transformer model, Arena arena, List<int[]> texts, int batchTokens)
    {
        int perChunk = Math.Max(1, batchTokens / 64);
        for (int i = 0; i < texts.Count; i += perChunk)
        {
            arena.Reset();
            model.Forward(RetrievalEngine.Text.PackedBatch.Pack(texts.GetRange(i, Math.Min(perChunk, texts.Count - i))), arena);
        }
    }

    private static List<int[]> Texts(Random random, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => Enumerable.Range(0, 64).Select(_ => random.Next(32000)).ToArray())];
}
