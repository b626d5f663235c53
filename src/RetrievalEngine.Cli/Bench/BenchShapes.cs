using System;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cli.Bench;

/// <summary>The sizes that ops are timed at: a model's, a batch's and an index's.</summary>
internal sealed record BenchShapes
{
    /// <summary>The presets, by name.</summary>
    public static IReadOnlyList<BenchShapes> All { get; } =
    [
        // For tests, also on an emulated GPU.
        new()
        {
            Name = "tiny", Sequences = 4, Length = 16, Hidden = 64, Inner = 176, Heads = 4, Vocabulary = 300, Layers = 2, Rank = 8,
            Trained = 5000, IndexRows = 600, Depth = 10, Queries = [1, 150], FlushBytes = 1 << 16,
        },

        // A model of BERT-base's size, which a CPU gets through.
        new()
        {
            Name = "small", Sequences = 16, Length = 128, Hidden = 768, Inner = 3072, Heads = 12, Vocabulary = 30_522, Layers = 6, Rank = 16,
            Trained = 1_000_000, IndexRows = 200_000, Depth = 100, Queries = [1, 8, 256],
        },

        // Llama 2 7B, 8,192 tokens, and MS MARCO's passages with its dev queries.
        new()
        {
            Name = "7b", Sequences = 16, Length = 512, Hidden = 4096, Inner = 11_008, Heads = 32, Vocabulary = 32_000, Layers = 32, Rank = 16,
            Trained = 40_000_000, IndexRows = 8_841_823, Depth = 1000, Queries = [1, 8, 6980],
        },
    ];

    /// <summary>What the user says.</summary>
    public required string Name { get; init; }

    /// <summary>Sequences of a packed batch.</summary>
    public required int Sequences { get; init; }

    /// <summary>Tokens of each; attention is also timed at four times as many in a quarter of the sequences.</summary>
    public required int Length { get; init; }

    /// <summary>Hidden width, which is also that of the index.</summary>
    public required int Hidden { get; init; }

    /// <summary>Width inside the feed-forward block.</summary>
    public required int Inner { get; init; }

    /// <summary>Heads of attention; with grouped keys a quarter of them have keys.</summary>
    public required int Heads { get; init; }

    /// <summary>Rows of the embedding table.</summary>
    public required int Vocabulary { get; init; }

    /// <summary>Layers of the training step's model.</summary>
    public required int Layers { get; init; }

    /// <summary>Rank of adapters.</summary>
    public required int Rank { get; init; }

    /// <summary>Weights of an optimiser step.</summary>
    public required long Trained { get; init; }

    /// <summary>Rows of the index, or fewer where these do not fit.</summary>
    public required long IndexRows { get; init; }

    /// <summary>Results of each query.</summary>
    public required int Depth { get; init; }

    /// <summary>Queries that are searched at once.</summary>
    public required int[] Queries { get; init; }

    /// <summary>Bytes that are read before each run; null for what the caches hold, several times.</summary>
    public long? FlushBytes { get; init; }

    /// <summary>Tokens of the batch.</summary>
    public int Tokens => Sequences * Length;

    /// <summary>The preset that suits <paramref name="backend"/>.</summary>
    public static BenchShapes For(IBackend backend) => Named(BenchClock.IsDevice(backend) ? "7b" : "small");

    /// <summary>The preset called <paramref name="name"/>.</summary>
    public static BenchShapes Named(string name) => All.First(shapes => string.Equals(shapes.Name, name, StringComparison.Ordinal));
}
