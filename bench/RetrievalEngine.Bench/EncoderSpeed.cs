using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Models;
using RetrievalEngine.Text;

namespace RetrievalEngine.Bench;

/// <summary>
/// Tokens a second of an encoder of MiniLM-L6's shape (384 × 6 layers, 12 heads, feed-forward 1536) with random weights: forward, mean pooling and normalisation.
/// <c>bench/encoder-speed.sh</c> runs ONNX Runtime on the same shape in turn with it.
/// </summary>
internal static class EncoderSpeed
{
    private const string Config = """
        {"model_type":"bert","architectures":["BertModel"],"hidden_size":384,"intermediate_size":1536,"num_hidden_layers":6,"num_attention_heads":12,"vocab_size":30522,
         "max_position_embeddings":512,"type_vocab_size":2,"layer_norm_eps":1e-12,"hidden_act":"gelu"}
        """;

    private static readonly (int Texts, int Length)[] s_batches = [(32, 128), (1, 128), (1, 16)];

    /// <summary>Prints the median rate of each batch shape.</summary>
    public static void Run()
    {
        using CpuBackend backend = new();
        using Transformer model = Transformer.CreateRandom(backend, ModelConfig.Parse(System.Text.Encoding.UTF8.GetBytes(Config), "config.json"), seed: 1);
        using Arena arena = new(backend);
        Random random = new(1);
        foreach ((int texts, int length) in s_batches)
        {
            PackedBatch batch = PackedBatch.Pack([.. Enumerable.Range(0, texts).Select(_ => Enumerable.Range(0, length).Select(_ => random.Next(30522)).ToArray())]);
            List<double> seconds = [];
            for (Stopwatch clock = Stopwatch.StartNew(); seconds.Count < 5 || (clock.Elapsed.TotalSeconds < 4 && seconds.Count < 400);)
            {
                long start = Stopwatch.GetTimestamp();
                Encode(backend, model, arena, batch);
                seconds.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
            }

            seconds.Sort();
            Console.WriteLine(FormattableString.Invariant(
                $"retrieval, {backend.Name}, {texts} x {length}: {texts * length / seconds[seconds.Count / 2]:F0} tokens/s (best {texts * length / seconds[0]:F0})"));
        }
    }

    private static float[] Encode(CpuBackend backend, Transformer model, Arena arena, PackedBatch batch)
    {
        arena.Reset();
        Tensor hidden = model.Forward(batch, arena), cuSeqLens = arena.Allocate(new Shape(batch.CuSeqLens.Length), DType.I32);
        Tensor vectors = arena.Allocate(new Shape(batch.Sequences, model.HiddenSize)), norms = arena.Allocate(new Shape(batch.Sequences));
        backend.Upload<int>(batch.CuSeqLens, cuSeqLens);
        backend.PoolForward(hidden, cuSeqLens, Pooling.Mean, vectors);
        backend.L2NormalizeForward(vectors, vectors, norms);
        return backend.ToArray(vectors);
    }
}
