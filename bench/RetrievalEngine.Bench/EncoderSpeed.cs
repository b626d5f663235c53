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
/// <c>encoder-speed [minilm-l6|bert-base|qwen05b [TEXTSxLENGTH …]]</c>: tokens a second of a model of a real shape with random float32 weights: forward, pooling and
/// normalisation, and the share of each op. <c>bench/encoder-speed.sh</c> runs ONNX Runtime and llama.cpp on the same shapes in turn with it.
/// </summary>
internal static class EncoderSpeed
{
    // The shapes of shared/peers/shapes.py.
    private static readonly Dictionary<string, (string Config, Pooling Pooling)> s_models = new()
    {
        ["minilm-l6"] = (Bert(384, 1536, 6, 12), Pooling.Mean),
        ["bert-base"] = (Bert(768, 3072, 12, 12), Pooling.Mean),
        ["qwen05b"] = ("""
            {"model_type":"qwen2","architectures":["Qwen2Model"],"hidden_size":1024,"intermediate_size":2816,"num_hidden_layers":24,"num_attention_heads":16,
             "num_key_value_heads":16,"vocab_size":32000,"max_position_embeddings":4096,"rms_norm_eps":1e-6,"rope_theta":1000000.0,"hidden_act":"silu"}
            """, Pooling.Last),
    };

    /// <summary>Prints the median rate of each batch shape, and where the time goes.</summary>
    public static void Run(ReadOnlySpan<string> arguments)
    {
        string name = arguments.Length > 0 ? arguments[0] : "minilm-l6";
        string[] shapes = arguments.Length > 1 ? arguments[1..].ToArray() : ["32x128", "8x512", "1x128", "1x16"];
        (string json, Pooling pooling) = s_models[name];
        using TimedBackend backend = new(new CpuBackend());
        ModelConfig config = ModelConfig.Parse(System.Text.Encoding.UTF8.GetBytes(json), "config.json");
        using Transformer model = Transformer.CreateRandom(backend, config, seed: 1);
        using Arena arena = new(backend);
        Random random = new(1);
        foreach (string shape in shapes)
        {
            int[] sizes = [.. shape.Split('x').Select(size => int.Parse(size, System.Globalization.CultureInfo.InvariantCulture))];
            (int texts, int length) = (sizes[0], sizes[1]);
            PackedBatch batch = PackedBatch.Pack(
                [.. Enumerable.Range(0, texts).Select(_ => Enumerable.Range(0, length).Select(_ => random.Next(config.VocabSize)).ToArray())]);
            Encode(backend, model, arena, batch, pooling);
            backend.Reset();
            List<double> seconds = [];
            for (Stopwatch clock = Stopwatch.StartNew(); seconds.Count < 5 || (clock.Elapsed.TotalSeconds < 4 && seconds.Count < 400);)
            {
                long start = Stopwatch.GetTimestamp();
                Encode(backend, model, arena, batch, pooling);
                seconds.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
            }

            seconds.Sort();
            Console.WriteLine(FormattableString.Invariant(
                $"retrieval, {name}, {backend.Name}, {texts} x {length}: {texts * length / seconds[seconds.Count / 2]:F0} tokens/s (best {texts * length / seconds[0]:F0})"));
            backend.Print();
        }
    }

    private static string Bert(int hidden, int intermediate, int layers, int heads) => $$"""
        {"model_type":"bert","architectures":["BertModel"],"hidden_size":{{hidden}},"intermediate_size":{{intermediate}},"num_hidden_layers":{{layers}},
         "num_attention_heads":{{heads}},"vocab_size":30522,"max_position_embeddings":512,"type_vocab_size":2,"layer_norm_eps":1e-12,"hidden_act":"gelu"}
        """;

    private static float[] Encode(TimedBackend backend, Transformer model, Arena arena, PackedBatch batch, Pooling pooling)
    {
        arena.Reset();
        Tensor hidden = model.Forward(batch, arena), cuSeqLens = arena.Allocate(new Shape(batch.CuSeqLens.Length), DType.I32);
        Tensor vectors = arena.Allocate(new Shape(batch.Sequences, model.HiddenSize)), norms = arena.Allocate(new Shape(batch.Sequences));
        backend.Upload<int>(batch.CuSeqLens, cuSeqLens);
        backend.PoolForward(hidden, cuSeqLens, pooling, vectors);
        backend.L2NormalizeForward(vectors, vectors, norms);
        return backend.ToArray(vectors);
    }
}
